// Who may call q, what each may do, and the tokens by which they show who they are.

import { get, post, remove, token as ownToken, usePoll } from "./api.js";
import { ago, count, moment, plural, toDuration } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { identity, isAdmin, learn } from "./identity.js";
import { Badge, Button, Copy, Dialog, Empty, Field, FormDialog, Found, say, Table, useNow } from "./parts.js";
import { useSignal } from "./signal.js";

const LOOK_MS = 5000;
const SOON_MS = 14 * 86400 * 1000;

const RIGHTS = { PRODUCE: "add messages", CONSUME: "take messages", BROWSE: "look", MANAGE: "manage", ADMIN: "do everything" };

export function AccessPage() {
  const who = useSignal(identity);
  useEffect(() => {
    learn().catch(() => {});
  }, []);
  return html`<div class="page">
    <div class="page-head"><h1>Access</h1></div>
    ${who.asked
      ? html`<${You} who=${who} />${isAdmin(who) ? html`<${Identities} who=${who} />` : html`<p class="muted">Others are shown to those who may administer every queue.</p>`}`
      : html`<${Empty} title="This q asks nobody who they are">Whoever reaches it may do everything. <code>q tokens make root --access access.toml --may admin --queues '*'</code> begins an access file, and <code>q --access access.toml</code> asks by it from then on.<//>`}
  </div>`;
}

function You({ who }) {
  const now = useNow(10_000);
  return html`<section class="card"><h2>You are ${who.name}</h2>
    <dl class="pairs">
      <dt>Known by</dt><dd class="mono">${who.proof}</dd>
      <dt>Until</dt><dd>${who.expiresAt ? html`${moment(who.expiresAt)} <${Ends} at=${who.expiresAt} now=${now} />` : "it is revoked"}</dd>
      <dt>You may</dt><dd><${Grants} grants=${who.grants} /></dd>
      ${who.limits && html`<dt>At most</dt><dd>${limitsText(who.limits)}</dd>`}
    </dl></section>`;
}

function Identities({ who }) {
  const poll = usePoll((signal) => get("v1/identities", { signal }), [], LOOK_MS);
  const now = useNow(10_000);
  const [making, setMaking] = useState("");
  const [made, setMade] = useState(null);
  const [revoking, setRevoking] = useState(null);
  const done = () => {
    setMaking("");
    setRevoking(null);
    poll.reload();
  };
  return html`<${Found} poll=${poll} what="Looking at who may call">${({ identities = [] }) => html`
      <p class="muted small">${plural(identities.length, "identity", "identities")}, as the access file has them. Rights and limits are changed in it, and so are identities added; q reads it whenever it changes.</p>
      ${identities.map((each) => html`<${One} key=${each.name} each=${each} now=${now} own=${who.proof} make=${() => setMaking(each.name)} revoke=${(token) => setRevoking({ name: each.name, token })} />`)}`}<//>
    ${making && html`<${Make} name=${making} onClose=${done} onMade=${setMade} />`}
    ${made && html`<${Made} made=${made} onClose=${() => setMade(null)} />`}
    ${revoking && html`<${Revoke} ...${revoking} isOwn=${isOwn(who.proof, revoking.token)} onClose=${done} />`}`;
}

const isOwn = (proof, token) => proof === `token ${token.id}`;

function One({ each, now, own, make, revoke }) {
  const { tokens = [], certificates = [], jwts = [] } = each;
  const columns = [{ title: "Token" }, { title: "Note" }, { title: "Made", num: true }, { title: "Last used", num: true }, { title: "Ends", num: true }, { title: "" }];
  return html`<section class="card identity" aria-label="Identity ${each.name}">
    <div class="page-head"><h2>${each.name}</h2><${Button} icon="add" label="Make a token for ${each.name}" ask=${async () => make()}>Make a token<//></div>
    <dl class="pairs">
      <dt>May</dt><dd><${Grants} grants=${each.rights} /></dd>
      ${each.limits && html`<dt>At most</dt><dd>${limitsText(each.limits)}</dd>`}
      ${certificates.length > 0 && html`<dt>Certificates</dt><dd>${certificates.map((name) => html`<div class="mono">${name}</div>`)}</dd>`}
      ${jwts.length > 0 && html`<dt>JWTs</dt><dd>${jwts.map((rule) => html`<div>${ruleText(rule)}</div>`)}</dd>`}
    </dl>
    ${tokens.length === 0
      ? html`<p class="muted small">No tokens${certificates.length || jwts.length ? "" : ": it cannot call"}.</p>`
      : html`<${Table} label="Tokens of ${each.name}" columns=${columns}>${tokens.map((token) => html`<tr key=${token.id}>
          <td class="nowrap"><span class="mono">${token.id}</span> ${isOwn(own, token) && html`<${Badge} tone="note">yours<//>`}</td>
          <td>${token.note}</td>
          <td class="num nowrap" title=${token.created}>${token.created ? ago(token.created, now) : "–"}</td>
          <td class="num nowrap" title=${token.used}>${token.used ? ago(token.used, now) : html`<span class="faint">not since q started</span>`}</td>
          <td class="num nowrap" title=${token.expires_at}>${token.expires_at ? html`<${Ends} at=${token.expires_at} now=${now} isLong />` : html`<span class="faint">never</span>`}</td>
          <td class="row-actions"><${Button} kind="danger" label="Revoke ${token.id}" ask=${async () => revoke(token)}>Revoke …<//></td>
        </tr>`)}<//>`}
  </section>`;
}

// When a token ends; what is soon, or over, is marked.
function Ends({ at, now, isLong }) {
  const left = new Date(at).getTime() - now;
  if (left <= 0) return html`<${Badge} tone="bad">expired ${ago(at, now)}<//>`;
  if (left < SOON_MS) return html`<${Badge} tone="warn">${ago(at, now)}<//>`;
  return isLong ? ago(at, now) : null;
}

