// Turns values into what people read.

import { h } from "./dom.js";

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATE = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

let skewMs = 0; // how far the server's clock is ahead of this browser's

/** Learn the server's time from the header Date of an answer; a difference of a few seconds is the way's, not the clock's. */
export function setClock(header) {
  const ms = Date.parse(header ?? "") - Date.now();
  if (!Number.isNaN(ms)) skewMs = Math.abs(ms) < 5000 ? 0 : ms;
}

/** The time by the server's clock, in milliseconds. */
export function now() {
  return Date.now() + skewMs;
}

/** "5 min ago" */
export function ago(iso) {
  if (!iso) return "–";
  const seconds = Math.round((Date.parse(iso) - now()) / 1000);
  if (Math.abs(seconds) < 5) return "now";
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  return RELATIVE.format(Math.round(seconds / size), unit);
}

/** "14:03:07", in the reader's zone */
export function clock(iso) {
  return iso ? CLOCK.format(new Date(iso)) : "–";
}

/** "8 Jan 2026, 14:03:07" */
export function date(iso) {
  return iso ? DATE.format(new Date(iso)) : "–";
}

/** An element that says how long ago, keeps itself right, and tells the exact time on hover. */
export function when(iso) {
  if (!iso) return h("span", null, "–");
  return h("time", { datetime: iso, title: date(iso), dataset: { ago: "" } }, ago(iso));
}

/** Milliseconds as "3.2 ms", "1.4 s", "2 min 5 s", "3 h 2 min" */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 100) return `${trim(ms.toFixed(1))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${trim((ms / 1000).toFixed(1))} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** How long a task took by the clock, and how much of that was work: "2 min 5 s, 1.4 s of it work" */
export function took({ elapsedTime = null, executionTime = null }) {
  if (executionTime === null) return elapsedTime === null ? "" : duration(elapsedTime);
  return elapsedTime === null ? `${duration(executionTime)} of work` : `${duration(elapsedTime)}, ${duration(executionTime)} of it work`;
}

function trim(text) {
  return text.replace(/\.0$/, "");
}

/** "12,345.6" */
export function number(n) {
  return n === null || n === undefined ? "–" : NUMBER.format(n);
}

/** "$0.0042" */
export function money(usd) {
  if (usd === null || usd === undefined) return "–";
  return `$${usd === 0 || usd >= 1 ? usd.toFixed(2) : Number(usd.toPrecision(2))}`;
}

/** "1.4 MB" */
export function bytes(n) {
  if (n < 1000) return `${n} B`;
  return n < 1_000_000 ? `${trim((n / 1000).toFixed(1))} kB` : `${trim((n / 1_000_000).toFixed(1))} MB`;
}

/** The beginning of a text on one line, in whole characters. */
export function short(text, n = 120) {
  const line = String(text ?? "").slice(0, n * 4).replace(/\s+/g, " ").trim();
  const characters = Array.from(line);
  return characters.length > n ? `${characters.slice(0, n - 1).join("")}…` : line;
}

/** A JSON value as text; a string stays as it is. */
export function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value ?? null, null, 2);
}

/** A status as a sign and a word, so that colour is not all there is. */
export function statusBadge(status) {
  return h("span", { class: `badge badge-${status}`, dataset: { status } }, h("span", { class: "badge-sign", "aria-hidden": "true" }), status);
}
