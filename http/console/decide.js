// The decision about a paused task: what it waits for, and a button for each answer it takes.

import { api } from "./api.js";
import { h, replace } from "./dom.js";
import { parseExactly } from "./exact.js";
import { number } from "./format.js";
import { visibleJson } from "./hidden.js";
import { toast, to } from "./shell.js";
import { block, dialog, failure, failureText, field, snippet } from "./widgets.js";

const LABELS = {
  approve: "Approve", edit: "Edit arguments…", reject: "Reject…", retry: "Make the call again", assume_done: "Assume it was done…", fail: "Fail the task…",
};
const PLAIN = new Set(["approve", "retry"]);

/** Return the panel of a pause; `decided()` is called once a decision was taken. */
export function decidePanel(record, decided) {
  const { pause } = record;
  if (pause.reason === "subagents") return waitingFor(pause);
  const problem = h("div");
  const path = `/agent/tasks/${encodeURIComponent(record.taskId)}`;
  const about = { ...(pause.call ? { call: pause.call } : {}), ...(pause.digest ? { digest: pause.digest } : {}) };
  const send = async (body) => {
    await api.post(`${path}/decide`, { ...body, ...about });
    toast(`Decision taken: ${body.decision.replace("_", " ")}`);
    decided();
  };
  const take = async (decision, button) => {
    button.disabled = true;
    try {
      if (PLAIN.has(decision)) await send({ decision });
      else await asked(decision, () => whole(path, pause), send);
      replace(problem);
    } catch (error) {
      replace(problem, failure(error, () => take(decision, button)));
    } finally {
      button.disabled = false;
    }
  };
  const buttons = (pause.decisions ?? []).map((one, i) =>
    h("button", { type: "button", class: i === 0 ? "primary" : one === "fail" || one === "reject" ? "danger" : null, dataset: { decision: one }, onclick: (event) => take(one, event.currentTarget) }, LABELS[one] ?? one),
  );
  return h(
    "section",
    { class: "card decide", "aria-label": "Decision" },
    h("h2", null, pause.reason === "approval" ? "A call waits for your approval" : "What became of this call?"),
    h("p", { dir: "auto" }, pause.message),
    h("div", null, h("p", { class: "part-label" }, "Call"), h("p", null, h("code", { dir: "auto" }, pause.skill)), argumentsPart(path, pause)),
    h("div", { class: "row" }, buttons),
    problem,
  );
}

function waitingFor(pause) {
  const agents = (pause.agents ?? []).map((one) => h("li", null, h("a", { href: to("/tasks", one.taskId) }, one.agent), " ", snippet(one.task, 100)));
  return h("section", { class: "card decide" }, h("h2", null, "Waiting for agents"), h("p", { class: "muted" }, pause.message), h("ul", { class: "plain-list" }, agents));
}

/** The pause with its whole arguments, their numbers as they are written; an error where they are not those of `pause`. */
async function whole(path, pause) {
  const found = (await api.get(`${path}/pause`, null, { exact: true })).pause;
  if (found.digest !== pause.digest) throw new Error("The task waits with other arguments by now; look at it again.");
  return found;
}