function Grants({ grants = [] }) {
  if (!grants.length) return html`<span class="muted">nothing</span>`;
  return html`<ul class="grants">${grants.map((grant) => html`<li>${mayText(grant.may)} ${whereText(grant)}</li>`)}</ul>`;
}

function mayText(may = []) {
  const texts = may.map((right) => RIGHTS[right] ?? right.toLowerCase());
  return texts.length > 1 ? `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}` : (texts[0] ?? "nothing");
}

function whereText(grant) {
  if (grant.queues === "*") return "on every queue";
  if (grant.queues) return html`on queues named <code>${grant.queues}</code>`;
  return html`on queues tagged <code>${grant.selector}</code>`;
}

function limitsText(limits) {
  return [
    limits.calls_per_second && `${count(limits.calls_per_second)} calls a second`,
    limits.calls_max && `${plural(limits.calls_max, "call")} under way`,
    limits.connections_max && plural(limits.connections_max, "connection"),
  ].filter(Boolean).join(", ");
}

function ruleText(rule) {
  const claims = Object.entries(rule.claims ?? {}).map(([name, value]) => `${name} = ${value}`);
  return [`by ${rule.issuer}`, rule.subject && `of ${rule.subject}`, ...claims].filter(Boolean).join(", ");
}

function Make({ name, onClose, onMade }) {
  const [form, setForm] = useState({ note: "", ttl: "90d" });
  const set = (field) => (event) => setForm({ ...form, [field]: event.target.value });
  const submit = async () => {
    const ttl = form.ttl.trim() ? toDuration(form.ttl) : undefined;
    const made = await post(`v1/identities/${encodeURIComponent(name)}/tokens`, { note: form.note, ttl });
    onMade({ name, ...made });
  };
  return html`<${FormDialog} title="A token for ${name}" action="Make it" submit=${submit} onClose=${onClose}>
    <p>Whoever has it is ${name} to q, and may do what ${name} may.</p>
    <${Field} label="Holds for" hint="Such as 12h or 90d, up to 10 years; until it is revoked if empty">${(id) => html`<input id=${id} value=${form.ttl} autocomplete="off" spellcheck=${false} onInput=${set("ttl")} />`}<//>
    <${Field} label="Note" hint="What it is for; everybody who may read the access file can read it">${(id) => html`<input id=${id} value=${form.note} maxlength="200" autocomplete="off" onInput=${set("note")} />`}<//>
  <//>`;
}

// The one time that a token is shown: it does not go away by a slip of the hand.
function Made({ made, onClose }) {
  return html`<${Dialog} title="The token for ${made.name}" onClose=${onClose} isLocked>
    <p>This is the only time that it is shown: q keeps no more of it than what it takes to recognise it. Give it to whom it is for by a way that nobody else reads.</p>
    <div class="secret"><code class="mono" tabindex="0" aria-label="The token">${made.text}</code><${Copy} text=${made.text} label="Copy the token" /></div>
    <p class="muted small">It holds ${made.token?.expires_at ? `until ${moment(made.token.expires_at)}` : "until it is revoked"}. Its id is <span class="mono">${made.token?.id}</span>, which is no secret.</p>
    <footer><${Button} kind="primary" ask=${onClose}>I have it<//></footer>
  <//>`;
}

function Revoke({ name, token, isOwn: isYours, onClose }) {
  const submit = async () => {
    await remove(`v1/identities/${encodeURIComponent(name)}/tokens/${encodeURIComponent(token.id)}`);
    if (isYours) {
      ownToken.set("");
      location.reload();
    }
    say(`Revoked ${token.id}`);
  };
  return html`<${FormDialog} title="Revoke a token" action=${isYours ? "Revoke it and sign me out" : "Revoke it"} kind="danger" submit=${submit} onClose=${onClose}>
    <p>q refuses <b class="mono">${token.id}</b> of <b>${name}</b>${token.note && html` (“${token.note}”)`} from then on, and ends what is open by it. Nothing brings it back; its owner needs another one.</p>
    ${isYours && html`<p class="bad-text"><strong>It is the one by which you are signed in.</strong></p>`}
  <//>`;
}
