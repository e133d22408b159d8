// Parts that all pages are made of.

import { Away } from "./api.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { Signal, useSignal } from "./signal.js";

const FORBIDDEN = 403;
const TOAST_MS = 5000;

const ICONS = {
  add: "M8 3v10M3 8h10",
  back: "M10 3 5 8l5 5",
  check: "m3 8.5 3.5 3.5L13 4.5",
  open: "m6 3 5 5-5 5",
  close: "m4 4 8 8M12 4l-8 8",
  copy: "M6 6V3h7v7h-3M3 6h7v7H3z",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5Z",
  more: "M3.5 8h.01M8 8h.01M12.500 8h.01",
  pause: "M5.500 3.500v9M10.500 3.500v9",
  play: "M5 3.500 12 8l-7 4.500z",
  refresh: "M13 8a5 5 0 1 1-1.600-3.700L13 6M13 2.500V6H9.500",
  save: "M8 2.500v7.500M4.500 6.500 8 10l3.500-3.500M3 13h10",
  search: "M11 7a4 4 0 1 1-8 0 4 4 0 0 1 8 0ZM10 10l3.500 3.500",
  sun: "M8 5.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5ZM8 1.500v1M8 13.500v1M1.500 8h1M13.500 8h1M3.400 3.400l.7.7M11.900 11.900l.7.7M3.400 12.600l.7-.7M11.900 4.100l.7-.7",
  auto: "M8 2.500a5.500 5.500 0 1 0 0 11zM8 2.500a5.500 5.500 0 1 1 0 11",
  terminal: "m3 4.500 3.500 3.500L3 11.500M8.500 11.500H13",
  trash: "M3 4.500h10M6.500 4.500v-2h3v2M4.500 4.500l.5 9h6l.5-9",
  warn: "M8 2.500 14.500 13.500h-13zM8 6.500v3.500M8 12h.01",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;
}

// A button; `kind` is "", "primary" or "danger". `ask` is what it does, and it is busy until then.
// With a reason why the reader may not, it tells that instead.
export function Button({ icon, kind = "", label, ask, disabled, lacks, children, ...rest }) {
  const [busy, setBusy] = useState(false);
  const isThere = useRef(true);
  useEffect(() => () => (isThere.current = false), []);
  const press = async () => {
    if (lacks) {
      say(lacks, "bad");
      return;
    }
    setBusy(true);
    try {
      await ask();
    } catch (error) {
      say(error.message, "bad");
    } finally {
      if (isThere.current) setBusy(false);
    }
  };
  return html`<button type="button" class="button ${kind} ${children ? "" : "bare"}" onClick=${ask && press}
    disabled=${disabled || busy} aria-disabled=${lacks ? "true" : undefined} aria-busy=${busy} aria-label=${label} title=${lacks || label} ...${rest}>
    ${icon && html`<${Icon} name=${icon} />`}${children && html`<span>${children}</span>`}
  </button>`;
}

export function Badge({ tone = "", title, children }) {
  return html`<span class="badge ${tone}" title=${title}>${children}</span>`;
}

export function Tags({ tags = [], max = 3 }) {
  return html`${tags.slice(0, max).map((tag) => html`<span class="tag" title=${tagTitle(tag)}><bdi class="tag-text">${tag.key ?? ""}${tag.value ? html`<i>=</i>${tag.value}` : ""}</bdi></span>`)}
    ${tags.length > max && html`<span class="muted small">+${tags.length - max}</span>`}`;
}

const tagTitle = (tag) => `${tag.key ?? ""}=${tag.value ?? ""}`;

// What went wrong, in q's own words, and what to do.
export function Problem({ error, reload }) {
  const isForbidden = error.status === FORBIDDEN;
  return html`<div class="notice bad" role="alert">
    <${Icon} name="warn" />
    <div>
      <strong>${isForbidden ? "You may not do this" : "That did not work"}</strong>
      <p>${error.message}</p>
      ${isForbidden && html`<p class="muted">Whoever keeps q's access file can give you that right.</p>`}
    </div>
    ${reload && html`<${Button} icon="refresh" ask=${reload}>Try again<//>`}
  </div>`;
}

// Why a look has failed. That q does not answer is said once, above the page, as long as something
// `isKnown` that can be shown.
export function Missed({ error, reload, isKnown }) {
  if (!error || (isKnown && error instanceof Away)) return null;
  return html`<${Problem} error=${error} reload=${reload} />`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><strong>${title}</strong>${children && html`<p>${children}</p>`}</div>`;
}

export function Loading({ what = "Loading" }) {
  return html`<div class="loading" role="status"><span class="dots" aria-hidden="true"></span>${what} …</div>`;
}

