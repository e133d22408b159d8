// The messages of a queue: found by state, tags and age, looked at, explained, taken by hand.

import { get, ofQueue, query } from "./api.js";
import { Commands } from "./commands.js";
import { bytes, count, duration, plural, seconds, shortId, titleOf, toDuration, toTag } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { end, extend, forget, held, lease } from "./leases.js";
import { MessageDialog } from "./message.js";
import { Badge, Button, Empty, Field, FormDialog, Loading, Problem, say, Table, Tags, useNow } from "./parts.js";
import { preview, sizeOf } from "./payload.js";
import { saveLines } from "./records.js";
import { DeleteMessages, MoveMessages } from "./pick.js";
import { keepInAddress, route } from "./router.js";
import { useSignal } from "./signal.js";

const PAGE_SIZE = 50;
const STATES = ["READY", "LEASED", "DELAYED"];
const SHOWN_MAX = 2000;

export function Messages({ id, figures, lacks }) {
  const start = route.value.query;
  const [filters, setFilters] = useState({ state: start.state ?? "", tag: start.tag ?? "", selector: start.selector ?? "", group: start.group ?? "", fairKey: start.fairKey ?? "" });
  const [opened, setOpened] = useState(start.message ? { id: start.message } : null);
  const [leasing, setLeasing] = useState(false);
  // When each message was created that is chosen, by its id.
  const [chosen, setChosen] = useState(new Map());
  const [picking, setPicking] = useState("");
  const pages = usePages(id, filters);
  const picked = [...chosen].map(([id, created]) => ({ id, created }));
  const endPick = (isDone) => {
    setPicking("");
    if (!isDone) return;
    setChosen(new Map());
    pages.reload();
  };
  useEffect(() => keepInAddress({ ...filters, message: opened?.id }), [filters, opened]);
  const set = (field) => (event) => setFilters({ ...filters, [field]: event.target.value });
  return html`
    <div class="filters">
      <div class="segments" role="group" aria-label="State">
        ${["", ...STATES].map((state) => html`<button type="button" aria-pressed=${filters.state === state} onClick=${() => setFilters({ ...filters, state })}>
          ${state ? state.toLowerCase() : "all"} <span class="num muted">${count(state ? figures[state.toLowerCase()] : figures.depth)}</span></button>`)}
      </div>
      <${Filter} label="Tag" example="key=value" value=${filters.tag} onInput=${set("tag")} />
      <${Filter} label="Selector" example="lang in (en,de)" value=${filters.selector} onInput=${set("selector")} />
      <${Filter} label="Group" example="group_id" value=${filters.group} onInput=${set("group")} />
      <${Filter} label="Fair key" example="fair_key" value=${filters.fairKey} onInput=${set("fairKey")} />
      <${FindById} open=${(message) => setOpened({ id: message })} />
      <div class="actions">
        <${Commands} lines=${[["These messages, as they are found", wordsOf(id, filters), ofQueue(id, `/messages${query(parametersOf(filters))}`)]]} />
        <${Button} icon="save" label="Save those shown as JSON lines" disabled=${!pages.messages.length} ask=${async () => saveLines(`${titleOf(figures.queue)}.jsonl`, pages.messages)} />
        <${Button} icon="refresh" ask=${pages.reload}>Look again<//>
        <${Button} lacks=${lacks("CONSUME")} ask=${() => setLeasing(true)}>Lease by hand<//>
      </div>
    </div>
    <${Held} id=${id} changed=${pages.reload} />
    ${pages.error && html`<${Problem} error=${pages.error} reload=${pages.reload} />`}
    ${chosen.size > 0 && html`<div class="notice note chosen" role="status"><strong>${plural(chosen.size, "message")} chosen</strong>
      <div class="actions">
        <${Button} lacks=${lacks("MANAGE")} ask=${() => setPicking("move")}>Move …<//>
        <${Button} kind="danger" icon="trash" lacks=${lacks("MANAGE")} ask=${() => setPicking("delete")}>Delete …<//>
        <${Button} ask=${() => setChosen(new Map())}>Choose none<//>
      </div></div>`}
    ${pages.messages.length > 0 && html`<${List} messages=${pages.messages} chosen=${chosen} choose=${setChosen} open=${(each) => setOpened({ id: each.message.meta.id, created: each.message.meta.created })} />`}
    ${pages.loading && html`<${Loading} what="Looking at the messages" />`}
    ${!pages.loading && !pages.error && pages.messages.length === 0 && html`<${Empty} title=${figures.depth ? "No message matches" : "The queue is empty"} />`}
    ${pages.token && !pages.loading && html`<p class="more">
      ${pages.messages.length < SHOWN_MAX
        ? html`<${Button} ask=${pages.more}>Show more<//>`
        : html`<span class="muted">Those are the first ${count(SHOWN_MAX)}. Filters find others.</span>`}</p>`}
    ${opened && html`<${MessageDialog} queueId=${id} messageId=${opened.id} created=${opened.created} changed=${pages.reload} onClose=${() => setOpened(null)} />`}
    ${picking === "move" && html`<${MoveMessages} queueId=${id} messages=${picked} areDeadLetters=${pages.messages.some((each) => chosen.has(each.message.meta.id) && each.message.dead_letter)} onClose=${endPick} />`}
    ${picking === "delete" && html`<${DeleteMessages} queueId=${id} messages=${picked} onClose=${endPick} />`}
    ${leasing && html`<${LeaseDialog} id=${id} onClose=${() => {
      setLeasing(false);
      pages.reload();
    }} />`}
  `;
}

