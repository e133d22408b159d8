// Dead letters: grouped by why they are, looked at, and brought back.

import { get, ofQueue, query, usePoll } from "./api.js";
import { ago, count, plural, shortId, titleOf, whyDead } from "./format.js";
import { html, useEffect, useMemo, useState } from "./html.js";
import { useLacks } from "./identity.js";
import { live } from "./live.js";
import { MessageDialog } from "./message.js";
import { Button, Empty, Found, Icon, Loading, Missed, Table } from "./parts.js";
import { preview } from "./payload.js";
import { MoveMessages } from "./pick.js";
import { Redrives, StartRedrive } from "./redrives.js";
import { linkTo } from "./router.js";
import { useSignal } from "./signal.js";

const LETTERS_MAX = 5000;
const PAGE_SIZE = 500;
const LOOK_MS = 10_000;
const EXAMPLES_MAX = 20;

// "ValueError" of "ValueError: no such thing"; else the text with its numbers and ids made alike, so
// that letters that differ in nothing else come together.
function causeOf(text) {
  const line = (text ?? "").split("\n")[0].trim();
  if (!line) return "";
  const named = /^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Warning|Timeout|Refused|Exit))\b/.exec(line);
  if (named) return named[1];
  return line.replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi, "…").replace(/\d+/g, "…").slice(0, 120);
}

function groupsOf(letters) {
  const groups = new Map();
  for (const letter of letters) {
    const why = letter.message.dead_letter ?? {};
    const cause = causeOf(why.text);
    const key = `${why.reason ?? "UNKNOWN"}\n${cause}`;
    const group = groups.get(key) ?? { key, reason: why.reason ?? "", cause, letters: [], newest: "", sources: new Set() };
    group.letters.push(letter);
    if ((why.moved ?? "") > group.newest) group.newest = why.moved;
    if (why.source_queue_id) group.sources.add(why.source_queue_id);
    groups.set(key, group);
  }
  return [...groups.values()].sort((one, other) => other.letters.length - one.letters.length);
}

