// The weights of a queue's fair keys: named, changed, and forgotten.

import { count } from "./format.js";
import { html, useState } from "./html.js";
import { Button, Field, Table } from "./parts.js";

const WEIGHT_MAX = 1000;
const WEIGHTS_MAX = 1000;
const KEY_BYTES_MAX = 128;

// What differs from the weights that q tells of: [[key, text]]. An empty text forgets a key. Both
// are Maps, since a key may be called as anything.
export function changedWeights(weights, edits) {
  return [...edits].filter(([key, text]) => text.trim() !== String(weights.get(key) ?? ""));
}

// The same as q takes it. Throws what is wrong with it.
export function sentWeights(changes) {
  return Object.fromEntries(changes.map(([key, text]) => [key, text.trim() === "" ? 0 : weightOf(key, text)]));
}

function weightOf(key, text) {
  const weight = Number(text);
  if (!Number.isInteger(weight) || weight < 1 || weight > WEIGHT_MAX) {
    throw new Error(`The weight of “${key}” has to be a whole number from 1 to ${count(WEIGHT_MAX)}`);
  }
  return weight;
}

export function Weights({ weights, edits, setEdits, disabled }) {
  const keys = [...new Set([...weights.keys(), ...edits.keys()])].sort();
  const isForgotten = (key) => edits.get(key) === "" && weights.has(key);
  const isChanged = (key) => edits.has(key) && edits.get(key).trim() !== String(weights.get(key) ?? "");
  const set = (key, text) => setEdits(new Map(edits).set(key, text));
  const leave = (key) => {
    const left = new Map(edits);
    left.delete(key);
    setEdits(left);
  };
  return html`<fieldset class="card" disabled=${disabled}><legend>Weights of fair keys</legend>
    <p class="muted small">How many messages of a key are handed out at its turn: 1 to ${count(WEIGHT_MAX)}, and 1 for keys that are not named here.</p>
    ${keys.length > 0 && html`<div class="weights"><${Table} label="Weights" columns=${[{ title: "Fair key" }, { title: "Weight", num: true }, { title: "" }]}>
      ${keys.map((key) => html`<tr key=${key} class=${isChanged(key) ? "changed" : ""}>
        <td class="breaks ${isForgotten(key) ? "forgotten" : ""}"><bdi>${key}</bdi></td>
        <td class="num">${isForgotten(key) ? html`<span class="muted">will be 1</span>`
          : html`<input class="num" inputmode="numeric" autocomplete="off" aria-label="Weight of ${key}" value=${edits.get(key) ?? weights.get(key)} onInput=${(event) => set(key, event.target.value)} />`}</td>
        <td class="row-actions">${isForgotten(key) || !weights.has(key)
          ? html`<${Button} icon="back" label="Leave ${key} as it was" ask=${() => leave(key)} />`
          : html`<${Button} icon="close" label="Forget ${key}" ask=${() => set(key, "")} />`}</td></tr>`)}
    <//></div>`}
    <${NewWeight} known=${keys} add=${set} />
  </fieldset>`;
}

function NewWeight({ known, add }) {
  const [key, setKey] = useState("");
  const [weight, setWeight] = useState("");
  const [error, setError] = useState("");
  const take = () => {
    try {
      checkKey(key, known);
      add(key, String(weightOf(key, weight)));
      setKey("");
      setWeight("");
      setError("");
    } catch (failure) {
      setError(failure.message);
    }
  };
  // It is part of a form, which is not to be sent by it.
  const enter = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    take();
  };
  return html`<div class="new-weight" role="group" aria-label="A further weight">
    <${Field} label="Fair key" error=${error}>${(id) => html`<input id=${id} autocomplete="off" spellcheck=${false} value=${key} onInput=${(event) => setKey(event.target.value)} onKeyDown=${enter} />`}<//>
    <${Field} label="Weight">${(id) => html`<input id=${id} inputmode="numeric" autocomplete="off" value=${weight} onInput=${(event) => setWeight(event.target.value)} onKeyDown=${enter} />`}<//>
    <${Button} icon="add" ask=${take} disabled=${!key}>Name it<//>
  </div>`;
}

function checkKey(key, known) {
  const size = new TextEncoder().encode(key).length;
  if (size > KEY_BYTES_MAX) throw new Error(`A fair key takes up to ${KEY_BYTES_MAX} bytes, and this one ${size}`);
  if (known.includes(key)) throw new Error(`“${key}” is named already`);
  if (known.length >= WEIGHTS_MAX) throw new Error(`A queue has up to ${count(WEIGHTS_MAX)} weights`);
}
