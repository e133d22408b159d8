// Where the reader is: "#/queues/ID/messages?state=READY" as {path: ["queues", ...], query, step}.
// `step` is another number each time that the reader goes somewhere: what begins with the query is
// made anew then.

import { Signal } from "./signal.js";

let step = 0;

function read() {
  step += 1;
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return {
    path: path.split("/").filter(Boolean).map(decodeURIComponent),
    query: Object.fromEntries(new URLSearchParams(search)),
    step,
  };
}

export const route = new Signal(read());

addEventListener("hashchange", () => {
  route.value = read();
});

// The address of a page of the console.
export function linkTo(...path) {
  return `#/${path.map(encodeURIComponent).join("/")}`;
}

// Keeps what a page shows in its address, without a step in the history.
export function keepInAddress(values) {
  const search = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  const [path] = location.hash.split("?");
  history.replaceState(null, "", `${path || "#/"}${search.size ? `?${search}` : ""}`);
  route.value.query = Object.fromEntries(search);
}

export function go(...path) {
  location.hash = linkTo(...path);
}
