// What somebody should look at, found from the figures of a queue.

import { count, duration, plural, rate } from "./format.js";
import { DEAD } from "./live.js";

const FULL_SHARE = 0.9;
const BEHIND_RATIO = 1.1;
const BEHIND_AGE_S = 30;
const UNATTENDED_AGE_S = 5;

// Each kind: how it is called, and how bad it is.
export const KINDS = {
  full: { title: "Full", level: "bad" },
  dead: { title: "Dead letters grow", level: "bad" },
  parked: { title: "Groups parked", level: "bad" },
  unattended: { title: "Nothing consumes", level: "warn" },
  behind: { title: "Falls behind", level: "warn" },
  nearlyFull: { title: "Nearly full", level: "warn" },
  paused: { title: "Paused", level: "note" },
};

// The alerts of a queue, the worst first: [{kind, text}]. `isDeadLetters` says that other queues
// send their dead letters there, so that nobody need consume it.
export function alertsOf(figures, isDeadLetters) {
  const { stats, queue, settings } = figures;
  const found = [];
  const add = (kind, text) => found.push({ kind, text, ...KINDS[kind] });

  const bytesLimit = Number(settings.bytes_limit ?? 0);
  const share = Math.max(
    figures.limit > 0 ? figures.depth / figures.limit : 0,
    bytesLimit > 0 ? figures.bytes / bytesLimit : 0,
  );
  if (share >= 1) add("full", `It holds all that its limit allows; an Add is answered by ${overflowOf(settings)}.`);
  const grown = growthOf(figures);
  if (grown > 0) add("dead", `${plural(grown, "dead letter")} in the last ${duration(spanOf(figures.samples))}.`);
  if (Number(stats.groups_parked ?? 0) > 0) {
    add("parked", `${plural(stats.groups_parked, "group")} stopped after a message of theirs had failed too often.`);
  }
  if (queue.paused) {
    add("paused", queue.paused.adds ? "It hands out nothing and takes nothing." : "It hands out nothing until it is resumed.");
  } else if (isUnattended(figures) && !isDeadLetters) {
    add("unattended", `${plural(figures.ready, "message")} ready, and nobody leases, pops or waits.`);
  } else if (isBehind(figures)) {
    add("behind", `${rate(figures.addedPerSecond)} come in a second, ${rate(figures.donePerSecond)} get done; the oldest is ${duration(figures.age)} old.`);
  }
  if (share >= FULL_SHARE && share < 1) add("nearlyFull", `${Math.floor(share * 100)} % of its limit of ${count(figures.limit)} is used.`);
  return found;
}

function overflowOf(settings) {
  if (settings.overflow === "DROP_OLDEST") return "dropping the oldest message";
  if (settings.overflow === "DEAD_LETTER_OLDEST") return "making the oldest message a dead letter";
  return "a refusal";
}

function isUnattended(figures) {
  return (
    figures.ready > 0 && figures.leased === 0 && figures.waiting === 0 && figures.donePerSecond === 0 &&
    (figures.age ?? 0) >= UNATTENDED_AGE_S
  );
}

function isBehind(figures) {
  return (
    figures.ready > 0 && (figures.age ?? 0) >= BEHIND_AGE_S && figures.addedPerSecond > 0 &&
    figures.addedPerSecond > figures.donePerSecond * BEHIND_RATIO
  );
}

const spanOf = (samples) => (samples.at(-1)[0] - samples[0][0]) / 1000;

// How many dead letters a queue has made while it was looked at.
function growthOf({ samples }) {
  return samples.length > 1 ? Math.max(0, samples.at(-1)[DEAD] - samples[0][DEAD]) : 0;
}
