// Makes a queue.

import { post } from "./api.js";
import { toTag } from "./format.js";
import { html, useState } from "./html.js";
import { Field, FormDialog, say } from "./parts.js";
import { go } from "./router.js";

export function NewQueue({ onClose }) {
  const [form, setForm] = useState({ name: "", store: "UNKNOWN", limit: "", tags: "", deadLetters: false, deliveries: "5" });
  const set = (field) => (event) => setForm({ ...form, [field]: event.target.type === "checkbox" ? event.target.checked : event.target.value });
  const submit = async () => {
    const tags = form.tags.split(/[\s,]+/).filter(Boolean).map(toTag);
    const { name, store } = form;
    const settings = {};
    if (form.deadLetters) {
      const made = await post("v1/queues", { store, name: name ? `${name}.dead` : "", tags });
      settings.dead_letter_queue_id = made.queue.meta.id;
      settings.delivery_count_max = Number(form.deliveries);
    }
    const made = await post("v1/queues", { store, name, tags, settings, limit: form.limit || "-1" });
    say(`Made ${name || "a queue"}`);
    go("queues", made.queue.meta.id);
  };
  return html`<${FormDialog} title="New queue" action="Make it" submit=${submit} onClose=${onClose}>
    <${Field} label="Name" hint="Up to 80 letters, digits, dots, dashes and underscores; for good. Without one it has its id alone.">
      ${(id) => html`<input id=${id} value=${form.name} autocomplete="off" spellcheck=${false} pattern="[A-Za-z0-9][A-Za-z0-9._\\-]{0,79}" onInput=${set("name")} />`}
    <//>
    <${Field} label="Where its messages live">
      ${(id) => html`<select id=${id} value=${form.store} onChange=${set("store")}>
        <option value="UNKNOWN">As this server does by default</option>
        <option value="DISK">On disk, synced before each answer</option>
        <option value="CLUSTER">In the cluster's database</option>
        <option value="MEMORY">In memory, gone when q ends</option>
      </select>`}
    <//>
    <${Field} label="Limit" hint="How many messages it holds at most; empty for no limit.">
      ${(id) => html`<input id=${id} inputmode="numeric" pattern="[0-9]*" value=${form.limit} onInput=${set("limit")} />`}
    <//>
    <${Field} label="Tags" hint="Such as team=mail, env=prod">
      ${(id) => html`<input id=${id} spellcheck=${false} value=${form.tags} onInput=${set("tags")} />`}
    <//>
    <label class="check"><input type="checkbox" checked=${form.deadLetters} onChange=${set("deadLetters")} />
      <span>With a dead-letter queue, for messages that fail too often</span></label>
    ${form.deadLetters && html`<${Field} label="Deliveries until then">
      ${(id) => html`<input id=${id} type="number" min="1" max="1000" required value=${form.deliveries} onInput=${set("deliveries")} />`}
    <//>`}
  <//>`;
}
