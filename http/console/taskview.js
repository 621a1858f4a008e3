// One task as it is watched and driven: status, actions, a decision, the answer, the timeline, the tree, the raw log.

import { answer } from "./answer.js";
import { api, follow, freshKey } from "./api.js";
import { decidePanel } from "./decide.js";
import { h, replace } from "./dom.js";
import { bytes, duration, money, now, number, statusBadge, took, when } from "./format.js";
import { icon } from "./icons.js";
import { announce, go, to } from "./shell.js";
import { statusAfter, subagents } from "./subagents.js";
import { timeline } from "./timeline.js";
import { block, confirmDialog, details, failure, facts, liveState, longText, section } from "./widgets.js";

const ENDED = new Set(["completed", "failed", "cancelled"]);
const RAW_STEP = 500;
const AGAIN_MS = 2000;

/**
 * Watch a task until `signal` is aborted. `onRecord(record)` is told, each time more is known, all that is known of it,
 * as GET /agent/tasks/{id} has it. Returns a promise of {node, actions}; throws ApiError.
 */
export async function taskView(taskId, { signal, onRecord = () => {} }) {
  const path = `/agent/tasks/${encodeURIComponent(taskId)}`;
  const parts = {
    badge: h("span", { class: "task-status" }),
    facts: h("div"),
    problem: h("div"),
    decide: h("div"),
    answer: answer(),
    timeline: timeline(taskId),
    tree: subagents(taskId, signal),
    raw: rawLog(),
    live: liveState(),
    about: h("div"),
    actions: h("div", { class: "row" }),
    elapsed: h("span", { class: "elapsed" }),
  };
  const head = h("div", { class: "task-head" }, parts.badge, parts.elapsed, parts.facts, parts.live);
  const view = { taskId, path, drawn: new Map(), signal, parts, onRecord, record: await api.get(path, null, { signal }) };
  view.node = h(
    "div",
    { class: "stack task-view" },
    head,
    parts.problem,
    parts.decide,
    section("Answer", h("div", { class: "card" }, parts.answer.node)),
    parts.tree.node,
    section("Timeline", parts.timeline.node),
    parts.about,
    parts.raw.node,
  );
  view.actions = parts.actions;
  show(view);
  const timer = setInterval(() => tick(view), 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  watch(view);
  return view;
}

/**
 * Show what is known of the task by now. Each part is drawn anew only where it says something else than before, so that
 * what somebody has opened or is writing stays, and so does the focus.
 */
function show(view) {
  const { record, parts } = view;
  const ended = ENDED.has(record.status);
  const { status, metadata, output, error, startedAt, endedAt, notBefore, redrivenAs } = record;
  draw(view, parts.badge, status, () => statusBadge(status));
  draw(view, parts.facts, [metadata, record.attempt], () => headFacts(record));
  draw(view, parts.actions, ended, () => actions(view));
  draw(view, parts.about, [ended, metadata, startedAt, endedAt, notBefore, redrivenAs], () => about(record));
  const pause = status === "paused" ? record.pause : null;
  draw(view, parts.decide, pause && [pause.reason, pause.call, pause.attempt, pause.digest], () => pause && decidePanel(record, () => refreshSoon(view)));
  if (ended) draw(view, parts.answer.node, [status, output, error], () => parts.answer.finish(record));
  else parts.answer.wait({ paused: "The task is paused.", pending: "The task waits for its turn." }[status] ?? "The task is being worked on.");
  tick(view);
  view.onRecord(record);
}

/** Draw a part if `key` has changed; a focus that was in it goes to what replaces it, or else to the page's heading. */
function draw(view, place, key, make) {
  const now = JSON.stringify(key);
  if (view.drawn.get(place) === now) return;
  view.drawn.set(place, now);
  const focused = place.contains(document.activeElement);
  const made = make();
  if (made !== undefined) replace(place, made);
  if (focused) (place.querySelector("button, a") ?? document.getElementById("page-title"))?.focus({ preventScroll: true });
}

function tick(view) {
  const { record, parts } = view;
  const ended = ENDED.has(record.status);
  const from = record.createdAt;
  const time = took(record);
  if (ended) parts.elapsed.textContent = time && `took ${time}`;
  else if (!from) parts.elapsed.textContent = "";
  else {
    const seconds = Math.max(0, Math.floor((now() - Date.parse(from)) / 1000));
    parts.elapsed.textContent = `for ${seconds < 60 ? `${seconds} s` : duration(seconds * 1000)}`;
  }
}

function headFacts(record) {
  const { metadata = {} } = record;
  return facts([
    ["Session", h("a", { href: to("/sessions", record.sessionId) }, record.sessionId)],
    ["Agent", record.agent ?? "master"],
    ["Accepted", when(record.createdAt)],
    ["Skill calls", figure(metadata, "skillCalls", number)],
    ["Model calls", figure(metadata, "llmCalls", number)],
    ["Tokens", figure(metadata, "totalTokens", number)],
    ["Cost", metadata.costUsd === undefined ? null : figure(metadata, "costUsd", money) ?? money(0)],
    ["Delegated tasks", metadata.subagents ? number(metadata.subagents.tasks) : null],
    ["Attempt", record.attempt > 1 ? number(record.attempt) : null],
  ]);
}

/** A figure of the task and of what it has delegated, with its own part where the agents have one. */
function figure(metadata, name, format) {
  const all = metadata[name];
  if (!(all > 0)) return null;
  return metadata.subagents?.[name] > 0 ? `${format(all)} (${format(metadata.own[name])} its own)` : format(all);
}

/** What was asked, in full: it is long, and seldom what one looks for. */
function about(record) {
  const { metadata = {}, labels = {} } = record;
  const chips = Object.entries(labels).map(([name, value]) => h("span", { class: "chip", dir: "auto" }, `${name}: ${value}`));
  const files = record.attachments.map((one) => h("span", { class: "chip", dir: "auto" }, `${one.name} (${one.mediaType}${one.size ? `, ${bytes(one.size)}` : ""})`));
  const task = (id) => (id ? h("a", { href: to("/tasks", id) }, id) : null);
  const pairs = [
    ["Task id", h("code", null, record.taskId)],
    ["Labels", chips.length ? h("span", { class: "chips" }, chips) : null],
    ["Attachments", files.length ? h("span", { class: "chips" }, files) : null],
    ["Skills it may call", record.availableSkills ? record.availableSkills.join(", ") || "none" : null],
    ["Model", metadata.model],
    ["Rounds", metadata.rounds ? number(metadata.rounds) : null],
    ["Delegated by", task(record.parentId)],
    ["Goes on with", task(record.redriveOf)],
    ["Redriven as", task(record.redrivenAs)],
    ["Timeout", record.timeoutMs ? duration(record.timeoutMs) : null],
    ["Priority", record.priority ? number(record.priority) : null],
    ["Started", record.startedAt ? when(record.startedAt) : null],
    ["Ended", record.endedAt ? when(record.endedAt) : null],
    ["Not before", record.notBefore && !ENDED.has(record.status) ? when(record.notBefore) : null],
    ["Webhook", record.callbackUrl],
    ["Request", record.requestId ? h("code", null, record.requestId) : null],
  ];
  return section(
    "What was asked",
    h("div", { class: "card stack" }, longText(record.task), record.systemPrompt && details("System prompt", longText(record.systemPrompt)), facts(pairs), record.budget && details("Budget", block(record.budget)), details("Metadata", block(metadata))),
  );
}

function actions(view) {
  const { record } = view;
  const button = (name, label, act, className = null) => h("button", { type: "button", class: className, dataset: { action: name }, onclick: (event) => run(view, event.currentTarget, act) }, label);
  if (ENDED.has(record.status)) {
    const follow_up = h("a", { class: "button", href: `#/new?session=${encodeURIComponent(record.sessionId)}` }, icon("chat"), "Follow up");
    return [follow_up, button("retry", [icon("retry"), "Retry"], retry)];
  }
  return [button("cancel", [icon("stop"), "Cancel task"], cancel, "danger")];
}

async function run(view, button, act) {
  button.disabled = true;
  try {
    replace(view.parts.problem);
    await act(view);
  } catch (error) {
    if (!view.signal.aborted) replace(view.parts.problem, failure(error, () => run(view, button, act)));
  } finally {
    button.disabled = false;
  }
}

async function cancel(view) {
  const sure = await confirmDialog({ title: "Cancel this task?", message: "It ends now and stays ended. What it has done so far is not undone.", confirm: "Cancel task", keep: "Keep it running", danger: true });
  if (!sure) return;
  const reply = await api.post(`${view.path}/cancel`);
  announce(reply.message);
  await refresh(view);
}

async function retry(view) {
  view.retryKey ??= freshKey(); // pressed again because no answer came, it must not make two
  const reply = await api.post(`${view.path}/retry`, undefined, { headers: { "Idempotency-Key": view.retryKey } });
  view.retryKey = null;
  go(to("/tasks", reply.taskId));
}

async function refresh(view) {
  const turn = (view.turn = (view.turn ?? 0) + 1);
  const record = await api.get(view.path, null, { signal: view.signal });
  // An answer that was overtaken, by a later one or by the end of the stream, would take the page back in time.
  const late = turn !== view.turn || (ENDED.has(view.record.status) && !ENDED.has(record.status));
  if (late || view.signal.aborted) return;
  view.record = record;
  show(view);
}

/** Ask again, once, for many events that come together; what fails is tried again, since it may be the last event for long. */
function refreshSoon(view, ms = 120) {
  view.planned ??= setTimeout(() => {
    view.planned = null;
    if (view.signal.aborted) return;
    refresh(view).catch((error) => {
      const passes = error.status === 0 || error.status === 429 || error.status >= 500;
      if (passes && !view.signal.aborted) refreshSoon(view, error.retryAfterS ? 1000 * error.retryAfterS : AGAIN_MS);
    });
  }, ms);
}

function watch(view) {
  const { parts, signal } = view;
  if (view.record.metadata?.subagents || view.record.status === "paused") parts.tree.load().catch(() => {});
  const onEvent = (event, id) => {
    view.seen = id; // a stream that is taken up again by hand repeats nothing
    parts.timeline.add(event);
    parts.raw.add(event);
    if (event.taskId !== view.taskId) return parts.tree.add(event);
    if (event.data.taskId) parts.tree.add(event);
    if (ENDED.has(view.record.status)) return; // its log is read from the beginning; how it stands is known
    if (event.topic === "agent.model.delta") parts.answer.add(event.data);
    if (event.topic === "agent.model.completed") parts.answer.rest();
    if (event.topic === "agent.step.started" && event.data.code) parts.answer.rest("Its code is running.");
    if (event.topic === "agent.task.paused") parts.answer.rest("The task is paused.");
    if (event.topic === "agent.task.requeued") parts.answer.rest("The task goes on soon.");
    if (statusAfter(event.topic)) refreshSoon(view);
  };
  const onEnd = (result) => {
    const before = view.record.status;
    view.record = { ...view.record, ...result };
    show(view);
    if (before !== result.status) announce(`The task is ${result.status}.`);
    refreshSoon(view);
  };
  follow(`${view.path}/events`, { after: view.seen ?? 0, signal, onEvent, onEnd, onState: parts.live.set }).catch((error) => {
    if (!signal.aborted) replace(parts.problem, failure(error, () => {
      replace(parts.problem);
      watch(view);
    }));
  });
}

/** The events as they came, for those who want to know; painted only while it is open. */
function rawLog() {
  const events = [];
  const list = h("ol", { class: "raw" });
  const count = h("span", { class: "muted" });
  let shown = 0;
  let most = RAW_STEP;
  const more = h("button", { type: "button", class: "small", hidden: true, onclick: () => {
    most += RAW_STEP;
    draw();
    list.children[most - RAW_STEP]?.querySelector("summary").focus({ preventScroll: true });
  } });
  const draw = () => {
    if (!node.open) return;
    for (; shown < Math.min(events.length, most); shown += 1) {
      const one = events[shown];
      list.append(h("li", null, h("details", null, h("summary", null, h("span", { class: "muted" }, `${one.seq} `), h("code", null, one.topic)), block(one))));
    }
    more.hidden = events.length <= shown;
    more.textContent = `Show ${number(Math.min(RAW_STEP, events.length - shown))} more of ${number(events.length - shown)}`;
  };
  const node = details(h("span", null, "Raw log ", count), h("div", { class: "stack" }, list, more), { className: "raw-log card" });
  node.addEventListener("toggle", draw);
  let planned = 0;
  const add = (event) => {
    events.push(event);
    planned ||= requestAnimationFrame(() => {
      planned = 0;
      count.textContent = `(${number(events.length)} events)`;
      draw();
    });
  };
  return { node, add };
}
