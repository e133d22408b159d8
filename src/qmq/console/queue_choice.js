// One queue, chosen from those that there are.

import { count, titleOf } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { live } from "./live.js";
import { useSignal } from "./signal.js";

// As many as a list has that somebody looks through.
const LISTED_MAX = 500;
const FOUND_MAX = 50;

// `value` is the queue's id, or "" for `none`; `suits` tells which queues there are to choose from. Of
// very many, a part of the name finds some.
export function QueueChoice({ id, value, onChange, none = "none", suits = () => true }) {
  useSignal(live);
  useEffect(() => live.watch(), []);
  const known = [...live.byId.values()].map((each) => each.queue).filter(suits);
  if (live.complete && known.length > LISTED_MAX) return html`<${Search} id=${id} value=${value} onChange=${onChange} none=${none} known=${known} />`;
  const listed = known.slice(0, LISTED_MAX);
  const isListed = !value || listed.some((queue) => queue.meta.id === value);
  return html`<select id=${id} value=${value} onChange=${(event) => onChange(event.target.value)}>
    <option value="">${none}</option>
    ${!isListed && html`<option value=${value}>${nameOf(value)}</option>`}
    ${listed.map((queue) => html`<option value=${queue.meta.id}>${titleOf(queue)}</option>`)}
  </select>`;
}

function Search({ id, value, onChange, none, known }) {
  const [typed, setTyped] = useState({ text: "", value: "" });
  // What was typed holds for the value that it led to; any other one came from without.
  const text = typed.value === value ? typed.text : nameOf(value);
  const part = text.trim().toLowerCase();
  const found = known.filter((queue) => titleOf(queue).toLowerCase().includes(part)).slice(0, FOUND_MAX);
  const type = (event) => {
    const name = event.target.value.trim();
    // What is no queue's name goes to q as it is, which says so.
    const chosen = known.find((queue) => titleOf(queue) === name)?.meta.id ?? name;
    setTyped({ text: event.target.value, value: chosen });
    onChange(chosen);
  };
  return html`<input id=${id} list="${id}-found" autocomplete="off" spellcheck=${false} placeholder=${none} value=${text} onInput=${type} />
    <datalist id="${id}-found">${found.map((queue) => html`<option value=${titleOf(queue)} />`)}</datalist>
    <p class="hint">A part of its name finds it, among ${count(known.length)} queues</p>`;
}

const nameOf = (id) => titleOf(live.byId.get(id)?.queue) || id;
