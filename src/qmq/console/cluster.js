// A cluster: which q there are, and its databases with their standbys.

import { condition } from "./condition.js";
import { CommitCharts } from "./commits.js";
import { ago, bytes, duration, moment, number, plural, seconds, took } from "./format.js";
import { html } from "./html.js";
import { Badge, Table } from "./parts.js";

const ROLES = { LEADER: ["leads", "good"], FOLLOWER: ["follows", ""] };
const SILENT_MS = 15_000;

export function Nodes({ cluster, at }) {
  const nodes = cluster.nodes ?? [];
  return html`<section class="card"><h2>Nodes <${Badge}>${plural(nodes.length, "q", "q")}<//></h2>
    <${Table} label="Nodes" columns=${[{ title: "Node" }, { title: "Role" }, { title: "Version" }, { title: "Since" }, { title: "Heard of" }]}>
      ${nodes.map((each) => {
        const [role, tone] = ROLES[each.role] ?? ["does something newer", "warn"];
        const isSilent = each.heard && at - Date.parse(each.heard) > SILENT_MS;
        return html`<tr key=${each.address}><td class="mono">${each.address}</td><td><${Badge} tone=${tone}>${role}<//></td><td>${each.version}</td>
          <td class="nowrap" title=${each.since}>${moment(each.since)}</td><td class="nowrap ${isSilent ? "bad-text" : ""}">${each.heard ? ago(each.heard, at) : "not to be seen"}</td></tr>`;
      })}<//>
    <p class="muted small">Leadership number ${cluster.epoch}. ${number(cluster.replicas_required) ? `Changes need ${plural(cluster.replicas_required, "synchronous standby", "synchronous standbys")}.` : ""}
      A q that does not reach the first database is not among them.</p>
    ${condition.changes.length > 0 && html`<ul class="changes" aria-label="Takeovers since this page was opened">
      ${condition.changes.map((each) => html`<li key=${each.at}><time>${moment(new Date(each.at).toISOString())}</time> ${each.from === each.to ? `${each.to} leads again` : html`<b>${each.to}</b> took over from ${each.from}`}</li>`)}</ul>`}
  </section>`;
}

export function Databases({ cluster, at }) {
  return (cluster.databases ?? []).map((each) => html`<${Database} key=${each.name} database=${each} at=${at} />`);
}

function Database({ database, at }) {
  const standbys = database.standbys ?? [];
  const contents = database.contents ?? {};
  return html`<section class="card database" aria-label="Database ${database.name}">
    <h2>Database ${database.name} <${State} database=${database} at=${at} /></h2>
    ${database.refusal && html`<p class="bad-text">${database.refusal}</p>`}
    <dl class="pairs">
      <dt>Primary</dt><dd>${database.primary ? html`<span class="mono">${database.primary}</span>` : "not known"}${database.hosts?.length > 1 && html` <span class="muted small">of ${database.hosts.join(", ")}</span>`}</dd>
      <dt>Holds</dt><dd>${database.away_since && !contents.queues ? "not known" : `${plural(contents.queues, "queue")}, ${plural(contents.messages, "message")}, ${bytes(contents.bytes)}`}</dd>
      <dt>Waits for it</dt><dd>${bytes(database.pending_bytes)}</dd>
      ${seconds(database.vacuum_held) > 0 && html`<dt>Vacuum held back</dt><dd>${duration(seconds(database.vacuum_held))}</dd>`}
    </dl>
    <${CommitCharts} name=${database.name} commits=${database.commits} />
    <h3>Standbys</h3>
    ${standbys.length
      ? html`<${Table} label="Standbys of ${database.name}" columns=${[{ title: "Standby" }, { title: "Address" }, { title: "State" }, { title: "Commits wait for it" }, { title: "Behind", num: true }, { title: "Lag", num: true }]}>
          ${standbys.map((each) => html`<tr key=${each.name + each.address}><td>${each.name}</td><td class="mono">${each.address || "–"}</td><td>${each.state || "not to be seen"}</td>
            <td>${each.state ? (each.is_synchronous ? "yes" : "no") : "–"}</td><td class="num nowrap">${each.state ? bytes(each.lag_bytes) : "–"}</td><td class="num nowrap">${each.state ? took(seconds(each.lag)) : "–"}</td></tr>`)}<//>`
      : html`<p class="muted">${database.looked ? "None is connected: what is committed is on one machine." : "Nobody has looked yet."}</p>`}
    ${database.looked && html`<p class="muted small">Looked at ${ago(database.looked, at)}.</p>`}
  </section>`;
}

function State({ database, at }) {
  if (database.away_since) return html`<${Badge} tone="bad">away for ${duration((at - Date.parse(database.away_since)) / 1000)}<//>`;
  if (database.refusal) return html`<${Badge} tone="bad">refuses changes<//>`;
  return html`<${Badge} tone="good">serves<//>${" "}${database.is_replicated ? html`<${Badge} tone="good">replicated<//>` : html`<${Badge} tone="warn">on one machine<//>`}`;
}

