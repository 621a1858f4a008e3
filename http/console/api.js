// Talks to the server: requests as JSON, and event streams over fetch (EventSource cannot send a key).
// The key is kept in the tab's session storage and goes into the header X-API-Key, nowhere else.

import { parseExactly } from "./exact.js";
import { setClock } from "./format.js";

/** The server's root, found from where this file is, so that a proxy may serve it below a path. */
export const base = new URL("../", import.meta.url);

const KEY = "callboard.key";
const SILENCE_MS = 45_000; // three heartbeats: the connection is dead, though nobody has said so
const HIDDEN_MS = 60_000;
const DECLINED_MS = 1500;
let memoryKey = "";
let askForKey = async () => false;
let asking = null;
let declinedAt = 0;
const listeners = new Set();

/** What a request came to that did not succeed; status 0: nothing answered. */
export class ApiError extends Error {
  constructor({ status, code, message, retryAfterS = null, requestId = null, details = null }) {
    super(message);
    Object.assign(this, { name: "ApiError", status, code, retryAfterS, requestId, details });
  }
}

export const key = {
  get() {
    try {
      return sessionStorage.getItem(KEY) ?? memoryKey;
    } catch {
      return memoryKey; // storage is refused: the page's memory keeps it
    }
  },
  set(value) {
    memoryKey = value;
    try {
      if (value) sessionStorage.setItem(KEY, value);
      else sessionStorage.removeItem(KEY);
    } catch {
      // as above
    }
  },
};

/** Say who asks the user for a key: an async function of an ApiError that returns whether to try again. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** Be told `true` when the server answers and `false` when nothing does. */
export function onConnection(listener) {
  listeners.add(listener);
}

export const api = {
  get: (path, query, options) => request("GET", path, { query, ...options }),
  post: (path, body, options) => request("POST", path, { body, ...options }),
  /** Return the first page of a list with the entries of all its pages. */
  whole: async (path, key, options) => {
    const first = await request("GET", path, options);
    const entries = [...first[key]];
    for (let cursor = first.nextCursor; cursor; ) {
      const page = await request("GET", path, { query: { cursor }, ...options });
      entries.push(...page[key]);
      cursor = page.nextCursor;
    }
    return { ...first, [key]: entries };
  },
  del: (path, options) => request("DELETE", path, options),
};

/** Return the address of a path with a query; what is null or empty is left out, an array is joined by commas. */
export function address(path, query) {
  const url = new URL(path.replace(/^\//, ""), base);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === null || value === undefined || value === "") continue;
    url.searchParams.set(name, Array.isArray(value) ? value.join(",") : String(value));
  }
  return url;
}

/** A random name for a request. `crypto.randomUUID` is missing where the page came over plain HTTP from elsewhere. */
export function freshKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");
}

async function request(method, path, { query, body, headers, signal, exact = false } = {}) {
  for (;;) {
    const sent = { Accept: "application/json", ...headers };
    if (body !== undefined) sent["Content-Type"] = "application/json";
    const response = await send(address(path, query), {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
    if (response.ok || (path === "/health" && response.status === 503)) return parsed(response, exact);
    const error = await errorOf(response);
    if (!isAboutKey(error) || !(await haveKey(error))) throw error;
  }
}

async function send(url, options) {
  const used = key.get();
  const headers = used ? { ...options.headers, "X-API-Key": used } : options.headers;
  try {
    const response = await fetch(url, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
    setClock(response.headers.get("Date"));
    response.usedKey = used;
    tell(response.status !== 502 && response.status !== 504); // those are a proxy's, which does not reach it either
    return response;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    tell(false);
    throw new ApiError({ status: 0, code: "unreachable", message: "The server does not answer." });
  }
}

function tell(reached) {
  for (const listener of listeners) listener(reached);
}

async function parsed(response, exact) {
  if (response.status === 204) return null;
  try {
    return parseExactly(await response.text(), { all: exact });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ status: response.status, code: "bad_reply", message: "The server's answer is not JSON." });
  }
}

async function errorOf(response) {
  let body = {};
  try {
    body = (await response.json()) ?? {};
  } catch {
    // not ours, such as a proxy's
  }
  const error = (facts) => Object.assign(new ApiError(facts), { usedKey: response.usedKey });
  const waits = Number(body.retryAfter ?? response.headers.get("Retry-After"));
  return error({
    status: response.status,
    code: body.code ?? `http_${response.status}`,
    message: body.message ?? `The server answered ${response.status}.`,
    retryAfterS: waits > 0 ? waits : null,
    requestId: body.requestId ?? response.headers.get("X-Request-Id"),
    details: body.details ?? null,
  });
}

function isAboutKey(error) {
  return error.code === "api_key_required" || error.code === "api_key_invalid";
}

// What somebody presses after a "no" may ask again at once.
addEventListener("click", () => {
  declinedAt = 0;
}, { capture: true });

/** Ask the user once, however many requests are refused together; a "no" holds for those that follow on its heels. */
async function haveKey(error) {
  if (error.usedKey !== key.get()) return true; // it was refused with the key before the present one
  if (Date.now() - declinedAt < DECLINED_MS) {
    declinedAt = Date.now();
    return false;
  }
  asking ??= askForKey(error).finally(() => {
    asking = null;
  });
  const given = await asking;
  if (!given) declinedAt = Date.now();
  return given;
}

/**
 * Follow an event stream until it ends or `signal` is aborted, reconnecting where it was lost without a gap.
 * `onEvent(event, id)` for each event, `onEnd(result)` for the end of a task, `onState("live" | "lost" | "ended")`.
 * `after`: the id to begin behind. Throws ApiError where trying again is no use. While the tab is hidden for long the
 * connection is given back, since a browser has only six for one server.
 */
export async function follow(path, { query, after, signal, onEvent, onEnd = () => {}, onState = () => {} }) {
  const stream = { id: after === undefined || after === null ? "" : String(after), retryMs: 1000, ended: false, failures: 0 };
  while (!signal.aborted && !stream.ended) {
    let waitMs = null;
    try {
      await readOnce(path, query, stream, { signal, onEvent, onEnd, onState });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) {
        if (isAboutKey(error)) {
          if (await haveKey(error)) continue;
          throw error;
        }
        if (![0, 408, 429, 500, 502, 503, 504].includes(error.status)) throw error;
        waitMs = error.retryAfterS === null ? null : error.retryAfterS * 1000;
      } else if (error?.name !== "AbortError" && !(error instanceof TypeError)) throw error;
    }
    if (stream.ended || signal.aborted) return;
    if (!document.hidden) onState("lost");
    stream.failures += 1;
    await pause(waitMs ?? Math.min(10_000, (stream.retryMs / 2) * 2 ** Math.min(stream.failures, 6)), signal);
  }
}