// Shows what `usePoll` has found: `children` is a function of it.
export function Found({ poll, what, children }) {
  if (poll.data) return html`<${Missed} error=${poll.error} reload=${poll.reload} isKnown />${children(poll.data)}`;
  if (poll.error) return html`<${Problem} error=${poll.error} reload=${poll.reload} />`;
  return html`<${Loading} what=${what} />`;
}

// A table that scrolls sideways by itself where there is no room. `columns`: [{title, num}].
export function Table({ label, columns, children }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead><tr>${columns.map((each) => html`<th scope="col" class=${each.num ? "num" : ""}>${each.title || html`<span class="hidden">Actions</span>`}</th>`)}</tr></thead>
      <tbody>${children}</tbody>
    </table>
  </div>`;
}

let fields = 0;

// A labelled input. `children` is a function of the id that the input must have.
export function Field({ label, hint, error, wide, children }) {
  const [id] = useState(() => `field-${(fields += 1)}`);
  const box = useRef(null);
  // What says more about it is read out with it.
  useLayoutEffect(() => {
    const input = box.current.querySelector(`#${id}`);
    const about = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
    if (about) input?.setAttribute("aria-describedby", about);
    else input?.removeAttribute("aria-describedby");
    input?.setAttribute("aria-invalid", String(Boolean(error)));
  });
  return html`<div class="field ${wide ? "wide" : ""}" ref=${box}>
    <label for=${id}>${label}</label>
    ${children(id)}
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    ${error && html`<p class="hint bad-text" id="${id}-error" role="alert">${error}</p>`}
  </div>`;
}

// A modal dialog, open as long as it is there. Escape, its cross and a press beside it call `onClose`,
// unless it `isLocked`: then what is in it does. Where something `isFilledIn`, a press beside it would
// lose that by a slip of the hand.
export function Dialog({ title, onClose, wide, isLocked, isFilledIn, children }) {
  const box = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    // Where there is something to fill in, that comes before the cross.
    box.current.querySelector("form input, form select, form textarea")?.focus();
    return () => before instanceof HTMLElement && before.focus();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    if (!isLocked) onClose();
  };
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-label=${title} onCancel=${cancel}
    onMouseDown=${(event) => event.target === box.current && !isLocked && !isFilledIn && onClose()}>
    <div class="dialog-body">
      <header><h2>${title}</h2>${!isLocked && html`<${Button} icon="close" label="Close" ask=${onClose} />`}</header>
      ${children}
    </div>
  </dialog>`;
}

// A form in a dialog: `submit` does it and may throw; then the dialog says why and stays.
export function FormDialog({ title, action, kind = "primary", disabled, submit, onClose, wide, children }) {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const send = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await submit();
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose} wide=${wide} isFilledIn>
    <form onSubmit=${send}>
      ${children}
      ${error && html`<${Problem} error=${error} />`}
      <footer>
        <${Button} ask=${onClose}>Cancel<//>
        <button class="button ${kind}" disabled=${disabled || busy} aria-busy=${busy}><span>${action}</span></button>
      </footer>
    </form>
  <//>`;
}

// Asks for the name of what is about to be lost.
export function TypedConfirmation({ title, name, action, submit, onClose, children }) {
  const [typed, setTyped] = useState("");
  return html`<${FormDialog} title=${title} action=${action} kind="danger" disabled=${typed !== name} submit=${submit} onClose=${onClose}>
    ${children}
    <${Field} label=${html`Type <code>${name}</code> to confirm`}>
      ${(id) => html`<input id=${id} value=${typed} autocomplete="off" spellcheck=${false} onInput=${(event) => setTyped(event.target.value)} />`}
    <//>
  <//>`;
}

const toasts = new Signal([]);

// Says something at the edge of the page, also to screen readers.
export function say(text, tone = "good") {
  const toast = { text, tone };
  toasts.value = [...toasts.value, toast];
  setTimeout(() => (toasts.value = toasts.value.filter((each) => each !== toast)), TOAST_MS);
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${useSignal(toasts).map((each) => html`<div class="toast ${each.tone}">${each.text}</div>`)}
  </div>`;
}

export function Copy({ text, label }) {
  return html`<${Button} icon="copy" label=${label} ask=${async () => {
    if (!navigator.clipboard) throw new Error("Browsers let pages copy by HTTPS or from this machine alone");
    await navigator.clipboard.writeText(text);
    say("Copied");
  }} />`;
}

// A value that is drawn anew each second, for what counts down.
export function useNow(everyMs = 1000) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, []);
  return now;
}
