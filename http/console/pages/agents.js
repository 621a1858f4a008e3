// Agents: those that a task can be addressed to, what each may do, and how its tasks have ended.

import { api } from "../api.js";
import { h, replace } from "../dom.js";
import { duration, money, number } from "../format.js";
import { icon } from "../icons.js";
import { loadInto } from "../lists.js";
import { link } from "../shell.js";
import { empty, facts, loading, problemList } from "../widgets.js";

export const title = "Agents";

export async function render(main, _params, signal) {
  const place = h("div", { class: "stack" }, loading());
  replace(main, place);
  await loadInto(place, signal, () => api.whole("/agent/agents", "agents"), ({ agents, problems }) => [
    problemList(problems),
    agents.length ? h("ul", { class: "cards" }, agents.map(card)) : empty("This server has no agents."),
  ]);
}

function card(agent) {
  return h(
    "li",
    { class: "card agent-card" },
    h("h2", { class: "agent-name" }, icon("agent"), h("span", { dir: "auto" }, agent.name)),
    h("p", { class: "long-text", dir: "auto" }, agent.description),
    facts([
      ["Tasks", agent.tasks === undefined ? null : number(agent.tasks)],
      ["Failures", agent.failures === undefined ? null : failures(agent)],
      ["Model", agent.model ?? "the server's"],
      ["Rounds", agent.maxRounds ? `at most ${number(agent.maxRounds)}` : null],
      ["Budget", agent.budget ? budget(agent.budget) : "the server's"],
      ["From", agent.origin === "builtin" ? "built in" : agent.origin],
    ]),
    skills(agent.skills),
    h(
      "div",
      { class: "row agent-links" },
      h("a", { class: "button", href: link("/new", { agent: agent.name }) }, icon("plus"), "Give it a task", h("span", { class: "visually-hidden" }, ` (${agent.name})`)),
      h("a", { class: "button", href: link("/tasks", { agent: agent.name }) }, icon("list"), "Its tasks", h("span", { class: "visually-hidden" }, ` (${agent.name})`)),
    ),
  );
}

function failures({ failures: failed, tasks }) {
  if (!failed) return "0";
  return h("span", { class: "error-text" }, `${number(failed)} (${Math.round((100 * failed) / Math.max(1, tasks))}%)`);
}

const LIMITS = {
  modelCalls: (n) => `${number(n)} model calls`,
  tokens: (n) => `${number(n)} tokens`,
  costUsd: (n) => money(n),
  skillCalls: (n) => `${number(n)} skill calls`,
  wallMs: (n) => duration(n),
};

function budget(limits) {
  const parts = Object.entries(limits).filter(([, limit]) => limit !== null);
  return parts.map(([name, limit]) => (LIMITS[name] ? LIMITS[name](limit) : `${name} ${number(limit)}`)).join(", ") || "the server's";
}

function skills(names) {
  if (names === null) return h("p", { class: "muted" }, "May call every skill.");
  if (!names.length) return h("p", { class: "muted" }, "May call no skill.");
  const chip = (name) => h("li", null, h("a", { class: "chip mono", href: link("/skills", { name }) }, name));
  return h("div", { class: "stack-tight" }, h("h3", { class: "small-title" }, "May call"), h("ul", { class: "chips" }, names.map(chip)));
}
