// The history, live: a page of the list at a time, kept right by the feed of all tasks.

import { api, follow } from "../api.js";
import { h, replace } from "../dom.js";
import { duration, short, statusBadge, when } from "../format.js";
import { icon } from "../icons.js";
import { setActions, setQuery, to } from "../shell.js";
import { statusAfter } from "../subagents.js";
import { empty, failure, field, liveState, loading, pager, select, snippet, table, tableRow } from "../widgets.js";

export const title = "Tasks";

const LIMIT = 50;
const MOST_ROWS = 150;
const LOOK_MS = 1000;
const STATUSES = ["pending", "running", "paused", "completed", "failed", "cancelled"];
const TOPICS = "agent.task.*,agent.step.started";
const COLUMNS = [
  { title: "Status", class: "nowrap", cell: (row) => statusBadge(row.status) },
  { title: "Task", class: "task-cell", cell: (row) => h("a", { class: "row-link", href: to("/tasks", row.taskId) }, h("span", { class: "clamp", dir: "auto" }, short(row.task, 140) || "(blank)")) },
  { title: "Agent", class: "nowrap", cell: (row) => snippet(row.agent ?? "master", 30) },
  { title: "Session", class: "session-cell", cell: (row) => h("a", { href: to("/sessions", row.sessionId), dir: "auto" }, short(row.sessionId, 24)) },
  { title: "Took", number: true, cell: (row) => duration(row.elapsedTime) },
  { title: "Work", number: true, cell: (row) => duration(row.executionTime) },
  { title: "Age", number: true, cell: (row) => when(row.createdAt) },
];

export async function render(main, params, signal) {
  const list = {
    signal,
    filters: pick(params.query),
    cursor: params.query.cursor ?? null,
    newerCursors: [],
    rows: new Map(), // by id, {data, node}
    maybe: new Set(), // ids of tasks that have come to the status looked for; the server knows what else they are
    waiting: new Set(), // ids of new tasks that are not shown yet
    events: [],
    place: h("div", { class: "stack" }, loading()),
    news: h("div", { class: "news" }),
    live: liveState(),
  };
  setActions(list.live, h("a", { class: "button primary", href: "#/new" }, icon("plus"), "New task"));
  replace(main, filterBar(list), list.news, list.place);
  watch(list);
  await load(list);
}

function pick({ status = "", session = "", agent = "", q = "" }) {
  return { status, session, agent, q };
}

function filterBar(list) {
  const { filters, signal } = list;
  const controls = {
    q: h("input", { type: "search", placeholder: "Text or task id", value: filters.q, dir: "auto", maxlength: "200" }),
    status: select([["", "All"], ...STATUSES], filters.status),
    session: h("input", { type: "text", placeholder: "Any", value: filters.session, dir: "ltr", spellcheck: "false" }),
    agent: select([["", "All"], ...(filters.agent ? [filters.agent] : [])], filters.agent),
  };
  agentNames(signal).then((names) => {
    for (const name of names) if (name !== filters.agent) controls.agent.append(h("option", { value: name }, name));
  });
  let timer = 0;
  const apply = () => {
    clearTimeout(timer);
    const wanted = Object.fromEntries(Object.entries(controls).map(([name, one]) => [name, one.value.trim()]));
    if (JSON.stringify(wanted) === JSON.stringify({ q: list.filters.q, status: list.filters.status, session: list.filters.session, agent: list.filters.agent })) return;
    list.filters = wanted;
    list.cursor = null;
    list.newerCursors = [];
    load(list);
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(apply, 350);
  };
  controls.q.addEventListener("input", soon);
  controls.session.addEventListener("input", soon);
  controls.status.addEventListener("change", apply);
  controls.agent.addEventListener("change", apply);
  signal.addEventListener("abort", () => clearTimeout(timer));
  const submit = (event) => {
    event.preventDefault();
    apply();
  };
  return h(
    "form",
    { class: "filters", role: "search", "aria-label": "Filter the tasks", onsubmit: submit },
    field("Search", controls.q, null, "wide"),
    field("Status", controls.status),
    field("Agent", controls.agent),
    field("Session", controls.session),
  );
}

