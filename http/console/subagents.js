// The tree of the tasks that a task has delegated: asked for once, then kept right by the events of the stream.

import { api } from "./api.js";
import { h, replace } from "./dom.js";
import { statusBadge } from "./format.js";
import { to } from "./shell.js";
import { snippet } from "./widgets.js";

const STATUS = {
  "agent.task.execute": "pending", "agent.step.started": "running", "agent.task.paused": "paused", "agent.task.requeued": "pending",
  "agent.task.completed": "completed", "agent.task.failed": "failed", "agent.task.cancelled": "cancelled",
};

/** Return the status that an event leaves its task in, or null. */
export function statusAfter(topic) {
  return STATUS[topic] ?? null;
}

const MOST = 200;

/** The tree below a task; `add(event)` takes events of the tasks in it. The node is empty while there are none. */
export function subagents(rootId, signal) {
  const tasks = new Map();
  const node = h("div", { class: "subagents" });
  let planned = 0;

  const draw = () => {
    planned = 0;
    const branch = (id) => {
      const found = [...tasks.values()].filter((one) => one.parentId === id);
      return found.length ? h("ul", { class: "tree" }, found.map((one) => h("li", null, line(one), branch(one.taskId)))) : null;
    };
    const tree = branch(rootId);
    replace(node, tree && h("section", { class: "section" }, h("h2", null, "Delegated tasks"), h("div", { class: "card" }, tree)));
  };
  const later = () => {
    planned ||= requestAnimationFrame(draw);
  };
  const put = (id, more) => {
    tasks.set(id, { ...tasks.get(id), taskId: id, ...more });
    later();
  };
  const load = async (id) => {
    if (tasks.size >= MOST) return;
    const results = [];
    for (let cursor; cursor !== null && results.length < MOST; ) {
      const page = await api.get("/agent/results", { parentId: id, limit: 100, cursor }, { signal });
      results.push(...page.results);
      cursor = page.nextCursor;
    }
    for (const one of results.reverse()) put(one.taskId, { parentId: id, task: one.task, status: one.status, agent: one.agent ?? tasks.get(one.taskId)?.agent });
    for (const one of results) if (one.metadata?.subagents || one.status === "paused") await load(one.taskId);
  };
  const add = (event) => {
    const { data } = event;
    if (event.topic === "agent.task.execute") put(event.taskId, { parentId: data.parentId, task: data.task, agent: data.agent, status: "pending" });
    else if (tasks.has(event.taskId) && statusAfter(event.topic)) put(event.taskId, { status: statusAfter(event.topic) });
    else if (event.topic === "agent.skill.started" && data.taskId) put(data.taskId, { parentId: event.taskId, agent: data.agent, status: tasks.get(data.taskId)?.status ?? "pending" });
    else if (event.topic === "agent.skill.completed" && data.taskId) put(data.taskId, { parentId: event.taskId, agent: data.agent, status: data.ok ? "completed" : "failed" });
  };
  return { node, add, load: () => load(rootId) };
}

function line(one) {
  return h("div", { class: "tree-line" }, statusBadge(one.status), h("a", { href: to("/tasks", one.taskId) }, one.agent ?? one.taskId.slice(0, 8)), snippet(one.task ?? "", 140));
}
