// One operation of the API: what it takes, what it answers, and a way to try it here.

import { call, query } from "./api.js";
import { html, useState } from "./html.js";
import { Badge, Copy, Field } from "./parts.js";
import { prose, Schema, typeOf } from "./schema.js";

const indented = (value) => JSON.stringify(value, null, 2);

function contentOf(part) {
  return part?.content?.["application/json"] ?? {};
}

export function Operation({ operation, document }) {
  const { operationId, verb, path, summary, description, parameters = [], responses } = operation;
  const body = contentOf(operation.requestBody);
  const reply = contentOf(responses[200]);
  const refusals = Object.entries(responses).filter(([status]) => /^[45]/.test(status) && !responses[status].$ref);
  return html`<article class="card operation" id=${operationId} aria-label=${operationId}>
    <header><h3>${operationId}</h3><code class="path"><span class="verb ${verb.toLowerCase()}">${verb}</span> ${path}</code></header>
    <p>${prose(`${summary}. ${description ?? ""}`)}</p>
    ${parameters.length > 0 && html`<h4>Parameters</h4><dl class="members">${parameters.map((each) => html`<div>
      <dt><code>${each.name}</code> <span class="muted small">${typeOf(each.schema)}, in the ${each.in}${each.required ? ", required" : ""}</span></dt><dd>${prose(each.description)}</dd></div>`)}</dl>`}
    <div class="sides">
      ${body.schema && html`<div><h4>Request</h4><${Example} value=${body.example} label="Request of ${operationId}" /><${Schema} schema=${body.schema} document=${document} /></div>`}
      <div><h4>Reply</h4><${Example} value=${reply.example} label="Reply of ${operationId}" /><${Schema} schema=${reply.schema} document=${document} /></div>
    </div>
    ${refusals.length > 0 && html`<details><summary>Errors</summary><dl class="members">${refusals.map(([status, each]) => each.description.split("\n").map((line) => {
      const [, reason, text] = /^- `(\w+)`: (.*)$/.exec(line) ?? [null, "", line];
      return html`<div><dt><code>${reason}</code> <${Badge}>${status}<//></dt><dd>${prose(text)}</dd></div>`;
    }))}</dl></details>`}
    <${Trial} operation=${operation} example=${body.example} />
  </article>`;
}

function Example({ value, label }) {
  if (value === undefined) return null;
  return html`<div class="example"><pre tabindex="0" aria-label=${label}>${indented(value)}</pre><${Copy} text=${indented(value)} label="Copy the example" /></div>`;
}

// Sends a call to the q that serves this page.
function Trial({ operation, example }) {
  const { verb, path, parameters = [], requestBody } = operation;
  const [values, setValues] = useState({});
  const [text, setText] = useState(requestBody ? indented(example ?? {}) : "");
  const [answer, setAnswer] = useState(null);
  const target = () => {
    let filled = path.slice(1);
    const rest = {};
    for (const each of parameters) {
      const value = values[each.name] ?? "";
      if (each.in === "path") filled = filled.replace(`{${each.name}}`, encodeURIComponent(value));
      else if (value) rest[each.name] = value;
    }
    return filled + query(rest);
  };
  const send = async (event) => {
    event.preventDefault();
    try {
      setAnswer({ good: true, text: indented(await call(verb, target(), requestBody ? JSON.parse(text) : undefined)) });
    } catch (error) {
      setAnswer({ good: false, text: error.message });
    }
  };
  return html`<details class="trial"><summary>Try it on this q</summary><form onSubmit=${send}>
    <div class="fields">${parameters.map((each) => html`<${Field} label=${each.name}>${(id) => html`<input id=${id} required=${each.required} value=${values[each.name] ?? ""} placeholder=${each.example ?? ""}
      onInput=${(event) => setValues({ ...values, [each.name]: event.target.value })} />`}<//>`)}</div>
    ${requestBody && html`<${Field} label="Body">${(id) => html`<textarea id=${id} class="mono" rows="6" spellcheck=${false} value=${text} onInput=${(event) => setText(event.target.value)}></textarea>`}<//>`}
    <div><button class="button ${verb === "GET" ? "" : "danger"}"><span>Send ${verb}</span></button>${verb !== "GET" && html` <span class="muted small">It is done for real.</span>`}</div>
    ${answer && html`<pre class="answer ${answer.good ? "" : "bad-text"}" role="status">${answer.text}</pre>`}
  </form></details>`;
}
