// The settings of a queue: all of them, each with what it means; what was changed is sent, and
// nothing else.

import { ofQueue, patch } from "./api.js";
import { changedWeights, sentWeights, Weights } from "./fair_weights.js";
import { fromDuration, plural, toDuration } from "./format.js";
import { html, useMemo, useState } from "./html.js";
import { Field, Problem, say } from "./parts.js";
import { QueueChoice } from "./queue_choice.js";

// By groups: the path in QueueSettings, how it is called, its kind, what it means, and the choices
// of an enum.
/** @typedef {[path: string, title: string, kind: string, hint: string, choices?: string[][]]} SettingOf */
/** @type {[string, SettingOf[]][]} */
const GROUPS = [
  ["Delivery", [
    ["lease_duration", "Lease lasts", "duration", "If the consumer says nothing else: 1 ms to 12 h."],
    ["delivery_count_max", "Deliveries at most", "int", "Then a message is a dead letter; 0 for no maximum. Needs a dead-letter queue."],
    ["dead_letter_queue_id", "Dead-letter queue", "queue", "Where messages go that were rejected or delivered too often."],
    ["leased_max", "On lease at most", "int", "How many messages at a time; 0 for any number."],
    ["rate.messages_per_second", "Handed out a second", "float", "On average; 0 for no limit."],
    ["rate.burst", "At once after a pause", "int", "0 for as many as in a second."],
    ["weight", "Weight", "int", "Its share among queues that a selector matches: 1 to 1,000."],
  ]],
  ["After a failure", [
    ["back_off.base", "Back-off begins with", "duration", "How long a failed message is kept back the first time."],
    ["back_off.factor", "and grows by", "float", "So many times longer with each failure: 1 to 100."],
    ["back_off.max", "up to", "duration", "At most 7 d."],
    ["back_off.jitter", "less a random share of", "float", "0 to 1."],
    ["park_after", "Park a group after failures", "int", "Its messages wait for somebody then; 0 for never."],
  ]],
  ["Time and room", [
    ["delay", "Delay", "duration", "Of messages that say nothing about it."],
    ["ttl", "Of use for", "duration", "Then a message is removed; 0 for ever."],
    ["dead_letter_expired", "Expired messages are dead letters", "bool", ""],
    ["limit", "Messages at most", "limit", "Ready, leased and delayed ones together; -1 for no limit."],
    ["bytes_limit", "Bytes at most", "int", "Tags and metadata included; 0 for no limit."],
    ["overflow", "When it is full", "enum", "", [["REJECT", "refuse what is added"], ["DROP_OLDEST", "drop the oldest"], ["DEAD_LETTER_OLDEST", "make the oldest a dead letter"]]],
  ]],
  ["Order and durability", [
    ["dedup_window", "A dedup_id is known for", "duration", "1 s to 7 d."],
    ["priority_ageing", "Priority is worth", "duration", "A message of priority n stands as if it had come n times this earlier; 0 for strictly by priority."],
    ["fairness.leased_max", "On lease at most, of a fair_key", "int", "0 for any number."],
    ["fairness.rate.messages_per_second", "Handed out a second, of a fair_key", "float", "0 for no limit."],
    ["durability_min", "Durable at least", "enum", "A call that asks for less gets this.", [["MEMORY", "as the call asks"], ["OS", "handed to the system"], ["FSYNC", "synced to disk"], ["REPLICATED", "on two machines"]]],
  ]],
];

const at = (value, path) => path.split(".").reduce((inner, name) => inner?.[name], value);

// What a form shows for what q says.
/** @param {SettingOf} setting */
function shownOf(figures, setting) {
  const [path, , kind] = setting;
  if (path === "limit") return String(figures.limit);
  const value = at(figures.settings, path);
  if (kind === "duration") return fromDuration(value);
  if (kind === "bool") return Boolean(value);
  return String(value ?? (kind === "int" || kind === "float" ? 0 : ""));
}

