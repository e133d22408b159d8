// All queues: what they hold, how fast they go, and which of them need somebody.

import { alertsOf, KINDS } from "./alerts.js";
import { get, query } from "./api.js";
import { Commands } from "./commands.js";
import { condition } from "./condition.js";
import { briefly, count, duration, plural, rate, shortId } from "./format.js";
import { html, useEffect, useMemo, useState } from "./html.js";
import { identity, lacksNewQueues } from "./identity.js";
import { DEPTH, live } from "./live.js";
import { NewQueue } from "./new_queue.js";
import { Badge, Button, Empty, Icon, Loading, Missed, Problem, Tags } from "./parts.js";
import { keepInAddress, linkTo, route } from "./router.js";
import { useSignal } from "./signal.js";
import { Sparkline } from "./chart.js";
import { useVirtualRows } from "./virtual.js";

const SELECTOR_PAUSE_MS = 300;

const COLUMNS = [
  { key: "name", title: "Queue", of: (row) => row.name || row.id, text: true },
  { key: "ready", title: "Ready", of: (row) => row.ready },
  { key: "leased", title: "Leased", of: (row) => row.leased },
  { key: "delayed", title: "Delayed", of: (row) => row.delayed },
  { key: "in", title: "In/s", of: (row) => row.addedPerSecond },
  { key: "out", title: "Out/s", of: (row) => row.donePerSecond },
  { key: "age", title: "Oldest", of: (row) => row.age ?? -1 },
];

export function Overview() {
  useSignal(live);
  const who = useSignal(identity);
  useEffect(() => live.watch(), []);
  const start = route.value.query;
  const [name, setName] = useState(start.name ?? "");
  const [selector, setSelector] = useState(start.selector ?? "");
  const [sort, setSort] = useState(start.sort ?? "");
  const [kind, setKind] = useState(start.alert ?? "");
  const [making, setMaking] = useState(false);
  const matched = useSelector(selector);
  useEffect(() => keepInAddress({ name, selector, sort, alert: kind }), [name, selector, sort, kind]);

  const rows = useMemo(allRows, [live.version]);
  const wanted = name.trim().toLowerCase();
  const found = rows.filter(
    (row) =>
      (!wanted || row.name.toLowerCase().includes(wanted) || row.id.startsWith(wanted)) &&
      (!matched.ids || matched.ids.has(row.id)) &&
      (!kind || row.alerts.some((each) => each.kind === kind)),
  );
  sortRows(found, sort);

  return html`<div class="page">
    <div class="page-head">
      <h1>Queues</h1>
      <${Freshness} />
      <${Commands} lines=${[["These queues", ["list", selector && "--selector", selector], `v1/queues${query({ selector })}`],
        ["What they hold, looked at again and again", ["top", selector && "--selector", selector], selector ? "" : "v1/stats?brief=true"]]} />
      <${Button} kind="primary" icon="add" lacks=${lacksNewQueues(who)} ask=${() => setMaking(true)}>New queue<//>
    </div>
    <${Totals} rows=${rows} />
    <${ServerTrouble} />
    <${Attention} rows=${rows} kind=${kind} setKind=${setKind} />
    <div class="filters">
      <label class="search"><${Icon} name="search" /><span class="hidden">Name of a queue</span>
        <input type="search" placeholder="Name or id" value=${name} onInput=${(event) => setName(event.target.value)} /></label>
      <label class="search wide"><span class="hidden">Tag selector</span>
        <input type="search" placeholder="Tags, such as team=mail, env in (prod,stage)" spellcheck=${false} value=${selector} onInput=${(event) => setSelector(event.target.value)} /></label>
      <span class="muted small" role="status">${listed(found, rows)}</span>
    </div>
    ${matched.error && html`<${Problem} error=${matched.error} />`}
    <${Missed} error=${live.error} reload=${() => live.again()} isKnown=${live.complete} />
    ${rows.length > 0 && found.length > 0 && html`<${QueueTable} rows=${found} sort=${sort} setSort=${setSort} />`}
    ${rows.length > 0 && found.length === 0 && html`<${Empty} title="No queue matches" />`}
    ${rows.length === 0 && live.complete && html`<${Nothing} who=${who} />`}
    ${rows.length === 0 && !live.complete && !live.error && html`<${Loading} what="Looking at the queues" />`}
    ${making && html`<${NewQueue} onClose=${() => setMaking(false)} />`}
  </div>`;
}

