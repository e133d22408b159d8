// The server: what of it is worth a look, memory and disk, the cluster, and what its stores hold.

import { Away } from "./api.js";
import { Databases, Nodes } from "./cluster.js";
import { CommitCharts } from "./commits.js";
import { condition, LEVELS } from "./condition.js";
import { ago, bytes, count, duration, moment, number, rate } from "./format.js";
import { html, useEffect } from "./html.js";
import { live } from "./live.js";
import { Badge, Button, Empty, Icon, Loading, Missed, Problem, Table, useNow } from "./parts.js";
import { linkTo } from "./router.js";
import { useSignal } from "./signal.js";

const LOOK_MS = 2000;
const LARGEST_MAX = 10;

const STORES = {
  DISK: ["On disk", "In q's data directory; an answered change has been synced."],
  CLUSTER: ["In the cluster's database", "Committed by PostgreSQL, and on a synchronous standby where it has one."],
  MEMORY: ["In memory", "Gone when q ends."],
};
const ROLES = { ALONE: "alone", LEADER: "leads its cluster", FOLLOWER: "follows" };

export function ServerPage() {
  useSignal(live);
  useSignal(condition);
  useEffect(() => live.watch(), []);
  useEffect(() => condition.watch(LOOK_MS), []);
  const { server } = condition;
  const all = [...live.byId.values()];
  return html`<div class="page">
    <div class="page-head"><h1>Server</h1>${server && html`<${Identity} server=${server} />`}</div>
    <${Silence} />
    ${server && html`<${Known} server=${server} />`}
    <${Missed} error=${live.error} reload=${() => live.again()} isKnown=${live.complete} />
    ${!live.complete && !live.error && html`<${Loading} what="Looking at the queues" />`}
    ${live.complete && html`<${Stores} all=${all} /><div class="columns"><${Largest} all=${all} /><${Elsewhere} /></div>`}
  </div>`;
}

// Ages are told from when the server spoke: while it is silent, nothing grows older than it is known to be.
function Known({ server }) {
  const now = Math.max(useNow(), condition.at);
  const isStale = condition.isStale(now);
  const at = isStale ? condition.at : now;
  return html`<${Warnings} warnings=${server.warnings ?? []} at=${at} isStale=${isStale} />
    <div class=${isStale ? "stale page" : "page"}>
      <div class="columns">${server.role !== "FOLLOWER" && html`<${Memory} server=${server} />`}${server.disk && html`<${Disk} disk=${server.disk} at=${at} />`}${server.cluster && html`<${Nodes} cluster=${server.cluster} at=${at} />`}</div>
      ${server.disk && html`<section aria-label="Commits to the disk"><${CommitCharts} name="" commits=${server.disk.commits} /></section>`}
      ${server.cluster && html`<${Databases} cluster=${server.cluster} at=${at} />`}
    </div>`;
}

function Identity({ server }) {
  const now = useNow();
  if (condition.isStale(now)) return null;
  return html`<span class="muted small">q ${server.version}${server.address && html` at <span class="mono">${server.address}</span>`}, ${ROLES[server.role] ?? "does something newer"}${server.started && `, up for ${duration((now - Date.parse(server.started)) / 1000)}`}</span>`;
}

// Why nothing newer is known.
function Silence() {
  const { error, server, at, isUnknown } = condition;
  const now = useNow();
  if (!error && !server) return html`<${Loading} what="Asking how the server does" />`;
  if (!error) {
    if (!condition.isStale(now)) return null;
    return html`<div class="notice warn" role="status"><${Icon} name="warn" /><div><strong>No answer for ${duration((now - at) / 1000)}</strong>
      <p>${server.cluster ? "Another q may be taking over." : "The server is busy, or gone."} What stands below was so at ${moment(new Date(at).toISOString())}.</p></div></div>`;
  }
  if (isUnknown) {
    return html`<div class="notice note"><${Icon} name="warn" /><div><strong>This q does not tell how it does</strong>
      <p>It is of an earlier version than this console. What its queues hold is below; the rest is on its metrics port.</p></div></div>`;
  }
  if (!server) return html`<${Problem} error=${error} reload=${() => condition.again()} />`;
  return html`<div class="notice bad" role="alert"><${Icon} name="warn" /><div><strong>${server.cluster ? "Nobody tells how the cluster does at the moment" : "The server does not tell how it does at the moment"}</strong>
    <p class=${error instanceof Away ? "" : "sentence"}>${error.message}. What stands below was so at ${moment(new Date(at).toISOString())}; the console goes on asking.</p></div>
    <${Button} icon="refresh" ask=${() => condition.again()}>Ask now<//></div>`;
}

function Warnings({ warnings, at, isStale }) {
  // Of a server that is silent, nobody knows.
  if (!warnings.length && isStale) return null;
  if (!warnings.length) return html`<p class="all-well"><${Icon} name="check" /> Nothing of the server needs a look.</p>`;
  return html`<ul class="warnings" aria-label="What is worth a look">${warnings.map((each) => html`<li key=${each.reason + each.subject} class="notice ${LEVELS[each.level] ?? "note"}">
    <${Icon} name="warn" /><div><strong class="sentence">${each.message}</strong>
      <p class="sentence">${each.remedy}</p><p class="small"><code>${each.reason}</code>${each.since && ` for ${duration((at - Date.parse(each.since)) / 1000)}, since ${moment(each.since)}`}</p></div></li>`)}</ul>`;
}

// A bar of parts: [{title, tone, value}], of a whole.
function Bar({ label, parts, whole, told }) {
  return html`<div class="bar" role="img" aria-label="${label}: ${told}">
    ${parts.map((each) => html`<i class="tone-${each.tone}" style=${{ width: `${Math.min(100, (100 * each.value) / whole)}%` }} title="${each.title}: ${bytes(each.value)}"></i>`)}</div>`;
}

