// All queues and what they hold, fetched page by page again and again while somebody looks.
//
// Each round costs q some time, so that a round is followed by a pause of several times its length:
// few queues are looked at every two seconds, ten thousand less often. Those that the reader sees
// are then looked at one by one in between.

import { get, ofQueue, query } from "./api.js";
import { number, seconds } from "./format.js";
import { Signal } from "./signal.js";

// The first page is soon there, and none holds up q's other callers for long: 10 ms.
const PAGE_SIZE_FIRST = 60;
const PAGE_SIZE = 1000;
const DRAW_MS = 350;
const PAUSE_MS_MIN = 2000;
const PAUSE_PER_ROUND = 16;
const SAMPLES_MAX = 60;
const SEEN_MAX = 40;

// A queue's figures as numbers. Settings that are as by default may be missing: see `brief` of Stats.
export function figuresOf(stats) {
  const settings = stats.queue.settings ?? {};
  return {
    id: stats.queue.meta.id,
    name: stats.queue.name ?? "",
    queue: stats.queue,
    settings,
    stats,
    ready: number(stats.ready),
    leased: number(stats.leased),
    delayed: number(stats.delayed),
    depth: number(stats.ready) + number(stats.leased) + number(stats.delayed),
    bytes: number(stats.bytes),
    limit: number(stats.limit),
    waiting: number(stats.waiting),
    age: seconds(stats.oldest_age),
    addedPerSecond: number(stats.added_per_second),
    donePerSecond: number(stats.done_per_second),
    enqueued: number(stats.enqueued_total),
    done: number(stats.consumed_total) + number(stats.acked_total),
    dead: number(stats.dead_lettered_total),
  };
}

// One look at a queue: [ms, depth, added so far, done so far, dead letters so far].
function sampleOf(figures, at) {
  return [at, figures.depth, figures.enqueued, figures.done, figures.dead];
}

class Live extends Signal {
  byId = new Map();
  // Another each time that something was seen.
  version = 0;
  // Whether every queue has been seen, and when the last round ended.
  complete = false;
  error = null;
  endedAt = 0;
  roundMs = 0;
  // Ids of queues that are some queue's dead-letter queue.
  deadLetterIds = new Set();
  #watchers = 0;
  #timer = 0;
  #visible = [];
  #ending = null;

  constructor() {
    super(0);
  }

  // Looks at the queues for as long as somebody does; returns what ends that.
  watch() {
    this.#watchers += 1;
    if (this.#watchers === 1) {
      if (Date.now() - this.endedAt < PAUSE_MS_MIN) this.#pause(this.#pauseMs);
      else this.#round();
    }
    return () => {
      this.#watchers -= 1;
      if (this.#watchers === 0) {
        clearTimeout(this.#timer);
        this.#ending?.abort();
      }
    };
  }

  // Tells which queues the reader sees.
  see(ids) {
    this.#visible = ids.slice(0, SEEN_MAX);
  }

  // Looks at all queues now.
  again() {
    if (this.#watchers && !this.#ending) {
      clearTimeout(this.#timer);
      this.#round();
    }
  }

  take(stats, at = Date.now()) {
    const figures = figuresOf(stats);
    const samples = this.byId.get(figures.id)?.samples ?? [];
    samples.push(sampleOf(figures, at));
    if (samples.length > SAMPLES_MAX) samples.shift();
    figures.samples = samples;
    this.byId.set(figures.id, figures);
    return figures;
  }

  notify() {
    this.version += 1;
    super.notify();
  }

  forget(id) {
    this.byId.delete(id);
    this.notify();
  }

  get #pauseMs() {
    return Math.max(PAUSE_MS_MIN, this.roundMs * PAUSE_PER_ROUND);
  }

  async #round() {
    const ending = (this.#ending = new AbortController());
    const began = performance.now();
    try {
      await this.#fetchAll(ending.signal);
      this.error = null;
      this.complete = true;
      this.endedAt = Date.now();
      this.roundMs = performance.now() - began;
    } catch (error) {
      if (!ending.signal.aborted) this.error = error;
    }
    this.#ending = null;
    this.notify();
    if (this.#watchers) this.#pause(this.#pauseMs);
  }

  async #fetchAll(signal) {
    const found = new Set();
    const deadLetterIds = new Set();
    const page = (pageSize, pageToken) => get(`v1/stats${query({ page_size: pageSize, page_token: pageToken, brief: true })}`, { signal });
    let drawnAt = -DRAW_MS;
    let next = page(this.complete ? PAGE_SIZE : PAGE_SIZE_FIRST, "");
    while (next) {
      const reply = await next;
      // Asked for before this page is looked at, so that q and the browser work at the same time.
      next = reply.next_page_token ? page(PAGE_SIZE, reply.next_page_token) : null;
      // If this one fails before it is waited for, that is told when it is.
      next?.catch(() => {});
      const at = Date.now();
      for (const stats of reply.queues ?? []) {
        const figures = this.take(stats, at);
        found.add(figures.id);
        if (figures.settings.dead_letter_queue_id) deadLetterIds.add(figures.settings.dead_letter_queue_id);
      }
      if (!this.complete && performance.now() - drawnAt >= DRAW_MS) {
        drawnAt = performance.now();
        this.notify();
      }
    }
    for (const id of this.byId.keys()) if (!found.has(id)) this.byId.delete(id);
    this.deadLetterIds = deadLetterIds;
  }

  #pause(leftMs) {
    const now = Math.min(leftMs, PAUSE_MS_MIN);
    this.#timer = setTimeout(async () => {
      if (!this.#watchers) return;
      if (document.hidden) this.#pause(leftMs);
      else if (leftMs <= PAUSE_MS_MIN) this.#round();
      else {
        await this.#lookAtVisible();
        this.#pause(leftMs - PAUSE_MS_MIN);
      }
    }, now);
  }

  async #lookAtVisible() {
    await Promise.allSettled(
      this.#visible.map(async (id) => {
        const reply = await get(ofQueue(id, "/stats"));
        if (reply.queues?.[0]) this.take(reply.queues[0]);
      }),
    );
    this.notify();
  }
}

export const live = new Live();

// The fields of a sample.
export const AT = 0;
export const DEPTH = 1;
export const ADDED = 2;
export const DONE = 3;
export const DEAD = 4;

// How many a second a counter has grown from one sample to the next. One that has shrunk began
// anew with the server.
export function ratesOf(samples, field) {
  const found = [];
  for (let i = 1; i < samples.length; i += 1) {
    const grown = samples[i][field] - samples[i - 1][field];
    const elapsed = (samples[i][AT] - samples[i - 1][AT]) / 1000;
    found.push(elapsed > 0 ? Math.max(0, grown) / elapsed : 0);
  }
  return found;
}
