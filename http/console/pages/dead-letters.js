// Dead letters: tasks that the server died under, time and again, and the button that gives one another chance.

import { api } from "../api.js";
import { h, replace } from "../dom.js";
import { when } from "../format.js";
import { icon } from "../icons.js";
import { pagedTable } from "../lists.js";
import { to, toast } from "../shell.js";
import { confirmDialog, empty, failureText, snippet } from "../widgets.js";

export const title = "Dead letters";

export async function render(main, _params, signal) {
  const list = pagedTable({
    signal,
    caption: "Dead letters, newest first",
    none: () => empty("No dead letters.", "A task becomes one when the server dies under it several times in a row without its getting any further."),
    columns: [
      { title: "Task", cell: (one) => h("a", { href: to("/tasks", one.taskId) }, snippet(one.task)) },
      { title: "Session", cell: (one) => h("a", { href: to("/sessions", one.sessionId), dir: "auto" }, one.sessionId) },
      { title: "What happened", cell: (one) => snippet(one.error, 200) },
      { title: "Given up", class: "nowrap", cell: (one) => when(one.timestamp) },
      { title: "Redriven", cell: (one) => (one.redrivenAs ? again(one.redrivenAs) : redriveButton(one, () => list.show())) },
    ],
    load: async (cursor) => {
      const page = await api.get("/agent/dead-letters", { limit: 25, cursor });
      return { rows: page.results, nextCursor: page.nextCursor };
    },
  });
  replace(main, list);
  await list.show();
}

function again(taskId) {
  return h("a", { class: "nowrap", href: to("/tasks", taskId) }, "the new task");
}

function redriveButton(task, changed) {
  const redrive = async () => {
    const sure = await confirmDialog({
      title: "Redrive this task?",
      message: "A new task goes on with what this one has left. If what killed the server is still there, it will kill it again.",
      confirm: "Redrive",
    });
    if (!sure) return;
    try {
      const { taskId } = await api.post(`/agent/dead-letters/${encodeURIComponent(task.taskId)}/redrive`);
      toast(`Redriven as ${taskId}.`);
    } catch (error) {
      toast(failureText(error));
    }
    await changed();
  };
  return h("button", { type: "button", class: "small", onclick: redrive }, icon("retry"), "Redrive");
}
