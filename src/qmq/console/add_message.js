// Adds a message by hand.

import { ofQueue, post } from "./api.js";
import { toDuration, toTag } from "./format.js";
import { html, useState } from "./html.js";
import { Field, FormDialog, say } from "./parts.js";
import { base64Of } from "./payload.js";

const NONE = { payload: "", tags: "", delay: "", ttl: "", priority: "", group_id: "", fair_key: "", dedup_id: "" };

// What q takes as a NewMessage. Throws what is wrong with the form.
export function newMessageOf(form) {
  const options = {};
  for (const name of ["group_id", "fair_key", "dedup_id"]) if (form[name]) options[name] = form[name];
  for (const name of ["delay", "ttl"]) if (form[name]) options[name] = toDuration(form[name]);
  if (form.priority) options.priority = Number(form.priority);
  return { payload: base64Of(form.payload), tags: form.tags.split("\n").map((line) => line.trim()).filter(Boolean).map(toTag), options };
}

// The fields of a message; `set` makes what is called with an input's event.
export function MessageFields({ form, set }) {
  return html`
    <${Field} label="Payload" hint="Text, as UTF-8" wide>${(id) => html`<textarea id=${id} class="mono" rows="6" spellcheck=${false} value=${form.payload} onInput=${set("payload")}></textarea>`}<//>
    <${Field} label="Tags" hint="One a line, such as lang=en" wide>${(id) => html`<textarea id=${id} class="mono" rows="2" spellcheck=${false} value=${form.tags} onInput=${set("tags")}></textarea>`}<//>
    <details><summary>When and how it is handed out</summary><div class="fields">
      <${Field} label="Kept back for" hint="Such as 30s">${(id) => html`<input id=${id} value=${form.delay} onInput=${set("delay")} />`}<//>
      <${Field} label="Of use for" hint="Such as 1h">${(id) => html`<input id=${id} value=${form.ttl} onInput=${set("ttl")} />`}<//>
      <${Field} label="Priority" hint="0 to 255: the higher, the sooner">${(id) => html`<input id=${id} type="number" min="0" max="255" value=${form.priority} onInput=${set("priority")} />`}<//>
      <${Field} label="Group" hint="One after the other within it">${(id) => html`<input id=${id} value=${form.group_id} onInput=${set("group_id")} />`}<//>
      <${Field} label="Fair key" hint="In turns with those of others">${(id) => html`<input id=${id} value=${form.fair_key} onInput=${set("fair_key")} />`}<//>
      <${Field} label="Dedup id" hint="Added only once">${(id) => html`<input id=${id} value=${form.dedup_id} onInput=${set("dedup_id")} />`}<//>
    </div></details>`;
}

export function AddMessage({ id, onClose }) {
  const [form, setForm] = useState(NONE);
  const set = (field) => (event) => setForm({ ...form, [field]: event.target.value });
  const submit = async () => {
    const reply = await post(ofQueue(id), newMessageOf(form));
    say(reply.deduplicated ? "The queue knew its dedup_id: nothing was added" : `Added, durable: ${reply.durability ?? "as asked"}`);
  };
  return html`<${FormDialog} title="Add a message" action="Add it" submit=${submit} onClose=${onClose} wide>
    <${MessageFields} form=${form} set=${set} />
  <//>`;
}