function Memory({ server }) {
  const used = number(server.memory_bytes);
  const most = number(server.memory_bytes_max);
  const told = most ? `${bytes(used)} of ${bytes(most)}` : `${bytes(used)}, without a limit`;
  return html`<section class="card"><h2>Memory</h2>
    <p class="figure"><b class="num">${bytes(used)}</b> <span class="muted">${most ? `of ${bytes(most)} that messages may take` : "that messages take; nothing bounds them"}</span></p>
    ${most > 0 && html`<${Bar} label="Memory" told=${told} whole=${most} parts=${[{ title: "Messages", tone: used > most * 0.8 ? "dead" : "accent", value: used }]} />`}
    <p class="muted small">${count(server.contents?.queues)} of ${count(server.queues_max)} queues that there may be.</p></section>`;
}

function Disk({ disk, at }) {
  const [database, log, free, total] = [disk.database_bytes, disk.log_bytes, disk.free_bytes, disk.total_bytes].map(number);
  const others = Math.max(0, total - free - database - log);
  return html`<section class="card"><h2>Disk ${disk.refusal ? html`<${Badge} tone="bad">refuses changes<//>` : html`<${Badge} tone="good">takes changes<//>`}</h2>
    ${disk.refusal && html`<p class="bad-text">${disk.refusal}</p>`}
    ${total > 0 ? html`<p class="figure"><b class="num">${bytes(free)}</b> <span class="muted">free of ${bytes(total)}</span></p>
      <${Bar} label="Disk" told="${bytes(free)} free of ${bytes(total)}" whole=${total} parts=${[
        { title: "Database", tone: "accent", value: database }, { title: "Log", tone: "leased", value: log }, { title: "Others", tone: "delayed", value: others }]} />`
    : html`<p class="muted">The system does not say how much is free.</p>`}
    <dl class="pairs">
      <dt><i class="swatch tone-accent"></i>Database</dt><dd class="num">${bytes(database)}</dd>
      <dt><i class="swatch tone-leased"></i>Log</dt><dd class="num">${bytes(log)}</dd>
      <dt><i class="swatch tone-delayed"></i>Others</dt><dd class="num">${bytes(others)}</dd>
      <dt>Waits for the disk</dt><dd class="num">${bytes(disk.pending_bytes)}</dd>
      ${number(disk.damaged) > 0 && html`<dt>Damaged messages</dt><dd class="num bad-text">${count(disk.damaged)}</dd>`}
      <dt>Checkpoint</dt><dd class="num">${disk.last_checkpoint ? ago(disk.last_checkpoint, at) : "none since the start"}</dd>
      <dt>Backup</dt><dd class="num">${disk.last_backup ? ago(disk.last_backup, at) : "none since the start"}</dd>
      <dt>Directory</dt><dd class="num mono">${disk.directory}</dd>
    </dl></section>`;
}

function Stores({ all }) {
  const names = Object.keys(STORES).filter((name) => all.some((each) => each.queue.store === name));
  if (!names.length) return html`<${Empty} title="There are no queues, so that nothing is stored" />`;
  const sum = (rows, of) => rows.reduce((total, each) => total + of(each), 0);
  return html`<div class="cards">${names.map((name) => {
    const rows = all.filter((each) => each.queue.store === name);
    return html`<section class="card store"><h2>${STORES[name][0]} <${Badge}>${name}<//></h2><p class="muted small">${STORES[name][1]}</p>
      <dl class="pairs">
        <dt>Queues</dt><dd class="num">${count(rows.length)}</dd>
        <dt>Messages</dt><dd class="num">${count(sum(rows, (each) => each.depth))}</dd>
        <dt>What they take</dt><dd class="num">${bytes(sum(rows, (each) => each.bytes))}</dd>
        <dt>On lease</dt><dd class="num">${count(sum(rows, (each) => each.leased))}</dd>
        <dt>Added a second</dt><dd class="num">${rate(sum(rows, (each) => each.addedPerSecond))}</dd>
        <dt>Done a second</dt><dd class="num">${rate(sum(rows, (each) => each.donePerSecond))}</dd>
      </dl></section>`;
  })}</div>`;
}

function Largest({ all }) {
  const rows = [...all].sort((one, other) => other.bytes - one.bytes).slice(0, LARGEST_MAX).filter((each) => each.bytes);
  return html`<section class="card"><h2>Largest queues</h2>${rows.length
    ? html`<${Table} label="Largest queues" columns=${[{ title: "Queue" }, { title: "Takes", num: true }, { title: "Messages", num: true }, { title: "Oldest", num: true }]}>
        ${rows.map((each) => html`<tr key=${each.id}><td><a href=${linkTo("queues", each.id)}>${each.name || each.id}</a></td><td class="num nowrap">${bytes(each.bytes)}</td>
          <td class="num">${count(each.depth)}</td><td class="num nowrap">${duration(each.age)}</td></tr>`)}<//>`
    : html`<p class="muted">All are empty.</p>`}</section>`;
}

function Elsewhere() {
  return html`<section class="card prose"><h2>What else is counted</h2>
    <p>Calls by outcome, connections, processor time and more than two minutes of all this are on q's <b>metrics port</b> (<code>--metrics</code>, 10003 unless told otherwise), made for Prometheus: <code>curl localhost:10003/metrics</code> on q's machine shows it.
      It is another origin, often open to that machine alone, and a page from here may not reach it.</p>
    <p class="muted small">In a cluster the q that leads answers, whichever q you ask; a certificate of another q that expires is in that one's log and metrics.</p>
  </section>`;
}
