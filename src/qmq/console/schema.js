// Schemas: what the fields of a request or reply are, one within the other as far as somebody opens
// them.

import { html, useState } from "./html.js";

const DEPTH_MAX = 12;

function resolved(schema, document) {
  if (!schema?.$ref) return schema ?? {};
  return document.components.schemas[schema.$ref.split("/").pop()] ?? {};
}

const refName = (schema) => schema?.$ref?.split("/").pop() ?? "";

// A text with what stands between backticks as code.
export function prose(text = "") {
  return text.split("`").map((part, i) => (i % 2 ? html`<code>${part}</code>` : part));
}

// What a value is, in a word or two.
export function typeOf(schema) {
  if (!schema) return "";
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  if (schema.additionalProperties) return `map to ${typeOf(schema.additionalProperties)}`;
  if (schema.$ref) return refName(schema);
  if (schema.format === "date-time") return "time";
  if (schema.pattern?.endsWith("s$")) return "duration";
  if (schema.contentEncoding) return "bytes";
  return { int32: "int32", int64: "int64" }[schema.format] ?? schema.type ?? "any";
}

export function Schema({ schema, document }) {
  return html`<details class="schema"><summary>Fields</summary><${Members} schema=${schema} document=${document} depth=${0} /></details>`;
}

function Members({ schema, document, depth }) {
  const found = resolved(schema, document);
  if (found.enum) return html`<${Choices} schema=${found} />`;
  const members = Object.entries(found.properties ?? {});
  if (!members.length) return html`<p class="muted small">It has no fields.</p>`;
  return html`<dl class="members">${members.map(([name, each]) => html`<${Member} key=${name} name=${name} schema=${each} document=${document} depth=${depth} />`)}</dl>`;
}

function Member({ name, schema, document, depth }) {
  const [isOpen, setOpen] = useState(false);
  const inner = schema.items ?? schema;
  const hasInner = Boolean(inner.$ref) && depth < DEPTH_MAX;
  return html`<div>
    <dt><code>${name}</code> ${hasInner
      ? html`<button type="button" class="link small" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${typeOf(schema)} ${isOpen ? "−" : "+"}</button>`
      : html`<span class="muted small">${typeOf(schema)}</span>`}</dt>
    <dd>${prose(schema.description)}${isOpen && html`<div class="inner"><${Members} schema=${inner} document=${document} depth=${depth + 1} /></div>`}</dd>
  </div>`;
}

// The values of an enum, which its description lists.
function Choices({ schema }) {
  const lines = (schema.description ?? "").split("\n").map((line) => /^- `(\w+)`: (.*)$/.exec(line)).filter(Boolean);
  return html`<dl class="members">${lines.map(([, name, text]) => html`<div><dt><code>${name}</code></dt><dd>${prose(text)}</dd></div>`)}</dl>`;
}
