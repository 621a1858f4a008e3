// What several pages are made of.

import { h, replace, text } from "./dom.js";
import { number, short, shown } from "./format.js";
import { icon } from "./icons.js";
import { announce } from "./shell.js";

/**
 * A table: `columns` are {title, cell(row) → node or text, number, class, hidden}, `rows` any values. Options:
 * `caption` (for screen readers), `rowClass(row)`. On a phone each row is a card. The tbody is `.body` of what is returned.
 */
export function table(columns, rows, { caption = null, rowClass = null } = {}) {
  const head = columns.map((one) =>
    h("th", { scope: "col", class: cellClass(one) }, one.hidden ? h("span", { class: "visually-hidden" }, one.title) : one.title),
  );
  const body = h("tbody", null, rows.map((row) => tableRow(columns, row, rowClass?.(row))));
  const made = h("table", null, caption && h("caption", { class: "visually-hidden" }, caption), h("thead", null, h("tr", null, head)), body);
  const wrap = h("div", { class: "table-wrap" }, made);
  wrap.body = body;
  new ResizeObserver(() => reachable(wrap, caption)).observe(wrap);
  return wrap;
}

/** What scrolls has to be reached by the keyboard (axe: scrollable-region-focusable); what does not is no stop on its way. */
function reachable(wrap, label) {
  const scrolls = wrap.scrollWidth > wrap.clientWidth || wrap.scrollHeight > wrap.clientHeight;
  if (!scrolls || wrap.hasAttribute("tabindex")) return;
  wrap.tabIndex = 0;
  if (label) {
    wrap.setAttribute("role", "region");
    wrap.setAttribute("aria-label", label);
  }
}

/** One row of such a table. */
export function tableRow(columns, row, className = null) {
  return h("tr", { class: className }, columns.map((one) => h("td", { class: cellClass(one), dataset: { label: one.title } }, one.cell(row))));
}

function cellClass(column) {
  return [column.number && "number", column.class].filter(Boolean).join(" ") || null;
}

/** Say that there is nothing, and what to do about it. */
export function empty(message, ...more) {
  return h("div", { class: "empty" }, h("p", null, message), more.length ? h("p", null, more) : null);
}

/** Say what is wrong or could not be loaded, in sentences that the server has; nothing where all is well. */
export function problemList(problems) {
  if (!problems?.length) return null;
  const items = problems.map((one) => h("li", { dir: "auto" }, one));
  return h("section", { class: "section", "aria-label": "Problems" }, h("h2", null, "Problems"), h("ul", { class: "problems" }, items));
}

/** Say that something is on its way. */
export function loading(message = "Loading…") {
  return h("p", { class: "loading", role: "status" }, message);
}

/**
 * An error as a sentence, with its code, the request's id and a button to try again. `byItself`, for what only reads: where
 * nothing answered, it is tried again as soon as the server is back.
 */
export function failure(error, retry = null, { byItself = false } = {}) {
  const facts = [error?.code, error?.requestId && `request ${error.requestId}`].filter(Boolean).join(" · ");
  const made = h(
    "div",
    { class: "failure", role: "alert" },
    h("p", { dir: "auto" }, failureText(error)),
    facts && h("p", { class: "failure-facts" }, facts),
    retry && h("button", { type: "button", onclick: () => retry() }, icon("retry"), "Try again"),
  );
  if (byItself && error?.status === 0) addEventListener("online", () => made.isConnected && retry(), { once: true });
  return made;
}

/** The sentence alone. */
export function failureText(error) {
  const message = error?.message || "Something went wrong.";
  if (error?.status === 0) return `${message} It may be restarting; nothing that was accepted is lost.`;
  if (error?.status !== 429 && error?.status !== 503) return message;
  const at = error.retryAfterS ? new Date(Date.now() + error.retryAfterS * 1000).toLocaleTimeString("en-GB") : null;
  return at ? `${message} Come back at ${at}.` : message;
}

/**
 * The foot of a list: `older`, a function that fetches more or null at the end, and `newer` likewise; `note` beside them.
 */
export function pager({ older = null, newer = null, note = null, olderLabel = "Older", newerLabel = "Newer" }) {
  if (!older && !newer && !note) return null;
  const button = (label, act) =>
    h("button", { type: "button", disabled: !act, onclick: async (event) => {
      event.currentTarget.disabled = true;
      await act();
    } }, label);
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages of the list" },
    note && h("span", { class: "quiet-text" }, note),
    (older || newer) && h("span", { class: "pager-buttons" }, button(newerLabel, newer), button(olderLabel, older)),
  );
}

/** A button that copies a text, or what a function returns. */
export function copyButton(source, label = "Copy") {
  const word = h("span", null, label);
  const copy = async () => {
    const copied = await toClipboard(typeof source === "function" ? source() : source);
    word.textContent = copied ? "Copied" : "Select and copy it by hand";
    announce(word.textContent);
    setTimeout(() => {
      word.textContent = label;
    }, 2000);
  };
  return h("button", { type: "button", class: "small", onclick: copy }, icon("copy"), word);
}

