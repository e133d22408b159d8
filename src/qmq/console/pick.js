// Single messages that somebody has picked: deleted, or moved to another queue; and what became of each.

import { ofQueue, post } from "./api.js";
import { plural, shortId, titleOf } from "./format.js";
import { html, useRef, useState } from "./html.js";
import { live } from "./live.js";
import { Button, Dialog, Field, FormDialog, say, Table } from "./parts.js";
import { QueueChoice } from "./queue_choice.js";
import { useSignal } from "./signal.js";

// As many as one call takes.
const CALL_MAX = 1000;

// What q is told of messages. They are `{id, created}`, of which `created` spares it a search.
function* requestsOf(messages, rest) {
  for (let at = 0; at < messages.length; at += CALL_MAX) {
    const some = messages.slice(at, at + CALL_MAX);
    const moments = some.map((each) => each.created).filter(Boolean);
    const since = moments.length === some.length ? { created_from: moments.reduce(earlier) } : {};
    yield [some, { message_ids: some.map((each) => each.id), ...since, ...rest }];
  }
}

// Of moments of different lengths, such as with and without a fraction, the text alone does not tell.
const earlier = (one, other) => (Date.parse(other) < Date.parse(one) ? other : one);

// Has q do something with messages, and returns those that were left alone: [{id, message}].
async function pick(queueId, verb, messages, rest) {
  const left = [];
  for (const [some, request] of requestsOf(messages, rest)) {
    const { results = [] } = await post(ofQueue(queueId, `/messages:${verb}`), request);
    results.forEach((result, at) => result.code && left.push({ id: some[at].id, message: result.message }));
  }
  return left;
}

// A dialog that does so, and says of each message that was left alone why. `rest` is what the
// request says besides; `children` is the form. `onClose` is told whether anything was done.
function PickDialog({ queueId, messages, verb, title, action, kind, done, rest, disabled, onClose, children }) {
  const [left, setLeft] = useState([]);
  const stays = useRef(false);
  const isDone = useRef(false);
  const [leased, setLeased] = useState(false);
  const submit = async () => {
    const refused = await pick(queueId, verb, messages, { leased, ...rest });
    const count = messages.length - refused.length;
    if (count) say(`${done} ${plural(count, "message")}`);
    isDone.current = count > 0;
    stays.current = refused.length > 0;
    setLeft(refused);
  };
  if (left.length) {
    return html`<${Dialog} title="Left alone: ${plural(left.length, "message")}" onClose=${() => onClose(isDone.current)} wide>
      <p>${left.length < messages.length ? `${done} ${plural(messages.length - left.length, "message")}. These` : "Nothing was done. These"} stay as they are:</p>
      <${Table} label="Messages that were left alone" columns=${[{ title: "Id" }, { title: "Why" }]}>${left.map((each) => html`<tr key=${each.id}>
        <td class="mono nowrap">${shortId(each.id)}</td><td class="reason-cell">${each.message}</td></tr>`)}<//>
      <footer><${Button} kind="primary" ask=${() => onClose(isDone.current)}>Close<//></footer>
    <//>`;
  }
  return html`<${FormDialog} title=${title} action=${action} kind=${kind} disabled=${disabled} submit=${submit} onClose=${() => stays.current || onClose(isDone.current)}>
    ${children}
    <label class="check"><input type="checkbox" checked=${leased} onChange=${(event) => setLeased(event.target.checked)} />
      <span>Also those on lease: whoever has one can do nothing with it any more</span></label>
  <//>`;
}

export function DeleteMessages({ queueId, messages, onClose }) {
  const what = messages.length === 1 ? "the message" : plural(messages.length, "message");
  return html`<${PickDialog} queueId=${queueId} messages=${messages} verb="delete" title="Delete ${what}" action="Delete ${what}" kind="danger" done="Deleted" onClose=${onClose}>
    <p>${messages.length === 1 ? html`Message <span class="mono">${shortId(messages[0].id)}</span> will be gone` : html`<b class="num">${plural(messages.length, "message")}</b> will be gone`}, whatever state it is in. Nothing brings it back.</p>
  <//>`;
}

// Moves messages to a queue that is chosen; dead letters, if that is left open, back to where they
// came from.
export function MoveMessages({ queueId, messages, areDeadLetters, onClose }) {
  useSignal(live);
  const [target, setTarget] = useState("");
  const home = live.byId.get(queueId)?.queue;
  const suits = (queue) => queue.meta.id !== queueId && (!home || queue.store === home.store);
  const what = messages.length === 1 ? "the message" : plural(messages.length, "message");
  return html`<${PickDialog} queueId=${queueId} messages=${messages} verb="move" title="Move ${what}" action="Move ${what}" kind="primary" done="Moved"
    rest=${{ target_queue_id: target }} disabled=${!target && !areDeadLetters} onClose=${onClose}>
    <p>To the end of another queue, with all that was added and what has happened. Deliveries count from 1 again.</p>
    <${Field} label="To" hint="A queue in the same store${home ? `, as ${titleOf(home)} is` : ""}">${(id) => html`<${QueueChoice} id=${id} value=${target} onChange=${setTarget} suits=${suits}
      none=${areDeadLetters ? "where each came from" : "choose a queue"} />`}<//>
  <//>`;
}
