// One message: where it is and why, what is in it, and what has happened to it.

import { get, ofQueue, query, usePoll } from "./api.js";
import { Commands } from "./commands.js";
import { ago, bytes, count, duration, moment, plural, seconds, shortId, whyDead } from "./format.js";
import { html, useState } from "./html.js";
import { useLacks } from "./identity.js";
import { live } from "./live.js";
import { Button, Copy, Dialog, Empty, Loading, Problem, Tags } from "./parts.js";
import { DeleteMessages, MoveMessages } from "./pick.js";
import { bytesOf, cut, hexOf, jsonOf, textOf } from "./payload.js";
import { linkTo } from "./router.js";

const LOOK_MS = 2000;

export function MessageDialog({ queueId, messageId, created, changed = () => {}, onClose }) {
  const poll = usePoll(
    (signal) => get(ofQueue(queueId, `/messages/${encodeURIComponent(messageId)}${query({ created })}`), { signal }),
    [queueId, messageId], LOOK_MS);
  const isGone = poll.error?.reason === "MESSAGE_NOT_FOUND";
  const lacks = useLacks(queueId);
  const [picking, setPicking] = useState("");
  const message = poll.data?.message.message;
  const picked = message && [{ id: message.meta.id, created: message.meta.created }];
  const endPick = () => {
    setPicking("");
    poll.reload();
    changed();
  };
  return html`<${Dialog} title="Message ${shortId(messageId)}" onClose=${onClose} wide>
    <p class="facts"><span class="mono">${messageId}</span><${Copy} text=${messageId} label="Copy the id" />
      <${Commands} lines=${[["This message, and why it is where it is", ["explain", queueId, messageId], ofQueue(queueId, `/messages/${messageId}`)]]} /></p>
    ${message && !isGone && html`<div class="actions">
      <${Button} lacks=${lacks("MANAGE")} ask=${async () => setPicking("move")}>Move …<//>
      <${Button} kind="danger" icon="trash" lacks=${lacks("MANAGE")} ask=${async () => setPicking("delete")}>Delete …<//>
    </div>`}
    ${isGone && html`<${Empty} title=${poll.data ? "The message has left the queue" : "The queue holds no such message"}>
      It was acked, popped or deleted, has expired, was moved to another queue, or never was here. ${poll.data && "What follows is what was known of it last."}<//>`}
    ${poll.error && !isGone && html`<${Problem} error=${poll.error} reload=${poll.reload} />`}
    ${!poll.data && poll.loading && html`<${Loading} what="Looking for it" />`}
    ${picking === "move" && html`<${MoveMessages} queueId=${queueId} messages=${picked} areDeadLetters=${!!message.dead_letter} onClose=${endPick} />`}
    ${picking === "delete" && html`<${DeleteMessages} queueId=${queueId} messages=${picked} onClose=${endPick} />`}
    ${poll.data && html`<${Details} reply=${poll.data} isGone=${isGone} />`}
  <//>`;
}

function Details({ reply, isGone }) {
  const { message: browsed, reasons = [], ahead } = reply;
  const { message } = browsed;
  return html`
    ${!isGone && html`<section class="why ${(browsed.state ?? "").toLowerCase()}" aria-live="polite">
      <h3>Why is it not being delivered?</h3>
      ${reasons.length
        ? html`<ul class="reasons">${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`
        : html`<p>Nothing stands in its way: the next call that asks gets it.</p>`}
      ${Number(ahead ?? 0) > 0 && html`<p class="muted small">${plural(ahead, "message")} ahead of it.</p>`}
    </section>`}
    <div class="message-columns">
      <section><h3>Payload</h3><${Payload} base64=${message.payload} /></section>
      <section><h3>History</h3><${History} browsed=${browsed} isGone=${isGone} /></section>
    </div>
    <h3>Facts</h3>
    <${Facts} browsed=${browsed} />
  `;
}

