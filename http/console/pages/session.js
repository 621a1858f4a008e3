// One session as a conversation, with its tasks, its variables, and the ways to go on with it or to forget it.

import { api, follow } from "../api.js";
import { h, replace } from "../dom.js";
import { number, statusBadge, when } from "../format.js";
import { icon } from "../icons.js";
import { pagedTable } from "../lists.js";
import { go, link, setActions, to, toast } from "../shell.js";
import { confirmDialog, empty, facts, failure, failureText, longText, section, snippet } from "../widgets.js";

export const title = (params) => `Session ${params.id}`;

const SPEAKERS = { user: "You", assistant: "Agent" };

export async function render(main, params, signal) {
  const about = h("div", { class: "stack" });
  const tasks = tasksOf(params.id, signal);
  let shown = null;
  const show = async () => {
    try {
      const session = await remembered(params.id, signal);
      if (signal.aborted) return;
      shown = session?.updatedAt;
      setActions(...actions(params.id, session));
      replace(about, session ? remembering(session, signal) : forgotten());
    } catch (error) {
      if (!signal.aborted) replace(about, failure(error, show, { byItself: true }));
    }
  };
  await show();
  if (signal.aborted) return;
  replace(main, about, section("Tasks of this session", tasks));
  await tasks.show();
  const isLate = async () => (await remembered(params.id, signal))?.updatedAt !== shown;
  keepUp(params.id, signal, isLate, () => Promise.all([show(), tasks.show({ quiet: true })]));
}

/** Return what is remembered, null where nothing is. */
async function remembered(id, signal) {
  try {
    return (await api.get(`/agent/sessions/${encodeURIComponent(id)}`, null, { signal })).session;
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

function actions(id, session) {
  const more = h("a", { class: "button primary", href: link("/new", { session: id }) }, icon("chat"), "Continue");
  return session ? [more, h("button", { type: "button", class: "danger", onclick: () => forget(id) }, icon("close"), "Delete session")] : [more];
}

function forgotten() {
  return empty("Nothing is remembered of this session.", "It has been deleted, or no task of it has completed. Its tasks stay in the history.");
}

function remembering(session, signal) {
  const names = session.variables.map((name) => h("li", { class: "chip mono" }, name));
  return [
    facts([
      ["Tasks", number(session.tasks)],
      ["Begun", when(session.createdAt)],
      ["Last used", when(session.updatedAt)],
    ]),
    section("Conversation", conversation(session, signal)),
    section("Variables", names.length ? h("ul", { class: "chips", "aria-label": "Variables" }, names) : h("p", { class: "muted" }, "The code of this session has bound none.")),
  ];
}

/** The newest turns, and a button that fetches the ones before them, a page at a time. */
function conversation(session, signal) {
  if (!session.conversation.length) return empty("Nobody has said anything yet.", "Turns of tasks that complete stand here.");
  const list = h("ol", { class: "chat", "aria-label": "Conversation" }, session.conversation.map(turn));
  let before = session.nextBefore;
  if (before === null) return list;
  const more = h("button", { type: "button", onclick: earlier }, "Earlier turns");
  async function earlier() {
    more.disabled = true;
    try {
      const page = (await api.get(`/agent/sessions/${encodeURIComponent(session.sessionId)}`, { before }, { signal })).session;
      list.prepend(...page.conversation.map(turn));
      before = page.nextBefore;
      if (before === null) more.remove();
    } catch (error) {
      if (!signal.aborted) toast(failureText(error));
    }
    more.disabled = false;
  }
  return h("div", { class: "stack" }, more, list);
}

function turn({ role, content }) {
  const mine = role === "user";
  return h(
    "li",
    { class: `said ${mine ? "said-user" : "said-agent"}` },
    h("span", { class: "said-by" }, SPEAKERS[role] ?? role),
    h("div", { class: "bubble" }, longText(content)),
  );
}

function tasksOf(id, signal) {
  return pagedTable({
    signal,
    caption: "Tasks of this session, newest first",
    rowClass: () => "link-row",
    none: () => empty("No task of this session is in the history."),
    columns: [
      { title: "Status", class: "nowrap", cell: (one) => statusBadge(one.status) },
      { title: "Task", cell: (one) => h("a", { class: "row-link", href: to("/tasks", one.taskId) }, snippet(one.task)) },
      { title: "When", class: "nowrap", cell: (one) => when(one.timestamp) },
    ],
    load: async (cursor) => {
      const page = await api.get("/agent/results", { sessionId: id, limit: 10, cursor });
      return { rows: page.results, nextCursor: page.nextCursor };
    },
  });
}

/** Show the session anew when a task of it begins or ends, and where one has (`isLate`) before the stream was open. */
function keepUp(id, signal, isLate, show) {
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => signal.aborted || show(), 150); // several events come at once
  };
  const onState = (state) => state === "live" && isLate().then((late) => late && soon(), () => {});
  const query = { sessionId: id, topic: "agent.task.*" };
  // Where streams are used up or not to be had the page stays as it was loaded.
  follow("/agent/events", { query, signal, onEvent: soon, onState }).catch((error) => error.status || signal.aborted || reportError(error));
}

async function forget(id) {
  const sure = await confirmDialog({
    title: "Delete this session?",
    message: `The conversation and the variables of ${id} are forgotten. Its tasks stay in the history.`,
    confirm: "Delete session",
    danger: true,
  });
  if (!sure) return;
  try {
    await api.del(`/agent/sessions/${encodeURIComponent(id)}`);
    toast(`Session ${id} is deleted.`);
    go("#/sessions");
  } catch (error) {
    toast(failureText(error));
  }
}