function Nothing({ who }) {
  if (who.asked && !who.everywhere.has("BROWSE")) {
    return html`<${Empty} title="There are no queues that you may look at">You are told of those alone. <a href=${linkTo("access")}>What you may do</a> is up to whoever keeps q's access file.<//>`;
  }
  return html`<${Empty} title="There are no queues yet">Make one here, or by <code>qcli new DISK -1 --name mail</code>.<//>`;
}

// Of a queue that was not looked at anew, what is to be drawn is known.
function allRows() {
  const rows = [...live.byId.values()];
  for (const row of rows) {
    const isDeadLetters = live.deadLetterIds.has(row.id);
    if (row.alerts && row.isDeadLetters === isDeadLetters) continue;
    row.isDeadLetters = isDeadLetters;
    row.alerts = alertsOf(row, isDeadLetters);
  }
  return rows;
}

function listed(found, rows) {
  const all = live.complete ? plural(rows.length, "queue") : `${plural(rows.length, "queue")} so far …`;
  return found.length === rows.length ? all : `${count(found.length)} of ${all}`;
}

function sortRows(rows, sort) {
  const isDown = sort.startsWith("-");
  const column = COLUMNS.find((each) => each.key === sort.replace("-", ""));
  if (!column) return;
  rows.sort((one, other) => {
    const a = column.of(one);
    const b = column.of(other);
    const order = column.text ? a.localeCompare(b) : a - b;
    return isDown ? -order : order;
  });
}

