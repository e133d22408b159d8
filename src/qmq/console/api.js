// Calls of q's REST API, which is served where this page comes from.

import { useEffect, useRef, useState } from "./html.js";
import { Signal } from "./signal.js";

const TIMEOUT_MS = 15_000;
const TOKEN_KEY = "q.token";
const UNAUTHENTICATED = 401;

// Relative to the page, so that the console works behind a proxy's prefix as well.
const ROOT = new URL("../", document.baseURI);

// The whole address of a path.
export const addressOf = (path) => new URL(path, ROOT);

// Whether q answers: {state: "ok" | "away" | "signin", message}.
export const connection = new Signal({ state: "ok", message: "" });

// An answer of q that says what is wrong.
export class ApiError extends Error {
  constructor(status, body) {
    super(body?.message || `q answered with HTTP ${status}`);
    this.status = status;
    this.reason = body?.details?.find((each) => each.reason)?.reason ?? "";
  }
}

// No answer at all.
export class Away extends Error {}

export const token = {
  get: () => sessionStorage.getItem(TOKEN_KEY) ?? "",
  set(value) {
    if (value) sessionStorage.setItem(TOKEN_KEY, value);
    else sessionStorage.removeItem(TOKEN_KEY);
  },
};

// Sends a request and returns the reply's JSON. Throws ApiError or Away; AbortError if `signal`
// ends the call.
/** @param {{signal?: AbortSignal, timeoutMs?: number}} [options] */
export async function call(method, path, body, options = {}) {
  const { signal, timeoutMs = TIMEOUT_MS } = options;
  /** @type {Record<string, string>} */
  const headers = {};
  if (token.get()) headers.authorization = `Bearer ${token.get()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const limit = AbortSignal.timeout(timeoutMs);
  let response;
  let text;
  try {
    response = await fetch(addressOf(path), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
      credentials: "same-origin",
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    const message = limit.aborted
      ? `q has not answered within ${timeoutMs / 1000} seconds`
      : "q cannot be reached";
    connection.value = { state: "away", message };
    throw new Away(message);
  }
  const reply = parsed(text);
  if (response.status === UNAUTHENTICATED) {
    connection.value = { state: "signin", message: reply?.message ?? "" };
    throw new ApiError(response.status, reply);
  }
  if (connection.value.state !== "ok") connection.value = { state: "ok", message: "" };
  if (!response.ok) throw new ApiError(response.status, reply);
  return reply ?? {};
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body = {}, options) => call("POST", path, body, options);
export const patch = (path, body) => call("PATCH", path, body);
export const put = (path, body) => call("PUT", path, body);
export const remove = (path, body) => call("DELETE", path, body);

// The path of something that belongs to a queue.
export const ofQueue = (id, rest = "") => `v1/queues/${encodeURIComponent(id)}${rest}`;

// A query from its parameters; those that are empty are left out.
export function query(parameters) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== "" && each !== undefined && each !== null) search.append(name, each);
    }
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

// Asks again and again while the page is looked at: {data, error, loading, reload}. What was found
// stays while there is no newer answer, so that an error does not empty the page.
export function usePoll(ask, dependencies, everyMs = 0) {
  const [state, setState] = useState({ data: null, error: null, loading: true });
  const again = useRef(() => {});
  useEffect(() => {
    const ending = new AbortController();
    let timer = 0;
    let asking = false;
    const look = async () => {
      clearTimeout(timer);
      if (asking) return;
      asking = true;
      try {
        const data = await ask(ending.signal);
        if (!ending.signal.aborted) setState({ data, error: null, loading: false });
      } catch (error) {
        if (!ending.signal.aborted) setState((old) => ({ data: old.data, error, loading: false }));
      } finally {
        asking = false;
        if (everyMs && !ending.signal.aborted) timer = setTimeout(tick, everyMs);
      }
    };
    const tick = () => {
      if (document.hidden) timer = setTimeout(tick, everyMs);
      else look();
    };
    again.current = look;
    setState({ data: null, error: null, loading: true });
    look();
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, dependencies);
  return { ...state, reload: () => again.current() };
}