async function agentNames(signal) {
  try {
    return (await api.whole("/agent/agents", "agents", { signal })).agents.map((one) => one.name);
  } catch {
    return []; // the list itself says what is wrong
  }
}

/** Fetch and show the page that the filters and the cursor name. */
async function load(list, { quiet = false } = {}) {
  const { filters, cursor, signal } = list;
  const turn = (list.turn = (list.turn ?? 0) + 1);
  setQuery({ ...filters, cursor });
  list.place.setAttribute("aria-busy", "true");
  try {
    const query = { status: filters.status, sessionId: filters.session, agent: filters.agent, q: filters.q, limit: LIMIT, cursor };
    const page = await api.get("/agent/results", query, { signal });
    if (turn !== list.turn || signal.aborted) return;
    list.waiting.clear();
    showNews(list);
    const shown = JSON.stringify(page);
    if (quiet && shown === list.shown) return; // nothing moves under a hand
    list.shown = shown;
    show(list, page);
  } catch (error) {
    if (signal.aborted || turn !== list.turn) return;
    replace(list.place, failure(error, () => load(list), { byItself: true }));
  } finally {
    if (turn === list.turn) list.place.removeAttribute("aria-busy");
  }
}

function show(list, page) {
  const rows = page.results.map(known);
  list.rows = new Map(rows.map((data) => [data.taskId, { data }]));
  list.next = page.nextCursor;
  if (!rows.length) {
    list.body = null;
    return replace(list.place, nothing(list), foot(list));
  }
  const wrap = table(COLUMNS, rows, { caption: "Tasks, newest first", rowClass: () => "link-row" });
  wrap.classList.add("tasks-table");
  list.body = wrap.body;
  rows.forEach((data, i) => {
    list.rows.get(data.taskId).node = wrap.body.children[i];
  });
  return replace(list.place, wrap, foot(list));
}

/** An id is a UUID of version 7, so it tells when the task was accepted. */
function known(row) {
  const ms = Number.parseInt(row.taskId.replace("-", "").slice(0, 12), 16);
  return { ...row, createdAt: row.createdAt ?? (Number.isNaN(ms) ? row.timestamp : new Date(ms).toISOString()) };
}

function nothing(list) {
  if (list.next) return empty("None of the tasks looked at so far fits.", "The history goes on; older ones may.");
  if (Object.values(list.filters).some(Boolean)) return empty("No task fits these filters.", h("a", { href: "#/tasks" }, "Show all tasks"));
  return empty("No tasks yet.", h("a", { href: "#/new" }, "Submit the first one"), ", or POST it to /agent/execute.");
}

function foot(list) {
  const older = () => {
    list.newerCursors.push(list.cursor);
    list.cursor = list.next;
    return turnPage(list);
  };
  const newer = () => {
    list.cursor = list.newerCursors.pop() ?? null;
    return turnPage(list);
  };
  return pager({ older: list.next ? older : null, newer: list.cursor ? newer : null });
}

async function turnPage(list) {
  await load(list);
  window.scrollTo(0, 0);
  (list.body?.querySelector("a.row-link") ?? document.getElementById("page-title"))?.focus({ preventScroll: true });
}

// The feed. Events are gathered for a moment, so that a busy server does not keep the page busy.

function watch(list) {
  const onEvent = (event) => {
    list.events.push(event);
    list.planned ??= setTimeout(() => {
      list.planned = null;
      if (!list.signal.aborted) take(list, list.events.splice(0));
    }, 200);
  };
  const onState = (state) => {
    list.live.set(state);
    if (state !== "live" || list.isLive) return;
    list.isLive = true;
    // The feed begins with now: what happened between the page's answer and its beginning is in neither.
    if (list.shown) load(list, { quiet: true });
  };
  follow("/agent/events", { query: { topic: TOPICS }, signal: list.signal, onEvent, onState }).catch((error) => {
    if (!list.signal.aborted) replace(list.news, failure(error, () => {
      replace(list.news);
      list.isLive = false;
      watch(list);
    }));
  });
}

