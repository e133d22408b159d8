// One queue, with a tab for each thing that can be looked at or done.

import { alertsOf } from "./alerts.js";
import { get, ofQueue, post, remove, usePoll } from "./api.js";
import { Commands } from "./commands.js";
import { count, moment, plural, shortId, tagText, titleOf, toTag } from "./format.js";
import { Groups } from "./groups.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { useLacks } from "./identity.js";
import { live } from "./live.js";
import { AddMessage } from "./add_message.js";
import { Messages } from "./messages.js";
import { Badge, Button, Copy, Field, FormDialog, Found, Icon, say, TypedConfirmation } from "./parts.js";
import { Now } from "./queue_now.js";
import { go, linkTo, route } from "./router.js";
import { Schedules } from "./schedules.js";
import { Settings } from "./settings.js";

const LOOK_MS = 1000;

const TABS = [
  ["now", "Now", Now],
  ["messages", "Messages", Messages],
  ["groups", "Groups", Groups],
  ["schedules", "Schedules", Schedules],
  ["settings", "Settings", Settings],
];

export function QueuePage({ id, tab }) {
  const poll = usePoll(async (signal) => {
    const reply = await get(ofQueue(id, "/stats"), { signal });
    return live.take(reply.queues[0]);
  }, [id], LOOK_MS);
  const name = poll.data ? titleOf(poll.data.queue) : shortId(id);
  useEffect(() => {
    document.title = `${name} · q`;
  }, [name]);
  return html`<div class="page">
    <nav class="crumbs" aria-label="Where this is"><a href="#/"><${Icon} name="back" />Queues</a></nav>
    <${Found} poll=${poll} what="Looking at the queue">${(figures) => html`<${Queue} figures=${figures} tab=${tab} reload=${poll.reload} />`}<//>
  </div>`;
}

function Queue({ figures, tab, reload }) {
  const { queue, id } = figures;
  const [dialog, setDialog] = useState("");
  const lacks = useLacks(id);
  const tabs = useRef(null);
  // Where they do not all fit, the one that is shown is in view.
  useEffect(() => tabs.current.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }), [tab]);
  const close = () => {
    setDialog("");
    reload();
  };
  const [, , Tab] = TABS.find(([name]) => name === tab) ?? TABS[0];
  return html`
    <div class="page-head">
      <div class="queue-title">
        <h1>${queue.name || html`<span class="mono">${shortId(id)}</span>`}</h1>
        <${State} figures=${figures} />
      </div>
      <div class="actions">
        <${Button} kind="primary" icon="add" lacks=${lacks("PRODUCE")} ask=${() => setDialog("add")}>Add a message<//>
        ${queue.paused
          ? html`<${Button} icon="play" lacks=${lacks("MANAGE")} ask=${() => resume(id).then(reload)}>Resume<//>`
          : html`<${Button} icon="pause" lacks=${lacks("MANAGE")} ask=${() => setDialog("pause")}>Pause<//>`}
        <${Button} kind="danger" lacks=${lacks("MANAGE")} ask=${() => setDialog("purge")}>Purge<//>
        <${Button} kind="danger" icon="trash" lacks=${lacks("MANAGE")} ask=${() => setDialog("delete")}>Delete<//>
      </div>
    </div>
    <p class="facts">
      <span class="mono">${id}</span><${Copy} text=${id} label="Copy the id" />
      <${Commands} lines=${commandsOf(titleOf(queue))} />
      <span>${{ MEMORY: "in memory, gone when q ends", DISK: "on disk", CLUSTER: "in the cluster's database" }[queue.store]}</span>
      <span>made ${moment(queue.meta.created)}</span>
      <${QueueTags} queue=${queue} reload=${reload} lacks=${lacks("MANAGE")} />
    </p>
    <nav class="tabs" aria-label="Parts of the queue" ref=${tabs}>
      ${TABS.map(([name, title]) => html`<a href=${linkTo("queues", id, name)} aria-current=${name === tab ? "page" : undefined}>${title}
        ${name === "messages" && figures.depth > 0 && html`<span class="num muted">${count(figures.depth)}</span>`}
        ${name === "groups" && Number(figures.stats.groups ?? 0) > 0 && html`<span class="num muted">${count(figures.stats.groups)}</span>`}</a>`)}
    </nav>
    <${Tab} key=${`${tab}-${route.value.step}`} id=${id} figures=${figures} reload=${reload} lacks=${lacks} />
    ${dialog === "add" && html`<${AddMessage} id=${id} onClose=${close} />`}
    ${dialog === "pause" && html`<${Pause} id=${id} onClose=${close} />`}
    ${dialog === "purge" && html`<${Purge} figures=${figures} onClose=${close} />`}
    ${dialog === "delete" && html`<${Delete} figures=${figures} onClose=${() => setDialog("")} />`}
  `;
}

// What the page shows of a queue.
function commandsOf(name) {
  return [
    ["What it holds, and what went through it", ["stats", name], ofQueue(name, "/stats")],
    ["What it is, and its settings", ["get", name], ofQueue(name)],
    ["Its messages", ["browse", name], ofQueue(name, "/messages")],
  ];
}

function State({ figures }) {
  const alerts = alertsOf(figures, live.deadLetterIds.has(figures.id));
  if (!alerts.length) return html`<${Badge} tone="good">Nothing to report<//>`;
  return alerts.map((each) => html`<${Badge} tone=${each.level} title=${each.text}>${each.title}<//>`);
}

