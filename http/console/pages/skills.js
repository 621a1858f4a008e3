// Skills: what tasks can call, how often they did and how often it failed; one of them with its declaration.

import { api } from "../api.js";
import { h, replace } from "../dom.js";
import { number } from "../format.js";
import { icon } from "../icons.js";
import { loadInto } from "../lists.js";
import { highlight } from "../python.js";
import { link, setActions, setTitle } from "../shell.js";
import { block, details, empty, facts, field, loading, problemList, section, snippet, table } from "../widgets.js";

export const title = (params) => params.query.name ?? "Skills";

const KINDS = { python: "Python", folder: "Folder", mcp: "MCP", agent: "Delegation" };
const REPLAYS = {
  pure: "computed again, not kept",
  safe: "may be repeated",
  keyed: "repeated with the same key",
  never: "never repeated unasked",
};

export async function render(main, params, signal) {
  if (params.query.name) return one(main, params.query.name, signal);
  const place = h("div", { class: "stack" }, loading());
  replace(main, place);
  return loadInto(place, signal, () => api.whole("/agent/skills", "skills"), ({ skills, problems }) => [problemList(problems), list(skills)]);
}

function list(skills) {
  if (!skills.length) return empty("This server has no skills.");
  const rows = h("div", { class: "stack" });
  const search = h("input", { type: "search", placeholder: "name or description", autocomplete: "off", oninput: () => show() });
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const found = skills.filter((skill) => `${skill.name} ${skill.description}`.toLowerCase().includes(wanted));
    replace(rows, found.length ? table(columns(), found, { caption: "Skills", rowClass: () => "link-row" }) : empty("No skill has that in its name or description."));
  };
  show();
  return [h("div", { class: "filters", role: "search" }, field("Search", search, null, "wide")), rows];
}

function columns() {
  return [
    { title: "Skill", class: "skill-name", cell: (skill) => h("a", { class: "row-link mono", href: link("/skills", { name: skill.name }) }, skill.name) },
    { title: "What it does", cell: (skill) => snippet(skill.description, 160) },
    { title: "Kind", class: "nowrap", cell: (skill) => KINDS[skill.kind] ?? skill.kind },
    { title: "After a crash", class: "nowrap", cell: (skill) => h("span", { title: REPLAYS[skill.replay] ?? null }, skill.replay) },
    { title: "Approval", class: "nowrap", cell: (skill) => (skill.approval ? "each call" : h("span", { class: "muted" }, "no")) },
    { title: "Calls", number: true, cell: (skill) => number(skill.calls) },
    { title: "Failures", number: true, cell: (skill) => failures(skill.failures, skill.calls) },
  ];
}

/** How many failed, with their share, so that colour is not all there is. */
function failures(failed, calls) {
  if (!failed) return h("span", { class: "muted" }, "0");
  return h("span", { class: "error-text" }, `${number(failed)} (${Math.round((100 * failed) / Math.max(1, calls))}%)`);
}

async function one(main, name, signal) {
  setActions(h("a", { class: "button", href: "#/skills" }, icon("list"), "All skills"));
  const place = h("div", { class: "stack" }, loading());
  replace(main, place);
  const load = () => api.get(`/agent/skills/${encodeURIComponent(name)}`);
  return loadInto(place, signal, load, ({ skill }) => {
    setTitle(skill.name);
    return [h("p", { class: "long-text lead", dir: "auto" }, skill.description), factsOf(skill), declaration(skill)];
  });
}

function factsOf(skill) {
  return h("div", { class: "card" }, facts([
    ["Kind", KINDS[skill.kind] ?? skill.kind],
    ["From", skill.origin === "builtin" ? "built in" : skill.origin],
    ["Version", skill.version],
    ["After a crash", `${skill.replay}: ${REPLAYS[skill.replay] ?? ""}`],
    ["Approval", skill.approval ? "a person approves each call" : "not needed"],
    ["Reaches", skill.permissions.join(", ")],
    ["Calls", number(skill.calls)],
    ["Failures", failures(skill.failures, skill.calls)],
  ]));
}

function declaration(skill) {
  return [
    section("Declaration", block(skill.stub, { render: highlight })),
    section("Arguments", parameters(skill.schema), details("JSON Schema", block(skill.schema))),
  ];
}

function parameters(schema) {
  const names = Object.entries(schema.properties ?? {});
  if (!names.length) return h("p", { class: "muted" }, "It takes none.");
  const needed = new Set(schema.required ?? []);
  return table([
    { title: "Name", cell: ([name]) => h("span", { class: "mono" }, name) },
    { title: "Type", cell: ([, about]) => h("span", { class: "mono" }, typeOf(about)) },
    { title: "Needed", cell: ([name]) => (needed.has(name) ? "yes" : "no") },
    { title: "Meaning", cell: ([, about]) => about.description ?? h("span", { class: "muted" }, "–") },
  ], names, { caption: "Arguments" });
}

/** The type as a word; what is more involved stands in the schema. */
function typeOf(about) {
  if (about.enum) return about.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (about.const !== undefined) return JSON.stringify(about.const);
  const several = about.anyOf ?? about.oneOf;
  if (several) return [...new Set(several.map(typeOf))].join(" | ");
  if (about.type === "array") return `array of ${about.items ? typeOf(about.items) : "anything"}`;
  if (Array.isArray(about.type)) return about.type.join(" | ");
  return about.type ?? (about.$ref ? about.$ref.split("/").at(-1) : "anything");
}
