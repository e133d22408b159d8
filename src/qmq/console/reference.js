// The reference of the API, drawn from openapi.json, which q serves beside it.

import { get, usePoll } from "./api.js";
import { html, render, useState } from "./html.js";
import { Operation } from "./operation.js";
import { Found, Icon } from "./parts.js";
import { prose } from "./schema.js";
import { Shell } from "./shell.js";
import { applyTheme } from "./theme.js";

// The operations by tag, in the document's order: [{tag, about, operations}].
function sectionsOf(document) {
  const sections = document.tags.map((tag) => ({ tag: tag.name, about: tag.description, operations: [] }));
  for (const [path, verbs] of Object.entries(document.paths)) {
    for (const [verb, operation] of Object.entries(verbs)) {
      sections.find((each) => each.tag === operation.tags[0]).operations.push({ ...operation, path, verb: verb.toUpperCase() });
    }
  }
  return sections;
}

const matches = (operation, wanted) =>
  `${operation.operationId} ${operation.path} ${operation.summary}`.toLowerCase().includes(wanted);

function Reference() {
  const poll = usePoll((signal) => get("openapi.json", { signal }), []);
  return html`<${Shell} current="docs"><${Found} poll=${poll} what="Reading the description">${(document) => html`<${Document} document=${document} />`}<//><//>`;
}

function Document({ document }) {
  const [wanted, setWanted] = useState("");
  const found = sectionsOf(document)
    .map((section) => ({ ...section, operations: section.operations.filter((each) => matches(each, wanted.toLowerCase().trim())) }))
    .filter((section) => section.operations.length);
  return html`<div class="reference">
    <aside>
      <label class="search"><${Icon} name="search" /><span class="hidden">Search the operations</span>
        <input type="search" placeholder="Search" value=${wanted} onInput=${(event) => setWanted(event.target.value)} /></label>
      <nav aria-label="Operations">
        ${found.map((section) => html`<h2>${section.tag}</h2><ul>${section.operations.map((each) => html`<li>
          <a href="#${each.operationId}"><${Verb} verb=${each.verb} /><span>${each.operationId}</span></a></li>`)}</ul>`)}
      </nav>
    </aside>
    <div class="operations">
      <h1>API</h1>
      ${document.info.description.split("\n\n").map((text) => html`<p class="lead">${prose(text)}</p>`)}
      <p class="lead">JSON over HTTP, on this port. The same methods are there by gRPC. Tools read <a href="../openapi.json">openapi.json</a> (OpenAPI ${document.openapi}).
        What is empty or 0 is left out of replies; 64-bit numbers are strings, bytes are base64, durations are seconds with an s.</p>
      ${found.map((section) => html`<section aria-label=${section.tag}><h2 class="section">${section.tag}</h2><p class="muted">${section.about}</p>
        ${section.operations.map((each) => html`<${Operation} key=${each.operationId} operation=${each} document=${document} />`)}</section>`)}
    </div>
  </div>`;
}

export function Verb({ verb }) {
  return html`<span class="verb ${verb.toLowerCase()}">${verb}</span>`;
}

applyTheme();
const root = document.getElementById("root");
root.replaceChildren();
render(html`<${Reference} />`, root);