function QueueTags({ queue, reload, lacks }) {
  const [adding, setAdding] = useState(false);
  const [text, setText] = useState("");
  const take = async (tag) => {
    await remove(ofQueue(queue.meta.id, "/tag"), tag);
    reload();
  };
  return html`<span class="tags">
    ${(queue.meta.tags ?? []).map((tag) => html`<span class="tag"><bdi class="tag-text" title=${tagText(tag)}>${tagText(tag)}</bdi><${Button} icon="close" label="Remove the tag ${tagText(tag)}" lacks=${lacks} ask=${() => take(tag)} /></span>`)}
    <${Button} icon="add" label="Add a tag" lacks=${lacks} ask=${() => setAdding(true)} />
    ${adding && html`<${FormDialog} title="Add a tag" action="Add it" onClose=${() => setAdding(false)} submit=${async () => {
      await post(ofQueue(queue.meta.id, "/tag"), toTag(text));
      setText("");
      reload();
    }}>
      <${Field} label="Tag" hint="Such as team=mail">${(id) => html`<input id=${id} required value=${text} spellcheck=${false} onInput=${(event) => setText(event.target.value)} />`}<//>
    <//>`}
  </span>`;
}

async function resume(id) {
  await post(ofQueue(id, "/resume"));
  say("Resumed");
}

function Pause({ id, onClose }) {
  const [adds, setAdds] = useState(false);
  return html`<${FormDialog} title="Pause the queue" action="Pause" onClose=${onClose} submit=${() => post(ofQueue(id, "/pause"), { adds })}>
    <p>It hands out no message until it is resumed. What is on lease can still be acked.</p>
    <label class="check"><input type="checkbox" checked=${adds} onChange=${(event) => setAdds(event.target.checked)} />
      <span>Take no messages either</span></label>
  <//>`;
}

function Purge({ figures, onClose }) {
  const submit = async () => {
    const { removed } = await post(ofQueue(figures.id, "/messages:purge"));
    say(`Removed ${plural(removed, "message")}`);
  };
  return html`<${TypedConfirmation} title="Purge the queue" action="Remove all messages" name=${titleOf(figures.queue)} submit=${submit} onClose=${onClose}>
    <p>All <b class="num">${plural(figures.depth, "message")}</b> will be gone, also those on lease and those that are delayed. Nothing brings them back.</p>
  <//>`;
}

function Delete({ figures, onClose }) {
  const submit = async () => {
    await remove(ofQueue(figures.id));
    live.forget(figures.id);
    say(`Deleted ${titleOf(figures.queue)}`);
    go();
  };
  return html`<${TypedConfirmation} title="Delete the queue" action="Delete it" name=${titleOf(figures.queue)} submit=${submit} onClose=${onClose}>
    <p>The queue and <b class="num">${plural(figures.depth, "message")}</b> in it will be gone, with its settings and schedules. Nothing brings them back.</p>
  <//>`;
}