export function DeadLetters({ id }) {
  useSignal(live);
  useEffect(() => live.watch(), []);
  const queues = [...live.byId.values()].filter((each) => live.deadLetterIds.has(each.id)).sort((one, other) => other.depth - one.depth);
  const chosen = id ?? queues[0]?.id;
  return html`<div class="page">
    <div class="page-head"><h1>Dead letters</h1></div>
    <${Missed} error=${live.error} reload=${() => live.again()} isKnown=${live.complete} />
    ${!live.complete && !live.error && html`<${Loading} what="Looking for dead-letter queues" />`}
    ${live.complete && queues.length === 0 && !id && html`<${Empty} title="No queue has a dead-letter queue">
      With one, messages that fail too often are neither lost nor in the way. It is among the settings of a queue.<//>`}
    ${queues.length > 0 && html`<nav class="cards" aria-label="Dead-letter queues">${queues.map((each) => html`<a class="card pick" href=${linkTo("dead-letters", each.id)} aria-current=${each.id === chosen ? "page" : undefined}>
      <strong>${titleOf(each.queue)}</strong><span class="num ${each.depth ? "bad-text" : "muted"}">${plural(each.depth, "letter")}</span></a>`)}</nav>`}
    ${chosen && html`<${Letters} key=${chosen} id=${chosen} />`}
    <${Redrives} queueId=${chosen} />
  </div>`;
}

async function allLetters(id, signal) {
  const letters = [];
  let pageToken = "";
  do {
    const reply = await get(ofQueue(id, `/messages${query({ page_size: PAGE_SIZE, page_token: pageToken })}`), { signal });
    letters.push(...(reply.messages ?? []));
    pageToken = reply.next_page_token ?? "";
  } while (pageToken && letters.length < LETTERS_MAX);
  return { letters, isAll: !pageToken };
}

function Letters({ id }) {
  const poll = usePoll((signal) => allLetters(id, signal), [id], LOOK_MS);
  const [opened, setOpened] = useState(null);
  const [redriving, setRedriving] = useState(null);
  const [moving, setMoving] = useState(null);
  const [shown, setShown] = useState("");
  const lacks = useLacks(id);
  const groups = useMemo(() => groupsOf(poll.data?.letters ?? []), [poll.data]);
  return html`<section class="card">
    <div class="page-head"><h2>${titleOf(live.byId.get(id)?.queue) || shortId(id)}</h2>
      <div class="actions">
        <a class="button" href=${linkTo("queues", id)}><span>The queue</span></a>
        <${Button} kind="primary" icon="play" lacks=${lacks("MANAGE")} ask=${async () => setRedriving({})} disabled=${!groups.length}>Redrive …<//>
      </div></div>
    <${Found} poll=${poll} what="Reading the letters">${({ letters, isAll }) => letters.length === 0
      ? html`<${Empty} title="No dead letters">Nothing has failed for good.<//>`
      : html`${!isAll && html`<p class="muted small">Grouped from the first ${count(letters.length)}; a redrive looks at all.</p>`}
        <div class="groups">${groups.map((group) => html`<${Group} key=${group.key} group=${group} isOpen=${shown === group.key}
          toggle=${() => setShown(shown === group.key ? "" : group.key)} open=${setOpened} lacks=${lacks("MANAGE")} move=${setMoving} redrive=${() => setRedriving(group)} />`)}</div>`}
    <//>
    ${opened && html`<${MessageDialog} queueId=${id} messageId=${opened.meta.id} created=${opened.meta.created} changed=${poll.reload} onClose=${() => setOpened(null)} />`}
    ${moving && html`<${MoveMessages} queueId=${id} messages=${[{ id: moving.meta.id, created: moving.meta.created }]} areDeadLetters onClose=${() => {
      setMoving(null);
      poll.reload();
    }} />`}
    ${redriving && html`<${StartRedrive} queueId=${id} group=${redriving} onClose=${() => {
      setRedriving(null);
      poll.reload();
    }} />`}
  </section>`;
}

function Group({ group, isOpen, toggle, open, lacks, move, redrive }) {
  return html`<article class="letter-group">
    <header>
      <button type="button" class="disclose" aria-expanded=${isOpen} onClick=${toggle}>
        <${Icon} name="open" />
        <span class="num big">${count(group.letters.length)}</span>
        <span class="cause"><strong>${group.cause || "No text"}</strong><span class="muted small">${whyDead(group.reason)} · the last ${ago(group.newest)} · from ${[...group.sources].map((each) => live.byId.get(each)?.name || shortId(each)).join(", ") || "nowhere"}</span></span>
      </button>
      <${Button} lacks=${lacks} ask=${async () => redrive()}>Redrive these …<//>
    </header>
    ${isOpen && html`<${Table} label="Letters" columns=${[{ title: "Id" }, { title: "Payload" }, { title: "What the last consumer said" }, { title: "Delivered", num: true }, { title: "Moved", num: true }, { title: "" }]}>
      ${group.letters.slice(0, EXAMPLES_MAX).map(({ message }) => html`<tr key=${message.meta.id}>
        <td><button type="button" class="link mono" aria-label="Message ${message.meta.id}" onClick=${() => open(message)}>${shortId(message.meta.id)}</button></td>
        <td class="payload-cell"><bdi class="mono">${preview(message.payload)}</bdi></td>
        <td class="reason-cell">${message.dead_letter?.text}</td>
        <td class="num">${message.dead_letter?.delivery_count ?? 0}×</td>
        <td class="num nowrap">${ago(message.dead_letter?.moved)}</td>
        <td class="row-actions"><${Button} label="Move message ${message.meta.id}" lacks=${lacks} ask=${async () => move(message)}>Move …<//></td></tr>`)}<//>
      ${group.letters.length > EXAMPLES_MAX && html`<p class="muted small">The first ${EXAMPLES_MAX} of ${count(group.letters.length)}.</p>`}`}
  </article>`;
}
