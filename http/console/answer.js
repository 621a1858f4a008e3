// A model's answer while it is being written: pieces are joined, and painted no more than once a frame.

import { h, replace } from "./dom.js";
import { block, longText, tail } from "./widgets.js";

/**
 * The place where a task's answer appears. `add(data)` takes the data of agent.model.delta, `finish(record)` a result.
 * It is a polite live region that is busy while the model writes, so it is read out once and not by the syllable.
 */
export function answer() {
  const text = document.createTextNode("");
  const writing = h("div", { class: "answer-text", dir: "auto" }, text, h("span", { class: "caret", "aria-hidden": "true" }));
  const node = h("div", { class: "answer", "aria-live": "polite", "aria-busy": "false" });
  let whole = "";
  let step = null;
  let planned = 0;
  let finished = null;

  const paint = () => {
    planned = 0;
    text.data = tail(whole); // all of it, in each frame, would be slow for a very long one
  };
  const add = (data) => {
    if (data.purpose !== "plan") return;
    if (data.reset || data.step !== step) whole = "";
    step = data.step;
    whole += data.text ?? "";
    if (!whole && data.thoughts) return wait("The model is thinking…");
    if (!writing.isConnected) {
      replace(node, writing);
      node.setAttribute("aria-busy", "true");
    }
    writing.lastChild.hidden = false;
    planned ||= requestAnimationFrame(paint);
  };
  const wait = (message) => {
    if (!writing.isConnected) replace(node, h("p", { class: "muted" }, message));
  };
  /** The model has stopped writing: what it wrote stays, unless it was code, which the timeline has. */
  const rest = (message = null) => {
    writing.lastChild.hidden = true;
    node.setAttribute("aria-busy", "false");
    if (message) replace(node, h("p", { class: "muted" }, message));
  };
  const finish = (record) => {
    cancelAnimationFrame(planned);
    planned = 0;
    const outcomeNow = JSON.stringify([record.status, record.output, record.error]);
    if (outcomeNow !== finished) replace(node, outcome(record)); // told again, it stays as a reader has it
    finished = outcomeNow;
    node.setAttribute("aria-busy", "false");
  };
  return { node, add, wait, rest, finish };
}

/** What a task came to, as a node. */
export function outcome(record) {
  if (record.status === "cancelled") return [h("p", { class: "muted" }, "The task was cancelled."), partly(record)];
  if (record.status === "failed") {
    return [
      h("div", { class: "failure" }, h("div", null, longText(record.error ?? "The task failed.")), h("p", { class: "failure-facts" }, record.errorCode)),
      partly(record),
    ];
  }
  if (typeof record.output === "string") return longText(record.output, { limit: 6000, className: "answer-text" });
  if (record.output === null || record.output === undefined) return h("p", { class: "muted" }, "The task completed without a value.");
  return typeof record.output === "object" ? block(record.output, { limit: 6000 }) : h("div", { class: "answer-text answer-value" }, String(record.output));
}

function partly(record) {
  if (record.output === null || record.output === undefined) return null;
  return [h("p", { class: "muted" }, "What it had come to by then:"), block(record.output)];
}
