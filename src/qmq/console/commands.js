// What a page shows, as commands for a terminal: by qcli, and by curl.

import { addressOf, token } from "./api.js";
import { html, useState } from "./html.js";
import { Button, Copy, Dialog } from "./parts.js";

// A word as a shell takes it, whatever is in it.
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// A line of qcli; words that are empty are left out.
export function qcliLine(words) {
  const { protocol, hostname, port } = location;
  const isPlain = protocol === "http:";
  const server = `${isPlain ? "" : "https://"}${hostname}:${port || (isPlain ? 80 : 443)}`;
  return ["qcli", ...words, "-s", server].filter(Boolean).map(quoted).join(" ");
}

// The same by the REST API. A token is not shown: it is taken from where qcli finds it.
export function curlLine(path) {
  const shown = token.get() ? ' -H "Authorization: Bearer $QCLI_TOKEN"' : "";
  return `curl -sS${shown} ${quoted(addressOf(path).href)}`;
}

// A button that shows commands. `lines` is [[what it does, the words of qcli, the path of the API]],
// where one call of the API does the same.
export function Commands({ lines }) {
  const [isOpen, setOpen] = useState(false);
  return html`<${Button} icon="terminal" label="As commands" ask=${async () => setOpen(true)} />
    ${isOpen && html`<${Dialog} title="As commands" onClose=${() => setOpen(false)} wide>
      ${lines.map(([title, words, path]) => html`<h3>${title}</h3>
        <${Line} text=${qcliLine(words)} />${path && html`<${Line} text=${curlLine(path)} />`}`)}
      ${token.get() && html`<p class="muted small">Both take the token from <code>QCLI_TOKEN</code>.</p>`}
    <//>`}`;
}

function Line({ text }) {
  return html`<div class="command"><pre tabindex="0" aria-label="Command">${text}</pre><${Copy} text=${text} label="Copy the command" /></div>`;
}
