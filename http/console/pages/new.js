// A new task: what is to be done, by whom and with what; its answer streams in place, and the next one can follow.

import { attachments } from "../attach.js";
import { api, freshKey, key } from "../api.js";
import { curlOf } from "../curl.js";
import { h, replace } from "../dom.js";
import { short } from "../format.js";
import { setQuery, to } from "../shell.js";
import { taskView } from "../taskview.js";
import { copyButton, details, failure, field, select } from "../widgets.js";

export const title = "New task";

const MOST_CHARACTERS = 100_000;

export async function render(main, params, signal) {
  const [agents, skills, sessions] = await Promise.all([listOf("agents", signal), listOf("skills", signal), listOf("sessions", signal)]);
  const form = taskForm({ agents, skills, sessions, query: params.query });
  const thread = h("div", { class: "thread" });
  const page = { form, thread, signal, main };
  form.onSubmit = () => submitForm(page);
  replace(main, form.node, thread);
  form.controls.task.focus({ preventScroll: true });
}

/** A list that helps to fill the form in; without it the form still works. */
async function listOf(name, signal) {
  try {
    return (await api.get(`/agent/${name}`, name === "sessions" ? { limit: 50 } : null, { signal }))[name] ?? [];
  } catch (error) {
    if (signal.aborted) throw error;
    return [];
  }
}

function taskForm({ agents, skills, sessions, query }) {
  const files = attachments();
  const controls = {
    task: h("textarea", { rows: "6", required: true, maxlength: String(MOST_CHARACTERS), dir: "auto", placeholder: "What is to be done? Text, or Python in a ```python block.", value: query.task ?? "" }),
    agent: select([["", "master (default)"], ...agents.map((one) => one.name).filter((name) => name !== "master")], query.agent ?? ""),
    session: h("input", { type: "text", list: "known-sessions", placeholder: "A new session", maxlength: "128", dir: "ltr", spellcheck: "false", autocomplete: "off", value: query.session ?? "" }),
    systemPrompt: h("textarea", { rows: "3", maxlength: "20000", dir: "auto" }),
    labels: h("input", { type: "text", placeholder: "order=4711, team=ops", dir: "ltr", spellcheck: "false" }),
    timeout: h("input", { type: "number", min: "1", max: "86400", step: "any", placeholder: "None", inputmode: "decimal" }),
  };
  const chosen = skillChoice(skills, query.skill);
  const problem = h("div");
  const button = h("button", { type: "submit", class: "primary" }, "Submit task");
  const form = { controls, files, chosen, problem, button };
  const known = h("datalist", { id: "known-sessions" }, sessions.map((one) => h("option", { value: one.sessionId }, one.preview ? short(one.preview, 60) : null)));
  form.node = h(
    "form",
    { class: "stack card", onsubmit: (event) => {
      event.preventDefault();
      form.onSubmit();
    } },
    field("Task", controls.task),
    h("div", { class: "fields" }, field("Agent", controls.agent), field("Session", controls.session, "Tasks of one session share its memory, one after the other. Empty: a new one.")),
    known,
    chosen.node,
    files.node,
    details("More", h("div", { class: "stack" },
      field("System prompt", controls.systemPrompt, "Instructions for the model, beside the server's own."),
      h("div", { class: "fields" }, field("Labels", controls.labels, "Names and values, comma-separated; kept with the task."), field("Timeout, in seconds", controls.timeout, "The task ends within this time.")))),
    problem,
    h("div", { class: "submit-row" }, button, h("span", { class: "muted" }, h("kbd", null, navigator.platform.startsWith("Mac") ? "⌘" : "Ctrl"), " ", h("kbd", null, "Enter"))),
  );
  form.node.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.node.requestSubmit();
  });
  return form;
}

/** All skills, or only those that are ticked. */
function skillChoice(skills, wanted) {
  const all = h("input", { type: "checkbox", checked: !wanted, id: "all-skills" });
  const boxes = skills.map((one) => h("input", { type: "checkbox", value: one.name, checked: one.name === wanted }));
  const list = h("div", { class: "choices", role: "group", "aria-label": "Skills it may call", hidden: !wanted }, boxes.map((box, i) => h("label", { title: short(skills[i].description, 200) }, box, h("span", null, skills[i].name))));
  all.addEventListener("change", () => {
    list.hidden = all.checked;
  });
  const node = h("fieldset", { class: "field" }, h("legend", { class: "legend" }, "Skills"), h("label", { class: "row", for: "all-skills" }, all, "All that there are"), list);
  return { node, value: () => (all.checked ? null : boxes.filter((box) => box.checked).map((box) => box.value)) };
}

