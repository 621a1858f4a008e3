// Webhooks: what was told to whom, what is still to be told, and the button that tells it again.

import { api } from "../api.js";
import { h, replace } from "../dom.js";
import { number, statusBadge, when } from "../format.js";
import { icon } from "../icons.js";
import { pagedTable, repeat } from "../lists.js";
import { setQuery, to, toast } from "../shell.js";
import { empty, failureText, field, select, snippet } from "../widgets.js";

export const title = "Webhooks";

const STATES = [["", "all"], "pending", "delivered", "failed"];
const REFRESH_MS = 5000;

export async function render(main, params, signal) {
  const chosen = { state: params.query.state ?? "", taskId: params.query.taskId ?? "" };
  const changed = async () => {
    await list.show();
    list.focus(); // the button that had it is gone
  };
  const list = pagedTable({
    signal,
    caption: "Deliveries, newest first",
    none: () => nothing(chosen),
    columns: [...COLUMNS, { title: "Send again", hidden: true, cell: (one) => againButton(one, changed) }],
    load: async (cursor) => {
      const page = await api.get("/agent/deliveries", { ...chosen, limit: 25, cursor });
      return { rows: page.deliveries, nextCursor: page.nextCursor };
    },
  });
  const filtered = () => {
    setQuery(chosen);
    return list.first();
  };
  replace(main, filters(chosen, filtered), list);
  await list.show();
  // What somebody is about to press stays under their hand.
  const held = () => list !== document.activeElement && list.contains(document.activeElement);
  repeat(() => held() || list.show({ quiet: true }), REFRESH_MS, signal);
}

const COLUMNS = [
  { title: "State", class: "nowrap", cell: (one) => statusBadge(one.state) },
  { title: "To", class: "url", cell: (one) => h("span", { dir: "ltr" }, one.url) },
  { title: "Tells of", class: "nowrap", cell: (one) => h("a", { href: to("/tasks", one.taskId) }, `a task ${one.type.split(".").at(-1)}`) },
  { title: "Attempts", number: true, cell: (one) => number(one.attempts) },
  { title: "Last answer", class: "last-answer", cell: (one) => answer(one) },
  { title: "Made", class: "nowrap", cell: (one) => when(one.createdAt) },
  { title: "Next or end", class: "nowrap", cell: (one) => (one.endedAt ? when(one.endedAt) : h("span", null, h("span", { class: "muted" }, "next "), when(one.nextAt))) },
];

function answer({ statusCode, error }) {
  if (statusCode === null && !error) return h("span", { class: "muted" }, "none yet");
  return h("span", null, statusCode, statusCode && error ? " · " : null, error && snippet(error, 200));
}

function filters(chosen, changed) {
  const state = select(STATES, chosen.state, { onchange: (event) => {
    chosen.state = event.target.value;
    changed();
  } });
  const all = (event) => {
    chosen.taskId = "";
    event.currentTarget.remove();
    changed();
  };
  const oneTask = chosen.taskId && h("button", { type: "button", onclick: all }, icon("close"), "Only one task's: show all");
  return h("div", { class: "filters", role: "search", "aria-label": "Filter" }, field("State", state), oneTask);
}

function nothing({ state, taskId }) {
  if (state || taskId) return empty("No such delivery.");
  return empty("No webhook has been asked for.", "A task with a ", h("code", null, "callbackUrl"), " tells that address of its end, and what came of it stands here.");
}

function againButton(delivery, changed) {
  const again = async () => {
    try {
      await api.post(`/agent/deliveries/${encodeURIComponent(delivery.deliveryId)}/redrive`);
      toast("It is being sent again.");
    } catch (error) {
      toast(failureText(error));
    }
    await changed();
  };
  return h("button", { type: "button", class: "small", onclick: again }, icon("retry"), delivery.state === "pending" ? "Send now" : "Send again");
}