// What the filters ask of Browse, and the same as words of qcli.
function parametersOf({ state, tag, selector, group, fairKey }) {
  const { key, value } = tag ? toTag(tag) : {};
  return { states: state, "tags.key": key, "tags.value": value, selector, group_id: group, fair_key: fairKey };
}

function wordsOf(id, { state, tag, selector, group, fairKey }) {
  const options = { "--state": state.toLowerCase(), "--tag": tag, "--selector": selector, "--group": group, "--fair-key": fairKey };
  return ["browse", id, ...Object.entries(options).filter(([, value]) => value).flat(), "-o", "jsonl"];
}

// What is being written is kept here: the page is drawn anew each second.
function Filter({ label, example, value, onInput }) {
  const [text, setText] = useState(value);
  return html`<label class="filter"><span>${label}</span><input type="search" placeholder=${example} spellcheck=${false} value=${text}
    onInput=${(event) => setText(event.target.value)} onChange=${onInput} /></label>`;
}

function FindById({ open }) {
  const [text, setText] = useState("");
  return html`<form class="filter" onSubmit=${(event) => {
    event.preventDefault();
    if (text.trim()) open(text.trim());
  }}><label><span>Explain a message</span><input type="search" class="mono" placeholder="its id, then Enter" spellcheck=${false} value=${text} onInput=${(event) => setText(event.target.value)} /></label></form>`;
}

// Pages of messages, one after the other: {messages, token, loading, error, more, reload}.
export function usePages(id, filters, pageSize = PAGE_SIZE) {
  const [state, setState] = useState({ messages: [], token: "", loading: true, error: null });
  const [round, setRound] = useState(0);
  const fetchPage = async (token, signal) => {
    const reply = await get(ofQueue(id, `/messages${query({ page_size: pageSize, page_token: token, ...parametersOf(filters) })}`), { signal });
    return { messages: reply.messages ?? [], token: reply.next_page_token ?? "" };
  };
  // A page may be empty and yet not be the last, where few messages match.
  const fetchSome = async (token, signal) => {
    const messages = [];
    let next = token;
    do {
      const page = await fetchPage(next, signal);
      messages.push(...page.messages);
      next = page.token;
    } while (next && messages.length < pageSize && !signal?.aborted);
    return { messages, token: next };
  };
  useEffect(() => {
    const ending = new AbortController();
    setState((old) => ({ ...old, loading: true, error: null }));
    fetchSome("", ending.signal)
      .then((page) => !ending.signal.aborted && setState({ ...page, loading: false, error: null }))
      .catch((error) => !ending.signal.aborted && setState((old) => ({ ...old, loading: false, error })));
    return () => ending.abort();
  }, [id, JSON.stringify(filters), round]);
  return {
    ...state,
    reload: async () => setRound((n) => n + 1),
    more: async () => {
      const page = await fetchSome(state.token);
      setState((old) => ({ ...old, messages: [...old.messages, ...page.messages], token: page.token }));
    },
  };
}

const TONES = { READY: "ready", LEASED: "leased", DELAYED: "delayed" };

export function StateBadge({ state }) {
  return html`<span class="dot-label"><i class="swatch tone-${TONES[state] ?? "ready"}"></i>${(state ?? "").toLowerCase()}</span>`;
}

function List({ messages, chosen, choose, open }) {
  const idOf = (each) => each.message.meta.id;
  const areAll = messages.every((each) => chosen.has(idOf(each)));
  const chooseAll = () => choose(areAll ? new Map() : new Map(messages.map((each) => [idOf(each), each.message.meta.created])));
  const chooseOne = (each) => {
    const others = new Map(chosen);
    if (!others.delete(idOf(each))) others.set(idOf(each), each.message.meta.created);
    choose(others);
  };
  const all = html`<input type="checkbox" aria-label="Choose all that are shown" checked=${areAll} onChange=${chooseAll} />`;
  const columns = [{ title: all }, { title: "State" }, { title: "Id" }, { title: "Payload" }, { title: "Tags" }, { title: "Size", num: true }, { title: "Age", num: true }, { title: "Delivered", num: true }];
  return html`<${Table} label="Messages" columns=${columns}>
    ${messages.map((each) => html`<tr key=${each.message.meta.id}>
      <td class="choice"><input type="checkbox" aria-label="Choose message ${each.message.meta.id}" checked=${chosen.has(idOf(each))} onChange=${() => chooseOne(each)} /></td>
      <td class="nowrap"><${StateBadge} state=${each.state} />${each.state === "LEASED" && html`<div class="muted small cut" title=${each.consumer}>${each.consumer || "without a name"}</div>`}</td>
      <td><button type="button" class="link mono" aria-label="Message ${each.message.meta.id}" onClick=${() => open(each)}>${shortId(each.message.meta.id)}</button></td>
      <td class="payload-cell"><bdi class="mono">${preview(each.message.payload)}</bdi></td>
      <td class="nowrap"><${Tags} tags=${each.message.meta.tags} max=${2} />${each.message.dead_letter && html`<${Badge} tone="bad">dead letter<//>`}</td>
      <td class="num nowrap">${bytes(sizeOf(each.message.payload))}</td>
      <td class="num nowrap">${duration(seconds(each.age) ?? 0)}</td>
      <td class="num">${each.delivery_count ?? 0}×</td>
    </tr>`)}
  <//>`;
}