export function Payload({ base64 }) {
  const data = bytesOf(base64);
  const text = textOf(data);
  const json = jsonOf(text);
  const forms = { ...(json !== null && { JSON: json }), ...(text !== null && { Text: text }), Hex: hexOf(data) };
  const [chosen, setChosen] = useState("");
  const form = chosen in forms ? chosen : Object.keys(forms)[0];
  if (!data.length) return html`<p class="muted">Empty.</p>`;
  return html`<div class="payload">
    <div class="payload-head">
      <div class="segments" role="group" aria-label="Shown as">${Object.keys(forms).map((each) => html`<button type="button" aria-pressed=${each === form} onClick=${() => setChosen(each)}>${each}</button>`)}</div>
      <span class="muted small">${bytes(data.length)}</span>
      <${Copy} text=${forms[form]} label="Copy the payload" />
    </div>
    <pre class=${form.toLowerCase()} dir=${form === "Text" ? "auto" : "ltr"} tabindex="0" aria-label="Payload as ${form}">${cut(forms[form])}</pre>
  </div>`;
}

// All that is known of what happened to a message, in its order: the last 16 deliveries are kept.
function eventsOf(browsed, isGone) {
  const { message } = browsed;
  const options = message.options ?? {};
  const events = [{ at: message.meta.created, tone: "added", title: "Added" }];
  for (const attempt of message.attempts ?? []) {
    if (!attempt.consumer && attempt.leased === attempt.ended && attempt.reason) {
      // Nobody had it: it was moved.
      events.push({ at: attempt.ended, tone: "ready", title: "Moved", note: attempt.reason });
      continue;
    }
    const who = attempt.consumer ? `“${attempt.consumer}”` : "a consumer without a name";
    const held = (Date.parse(attempt.ended) - Date.parse(attempt.leased)) / 1000;
    events.push({ at: attempt.leased, tone: "leased", title: `Leased to ${who}` });
    events.push({
      at: attempt.ended, tone: attempt.outcome === "RELEASED" ? "ready" : "dead",
      title: { RELEASED: "Given back unharmed", FAILED: "Failed", REJECTED: "Rejected", EXPIRED: "Its lease ran out" }[attempt.outcome] ?? "Ended",
      note: [`after ${duration(held)}`, attempt.reason].filter(Boolean).join(": "),
    });
  }
  if (message.dead_letter?.moved) {
    events.push({ at: message.dead_letter.moved, tone: "dead", title: `Became a dead letter: ${whyDead(message.dead_letter.reason)}`, note: message.dead_letter.text });
  }
  events.sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
  if (isGone) return events;
  if (browsed.state === "LEASED") events.push({ at: browsed.until, tone: "leased", isAhead: true, title: `On lease to ${browsed.consumer ? `“${browsed.consumer}”` : "a consumer without a name"} until then` });
  if (browsed.state === "DELAYED") events.push({ at: browsed.until, tone: "delayed", isAhead: true, title: "Kept back until then" });
  if (browsed.state === "READY") events.push({ at: null, tone: "ready", isAhead: true, title: "Ready now" });
  if (options.expires_at) events.push({ at: options.expires_at, tone: "delayed", isAhead: true, title: "Of no use after that" });
  return events;
}

function History({ browsed, isGone }) {
  return html`<ol class="timeline">${eventsOf(browsed, isGone).map((event) => html`<li class=${event.isAhead ? "ahead" : ""}>
    <i class="swatch tone-${event.tone}" aria-hidden="true"></i>
    <div><strong>${event.title}</strong>
      ${event.at && html`<time datetime=${event.at} title=${event.at}>${moment(event.at)} · ${ago(event.at)}</time>`}
      ${event.note && html`<p>${event.note}</p>`}</div>
  </li>`)}</ol>`;
}

function Facts({ browsed }) {
  const { message } = browsed;
  const options = message.options ?? {};
  const source = message.dead_letter?.source_queue_id;
  const facts = [
    ["Tags", message.meta.tags?.length ? html`<${Tags} tags=${message.meta.tags} max=${100} />` : ""],
    ["In the queue for", duration(seconds(browsed.age) ?? 0)],
    ["Delivered", `${count(browsed.delivery_count)}×`],
    ["Came from", source && html`<a href=${linkTo("queues", source)}>${live.byId.get(source)?.name || shortId(source)}</a>`],
    ["Priority", options.priority], ["Group", options.group_id], ["Fair key", options.fair_key], ["Dedup id", options.dedup_id],
    ["Available at", options.available_at && moment(options.available_at)], ["Expires at", options.expires_at && moment(options.expires_at)],
  ];
  return html`<dl class="pairs">${facts.filter(([, value]) => value).map(([title, value]) => html`<dt>${title}</dt><dd>${value}</dd>`)}</dl>`;
}
