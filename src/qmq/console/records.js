// Messages as lines of JSON, as `qcli browse -o jsonl` prints them and `qcli add --jsonl` takes them.

import { number, seconds } from "./format.js";
import { bytesOf } from "./payload.js";

// Of text, all that is in it.
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// A message of a page of Browse as one flat object; what says nothing is left out.
export function recordOf({ message, state, age, delivery_count: deliveries, consumer, until }) {
  const { dedup_id, ...options } = message.options ?? {};
  return {
    id: message.meta.id, state, age_s: seconds(age) ?? 0, delivery_count: number(deliveries),
    ...(consumer && { consumer }), ...(until && { until }),
    created: message.meta.created, tags: tagsOf(message.meta.tags ?? []), ...contentOf(message.payload ?? ""),
    ...(Object.keys(options).length && { options }), ...(dedup_id && { dedup_id }),
    ...(message.dead_letter && { dead_letter: message.dead_letter }), ...(message.attempts && { attempts: message.attempts }),
  };
}

// The value of each key, or a list of them where there are several.
function tagsOf(tags) {
  const values = new Map();
  for (const { key = "", value = "" } of tags) values.set(key, [...(values.get(key) ?? []), value]);
  return Object.fromEntries([...values].map(([key, each]) => [key, each.length === 1 ? each[0] : each]));
}

function contentOf(base64) {
  try {
    return { payload: DECODER.decode(bytesOf(base64)) };
  } catch {
    return { payload_base64: base64 };
  }
}

// Gives the reader messages as a file.
export function saveLines(name, messages) {
  const lines = messages.map((each) => `${JSON.stringify(recordOf(each))}\n`);
  const url = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
