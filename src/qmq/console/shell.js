// What is around each page: the way to the others, whether q answers, and the sign-in.

import { connection, get, token } from "./api.js";
import { condition } from "./condition.js";
import { Fragment, html, useEffect, useRef, useState } from "./html.js";
import { identity, isAdmin, learn } from "./identity.js";
import { PAGES } from "./pages.js";
import { Badge, Button, Field, Icon, Toasts } from "./parts.js";
import { useSignal } from "./signal.js";
import { nextTheme, theme } from "./theme.js";

const THEME_ICONS = { auto: "auto", light: "sun", dark: "moon" };
const THEME_NAMES = { auto: "as the system has it", light: "light", dark: "dark" };

// `current` is the name of the page that is shown, see pages.js.
export function Shell({ current, children }) {
  const { state, message } = useSignal(connection);
  const who = useSignal(identity);
  useEffect(() => {
    learn().catch(() => {});
  }, []);
  const nav = useRef(null);
  // Where they do not all fit, the one that is shown is in view.
  useEffect(() => nav.current.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }), [current, who]);
  const pages = PAGES.filter((page) => !page.isForAdmins || isAdmin(who));
  return html`<${Fragment}>
    <a class="skip" href="#main" onClick=${toMain}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="../console/#/"><${Mark} /><span>q</span></a>
      <nav aria-label="Pages" ref=${nav}>
        ${pages.map((page) => html`<a href=${page.href} aria-current=${page.name === current ? "page" : undefined}>${page.title}${page.name === "server" && html`<${Worries} />`}</a>`)}
      </nav>
      <div class="top-end">
        <${State} state=${state} />
        <${Theme} />
        ${who.asked && state !== "signin" && html`<a class="who" href="../console/#/access" title="You, by ${who.proof}">${who.name}</a>`}
        ${token.get() && state !== "signin" && html`<${Button} ask=${signOut}>Sign out<//>`}
      </div>
    </header>
    ${state === "away" && html`<${AwayBanner} message=${message} />`}
    <main id="main" tabindex="-1">
      ${state === "signin" ? html`<${SignIn} message=${message} />` : children}
    </main>
    <${Toasts} />
  <//>`;
}

// How many things of the server need somebody, beside the way to its page.
function Worries() {
  useSignal(condition);
  const worries = condition.worries;
  if (!worries.length) return null;
  const isBad = worries.some((each) => each.level === "CRITICAL");
  return html`${" "}<${Badge} tone=${isBad ? "bad" : "warn"} title=${worries.map((each) => each.message).join("\n")}>${worries.length}<span class="hidden"> ${worries.length === 1 ? "warning" : "warnings"}</span><//>`;
}

// The address of a page says where the reader is, so that a fragment cannot.
function toMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function Mark() {
  return html`<svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
    <rect class="mark-back" width="32" height="32" rx="8" />
    <path class="mark-line" d="M20.500 9.200v14.300M20.500 14.600a5.400 5.400 0 1 1-10.800 0 5.400 5.400 0 0 1 10.800 0Z" />
  </svg>`;
}

function State({ state }) {
  const text = { ok: "Live", away: "No answer", signin: "Signed out" }[state];
  return html`<span class="state ${state}"><i aria-hidden="true"></i><span>${text}</span></span>`;
}

function Theme() {
  const name = useSignal(theme);
  return html`<${Button} icon=${THEME_ICONS[name]} label="Colours: ${THEME_NAMES[name]}" ask=${nextTheme} />`;
}

function AwayBanner({ message }) {
  return html`<div class="banner" role="alert">
    <${Icon} name="warn" />
    <p><strong>${message}.</strong> What you see is what it said last; the console goes on asking.</p>
    <${Button} icon="refresh" ask=${() => get("v1/queues?page_size=1")}>Ask now<//>
  </div>`;
}

function SignIn({ message }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState(token.get() ? message : "");
  const form = useRef(null);
  useEffect(() => form.current.querySelector("input").focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    token.set(text.trim());
    try {
      await learn();
    } catch (error) {
      // Whoever may not list queues may do other things.
      if (error.status === 401) setProblem(error.message);
    }
  };
  return html`<form class="sign-in" ref=${form} onSubmit=${submit}>
    <h1>Sign in</h1>
    <p class="muted">This q wants to know who calls. Paste a token; <code>q tokens make</code> makes one.
      It is kept until you close this tab, and sent to this q alone.</p>
    <${Field} label="Token" error=${problem} wide>
      ${(id) => html`<input id=${id} type="password" autocomplete="off" spellcheck=${false} required value=${text} onInput=${(event) => setText(event.target.value)} />`}
    <//>
    <button class="button primary"><span>Sign in</span></button>
  </form>`;
}

function signOut() {
  token.set("");
  location.reload();
}
