// The console: which page is shown at which address.

import { AccessPage } from "./access.js";
import { condition } from "./condition.js";
import { DeadLetters } from "./dead_letters.js";
import { html, render, useEffect } from "./html.js";
import { Overview } from "./overview.js";
import { PAGES } from "./pages.js";
import { Empty } from "./parts.js";
import { QueuePage } from "./queue.js";
import { route } from "./router.js";
import { SchedulesPage } from "./schedules.js";
import { ServerPage } from "./server.js";
import { Shell } from "./shell.js";
import { useSignal } from "./signal.js";
import { applyTheme } from "./theme.js";

function pageAt([name = "queues", id, tab], step) {
  if (name === "queues" && id) return html`<${QueuePage} key=${id} id=${id} tab=${tab ?? "now"} />`;
  if (name === "queues") return html`<${Overview} key=${step} />`;
  if (name === "dead-letters") return html`<${DeadLetters} key=${id} id=${id} />`;
  if (name === "schedules") return html`<${SchedulesPage} />`;
  if (name === "server") return html`<${ServerPage} />`;
  if (name === "access") return html`<${AccessPage} />`;
  return html`<${Empty} title="There is no such page">The <a href="#/">queues</a> are a good place to start.<//>`;
}

const LOOK_MS = 15_000;

function Console() {
  const { path, step } = useSignal(route);
  // What warns is told on every page.
  useEffect(() => condition.watch(LOOK_MS), []);
  useEffect(() => {
    scrollTo(0, 0);
    // Where the link was that was followed, there is nothing any more: who has no mouse goes on here.
    if (step > 1 && document.activeElement === document.body) document.getElementById("main").focus({ preventScroll: true });
    if (path[0] !== "queues" || !path[1]) document.title = `${PAGES.find((page) => page.name === (path[0] ?? "queues"))?.title ?? "Console"} · q`;
  }, [path.join("/")]);
  return html`<${Shell} current=${path[0] ?? "queues"}>${pageAt(path, step)}<//>`;
}

applyTheme();
const root = document.getElementById("root");
root.replaceChildren();
render(html`<${Console} />`, root);
