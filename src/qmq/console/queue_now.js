// What a queue does at the moment: figures, charts, why its head waits, and who consumes.

import { alertsOf } from "./alerts.js";
import { get, ofQueue, query, usePoll } from "./api.js";
import { Chart } from "./chart.js";
import { briefly, bytes, count, duration, plural, rate, shortId } from "./format.js";
import { html, useRef } from "./html.js";
import { live } from "./live.js";
import { Badge, Icon, Table } from "./parts.js";
import { linkTo } from "./router.js";

const LOOKS_MAX = 180;
const HEAD_MS = 3000;
// Between two looks further apart than that, nobody knows what was: q was away, or the page hidden.
const GAP_MS = 5000;

// One look at the queue each second, as long as the page is open; older ones are not kept anywhere.
function useLooks(figures) {
  const looks = useRef([]);
  const last = looks.current.at(-1);
  if (!last || last.stats !== figures.stats) {
    looks.current.push({ ...figures, at: Date.now() });
    if (looks.current.length > LOOKS_MAX) looks.current.shift();
  }
  return looks.current;
}

function ratesIn(looks, of) {
  return looks.map((look, i) => {
    if (i === 0) return NaN;
    const elapsed = (look.at - looks[i - 1].at) / 1000;
    const grown = of(look) - of(looks[i - 1]);
    // A counter that has shrunk began anew with the server.
    return grown < 0 ? NaN : grown / Math.max(0.001, elapsed);
  });
}

export function Now({ id, figures }) {
  const looks = useLooks(figures);
  const times = looks.map((look) => look.at);
  const line = (name, tone, of) => ({ name, tone, values: looks.map(of) });
  const alerts = alertsOf(figures, live.deadLetterIds.has(id));
  return html`
    ${alerts.map((each) => html`<div class="notice ${each.level}"><${Icon} name="warn" /><div><strong>${each.title}</strong><p>${each.text}</p></div></div>`)}
    <${Tiles} figures=${figures} />
    <${Head} id=${id} figures=${figures} />
    <div class="charts">
      <${Chart} title="Messages" times=${times} gapMs=${GAP_MS} kind="whole" format=${count} series=${[
        line("ready", "ready", (look) => look.ready), line("leased", "leased", (look) => look.leased), line("delayed", "delayed", (look) => look.delayed)]} />
      <${Chart} title="Messages a second" times=${times} gapMs=${GAP_MS} format=${rate} series=${[
        { name: "added", tone: "added", values: ratesIn(looks, (look) => look.enqueued) }, { name: "done", tone: "done", values: ratesIn(looks, (look) => look.done) }]} />
      <${Chart} title="Oldest ready message" times=${times} gapMs=${GAP_MS} kind="seconds" format=${duration} brief=${briefly} series=${[line("age", "age", (look) => look.age ?? (look.ready ? NaN : 0))]} />
    </div>
    <div class="columns">
      <${Consumers} figures=${figures} />
      <${FairKeys} figures=${figures} />
      <${Totals} figures=${figures} />
    </div>`;
}

function Tiles({ figures }) {
  const limit = figures.limit > 0 ? `of ${count(figures.limit)}` : "no limit";
  const tiles = [
    ["Ready", count(figures.ready), Number(figures.stats.blocked ?? 0) ? plural(figures.stats.blocked, "waits for its group", "wait for their group") : "", "ready"],
    ["Leased", count(figures.leased), figures.settings.leased_max ? `at most ${count(figures.settings.leased_max)}` : "", "leased"],
    ["Delayed", count(figures.delayed), "", "delayed"],
    ["Together", count(figures.depth), `${limit} · ${bytes(figures.bytes)}`, ""],
    ["Oldest", duration(figures.age), figures.ready && figures.age === undefined ? "all that are ready wait" : "ready for so long", ""],
    ["Waiting calls", count(figures.waiting), figures.waiting ? "ask for a message now" : "nobody asks", ""],
  ];
  return html`<dl class="tiles">${tiles.map(([title, value, note, tone]) => html`<div class="tile">
    <dt>${tone && html`<i class="swatch tone-${tone}"></i>`}${title}</dt><dd class="num">${value}</dd>${note && html`<dd class="note">${note}</dd>`}</div>`)}</dl>`;
}

