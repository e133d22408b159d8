// How long commits take, which every call that changes something waits for.

import { Chart } from "./chart.js";
import { condition } from "./condition.js";
import { count, rate, seconds, took } from "./format.js";
import { html } from "./html.js";

// `name` is a database, or empty for the disk.
export function CommitCharts({ name, commits }) {
  const steps = condition.steps(name);
  const times = steps.map((step) => step.at);
  const line = (title, tone, of) => ({ name: title, tone, values: steps.map(of) });
  return html`<div class="commits"><div class="charts">
    <${Chart} title="A commit takes" times=${times} format=${took} empty="The first figures come within seconds."
      series=${[line("half", "ready", (step) => step.p50), line("99 of 100", "leased", (step) => step.p99), line("longest", "age", (step) => step.max)]} />
    <${Chart} title="Commits a second" times=${times} format=${rate} empty="The first figures come within seconds."
      series=${[line("commits", "done", (step) => step.count / step.window)]} />
  </div>
  <p class="muted small">${Number(commits?.count ?? 0)
    ? `In the last ${Math.round(seconds(commits.window))} s: ${count(commits.count)} commits; half took ${took(seconds(commits.p50))} at most, 99 of 100 ${took(seconds(commits.p99))}, the longest ${took(seconds(commits.max))}.`
    : "No commits in the last minute."} Each makes durable what many calls have changed.</p></div>`;
}
