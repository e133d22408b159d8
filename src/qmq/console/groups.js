// The groups of a queue: whose messages go one after the other, and which of them stand still.

import { get, ofQueue, post, query, usePoll } from "./api.js";
import { ago, count, plural } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { Badge, Button, Empty, Field, FormDialog, Found, say, Table } from "./parts.js";
import { keepInAddress, linkTo, route } from "./router.js";

const LOOK_MS = 3000;
const PAGE_SIZE = 200;
const STATES = ["READY", "LEASED", "DELAYED", "PAUSED", "PARKED"];
const TONES = { PAUSED: "note", PARKED: "bad" };

export function Groups({ id, lacks }) {
  const [state, setState] = useState(route.value.query.state ?? "");
  useEffect(() => keepInAddress({ state }), [state]);
  const [skipping, setSkipping] = useState("");
  const poll = usePoll((signal) => get(ofQueue(id, `/groups${query({ page_size: PAGE_SIZE, states: state })}`), { signal }), [id, state], LOOK_MS);
  const act = (verb, group, said) => async () => {
    await post(ofQueue(id, `/groups:${verb}`), { group_id: group });
    say(said);
    poll.reload();
  };
  return html`
    <div class="filters"><div class="segments" role="group" aria-label="State">
      ${["", ...STATES].map((each) => html`<button type="button" aria-pressed=${state === each} onClick=${() => setState(each)}>${each ? each.toLowerCase() : "all"}</button>`)}
    </div></div>
    <${Found} poll=${poll} what="Looking at the groups">${({ groups = [], next_page_token: more }) => groups.length === 0
      ? html`<${Empty} title="No groups">Messages that are added with a group_id are handed out strictly one after the other.<//>`
      : html`<${Table} label="Groups" columns=${[{ title: "Group" }, { title: "State" }, { title: "Waiting", num: true }, { title: "Leased", num: true }, { title: "" }]}>
          ${groups.map((group) => html`<tr key=${group.group_id}>
            <td class="breaks"><a href=${`${linkTo("queues", id, "messages")}${query({ group: group.group_id })}`}><bdi>${group.group_id}</bdi></a></td>
            <td><${Badge} tone=${TONES[group.state]}>${(group.state ?? "").toLowerCase()}<//> ${group.since && html`<span class="muted small">${ago(group.since)}</span>`}</td>
            <td class="num">${count(group.waiting)}</td><td class="num">${count(group.leased)}</td>
            <td class="row-actions">${group.state === "PAUSED" || group.state === "PARKED"
              ? html`<${Button} icon="play" lacks=${lacks("MANAGE")} ask=${act("resume", group.group_id, "The group goes on")}>Resume<//>`
              : html`<${Button} icon="pause" lacks=${lacks("MANAGE")} ask=${act("pause", group.group_id, "The group is paused")}>Pause<//>`}
              <${Button} lacks=${lacks("MANAGE")} ask=${async () => setSkipping(group.group_id)}>Skip …<//></td></tr>`)}
        <//>${more && html`<p class="muted small">Those are the first ${PAGE_SIZE}.</p>`}`}
    <//>
    ${skipping && html`<${Skip} id=${id} group=${skipping} onClose=${() => {
      setSkipping("");
      poll.reload();
    }} />`}
  `;
}

function Skip({ id, group, onClose }) {
  const [number, setNumber] = useState("1");
  const submit = async () => {
    const { skipped } = await post(ofQueue(id, "/groups:skip"), { group_id: group, messages_max: Number(number) });
    say(`Took out ${plural(skipped, "message")}`);
  };
  return html`<${FormDialog} title="Skip messages of a group" action="Take them out" kind="danger" submit=${submit} onClose=${onClose}>
    <p>The first messages of <b>${group}</b> go to the dead-letter queue, if the queue has one, and are gone otherwise. The group goes on with what is behind them.</p>
    <${Field} label="How many">${(field) => html`<input id=${field} type="number" min="1" max="1000" required value=${number} onInput=${(event) => setNumber(event.target.value)} />`}<//>
  <//>`;
}
