// A task's log as a timeline: rounds with the code that ran, the skill calls in them, and marks between.

import { h, replace } from "./dom.js";
import { clock, date, duration, money, number, short, took } from "./format.js";
import { visible, visibleJson } from "./hidden.js";
import { highlight } from "./python.js";
import { to } from "./shell.js";
import { block, details, longText, snippet, tail } from "./widgets.js";

/** Build a timeline; `add(event)` takes the events of one task, and of those that it has delegated, in their order. */
export function timeline(taskId, level = 0) {
  const list = h("ol", { class: "timeline" });
  const below = new Map(); // the timelines of tasks that were delegated, by id
  const owners = new Map(); // whose timeline a task's events go into
  let round = null;

  const mark = (event, kind, title, ...more) => {
    list.append(h("li", { class: `mark mark-${kind}` }, h("div", { class: "mark-head" }, h("span", { class: "mark-title" }, title), at(event)), more));
  };
  const begin = (event) => {
    round = makeRound(event, round?.code);
    list.append(round.node);
    return round;
  };
  const current = (event) => {
    const fits = round && !round.closed && round.step === event.data.step;
    return fits ? round : begin(event);
  };
  const nested = (event) => {
    const parent = event.data.parentId;
    if (event.topic === "agent.task.execute" && parent) owners.set(event.taskId, parent);
    let id = event.taskId;
    while (owners.has(id) && owners.get(id) !== taskId) id = owners.get(id);
    if (!below.has(id)) {
      const inner = timeline(id, level + 1);
      const head = h("span", null, "Log of the delegated task ", h("code", null, id.slice(0, 8)));
      const holder = details(head, inner.node, { className: "nested" });
      (round?.placeOf(id) ?? list.appendChild(h("li", { class: "mark" }))).append(holder);
      below.set(id, inner);
    }
    below.get(id).add(event);
  };

  const add = (event) => {
    if (event.taskId !== taskId) return nested(event);
    const { topic, data } = event;
    switch (topic) {
      case "agent.task.execute":
        return mark(event, "start", "Accepted", data.parentId && h("p", { class: "muted" }, "Delegated by ", h("a", { href: to("/tasks", data.parentId) }, data.parentId.slice(0, 8))));
      case "agent.model.delta":
        return current(event).writes(data);
      case "agent.model.completed":
        return current(event).modelDone(data);
      case "agent.step.started":
        return current(event).starts(data, event);
      case "agent.skill.started":
        return (round ?? begin({ ...event, data: { step: 1 } })).callStarts(data, event);
      case "agent.skill.completed":
        return (round ?? begin({ ...event, data: { step: 1 } })).callEnds(data, event);
      case "agent.step.completed":
        return current(event).ends(data);
      case "agent.task.paused":
        round?.close("paused");
        return mark(event, "wait", pauseTitle(data), h("p", { dir: "auto" }, data.message));
      case "agent.task.requeued":
        round?.close("broken off");
        return mark(event, "wait", requeueTitle(data), requeueText(data));
      case "agent.task.completed":
        return mark(event, "ok", `Completed in ${took(data)}`);
      case "agent.task.failed":
        round?.close("broken off");
        return mark(event, "bad", "Failed", h("p", { dir: "auto" }, short(data.error, 400)), h("p", { class: "muted mono" }, data.errorCode), after(data), decided(data));
      case "agent.task.cancelled":
        round?.close("broken off");
        return mark(event, "idle", "Cancelled", data.reason && h("p", { dir: "auto" }, data.reason), after(data));
      default:
        return mark(event, "idle", topic, details("Data", block(data)));
    }
  };
  return { node: list, add };
}

function at(event) {
  return h("time", { class: "at", datetime: event.timestamp, title: date(event.timestamp) }, clock(event.timestamp));
}

function after(data) {
  const time = took(data);
  return time ? h("p", { class: "muted" }, `After ${time}.`) : null;
}

function pauseTitle(data) {
  const words = { approval: "Paused for approval", outcome_unknown: "Paused: outcome unknown", subagents: "Waiting for agents" };
  return words[data.reason] ?? "Paused";
}

function requeueTitle(data) {
  if (data.decision) return `Decided: ${data.decision.replace("_", " ")}`;
  const words = { takeover: "Taken over after a crash", worker: "Goes on in another process", retry: "To be tried again", drain: "Handed on at shutdown", subagents: "Goes on: the agents have ended" };
  return words[data.reason] ?? `Requeued: ${data.reason ?? ""}`;
}

