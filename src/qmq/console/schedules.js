// Schedules: messages that come by themselves, of one queue or of all.

import { MessageFields, newMessageOf } from "./add_message.js";
import { get, ofQueue, put, query, remove, usePoll } from "./api.js";
import { ago, count, fromDuration, moment, shortId, tagText, toDuration } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { useLacksOf } from "./identity.js";
import { live } from "./live.js";
import { Badge, Button, Empty, Field, FormDialog, Found, say, Table, TypedConfirmation } from "./parts.js";
import { bytesOf, textOf } from "./payload.js";
import { linkTo } from "./router.js";
import { useSignal } from "./signal.js";

const LOOK_MS = 3000;

export function SchedulesPage() {
  useEffect(() => live.watch(), []);
  return html`<div class="page"><div class="page-head"><h1>Schedules</h1></div>
    <${List} path="v1/schedules" /></div>`;
}

export function Schedules({ id, lacks }) {
  const [making, setMaking] = useState(false);
  return html`<div class="filters"><${Button} icon="add" lacks=${lacks("MANAGE", "PRODUCE")} ask=${async () => setMaking(true)}>New schedule<//></div>
    <${List} key=${making} path=${ofQueue(id, "/schedules")} queueId=${id} />
    ${making && html`<${Edit} queueId=${id} onClose=${() => setMaking(false)} />`}`;
}