async function readOnce(path, query, stream, { signal, onEvent, onEnd, onState }) {
  const connection = new AbortController();
  const close = () => connection.abort();
  let silence = 0;
  let hidden = 0;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(close, SILENCE_MS);
  };
  const looked = () => {
    clearTimeout(hidden);
    if (document.hidden) hidden = setTimeout(close, HIDDEN_MS);
  };
  signal.addEventListener("abort", close);
  document.addEventListener("visibilitychange", looked);
  heard();
  looked();
  try {
    const headers = { Accept: "text/event-stream" };
    if (stream.id) headers["Last-Event-ID"] = stream.id;
    const response = await send(address(path, query), { headers, signal: connection.signal });
    if (response.status === 204) return ended(stream, onState);
    if (!response.ok) throw await errorOf(response);
    onState("live");
    const take = parser(stream, guarded(onEvent), (result) => {
      guarded(onEnd)(result);
      ended(stream, onState);
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || stream.ended) return;
      heard();
      stream.failures = 0;
      take(value);
    }
  } finally {
    clearTimeout(silence);
    clearTimeout(hidden);
    signal.removeEventListener("abort", close);
    document.removeEventListener("visibilitychange", looked);
    connection.abort();
  }
}

/** A page that fails over one event must neither stop the stream nor look like a lost connection. */
function guarded(call) {
  return (...given) => {
    try {
      call(...given);
    } catch (error) {
      reportError(error);
    }
  };
}

function ended(stream, onState) {
  stream.ended = true;
  onState("ended");
}

/** Return a function that takes pieces of a stream, as the standard of Server-Sent Events reads them. */
function parser(stream, onEvent, onEnd) {
  let rest = "";
  let kind = "";
  let id = stream.id;
  let data = [];
  const line = (text) => {
    if (text === "") {
      stream.id = id;
      if (data.length && kind === "end") onEnd(parseExactly(data.join("\n")));
      else if (data.length) onEvent(parseExactly(data.join("\n")), id);
      kind = "";
      data = [];
      return;
    }
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(text);
    if (name === "data") data.push(value);
    else if (name === "id") id = value;
    else if (name === "event") kind = value;
    else if (name === "retry" && /^\d+$/.test(value)) stream.retryMs = Number(value);
  };
  return (piece) => {
    const lines = (rest + piece).split(/\r\n|\n/);
    rest = lines.pop();
    for (const one of lines) line(one);
  };
}

/** Wait, but no longer than until the network or the reader is back; while the tab is hidden, until it is seen. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      window.removeEventListener("online", done);
      document.removeEventListener("visibilitychange", seen);
      resolve();
    };
    const seen = () => document.hidden || done();
    const timer = document.hidden ? 0 : setTimeout(done, ms);
    signal.addEventListener("abort", done);
    window.addEventListener("online", done);
    document.addEventListener("visibilitychange", seen);
  });
}