function requeueText(data) {
  return [
    data.error && h("p", { dir: "auto" }, short(data.error, 400)),
    data.notBefore && h("p", { class: "muted" }, `Not before ${clock(data.notBefore)}`),
    decided(data),
    data.attempt && h("p", { class: "muted" }, `Attempt ${data.attempt} is over.`),
  ];
}

function decided(data) {
  return data.decisionReason ? h("p", { dir: "auto" }, `Reason: ${data.decisionReason}`) : null;
}

// One round: a model is asked, its code runs, skills are called.

function makeRound(event, before) {
  const state = h("span", { class: "round-state" }, "running");
  const title = h("h3", null, `Round ${event.data.step}`);
  const about = h("span", { class: "muted round-about" });
  const models = h("div", { class: "models" });
  const code = h("div", { class: "round-code" });
  const calls = h("ol", { class: "calls" });
  const end = h("div", { class: "round-end" });
  const node = h("li", { class: "round", dataset: { state: "running" } }, h("div", { class: "round-head" }, title, about, state, at(event)), models, code, calls, end);
  const open = new Map();
  const agents = new Map();
  const made = { node, step: event.data.step, closed: false };
  const writing = modelText(models);

  made.close = (word) => {
    if (made.closed) return;
    made.closed = true;
    state.textContent = word;
    node.dataset.state = word === "ok" ? "ok" : word === "failed" ? "failed" : "idle";
    for (const one of open.values()) one.leave(word === "paused" ? "waits" : "broken off");
  };
  made.writes = (data) => writing.add(data);
  made.modelDone = (data) => {
    writing.done(data);
    models.append(modelLine(data));
    if (data.thoughts) models.append(details("What the model thought", longText(data.thoughts)));
    if (!data.ok) models.append(h("p", { class: "error-text", dir: "auto" }, short(data.error, 600)));
  };
  made.starts = (data) => {
    about.textContent = [data.agent, data.planner === "offline" ? "built-in planner" : data.planner, data.intent].filter(Boolean).join(" · ");
    const notes = [
      data.resumedAtCall && `Goes on at call ${data.resumedAtCall} of its ledger.`,
      data.snapshotRefused && `Starts again: ${data.snapshotRefused}`,
    ].filter(Boolean);
    replace(code, notes.map((one) => h("p", { class: "muted", dir: "auto" }, one)), data.code ? (data.code === before ? details("The same code", codeBlock(data.code)) : codeBlock(data.code)) : null);
    made.code = data.code;
  };
  made.callStarts = (data) => {
    const one = makeCall(data);
    open.set(data.call, one);
    if (data.taskId) agents.set(data.taskId, one);
    calls.append(one.node);
  };
  made.callEnds = (data) => {
    let one = open.get(data.call);
    if (!one) {
      one = makeCall(data);
      calls.append(one.node);
    }
    open.delete(data.call);
    if (data.taskId) agents.set(data.taskId, one);
    one.end(data);
  };
  made.placeOf = (taskId) => agents.get(taskId)?.body ?? null;
  made.ends = (data) => {
    made.close(data.ok ? "ok" : "failed");
    state.textContent = data.ok ? `done in ${duration(data.durationMs)}` : `failed after ${duration(data.durationMs)}`;
    replace(
      end,
      data.printed ? [h("p", { class: "part-label" }, "Printed"), block(data.printed)] : null,
      data.ok ? null : [h("div", { class: "error-text" }, longText(data.error ?? "", { limit: 800 })), h("p", { class: "muted mono" }, data.errorCode)],
    );
  };
  return made;
}

function codeBlock(code) {
  return block(visible(code), { limit: 4000, render: highlight });
}

function modelText(models) {
  const place = h("div");
  const holder = details("What the model wrote", place, { open: false });
  let whole = "";
  let planned = 0;
  let done = false;
  /** Painted only while it is open, and only its end until it is whole. */
  const paint = () => {
    planned = 0;
    if (holder.open) replace(place, done ? block(whole) : block(tail(whole), { limit: Infinity }));
  };
  const soon = () => {
    planned ||= requestAnimationFrame(paint);
  };
  holder.addEventListener("toggle", soon);
  return {
    add(data) {
      if (data.purpose !== "plan") return;
      whole = data.reset ? "" : whole + (data.text ?? "");
      if (!whole) return; // it thinks
      if (!holder.isConnected) models.append(holder);
      soon();
    },
    done() {
      done = true;
      soon();
    },
  };
}