function take(list, events) {
  const fresh = new Map();
  for (const event of events) {
    const status = statusAfter(event.topic);
    const row = list.rows.get(event.taskId) ?? fresh.get(event.taskId);
    if (row && event.topic !== "agent.task.execute") {
      row.data = { ...row.data, ...(status ? { status } : {}), ...times(event.data) };
      row.changed = true;
    } else if (!row) meet(list, fresh, event);
  }
  for (const row of list.rows.values()) if (row.changed) redraw(row);
  put(list, fresh);
}

function times({ executionTime = null, elapsedTime = null }) {
  return elapsedTime === null ? {} : { executionTime, elapsedTime };
}

/** A task that is not in the list: a new one that fits, or one that fits only now. */
function meet(list, fresh, event) {
  const { filters } = list;
  const { data } = event;
  if (event.topic === "agent.task.execute") {
    const fits =
      (!filters.session || filters.session === data.sessionId) &&
      (!filters.agent || filters.agent === (data.agent ?? "master")) &&
      (!filters.q || (data.task ?? "").toLowerCase().includes(filters.q.toLowerCase()) || event.taskId.includes(filters.q.toLowerCase())) &&
      (!filters.status || filters.status === "pending");
    if (fits) fresh.set(event.taskId, { data: { taskId: event.taskId, task: data.task, sessionId: data.sessionId, agent: data.agent ?? "master", status: "pending", executionTime: null, elapsedTime: null, createdAt: event.timestamp } });
  } else if (filters.status && statusAfter(event.topic) === filters.status && (!filters.session || filters.session === event.sessionId)) {
    if (!filters.q && !filters.agent) list.waiting.add(event.taskId);
    else lookFor(list, event.taskId);
  }
}

/** Ask the server, now and then, which of the tasks that have come to the status fit the other filters too. */
function lookFor(list, taskId) {
  list.maybe.add(taskId);
  list.looking ??= setTimeout(async () => {
    const ids = [...list.maybe];
    list.maybe.clear();
    const { filters, turn, signal } = list;
    if (signal.aborted) return;
    try {
      const query = { status: filters.status, sessionId: filters.session, agent: filters.agent, q: filters.q, limit: 100 };
      const found = new Set((await api.get("/agent/results", query, { signal })).results.map((one) => one.taskId));
      if (turn === list.turn) for (const id of ids) if (found.has(id)) list.waiting.add(id);
      if (turn === list.turn) put(list, new Map());
    } catch {
      // the next event asks again
    } finally {
      list.looking = null;
    }
  }, LOOK_MS);
}

function put(list, fresh) {
  // Rows come in by themselves only where nobody is reading, so that none moves under a hand or an eye.
  const quiet = !list.cursor && list.body && scrollY < 60 && !list.body.matches(":hover") && !list.body.contains(document.activeElement);
  const few = fresh.size <= 20 && list.rows.size + fresh.size <= MOST_ROWS && !list.waiting.size;
  if (quiet && few) {
    for (const [id, row] of fresh) {
      row.node = tableRow(COLUMNS, row.data, "link-row arrived");
      list.body.prepend(row.node);
      list.rows.set(id, row);
    }
    return;
  }
  for (const id of fresh.keys()) list.waiting.add(id);
  if (list.waiting.size && !list.cursor && (!list.body || (quiet && fresh.size))) load(list);
  else showNews(list);
}

function showNews(list) {
  const count = list.waiting.size;
  if (!count) return replace(list.news);
  const label = count === 1 ? "1 new task" : `${count > 999 ? "More than 999" : count} new tasks`;
  if (list.news.firstChild?.dataset?.news) {
    list.news.firstChild.firstChild.textContent = label;
    return list.news;
  }
  const showThem = () => {
    list.cursor = null;
    list.newerCursors = [];
    scrollTo(0, 0);
    document.getElementById("page-title")?.focus({ preventScroll: true });
    load(list);
  };
  return replace(list.news, h("button", { type: "button", class: "news-button", dataset: { news: "1" }, onclick: showThem }, h("span", null, label), " – show"));
}

/** Bring a row up to date; only the cells that change with time, so that a focus in it stays. */
function redraw(row) {
  row.changed = false;
  if (!row.node) return;
  const [status, , , , took] = row.node.children;
  replace(status, COLUMNS[0].cell(row.data));
  replace(took, COLUMNS[4].cell(row.data));
}
