// One task: what it was asked, what it does, what it came to.

import { h, replace } from "../dom.js";
import { short } from "../format.js";
import { setActions, setTitle } from "../shell.js";
import { taskView } from "../taskview.js";
import { empty } from "../widgets.js";

export const title = (params) => `Task ${params.id.slice(0, 8)}`;

export async function render(main, params, signal) {
  try {
    const view = await taskView(params.id, { signal, onRecord: (record) => setTitle(short(record.task, 90)) });
    setActions(view.actions);
    replace(main, view.node);
  } catch (error) {
    if (error.status !== 404) throw error;
    replace(main, empty(error.message, "It may have been pruned. ", h("a", { href: "#/tasks" }, "See the tasks there are"), "."));
  }
}