function modelLine(data) {
  const parts = [
    data.model,
    data.inputTokens !== undefined && `${number(data.inputTokens)} in, ${number(data.outputTokens)} out`,
    data.costUsd !== undefined && data.costUsd !== null && money(data.costUsd),
    data.durationMs !== undefined && duration(data.durationMs),
    data.tries > 1 && `${data.tries} tries`,
    data.purpose !== "plan" && `for ${data.purpose}`,
    data.cut && "cut at its limit, asked again",
    data.tools && "called tools, asked again",
    data.turnsLeftOut && `${number(data.turnsLeftOut)} oldest turns left out`,
    data.roundsLeftOut && `${number(data.roundsLeftOut)} oldest rounds left out`,
    data.replayed && "answered from the ledger",
  ].filter(Boolean);
  return h("p", { class: "model-line muted", dir: "auto" }, parts.join(" · "));
}

function makeCall(data) {
  const word = h("span", { class: "call-state" }, data.skill && data.call ? "running" : "");
  const result = h("div", { class: "call-result" });
  const link = data.taskId ? h("a", { href: to("/tasks", data.taskId) }, "open its task") : null;
  const given = data.edited ? { kwargs: data.edited, argsTruncated: data.argsTruncated } : data;
  const head = h("div", { class: "call-head" }, h("code", { class: "call-name", dir: "auto" }, data.agent ? `${data.skill} → ${data.agent}` : data.skill), callArguments(given), link, word);
  const body = h("div", { class: "call-body" }, data.edited ? h("p", { class: "muted" }, "With arguments that a person put in place of the code's.") : null, longArguments(given), result);
  const node = h("li", { class: "call", dataset: { state: "running" } }, head, body);
  const end = (done) => {
    node.dataset.state = done.ok ? "ok" : "failed";
    const took = done.durationMs === undefined ? null : duration(done.durationMs);
    word.textContent = [done.ok ? null : "failed", done.replayed ? "from the ledger" : null, took].filter(Boolean).join(" · ") || "done";
    replace(result, done.ok ? shownResult(done.result) : [h("div", { class: "error-text" }, longText(done.error ?? "", { limit: 800 })), h("p", { class: "muted mono" }, done.errorCode), raisedAt(done.exception)]);
  };
  /** Its end is told in a later round, or never. */
  const leave = (how) => {
    node.dataset.state = "idle";
    word.textContent = how;
  };
  return { node, body, end, leave };
}

/** Where in the skill's own code it was raised, and what it came from. */
function raisedAt(raised) {
  if (!raised) return null;
  const place = (one) => `${one.file}:${one.line}${one.function ? ` in ${one.function}` : ""}`;
  const first = [raised.type, raised.file && `at ${place(raised)}`].filter(Boolean).join(" ");
  const deeper = raised.innermost ? `from ${place(raised.innermost)}` : null;
  const below = [...(raised.exceptions ?? []).map((one) => `with ${one}`), ...(raised.causes ?? []).map((one) => `because of ${one}`)];
  return [first, deeper, ...below].filter(Boolean).map((one) => h("p", { class: "muted mono", dir: "auto" }, one));
}

const INLINE = 100;

function written(data) {
  const args = (data.args ?? []).map((one) => JSON.stringify(one));
  const named = Object.entries(data.kwargs ?? {}).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return visible([...args, ...named].join(", "));
}

function callArguments(data) {
  if (!data.args && !data.kwargs) return null;
  return h("code", { class: "call-args" }, "(", snippet(written(data), INLINE), ")");
}

function longArguments(data) {
  if (written(data).length <= INLINE) return null;
  return details("Arguments", [
    data.argsTruncated ? h("p", { class: "muted" }, "Shortened in the log.") : null,
    block(visibleJson({ ...(data.args?.length ? { args: data.args } : {}), ...data.kwargs }), { dir: "ltr" }),
  ]);
}

function shownResult(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value ?? null);
  if (text.length <= INLINE && !text.includes("\n")) return h("p", { class: "call-value" }, h("span", { class: "muted" }, "→ "), h("code", { dir: "auto" }, text));
  return block(value, { limit: 800 });
}
