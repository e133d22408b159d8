// The server: what its API tells about where messages live, and where the rest is told.

import { bytes, count, duration, rate } from "./format.js";
import { html, useEffect } from "./html.js";
import { live } from "./live.js";
import { Badge, Empty, Loading, Problem, Table } from "./parts.js";
import { linkTo } from "./router.js";
import { useSignal } from "./signal.js";

const LARGEST_MAX = 10;

const STORES = {
  DISK: ["On disk", "In q's data directory; an answered change has been synced."],
  CLUSTER: ["In the cluster's database", "Committed by PostgreSQL, and on a synchronous standby where it has one."],
  MEMORY: ["In memory", "Gone when q ends."],
};

// What q counts about itself, on a port that a page from this one cannot reach.
const METRICS = [
  ["Disk", "q_disk_commit_seconds, q_disk_log_bytes, q_disk_takes_changes"],
  ["Memory", "q_memory_bytes, q_memory_max_bytes"],
  ["Cluster", "q_cluster_is_leader, q_cluster_epoch, q_cluster_commit_seconds"],
  ["Connections", "envoy_http_downstream_cx_active, envoy_http_downstream_rq_active"],
];

export function ServerPage() {
  useSignal(live);
  useEffect(() => live.watch(), []);
  const all = [...live.byId.values()];
  return html`<div class="page">
    <div class="page-head"><h1>Server</h1></div>
    ${live.error && html`<${Problem} error=${live.error} reload=${() => live.again()} />`}
    ${!live.complete && !live.error && html`<${Loading} what="Looking at the queues" />`}
    ${live.complete && html`<${Stores} all=${all} /><div class="columns"><${Largest} all=${all} /><${Elsewhere} /></div>`}
  </div>`;
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
  return html`<section class="card prose"><h2>What this page cannot show</h2>
    <p>Disk, memory, the cluster and Envoy are counted on q's <b>metrics port</b> (<code>--metrics</code>, 10003 unless told otherwise). It is another origin, often open to this machine alone, and a page from here may not reach it.
      It is made for Prometheus: <code>curl localhost:10003/metrics</code> on q's machine shows it all.</p>
    <dl class="pairs">${METRICS.map(([title, text]) => html`<dt>${title}</dt><dd><code>${text}</code></dd>`)}</dl>
    <p class="muted small">The queues here are those that the q you reach tells of; in a cluster, that is the one that leads, whichever q you ask.</p>
  </section>`;
}