function List({ path, queueId }) {
  const poll = usePoll((signal) => get(`${path}${query({ page_size: 1000 })}`, { signal }), [path], LOOK_MS);
  useSignal(live);
  const lacksOf = useLacksOf((poll.data?.schedules ?? []).map((each) => each.queue_id));
  const [editing, setEditing] = useState(null);
  const [deleting, setDeleting] = useState(null);
  const toggle = (schedule) => async () => {
    await put(addressOf(schedule), { ...schedule, paused: !schedule.paused });
    poll.reload();
  };
  const columns = [{ title: "Name" }, ...(queueId ? [] : [{ title: "Queue" }]), { title: "When" }, { title: "Next" }, { title: "Last" }, { title: "Added", num: true }, { title: "" }];
  return html`<${Found} poll=${poll} what="Looking at the schedules">${({ schedules = [] }) => schedules.length === 0
    ? html`<${Empty} title="No schedules">A schedule adds a message to its queue again and again, by cron or at intervals.${queueId ? "" : " Make one on the page of a queue."}<//>`
    : html`<${Table} label="Schedules" columns=${columns}>${schedules.map((each) => html`<tr key=${each.queue_id + each.name}>
        <td><strong>${each.name}</strong> ${each.paused && html`<${Badge} tone="note">paused<//>`} ${each.obstacle && html`<${Badge} tone="bad" title=${each.obstacle}>refused<//>`}
          ${each.obstacle && html`<div class="bad-text small">${each.obstacle}</div>`}</td>
        ${!queueId && html`<td><a href=${linkTo("queues", each.queue_id, "schedules")}>${live.byId.get(each.queue_id)?.name || shortId(each.queue_id)}</a></td>`}
        <td class="nowrap">${each.cron ? html`<code>${each.cron}</code> <span class="muted small">${each.time_zone || "UTC"}</span>` : `every ${fromDuration(each.interval)}`}</td>
        <td class="nowrap" title=${each.next}>${each.next ? html`${moment(each.next)} <span class="muted small">${ago(each.next)}</span>` : "–"}</td>
        <td class="nowrap" title=${each.last}>${each.last ? moment(each.last) : "–"}</td>
        <td class="num nowrap">${count(each.added)}${Number(each.missed_ticks ?? 0) > 0 && html` <span class="muted small">${count(each.missed_ticks)} missed</span>`}</td>
        <td class="row-actions">
          <${Button} icon=${each.paused ? "play" : "pause"} label="${each.paused ? "Resume" : "Pause"} ${each.name}" lacks=${lacksOf(each.queue_id, "MANAGE", "PRODUCE")} ask=${toggle(each)} />
          <${Button} lacks=${lacksOf(each.queue_id, "MANAGE", "PRODUCE")} ask=${async () => setEditing(each)}>Edit<//>
          <${Button} icon="trash" label="Delete ${each.name}" lacks=${lacksOf(each.queue_id, "MANAGE")} ask=${async () => setDeleting(each)} /></td></tr>`)}<//>`}
    <//>
    ${editing && html`<${Edit} queueId=${editing.queue_id} schedule=${editing} onClose=${() => {
      setEditing(null);
      poll.reload();
    }} />`}
    ${deleting && html`<${TypedConfirmation} title="Delete the schedule" action="Delete it" name=${deleting.name} onClose=${() => setDeleting(null)} submit=${async () => {
      await remove(addressOf(deleting));
      say("Deleted");
      poll.reload();
    }}><p>It adds nothing any more. What it has added stays in the queue.</p><//>`}`;
}

const addressOf = (schedule) => ofQueue(schedule.queue_id, `/schedules/${encodeURIComponent(schedule.name)}`);

function Edit({ queueId, schedule, onClose }) {
  const options = schedule?.message?.options ?? {};
  const text = textOf(bytesOf(schedule?.message?.payload));
  const [form, setForm] = useState({
    name: schedule?.name ?? "", by: schedule?.interval ? "interval" : "cron", cron: schedule?.cron ?? "0 * * * *", interval: schedule?.interval ? fromDuration(schedule.interval) : "1h",
    zone: schedule?.time_zone ?? "", missed: schedule?.missed ?? "ONE", payload: text ?? "", tags: (schedule?.message?.tags ?? []).map(tagText).join("\n"),
    delay: options.delay ? fromDuration(options.delay) : "", ttl: options.ttl ? fromDuration(options.ttl) : "", priority: options.priority ?? "",
    group_id: options.group_id ?? "", fair_key: options.fair_key ?? "", dedup_id: options.dedup_id ?? "",
  });
  const set = (field) => (event) => setForm({ ...form, [field]: event.target.value });
  const submit = async () => {
    const message = newMessageOf(form);
    // Bytes that are no text stay as they are.
    if (text === null) message.payload = schedule.message.payload;
    const when = form.by === "cron" ? { cron: form.cron, time_zone: form.zone } : { interval: toDuration(form.interval) };
    await put(addressOf({ queue_id: queueId, name: form.name }), { ...when, message, missed: form.missed, paused: schedule?.paused ?? false });
    say("Saved");
  };
  return html`<${FormDialog} title=${schedule ? `Schedule ${schedule.name}` : "New schedule"} action="Save" submit=${submit} onClose=${onClose} wide>
    ${!schedule && html`<${Field} label="Name">${(id) => html`<input id=${id} required spellcheck=${false} value=${form.name} onInput=${set("name")} />`}<//>`}
    <div class="fields">
      <${Field} label="Comes">${(id) => html`<select id=${id} value=${form.by} onChange=${set("by")}><option value="cron">by cron</option><option value="interval">at intervals</option></select>`}<//>
      ${form.by === "cron"
        ? html`<${Field} label="Cron" hint="Minute, hour, day, month, day of the week">${(id) => html`<input id=${id} class="mono" required value=${form.cron} onInput=${set("cron")} />`}<//>
          <${Field} label="Time zone" hint="Such as Europe/Berlin; UTC if empty">${(id) => html`<input id=${id} value=${form.zone} onInput=${set("zone")} />`}<//>`
        : html`<${Field} label="Every" hint="From 1s">${(id) => html`<input id=${id} required value=${form.interval} onInput=${set("interval")} />`}<//>`}
      <${Field} label="Of what was missed while q was down">${(id) => html`<select id=${id} value=${form.missed} onChange=${set("missed")}>
        <option value="ONE">add one message</option><option value="ALL">add all messages</option><option value="SKIP">add none</option></select>`}<//>
    </div>
    <${MessageFields} form=${form} set=${set} />
  <//>`;
}