/** The form as the body of POST /agent/execute; throws an Error that says what cannot be sent. */
async function bodyOf({ controls, files, chosen }) {
  const body = { task: controls.task.value };
  const session = controls.session.value.trim();
  const labels = labelsOf(controls.labels.value);
  const skills = chosen.value();
  const attached = await files.files();
  if (!body.task.trim()) throw new Error("The task is blank.");
  if (session) body.sessionId = session;
  if (controls.agent.value) body.agent = controls.agent.value;
  if (skills) body.availableSkills = skills;
  if (controls.systemPrompt.value.trim()) body.systemPrompt = controls.systemPrompt.value;
  if (labels) body.labels = labels;
  if (controls.timeout.value) body.timeoutMs = Math.round(Number(controls.timeout.value) * 1000);
  if (attached.length) body.attachments = attached;
  return body;
}

function labelsOf(text) {
  const pairs = text.split(",").map((one) => one.trim()).filter(Boolean).map((one) => {
    const [, name, value] = /^([^=]+)=(.*)$/.exec(one) ?? [];
    if (!name) throw new Error(`The label ${one} has no value; write name=value.`);
    const number = /^-?\d+(\.\d+)?$/.test(value.trim()) && Number.isSafeInteger(Math.trunc(Number(value)));
    return [name.trim(), number ? Number(value) : value.trim()];
  });
  return pairs.length ? Object.fromEntries(pairs) : null;
}

async function submitForm(page) {
  const { form } = page;
  if (form.button.disabled) return;
  form.button.disabled = true;
  try {
    const body = await bodyOf(form);
    const accepted = await submit(page, body);
    replace(form.problem);
    replace(page.thread); // a new task begins a new thread
    form.files.clear();
    setQuery({ session: accepted.sessionId });
    await turn(page, body, accepted);
  } catch (error) {
    if (!page.signal.aborted) replace(form.problem, failure(error, error.status === undefined ? null : () => submitForm(page)));
  } finally {
    form.button.disabled = false;
  }
}

/** Send a task once, however often it has to be sent: the key belongs to what is sent. */
async function submit(page, body) {
  const wire = JSON.stringify(body);
  if (page.sent !== wire) {
    page.sent = wire;
    page.idempotencyKey = freshKey();
  }
  const accepted = await api.post("/agent/execute", body, { headers: { "Idempotency-Key": page.idempotencyKey }, signal: page.signal });
  page.sent = null;
  return accepted;
}

/** Show a task that was accepted, below those of its session before it, and a box for the next one. */
async function turn(page, body, accepted) {
  const place = h("section", { class: "turn", "aria-label": `Task ${short(body.task, 60)}` });
  page.thread.append(place);
  const view = await taskView(accepted.taskId, { signal: page.signal });
  const command = curlOf("/agent/execute", body, { keyed: Boolean(key.get()) });
  const curl = details("The same with curl", h("div", { class: "stack" }, h("pre", { class: "block", tabindex: "0" }, h("code", null, command)), h("div", null, copyButton(command))), { className: "card" });
  const head = h("div", { class: "page-head" }, h("h2", { dir: "auto" }, short(body.task, 120)), h("div", { class: "row" }, view.actions, h("a", { class: "button", href: to("/tasks", accepted.taskId) }, "Open the task")));
  replace(place, head, view.node, curl, followUp(page, accepted.sessionId, body));
  place.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function followUp(page, sessionId, before) {
  const text = h("textarea", { rows: "3", required: true, maxlength: String(MOST_CHARACTERS), dir: "auto", placeholder: "And then?" });
  const problem = h("div");
  const button = h("button", { type: "submit", class: "primary" }, "Send");
  const send = async (event) => {
    event?.preventDefault();
    if (!text.value.trim() || button.disabled) return;
    button.disabled = true;
    const { agent, availableSkills, systemPrompt } = before;
    const body = JSON.parse(JSON.stringify({ task: text.value, sessionId, agent, availableSkills, systemPrompt })); // leaves out what is undefined
    try {
      const accepted = await submit(page, body);
      node.remove();
      await turn(page, body, accepted);
    } catch (error) {
      if (!page.signal.aborted) replace(problem, failure(error, () => send()));
    } finally {
      button.disabled = false;
    }
  };
  const node = h("form", { class: "card stack", onsubmit: send }, field("Follow up in the same session", text), problem, h("div", null, button));
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    node.requestSubmit();
  });
  return node;
}
