// Sessions: what is remembered between tasks, the one that was used last first.

import { api } from "../api.js";
import { h } from "../dom.js";
import { number, when } from "../format.js";
import { icon } from "../icons.js";
import { pagedTable } from "../lists.js";
import { setActions, to } from "../shell.js";
import { empty, snippet } from "../widgets.js";

export const title = "Sessions";

const COLUMNS = [
  { title: "Session", class: "session-name", cell: (one) => h("a", { class: "row-link", href: to("/sessions", one.sessionId), dir: "auto" }, one.sessionId) },
  { title: "Last asked", cell: (one) => (one.preview ? snippet(one.preview, 140) : h("span", { class: "muted" }, "nothing yet")) },
  { title: "Tasks", number: true, cell: (one) => number(one.tasks) },
  { title: "Begun", class: "nowrap", cell: (one) => when(one.createdAt) },
  { title: "Last used", class: "nowrap", cell: (one) => when(one.updatedAt) },
];

export async function render(main, _params, signal) {
  setActions(h("a", { class: "button primary", href: "#/new" }, icon("plus"), "New task"));
  const list = pagedTable({
    signal,
    columns: COLUMNS,
    caption: "Sessions, the one that was used last first",
    rowClass: () => "link-row",
    none: () => empty("No session yet.", "A session begins with its first task: ", h("a", { href: "#/new" }, "give one"), "."),
    load: async (cursor) => {
      const page = await api.get("/agent/sessions", { limit: 25, cursor });
      return { rows: page.sessions, nextCursor: page.nextCursor };
    },
  });
  main.replaceChildren(list);
  await list.show();
}
