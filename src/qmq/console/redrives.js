// Redrives: dead letters moved back, or to another queue; how far they are, and what stops them.

import { get, ofQueue, post, usePoll } from "./api.js";
import { ago, count, plural, shortId, toDuration, toTag, whyDead, words } from "./format.js";
import { html, useState } from "./html.js";
import { useLacksOf } from "./identity.js";
import { live } from "./live.js";
import { Badge, Button, Field, FormDialog, say, Table } from "./parts.js";
import { QueueChoice } from "./queue_choice.js";

const LOOK_MS = 1000;
const SHOWN_MAX = 20;
const REASONS = ["REJECTED", "DELIVERY_COUNT_MAX", "EXPIRED", "OVERFLOW", "SKIPPED"];
const TONES = { RUNNING: "note", DONE: "good", STOPPED: "", GAVE_UP: "bad" };

const nameOf = (id) => live.byId.get(id)?.name || shortId(id);

// The redrives of a queue, or of all.
export function Redrives({ queueId }) {
  const poll = usePoll((signal) => get("v1/redrives", { signal }), [], LOOK_MS);
  const redrives = (poll.data?.redrives ?? []).filter((each) => !queueId || isOf(each, queueId)).slice(0, SHOWN_MAX);
  const lacksOf = useLacksOf(redrives.filter((each) => each.state === "RUNNING").map((each) => each.request.queue_id));
  if (!redrives.length) return null;
  const stop = (id) => async () => {
    await post(`v1/redrives/${id}/stop`);
    poll.reload();
  };
  const columns = [{ title: "State" }, { title: "What" }, { title: "Progress" }, { title: "Moved", num: true }, { title: "Failed again", num: true }, { title: "Began", num: true }, { title: "" }];
  return html`<section class="card"><h2>Redrives</h2>
    <${Table} label="Redrives" columns=${columns}>${redrives.map((each) => html`<tr key=${each.id}>
      <td><${Badge} tone=${TONES[each.state]}>${words(each.state)}<//></td>
      <td>${describe(each.request)}${each.message && html`<div class="small ${each.state === "GAVE_UP" ? "bad-text" : "muted"}">${each.message}</div>`}</td>
      <td class="nowrap"><progress max=${Math.max(1, Number(each.total ?? 0))} value=${each.state === "DONE" ? Math.max(1, Number(each.total ?? 0)) : Number(each.seen ?? 0)} aria-label="How far it is"></progress> <span class="num small">${count(each.seen)} / ${count(each.total)}</span></td>
      <td class="num nowrap">${each.request.dry_run ? html`<span class="muted">${count(each.matched)} would be</span>` : count(each.moved)}</td>
      <td class="num ${Number(each.failed_again ?? 0) ? "bad-text" : "faint"}">${count(each.failed_again)}</td>
      <td class="num nowrap">${ago(each.started)}</td>
      <td class="row-actions">${each.state === "RUNNING" && html`<${Button} icon="close" lacks=${lacksOf(each.request.queue_id, "MANAGE")} ask=${stop(each.id)}>Stop<//>`}</td></tr>`)}<//>
  </section>`;
}

const isOf = (redrive, queueId) => redrive.request.queue_id === queueId || redrive.request.queue_id === live.byId.get(queueId)?.name;

function describe(request) {
  const to = request.target_queue_id ? `to ${nameOf(request.target_queue_id)}` : "back to where they came from";
  const only = [
    request.reasons?.length && request.reasons.map(whyDead).join(" or "), request.text && `with “${request.text}”`,
    request.tags?.length && `tagged ${request.tags.map((tag) => `${tag.key}=${tag.value ?? ""}`).join(", ")}`,
    request.messages_per_second && `${request.messages_per_second} a second`, request.messages_max && Number(request.messages_max) && `at most ${count(request.messages_max)}`,
  ].filter(Boolean);
  return `${request.dry_run ? "Dry run: " : ""}${nameOf(request.queue_id)} ${to}${only.length ? `; ${only.join(", ")}` : ""}`;
}

// Starts a redrive of a dead-letter queue; `group` presets the reason and the text that its letters
// have in common.
export function StartRedrive({ queueId, group, onClose }) {
  const exact = group.letters?.every((each) => (each.message.dead_letter?.text ?? "").includes(group.cause)) ? group.cause : "";
  const [form, setForm] = useState({ reason: group.reason || "", text: exact || "", tag: "", target: "", ageMin: "", rate: "", max: "", share: "0.5" });
  const [counted, setCounted] = useState(null);
  const set = (field) => (event) => {
    setForm({ ...form, [field]: event.target.value });
    setCounted(null);
  };
  const request = (dryRun) => ({
    reasons: form.reason ? [form.reason] : [], text: form.text, tags: form.tag ? [toTag(form.tag)] : [], target_queue_id: form.target,
    ...(form.ageMin && { age_min: toDuration(form.ageMin) }), messages_per_second: Number(form.rate || 0), messages_max: String(form.max || 0),
    failed_again_max: Number(form.share), dry_run: dryRun,
  });
  const dryRun = async () => {
    let { redrive } = await post(ofQueue(queueId, "/redrives"), request(true));
    while (redrive.state === "RUNNING") {
      await new Promise((resolve) => setTimeout(resolve, 200));
      ({ redrive } = await get(`v1/redrives/${redrive.id}`));
    }
    setCounted(redrive);
  };
  const submit = async () => {
    await post(ofQueue(queueId, "/redrives"), request(false));
    say("The redrive runs; it goes on by itself");
  };
  return html`<${FormDialog} title="Redrive dead letters" action="Start" submit=${submit} onClose=${onClose} wide>
    <div class="fields">
      <${Field} label="Only those that were">${(id) => html`<select id=${id} value=${form.reason} onChange=${set("reason")}><option value="">for any reason</option>
        ${REASONS.map((each) => html`<option value=${each}>${whyDead(each)}</option>`)}</select>`}<//>
      <${Field} label="Only with this text">${(id) => html`<input id=${id} value=${form.text} onInput=${set("text")} />`}<//>
      <${Field} label="Only with this tag" hint="Such as lang=en">${(id) => html`<input id=${id} value=${form.tag} onInput=${set("tag")} />`}<//>
      <${Field} label="Only those there for" hint="At least, such as 10m">${(id) => html`<input id=${id} value=${form.ageMin} onInput=${set("ageMin")} />`}<//>
      <${Field} label="Where to">${(id) => html`<${QueueChoice} id=${id} value=${form.target} none="back to where each came from" onChange=${(value) => set("target")({ target: { value } })} />`}<//>
      <${Field} label="How many a second" hint="As fast as possible if empty">${(id) => html`<input id=${id} type="number" min="0" step="any" value=${form.rate} onInput=${set("rate")} />`}<//>
      <${Field} label="How many at most" hint="All that are there now if empty">${(id) => html`<input id=${id} type="number" min="0" value=${form.max} onInput=${set("max")} />`}<//>
      <${Field} label="Stop by itself" hint="When so great a share has failed again">${(id) => html`<select id=${id} value=${form.share} onChange=${set("share")}>
        <option value="0.1">at 10 %</option><option value="0.5">at 50 %</option><option value="1">never</option></select>`}<//>
    </div>
    <div class="dry-run">
      <${Button} ask=${dryRun}>Count first, move nothing<//>
      <span role="status">${counted && html`<b class="num">${plural(counted.matched, "letter")}</b> of ${count(counted.seen)} would be moved.`}</span>
    </div>
  <//>`;
}
