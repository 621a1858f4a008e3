// Files for a task: chosen or dropped, read as base64, listed and taken out again.

import { h, replace } from "./dom.js";
import { bytes } from "./format.js";
import { icon } from "./icons.js";
import { announce } from "./shell.js";

const MOST_FILES = 16;
const BODY_BYTES = Number(document.querySelector("meta[name=callboard-max-body-bytes]")?.content) || 2_000_000;
const MOST_BYTES = Math.floor(0.7 * BODY_BYTES); // together, as base64 in a body beside the text; the server has the last word

/** The part of a form that takes files; `.files()` is a promise of them as the server takes them, `.clear()` empties it. */
export function attachments() {
  let chosen = [];
  const input = h("input", { type: "file", multiple: true, id: "attachments", "aria-describedby": "attachments-hint" });
  const list = h("ul", { class: "chips" });
  const problem = h("p", { class: "error-text", role: "alert", dir: "auto" });
  const hint = h("p", { class: "hint", id: "attachments-hint" }, `Or drop files here. At most ${MOST_FILES}, about ${bytes(MOST_BYTES)} in all.`);
  const node = h("div", { class: "drop" }, h("div", { class: "field" }, h("label", { for: "attachments" }, "Attachments"), input, hint), list, problem);

  const show = () => {
    const names = toldApart(chosen.map((file) => file.name));
    replace(list, chosen.map((file, i) => h("li", { class: "chip" }, icon("file"), h("bdi", { dir: "auto" }, names[i]), h("span", { class: "muted" }, bytes(file.size)), remover(file, names[i]))));
    const total = chosen.reduce((sum, file) => sum + file.size, 0);
    const wrong = chosen.length > MOST_FILES ? `${chosen.length} files are more than ${MOST_FILES}.` : total > MOST_BYTES ? `${bytes(total)} are more than fits into one request (about ${bytes(MOST_BYTES)}).` : "";
    if (problem.textContent !== wrong) problem.textContent = wrong;
  };
  const remover = (file, name) => h("button", { type: "button", "aria-label": `Remove ${name}`, onclick: () => {
    chosen = chosen.filter((one) => one !== file);
    show();
    input.focus();
  } }, icon("close"));
  const add = (files) => {
    chosen = [...chosen.filter((file) => ![...files].some((other) => isSame(file, other))), ...files];
    show();
    announce(`${chosen.length} ${chosen.length === 1 ? "file is" : "files are"} attached.`);
  };
  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
  node.addEventListener("dragover", (event) => {
    event.preventDefault();
    node.classList.add("over");
  });
  node.addEventListener("dragleave", () => node.classList.remove("over"));
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    node.classList.remove("over");
    add(event.dataTransfer.files);
  });
  const clear = () => {
    chosen = [];
    show();
  };
  const files = () => {
    const names = toldApart(chosen.map((file) => file.name));
    return Promise.all(chosen.map(async (file, i) => ({ name: names[i], data: await base64(file) }))); // the server tells what each is
  };
  return { node, files, clear };
}

/** Chosen twice, and not two files of one name. */
function isSame(one, other) {
  return one.name === other.name && one.size === other.size && one.lastModified === other.lastModified;
}

/** Names of which no two are alike, as the server would tell them apart: the second report.csv is report (2).csv. */
function toldApart(names) {
  const key = (name) => name.normalize("NFC").toLowerCase().normalize("NFC");
  const taken = new Set(names.map(key));
  const seen = new Set();
  return names.map((name) => {
    const [, stem, ending] = /^(.+?)(\.[^.]{1,20})?$/s.exec(name);
    let own = name;
    for (let n = 2; seen.has(key(name)) && taken.has(key(own)); n += 1) own = `${stem} (${n})${ending ?? ""}`;
    seen.add(key(own)).add(key(name));
    taken.add(key(own));
    return own;
  });
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error(`${file.name} cannot be read.`));
    reader.readAsDataURL(file);
  });
}