/** The arguments, what is left out of them here and a button to see it, and their digest. */
function argumentsPart(path, pause) {
  const made = h("div", { class: "arguments" });
  const problem = h("div");
  let seen = pause;
  let value = argumentsOf(pause);
  let ascii = false;
  const draw = () => {
    const text = visibleJson(value, { ascii });
    const defaults = visibleJson(seen.defaults ?? {}, { ascii });
    const foreign = ascii || /[^\x00-\x7f]/.test(text + defaults);
    replace(
      made,
      seen.argsTruncated && h("p", { class: "row" }, h("strong", null, `Shortened here: it is called with ${number(pause.argsBytes ?? 0)} bytes of arguments.`), h("button", { type: "button", class: "small", onclick: showAll }, "Show all arguments")),
      block(text, { dir: "ltr", limit: seen === pause ? 2000 : Infinity }),
      Object.keys(seen.defaults ?? {}).length > 0 && [h("p", null, "Left to their defaults:"), block(defaults, { dir: "ltr", limit: seen === pause ? 2000 : Infinity })],
      foreign && h("button", { type: "button", class: "small", "aria-pressed": String(ascii), onclick: () => ((ascii = !ascii), draw()) }, "Escape what is not ASCII"),
      pause.digest && h("p", { class: "muted mono" }, `SHA-256 ${pause.digest}`),
      problem,
    );
  };
  const show = async (one) => {
    seen = one;
    const found = await named(one).catch(() => argumentsOf(one)); // names are nicer, not needed
    if (seen !== one) return; // all of them were asked for meanwhile
    value = found;
    draw();
  };
  const showAll = async () => {
    try {
      await show(await whole(path, pause));
      replace(problem);
    } catch (error) {
      replace(problem, failure(error, showAll));
    }
  };
  draw();
  if (pause.args?.length && !pause.edited) show(pause);
  return made;
}

/** The call's arguments as they are shown; positional ones have no names here. */
function argumentsOf(pause) {
  if (pause.edited) return pause.edited;
  return { ...(pause.args?.length ? { args: pause.args } : {}), ...pause.kwargs };
}

/** The call's arguments by name, which is how an edit gives them; the names are in the skill's schema. */
async function named(pause) {
  if (pause.edited) return pause.edited;
  const given = { ...pause.kwargs };
  if (!pause.args?.length) return given;
  const found = await api.get(`/agent/skills/${encodeURIComponent(pause.skill)}`);
  const names = Object.keys(found.skill.schema?.properties ?? {});
  pause.args.forEach((value, i) => {
    given[names[i] ?? `argument${i + 1}`] = value;
  });
  return { ...Object.fromEntries(names.filter((name) => name in given).map((name) => [name, given[name]])), ...given };
}

async function asked(decision, load, send) {
  const reason = h("input", { type: "text", maxlength: "1000", dir: "auto" });
  const why = field("Reason", reason, "Kept in the task's log; may be empty.");
  const editor = decision === "edit" || decision === "assume_done";
  const pause = decision === "edit" ? await load() : null;
  if (pause?.argsTruncated) throw new Error("The server has not kept these arguments whole; give all of them with POST …/decide.");
  const value = pause && (await named(pause));
  const json = editor ? h("textarea", { class: "code", rows: "10", spellcheck: "false", dir: "ltr", value: visibleJson(value) }) : null;
  const texts = {
    edit: ["Edit the arguments", "Make the call with these", () => field("Arguments, as JSON", json, "All arguments of the call by name.")],
    assume_done: ["Assume that it was done", "Go on with this result", () => field("What the call returned, as JSON", json, "null, if it returns nothing.")],
    reject: ["Reject the call", "Reject", () => h("p", null, "The call is not made; the code goes on with an error.")],
    fail: ["Fail the task", "Fail the task", () => h("p", null, "The task ends as failed, with outcome_unknown.")],
  };
  const [title, label, body] = texts[decision];
  const check = async () => {
    const sent = { decision, ...(reason.value.trim() ? { reason: reason.value.trim() } : {}) };
    if (json) {
      const [parsed, wrong] = read(json.value, decision === "edit");
      if (wrong) return wrong;
      sent[decision === "edit" ? "arguments" : "result"] = parsed;
    }
    try {
      await send(sent);
    } catch (error) {
      return failureText(error);
    }
    return null;
  };
  const danger = decision === "reject" || decision === "fail";
  await dialog({ title, body: [body(), why], check, actions: [{ label: "Cancel", value: "cancel", plain: true }, { label, value: "send", submit: true, danger }] });
}

/** Return the value of a JSON text, or a sentence that says what is wrong with it. */
function read(text, mustBeObject) {
  let value;
  try {
    value = parseExactly(text, { all: true });
  } catch (error) {
    return [null, `This is not JSON: ${error.message}`];
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return mustBeObject && !isObject ? [null, "The arguments are an object, such as {\"name\": 1}."] : [value, null];
}