function LeaseDialog({ id, onClose }) {
  const [form, setForm] = useState({ count: "1", duration: "5m" });
  const submit = async () => {
    const found = await lease(id, { count: Number(form.count), duration: toDuration(form.duration) });
    say(found ? `Leased ${plural(found, "message")}` : "The queue hands out no message now", found ? "good" : "warn");
  };
  return html`<${FormDialog} title="Lease by hand" action="Lease" submit=${submit} onClose=${onClose}>
    <p>Takes the next messages out of the consumers' way for a while. Ack what is done; the rest comes back, and counts as a failed delivery if its lease runs out.</p>
    <${Field} label="Messages">${(field) => html`<input id=${field} type="number" min="1" max="100" required value=${form.count} onInput=${(event) => setForm({ ...form, count: event.target.value })} />`}<//>
    <${Field} label="For" hint="Up to 12 h">${(field) => html`<input id=${field} required value=${form.duration} onInput=${(event) => setForm({ ...form, duration: event.target.value })} />`}<//>
  <//>`;
}

// What this tab holds of the queue.
function Held({ id, changed }) {
  const all = useSignal(held);
  const now = useNow();
  const [failing, setFailing] = useState(null);
  const mine = [...all].filter(([, each]) => each.queueId === id);
  if (!mine.length) return null;
  const act = (messageId, what, said) => async () => {
    await what(messageId);
    say(said);
    changed();
  };
  return html`<section class="card held">
    <h2>Leased by you</h2>
    <${Table} label="Messages leased by you" columns=${[{ title: "Id" }, { title: "Payload" }, { title: "Lease ends", num: true }, { title: "" }]}>
      ${mine.map(([messageId, each]) => {
        const left = (new Date(each.expiresAt).getTime() - now) / 1000;
        return html`<tr key=${messageId}>
          <td class="mono">${shortId(messageId)}</td>
          <td class="payload-cell"><bdi class="mono">${preview(each.message.payload)}</bdi></td>
          <td class="num nowrap">${left > 0 ? `in ${duration(left)}` : html`<span class="bad-text">ran out</span>`}</td>
          <td class="row-actions">
            <${Button} icon="check" ask=${act(messageId, (m) => end(m, "ack"), "Acked: the message is done")}>Ack<//>
            <${Button} ask=${act(messageId, (m) => end(m, "nack", { kind: "RELEASE" }), "Released: the message is ready again")}>Release<//>
            <${Button} ask=${async () => setFailing(messageId)}>Fail …<//>
            <${Button} ask=${act(messageId, (m) => extend(m, "300s"), "Five minutes from now")}>Extend<//>
            ${left <= 0 && html`<${Button} icon="close" label="Take it off this list" ask=${async () => forget(messageId)} />`}
          </td></tr>`;
      })}
    <//>
    ${failing && html`<${FailDialog} messageId=${failing} onClose=${() => {
      setFailing(null);
      changed();
    }} />`}
  </section>`;
}

function FailDialog({ messageId, onClose }) {
  const [form, setForm] = useState({ kind: "FAIL", reason: "", delay: "" });
  const set = (field) => (event) => setForm({ ...form, [field]: event.target.value });
  const submit = async () => {
    const delay = form.kind === "FAIL" && form.delay ? toDuration(form.delay) : undefined;
    await end(messageId, "nack", { kind: form.kind, reason: form.reason, delay });
    say(form.kind === "REJECT" ? "Rejected: it is a dead letter" : "Failed: it is handed out again later");
  };
  return html`<${FormDialog} title="The work failed" action=${form.kind === "REJECT" ? "Reject" : "Fail"} submit=${submit} onClose=${onClose}>
    <${Field} label="What becomes of it">${(id) => html`<select id=${id} value=${form.kind} onChange=${set("kind")}>
      <option value="FAIL">Somebody may try it again later</option><option value="REJECT">Nobody can do it: make it a dead letter</option></select>`}<//>
    <${Field} label="Why" hint="For those who look at its history">${(id) => html`<input id=${id} value=${form.reason} maxlength="1000" onInput=${set("reason")} />`}<//>
    ${form.kind === "FAIL" && html`<${Field} label="Not before" hint="Such as 30s; by the queue's back-off if empty">${(id) => html`<input id=${id} value=${form.delay} onInput=${set("delay")} />`}<//>`}
  <//>`;
}
