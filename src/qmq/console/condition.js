// How the server does, asked again and again: often by its own page, seldom for the others.

import { get } from "./api.js";
import { number, seconds } from "./format.js";
import { Signal } from "./signal.js";

// A q of an earlier version has no such call, by gRPC or by REST.
const UNKNOWN = new Set([404, 501]);
const FORBIDDEN = 403;
// It will not be replaced soon.
const SELDOM_MS = 60_000;
const STEPS_MAX = 180;
const CHANGES_MAX = 5;
// A step that ends so soon after another is the same one; and after so long without one, none came.
const STEP_MS_MIN = 2000;
const STEP_MS_MAX = 9000;
// An answer that has not come after so long is late.
const LATE_MS = 2500;

class Condition extends Signal {
  // What the server said last, and when; null if it never has.
  server = null;
  at = 0;
  // Why it has not answered since; null if it has.
  error = null;
  // Whether it is of a version that does not tell.
  isUnknown = false;
  // Whether the reader may not know.
  isForbidden = false;
  // Who led before whom, as long as the page is open: [{at, from, to}], the latest first.
  changes = [];
  #steps = new Map();
  #paces = [];
  #timer = 0;
  #asking = null;
  #askedAt = 0;

  constructor() {
    super(0);
  }

  // Asks as often as that for as long as somebody looks; returns what ends that.
  watch(everyMs) {
    this.#paces.push(everyMs);
    this.again();
    return () => {
      this.#paces.splice(this.#paces.indexOf(everyMs), 1);
      if (this.#paces.length) return;
      clearTimeout(this.#timer);
      this.#asking?.abort();
    };
  }

  // Asks now.
  again() {
    if (this.#asking || !this.#paces.length) return undefined;
    clearTimeout(this.#timer);
    return this.#ask();
  }

  // Those warnings that somebody should do something about.
  get worries() {
    return (this.server?.warnings ?? []).filter((each) => each.level !== "NOTE");
  }

  // Whether nothing newer is known than it should be: the server is silent, or late, as while another
  // one takes over.
  isStale(now) {
    return Boolean(this.server) && (Boolean(this.error) || (this.#asking !== null && now - this.#askedAt > LATE_MS));
  }

  // How long commits took, [{at, window, count, p50, p99, max}], of the disk or of a database. Where
  // none were told for long, there is a gap up to the last answer.
  steps(name) {
    const known = this.#steps.get(name) ?? [];
    if (!known.length || this.at - known.at(-1).at < STEP_MS_MAX) return known;
    return [...known, { at: this.at, window: NaN, count: NaN, p50: NaN, p99: NaN, max: NaN }];
  }

  async #ask() {
    const ending = (this.#asking = new AbortController());
    this.#askedAt = Date.now();
    try {
      this.#take((await get("v1/server", { signal: ending.signal })).server);
    } catch (error) {
      if (!ending.signal.aborted) {
        this.error = error;
        this.isUnknown = UNKNOWN.has(error.status);
        this.isForbidden = error.status === FORBIDDEN;
      }
    }
    this.#asking = null;
    this.notify();
    this.#wait();
  }

  #wait() {
    // Who may not know is not told later either, and each refusal is one more in q's audit log.
    if (!this.#paces.length || this.isForbidden) return;
    const pace = this.isUnknown ? SELDOM_MS : Math.min(...this.#paces);
    this.#timer = setTimeout(() => (document.hidden ? this.#wait() : this.again()), pace);
  }

  #take(server) {
    const before = this.server;
    if (before?.cluster && server.role === "FOLLOWER") {
      // Nobody leads, so that nobody knows more than why: what is known is told as what was so.
      this.error = new Error(server.warnings?.[0]?.message ?? "no q leads the cluster");
      return;
    }
    this.server = server;
    this.at = Date.now();
    this.error = null;
    this.isUnknown = this.isForbidden = false;
    if (before?.cluster && before.cluster.epoch !== server.cluster?.epoch) {
      this.changes = [{ at: this.at, from: before.address, to: server.address }, ...this.changes].slice(0, CHANGES_MAX);
    }
    this.#keep("", server.disk?.commits);
    for (const each of server.cluster?.databases ?? []) this.#keep(each.name, each.commits);
  }

  // Puts what is new behind what is known: a reply holds two minutes, and a page is open for longer.
  #keep(name, commits) {
    const known = this.#steps.get(name) ?? [];
    for (const step of commits?.steps ?? []) {
      const at = Date.parse(step.ended);
      if (known.length && at - known.at(-1).at < STEP_MS_MIN) continue;
      const took = (text) => (number(step.count) ? seconds(text) : NaN);
      known.push({ at, window: seconds(step.window), count: number(step.count), p50: took(step.p50), p99: took(step.p99), max: took(step.max) });
    }
    this.#steps.set(name, known.slice(-STEPS_MAX));
  }
}

export const condition = new Condition();

export const LEVELS = { CRITICAL: "bad", WARNING: "warn", NOTE: "note" };
