// Values as people read them.

const SHORT_FROM = 1_000_000;
/** @type {[number, string][]} */
const SHORT_UNITS = [[1e12, "T"], [1e9, "B"], [1e6, "M"]];

const UNITS_S = { d: 86400, h: 3600, m: 60, min: 60, s: 1, ms: 0.001 };

// JSON has 64-bit numbers as strings, and leaves out what is 0.
export const number = (value) => Number(value ?? 0);

// Written by hand: a browser takes a tenth of a second to load what its own formats need, and a
// list of queues has many numbers.
export function count(value) {
  const n = number(value);
  if (Math.abs(n) < SHORT_FROM) return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
  const [unit, name] = SHORT_UNITS.find(([each]) => Math.abs(n) >= each);
  return `${Number((n / unit).toFixed(1))}${name}`;
}

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${number(value) === 1 ? one : many}`;

export function rate(value) {
  const n = number(value);
  if (n === 0) return "0";
  if (n < 0.1) return "< 0.1";
  return n < 10 ? n.toFixed(1) : count(n);
}

export function bytes(value) {
  let n = number(value);
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (n < 1024 || unit === "TiB") return `${n < 10 && unit !== "B" ? n.toFixed(1) : Math.round(n)} ${unit}`;
    n /= 1024;
  }
  return "";
}

// Seconds of a Duration as JSON has it, such as "1.5s"; undefined stays so.
export const seconds = (text) => (text === undefined || text === null ? undefined : parseFloat(text));

// A Duration as people read it, from seconds.
export function duration(value) {
  if (value === undefined || Number.isNaN(value)) return "–";
  const s = Math.abs(value);
  if (s === 0) return "0 s";
  if (s < 0.001) return "< 1 ms";
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 60) return `${s < 10 && s % 1 >= 0.05 ? s.toFixed(1) : Math.floor(s)} s`;
  if (s < 3600) return parts(s, 60, "min", 1, "s");
  if (s < 86400) return parts(s, 3600, "h", 60, "min");
  return parts(s, 86400, "d", 3600, "h");
}

// How long something took that takes milliseconds, from seconds.
export function took(value) {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0 ms";
  if (value < 0.1) return `${Number((value * 1000).toPrecision(2))} ms`;
  return value < 1 ? `${Math.round(value * 1000)} ms` : duration(value);
}

// The same in one unit, where there is little room.
export function briefly(value) {
  return duration(value).replace(/^(\d+ (?:min|h|d)) .*/, "$1");
}

function parts(s, large, largeName, small, smallName) {
  const rest = Math.floor((s % large) / small);
  return `${Math.floor(s / large)} ${largeName}${rest ? ` ${rest} ${smallName}` : ""}`;
}

// What a person writes for a Duration: "30", "30s", "1h 30m"; as JSON has it. Throws what is wrong.
export function toDuration(text) {
  const compact = text.trim().replace(/\s+/g, "");
  if (/^\d+(\.\d+)?$/.test(compact)) return `${Number(compact)}s`;
  if (!/^(\d+(\.\d+)?(ms|min|d|h|m|s))+$/.test(compact)) {
    throw new Error(`“${text}” is no duration; write it like 30s, 5m or 1h30m`);
  }
  let sum = 0;
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|min|d|h|m|s)/g)) {
    sum += Number(amount) * UNITS_S[unit];
  }
  return `${Number(sum.toFixed(9))}s`;
}

// A Duration as a person would write it: the inverse of toDuration.
export function fromDuration(text) {
  let left = seconds(text) ?? 0;
  if (left === 0) return "0s";
  if (left < 1) return `${Number((left * 1000).toFixed(6))}ms`;
  let found = "";
  for (const unit of ["d", "h", "m"]) {
    const whole = Math.floor(left / UNITS_S[unit]);
    if (whole) found += `${whole}${unit}`;
    left -= whole * UNITS_S[unit];
  }
  return left > 1e-9 ? `${found}${Number(left.toFixed(6))}s` : found;
}

let clock;
let day;

// A moment in the reader's own zone; the day is left out if it is today.
export function moment(iso) {
  if (!iso) return "–";
  clock ??= new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  day ??= new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
  const at = new Date(iso);
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`;
}

export function ago(iso, now = Date.now()) {
  if (!iso) return "–";
  const s = (now - new Date(iso).getTime()) / 1000;
  return s >= 0 ? `${duration(s)} ago` : `in ${duration(-s)}`;
}

export const titleOf = (queue) => queue?.name || queue?.meta?.id || "";

export const shortId = (id) => id?.slice(0, 8) ?? "";

// "KEY=value", or the key alone.
export const tagText = (tag) => (tag.value ? `${tag.key ?? ""}=${tag.value}` : (tag.key ?? ""));

// What a person writes for a tag; the inverse of tagText.
export function toTag(text) {
  const [, key, value] = /^([^=]*)=?(.*)$/s.exec(text);
  return { key, value };
}

const WHY_DEAD = {
  REJECTED: "rejected", DELIVERY_COUNT_MAX: "delivered too often", EXPIRED: "of no use any more", OVERFLOW: "pushed out of a full queue", SKIPPED: "taken out of its group",
};

// Why a message is a dead letter.
export const whyDead = (reason) => WHY_DEAD[reason] ?? words(reason);

// "GAVE_UP" as words.
export const words = (name) => (name ?? "").toLowerCase().replaceAll("_", " ");