// What q takes for what a form shows.
/** @param {SettingOf} setting */
function sentOf(text, setting) {
  const [, title, kind] = setting;
  if (kind === "duration") return toDuration(text);
  if (kind === "int" || kind === "float" || kind === "limit") {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value)) throw new Error(`“${title}” needs a number`);
    return kind === "limit" ? String(value) : value;
  }
  return text;
}

function put(target, path, value) {
  const names = path.split(".");
  const last = names.pop();
  names.reduce((inner, name) => (inner[name] ??= {}), target)[last] = value;
}

export function Settings({ id, figures, reload, lacks }) {
  const all = GROUPS.flatMap(([, settings]) => settings);
  const [changed, setChanged] = useState({});
  const [weightEdits, setWeightEdits] = useState(new Map());
  const [error, setError] = useState(null);
  const paths = Object.keys(changed).filter((path) => changed[path] !== shownOf(figures, all.find((each) => each[0] === path)));
  const weights = useMemo(() => new Map(Object.entries(figures.settings.fairness?.weights ?? {})), [figures]);
  const weightChanges = changedWeights(weights, weightEdits);
  const changes = paths.length + weightChanges.length;
  const leave = () => {
    setChanged({});
    setWeightEdits(new Map());
    setError(null);
  };
  const save = async (event) => {
    event.preventDefault();
    setError(null);
    try {
      const body = { settings: {} };
      for (const path of paths) {
        const setting = all.find((each) => each[0] === path);
        put(path === "limit" ? body : body.settings, path, sentOf(changed[path], setting));
      }
      if (weightChanges.length) put(body.settings, "fairness.weights", sentWeights(weightChanges));
      await patch(ofQueue(id), body);
      leave();
      say("Settings saved");
      reload();
    } catch (failure) {
      setError(failure);
    }
  };
  const isShut = Boolean(lacks("MANAGE"));
  return html`<form class="settings" onSubmit=${save}>
    ${isShut && html`<p class="muted">${lacks("MANAGE")}: its settings are there to be looked at.</p>`}
    ${GROUPS.map(([title, settings]) => html`<fieldset class="card" disabled=${isShut}><legend>${title}</legend>
      <div class="fields">${settings.map((setting) => html`<${Setting} key=${setting[0]} setting=${setting} isChanged=${paths.includes(setting[0])}
        value=${changed[setting[0]] ?? shownOf(figures, setting)} onChange=${(value) => setChanged({ ...changed, [setting[0]]: value })} />`)}</div>
    </fieldset>`)}
    <${Weights} weights=${weights} edits=${weightEdits} setEdits=${setWeightEdits} disabled=${isShut} />
    ${changes > 0 && html`<div class="save-bar" role="region" aria-label="Unsaved changes">
      ${error && html`<${Problem} error=${error} />`}
      <span>${plural(changes, "setting")} changed</span>
      <button type="button" class="button" onClick=${leave}><span>Leave as it was</span></button>
      <button class="button primary"><span>Save</span></button>
    </div>`}
  </form>`;
}

function Setting({ setting: [path, title, kind, hint, choices], value, isChanged, onChange }) {
  const set = (event) => onChange(event.target.value);
  if (kind === "bool") {
    return html`<label class="check ${isChanged ? "changed" : ""}"><input type="checkbox" checked=${value} onChange=${(event) => onChange(event.target.checked)} /><span>${title}</span></label>`;
  }
  return html`<div class=${isChanged ? "changed" : ""}><${Field} label=${title} hint=${hint}>${(id) => {
    if (kind === "enum") {
      return html`<select id=${id} name=${path} value=${value} onChange=${set}>${choices.map(([name, text]) => html`<option value=${name}>${text}</option>`)}</select>`;
    }
    if (kind === "queue") return html`<${QueueChoice} id=${id} value=${value} onChange=${onChange} />`;
    return html`<input id=${id} name=${path} inputmode=${kind === "duration" ? "text" : "decimal"} autocomplete="off" spellcheck=${false} value=${value} onInput=${set} />`;
  }}<//></div>`;
}