async function toClipboard(value) {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    // Over plain HTTP from elsewhere there is no clipboard; a selection still can be copied.
    const area = h("textarea", { class: "visually-hidden", "aria-hidden": "true" }, value);
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

let dialogs = 0;

/**
 * Open a dialog; resolves to the `value` of the action that was taken, "cancel" when it was closed otherwise.
 * `actions`: {label, value, submit, danger, plain}. `check(value)`: called for a submitting action; what it returns, a
 * sentence, is shown and keeps the dialog open. It may be async.
 */
export function dialog({ title, body, actions, check = null }) {
  const id = `dialog-${(dialogs += 1)}`;
  const complaint = h("p", { class: "error-text", role: "alert", dir: "auto" });
  const before = document.activeElement;
  return new Promise((resolve) => {
    let answer = "cancel";
    const take = async (action) => {
      const wrong = action.submit && check ? await check(action.value) : null;
      if (wrong) return replace(complaint, wrong);
      answer = action.value;
      return box.close();
    };
    const submit = (event) => {
      event.preventDefault();
      const action = actions.find((one) => one.value === event.submitter?.value) ?? actions.find((one) => one.submit);
      take(action);
    };
    const buttons = actions.map((one) =>
      h("button", {
        type: one.submit ? "submit" : "button",
        value: one.value,
        class: one.danger ? "danger" : one.submit && !one.plain ? "primary" : null,
        onclick: one.submit ? null : () => take(one),
      }, one.label),
    );
    const form = h("form", { onsubmit: submit }, h("h2", { id }, title), body, complaint, h("div", { class: "dialog-actions" }, buttons));
    const box = h("dialog", { "aria-labelledby": id }, form);
    box.addEventListener("close", () => {
      box.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(box.returnValue === "left" ? "cancel" : answer);
    });
    document.body.append(box);
    box.showModal();
    (box.querySelector("input, textarea, select") ?? box.querySelector("button[type=submit]"))?.focus();
  });
}

/** Ask whether to do something; resolves to true or false. */
export async function confirmDialog({ title, message, confirm = "Confirm", keep = "Cancel", danger = false }) {
  const body = h("p", { dir: "auto" }, message);
  const actions = [{ label: keep, value: "cancel", plain: true }, { label: confirm, value: "yes", submit: true, danger }];
  return (await dialog({ title, body, actions })) === "yes";
}

let fields = 0;

/** A control with its label above and a hint below. */
export function field(label, control, hint = null, className = null) {
  const id = control.id || `field-${(fields += 1)}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return h(
    "div",
    { class: ["field", className].filter(Boolean).join(" ") },
    h("label", { for: id }, label),
    control,
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
  );
}

/** A select of [value, label] pairs, or plain values. */
export function select(options, value, attributes = null) {
  const made = options.map((one) => {
    const [each, label] = Array.isArray(one) ? one : [one, one];
    return h("option", { value: each }, label);
  });
  return h("select", { ...attributes, value }, made);
}

/** Something that can be opened. */
export function details(summary, content, { open = false, className = null } = {}) {
  return h("details", { class: className, open }, h("summary", null, summary), content);
}

/** A long text, cut until it is asked for; line breaks stay, and it can be told from its surroundings. */
export function longText(value, { limit = 1200, className = "long-text" } = {}) {
  const whole = String(value ?? "");
  if (whole.length <= limit && whole.split("\n").length <= 24) return h("div", { class: className, dir: "auto" }, whole);
  return collapsible(whole, limit, (part) => h("div", { class: className, dir: "auto" }, part));
}

const TAIL = 30_000;

/** The end of a text that is being written, in whole characters. */
export function tail(whole) {
  return whole.length <= TAIL ? whole : `…${whole.slice(-TAIL).replace(/^[\uDC00-\uDFFF]/, "")}`;
}

/** The same for text in which each character has its width, or for a JSON value. */
export function block(value, { limit = 2000, render = null, dir = "auto" } = {}) {
  const whole = shown(value);
  const make = (part) => h("pre", { class: "block", dir, tabindex: "0" }, h("code", null, render ? render(part) : part));
  return limit === Infinity || (whole.length <= limit && whole.split("\n").length <= 40) ? make(whole) : collapsible(whole, limit, make);
}

function collapsible(whole, limit, make) {
  const cut = whole.split("\n").slice(0, 16).join("\n").slice(0, limit);
  const part = /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut; // no half of a character
  const holder = h("div", { class: "collapsible" });
  const button = h("button", { type: "button", class: "small", "aria-expanded": "false", onclick: () => show(button.getAttribute("aria-expanded") !== "true") });
  const show = (all) => {
    holder.firstChild?.remove();
    holder.prepend(make(all ? whole : `${part}…`));
    button.setAttribute("aria-expanded", String(all));
    button.textContent = all ? "Show less" : `Show all (${number(whole.length)} characters)`;
  };
  holder.append(h("span"), button);
  show(false);
  return holder;
}

/** A list of facts: pairs of a name and a node or text; a pair whose value is null is left out. */
export function facts(pairs) {
  const shownPairs = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, shownPairs.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", { dir: "auto" }, value))));
}

/** A part of a page with a heading. */
export function section(title, ...children) {
  return h("section", { class: "section" }, h("h2", null, title), children);
}

/** A figure with its name, for overviews. */
export function stat(label, value, hint = null) {
  return h("div", { class: "stat" }, h("div", { class: "stat-label" }, label), h("div", { class: "stat-value" }, value), hint && h("div", { class: "stat-hint" }, hint));
}

/** A sign of how a stream stands: call `.set("live" | "lost" | "ended")`. */
export function liveState() {
  const word = h("span", null, "connecting");
  const made = h("span", { class: "live-state", dataset: { state: "connecting" } }, h("span", { class: "live-dot", "aria-hidden": "true" }), word);
  made.set = (state) => {
    made.dataset.state = state;
    word.textContent = { live: "live", lost: "reconnecting", ended: "ended" }[state] ?? state;
  };
  return made;
}

/** A short text from elsewhere, kept from mixing with its surroundings. */
export function snippet(value, n = 120) {
  return text(short(value, n));
}