// Explains the first message that is ready: what holds for it holds for all behind it.
function Head({ id, figures }) {
  const has = figures.depth > 0;
  const poll = usePoll(async (signal) => {
    if (!has) return null;
    const states = figures.ready ? "READY" : "";
    const { messages = [] } = await get(ofQueue(id, `/messages${query({ page_size: 1, states })}`), { signal });
    if (!messages.length) return null;
    const { meta } = messages[0].message;
    return get(ofQueue(id, `/messages/${meta.id}${query({ created: meta.created })}`), { signal }).catch((error) => {
      // It has left meanwhile, as messages do.
      if (error.status === 404) return null;
      throw error;
    });
  }, [id, has, figures.ready > 0, Boolean(figures.queue.paused)], HEAD_MS);
  if (!poll.data) return null;
  const { meta } = poll.data.message.message;
  const reasons = poll.data.reasons ?? [];
  return html`<section class="card head-of-line" aria-label="Why the first message waits">
    <h2>Why is the first message not being delivered?</h2>
    ${reasons.length
      ? html`<ul class="reasons">${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`
      : html`<p class="reasons">Nothing stands in its way: the next call that asks gets it.</p>`}
    <p class="muted small">It is <a class="mono" href=${linkTo("queues", id, "messages") + query({ message: meta.id })}>${shortId(meta.id)}</a>, in the queue for ${duration(parseFloat(poll.data.message.age ?? "0"))}.</p>
  </section>`;
}

function Consumers({ figures }) {
  const consumers = figures.stats.consumers ?? [];
  return html`<section class="card">
    <h2>Consumers</h2>
    ${consumers.length
      ? html`<${Table} label="Consumers" columns=${[{ title: "Name" }, { title: "Holds", num: true }]}>
          ${consumers.map((each) => html`<tr><td class="breaks">${(each.consumer && html`<bdi>${each.consumer}</bdi>`) || html`<span class="muted">without a name</span>`}</td><td class="num">${count(each.leased)}</td></tr>`)}<//>`
      : html`<p class="muted">Nobody holds a lease. ${figures.waiting ? `${plural(figures.waiting, "call waits", "calls wait")} for a message.` : "Nobody waits for a message either."}</p>`}
  </section>`;
}

function FairKeys({ figures }) {
  const keys = figures.stats.top_fair_keys ?? [];
  if (!keys.length) return null;
  return html`<section class="card">
    <h2>Fair keys <span class="muted num">${count(figures.stats.fair_keys)}</span></h2>
    <${Table} label="Fair keys with most messages" columns=${[{ title: "Key" }, { title: "Weight", num: true }, { title: "Waiting", num: true }, { title: "Leased", num: true }]}>
      ${keys.map((each) => html`<tr><td class="breaks">${(each.fair_key && html`<bdi>${each.fair_key}</bdi>`) || html`<span class="muted">none</span>`}</td><td class="num">${each.weight ?? 1}</td>
        <td class="num">${count(each.waiting)}</td><td class="num">${count(each.leased)}</td></tr>`)}<//>
  </section>`;
}

function Totals({ figures }) {
  const { stats } = figures;
  const rows = [
    ["Added", stats.enqueued_total], ["Popped", stats.consumed_total], ["Acked", stats.acked_total], ["Handed out again", stats.redelivered_total],
    ["Made dead letters", stats.dead_lettered_total], ["Expired", stats.expired_total], ["Dropped to make room", stats.overflowed_total], ["Known already (dedup_id)", stats.deduplicated_total],
    ["Deleted by hand", stats.deleted_total], ["Moved here by hand", stats.moved_in_total], ["Moved away by hand", stats.moved_out_total],
  ];
  const deadLetters = figures.settings.dead_letter_queue_id;
  return html`<section class="card">
    <h2>Since q started</h2>
    <dl class="pairs">${rows.map(([title, value]) => html`<dt>${title}</dt><dd class="num ${Number(value ?? 0) ? "" : "faint"}">${count(value)}</dd>`)}</dl>
    ${deadLetters && html`<p class="small"><a href=${linkTo("dead-letters", deadLetters)}>Its dead letters</a></p>`}
    ${live.deadLetterIds.has(figures.id) && html`<p class="small"><a href=${linkTo("dead-letters", figures.id)}>Look at it by reason, and redrive</a> <${Badge}>dead letters<//></p>`}
  </section>`;
}