// The ids of the queues that a selector matches, as q finds them; null for all.
function useSelector(selector) {
  const [found, setFound] = useState({ ids: null, error: null });
  useEffect(() => {
    if (!selector.trim()) {
      setFound({ ids: null, error: null });
      return undefined;
    }
    const ending = new AbortController();
    const timer = setTimeout(async () => {
      try {
        setFound({ ids: await idsOf(selector, ending.signal), error: null });
      } catch (error) {
        if (!ending.signal.aborted) setFound({ ids: null, error });
      }
    }, SELECTOR_PAUSE_MS);
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, [selector]);
  return found;
}

async function idsOf(selector, signal) {
  const ids = new Set();
  let pageToken = "";
  do {
    const reply = await get(`v1/queues${query({ selector, page_size: 1000, page_token: pageToken })}`, { signal });
    for (const queue of reply.queues ?? []) ids.add(queue.meta.id);
    pageToken = reply.next_page_token ?? "";
  } while (pageToken);
  return ids;
}

function Freshness() {
  if (!live.complete || live.roundMs < 400) return null;
  return html`<span class="muted small">A look at all takes ${duration(live.roundMs / 1000)}; those in view are looked at more often.</span>`;
}

function Totals({ rows }) {
  const sum = (of) => rows.reduce((total, row) => total + of(row), 0);
  const isReal = (row) => !row.isDeadLetters;
  const tiles = [
    ["Ready", count(sum((row) => (isReal(row) ? row.ready : 0))), "ready"],
    ["Leased", count(sum((row) => row.leased)), "leased"],
    ["Delayed", count(sum((row) => row.delayed)), "delayed"],
    ["Dead letters", count(sum((row) => (row.isDeadLetters ? row.depth : 0))), "dead"],
    ["In a second", rate(sum((row) => row.addedPerSecond)), ""],
    ["Done a second", rate(sum((row) => row.donePerSecond)), ""],
  ];
  return html`<dl class="tiles">${tiles.map(([title, value, tone]) => html`<div class="tile">
    <dt>${tone && html`<i class="swatch tone-${tone}"></i>`}${title}</dt><dd class="num">${rows.length ? value : "–"}</dd></div>`)}</dl>`;
}

// What of the server makes calls fail: of all queues, so that no row could say it.
function ServerTrouble() {
  useSignal(condition);
  const found = condition.worries.filter((each) => each.level === "CRITICAL");
  if (!found.length) return null;
  return html`<div class="notice bad"><${Icon} name="warn" /><div><strong class="sentence">${found[0].message}</strong>
    <p><a href=${linkTo("server")}>What to do about it${found.length > 1 && `, and ${plural(found.length - 1, "more warning")}`}</a></p></div></div>`;
}

function Attention({ rows, kind, setKind }) {
  const counts = new Map();
  for (const row of rows) for (const each of row.alerts) counts.set(each.kind, (counts.get(each.kind) ?? 0) + 1);
  const kinds = Object.keys(KINDS).filter((each) => counts.has(each) || each === kind);
  if (!kinds.length) return null;
  return html`<div class="attention" role="group" aria-label="Queues that need attention">
    ${kinds.map((each) => html`<button type="button" class="chip ${KINDS[each].level}" aria-pressed=${kind === each}
      onClick=${() => setKind(kind === each ? "" : each)}>${KINDS[each].title} <b class="num">${count(counts.get(each) ?? 0)}</b></button>`)}
  </div>`;
}

function QueueTable({ rows, sort, setSort }) {
  const { box, first, last, rowHeight } = useVirtualRows(rows.length);
  useEffect(() => live.see(rows.slice(first, last).map((row) => row.id)));
  return html`<div class="queue-table" ref=${box}>
    <table aria-rowcount=${rows.length + 1}>
      <caption class="hidden">Queues</caption>
      <thead><tr aria-rowindex="1">
        ${COLUMNS.map((column) => html`<${SortHead} column=${column} sort=${sort} setSort=${setSort} />`)}
        <th scope="col" class="wide-only">Trend</th>
      </tr></thead>
      <tbody>
        ${first > 0 && html`<tr aria-hidden="true"><td colspan="8" style=${{ height: `${first * rowHeight}px`, padding: 0 }}></td></tr>`}
        ${rows.slice(first, last).map((row, i) => html`<${Row} key=${row.id} row=${row} index=${first + i + 2} />`)}
        ${last < rows.length && html`<tr aria-hidden="true"><td colspan="8" style=${{ height: `${(rows.length - last) * rowHeight}px`, padding: 0 }}></td></tr>`}
      </tbody>
    </table>
  </div>`;
}

function SortHead({ column, sort, setSort }) {
  const isUp = sort === column.key;
  const isDown = sort === `-${column.key}`;
  // Names begin with A, numbers with the largest.
  const [once, twice] = column.text ? [column.key, `-${column.key}`] : [`-${column.key}`, column.key];
  const next = sort === once ? twice : sort === twice ? "" : once;
  return html`<th scope="col" class=${column.text ? "" : "num"} aria-sort=${isUp ? "ascending" : isDown ? "descending" : "none"}>
    <button type="button" onClick=${() => setSort(next)}>${column.title}<span class="arrow" aria-hidden="true">${isUp ? "↑" : isDown ? "↓" : ""}</span></button>
  </th>`;
}

function Row({ row, index }) {
  const figure = (title, value, isZero) => html`<td class="num ${isZero ? "faint" : ""}" data-title=${title}>${value}</td>`;
  return html`<tr class="queue-row" aria-rowindex=${index}>
    <th scope="row">
      <div class="queue-name">
        <a href=${linkTo("queues", row.id)}>${row.name || html`<span class="mono">${shortId(row.id)}</span>`}</a>
        ${row.queue.store === "MEMORY" && html`<${Badge} title="Gone when q ends">memory<//>`}
        ${row.isDeadLetters && html`<${Badge} title="Other queues send their dead letters here">dead letters<//>`}
        ${row.alerts.slice(0, 2).map((each) => html`<${Badge} tone=${each.level} title=${each.text}>${each.title}<//>`)}
        <span class="wide-only"><${Tags} tags=${row.queue.meta.tags} max=${2} /></span>
      </div>
    </th>
    ${figure("ready", count(row.ready), !row.ready)}
    ${figure("leased", count(row.leased), !row.leased)}
    ${figure("delayed", count(row.delayed), !row.delayed)}
    ${figure("in/s", rate(row.addedPerSecond), !row.addedPerSecond)}
    ${figure("out/s", rate(row.donePerSecond), !row.donePerSecond)}
    ${figure("oldest", briefly(row.age), row.age === undefined)}
    <td class="wide-only"><${Sparkline} values=${row.samples.map((each) => each[DEPTH])} tone=${row.isDeadLetters ? "dead" : "ready"} /></td>
  </tr>`;
}
