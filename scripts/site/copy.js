// Gives each block of code a button that copies it. Of a session in a terminal, only what was
// typed is copied: what stands behind `$ `.
"use strict";

const SHOWN_MS = 1500;

function typed(text) {
  const commands = text.split("\n").filter((line) => line.startsWith("$ "));
  return commands.length ? commands.map((line) => `${line.slice(2)}\n`).join("") : text;
}

for (const pre of document.querySelectorAll(".highlight pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "q-copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(typed(pre.textContent));
      button.textContent = "Copied";
    } catch {
      // Where the browser does not allow it, Ctrl-C does.
      getSelection().selectAllChildren(pre);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), SHOWN_MS);
  });
  pre.parentElement.append(button);
}
