// Files for a task: chosen or dropped, read as base64, listed and taken out again.

import { h, replace } from "./dom.js";
import { bytes } from "./format.js";
import { icon } from "./icons.js";
import { announce } from "./shell.js";

const MOST_FILES = 16;
const BODY_BYTES = Number(document.querySelector("meta[name=callboard-max-body-bytes]")?.content) || 2_000_000;
const MOST_BYTES = Math.floor(0.7 * BODY_BYTES); // together, as base64 in a body beside the text; the server has the last word

// What browsers leave empty or name otherwise, by the end of the name.
const TYPES = {
  csv: "text/csv", tsv: "text/tab-separated-values", md: "text/markdown", txt: "text/plain", log: "text/plain", json: "application/json", xml: "application/xml",
  yaml: "application/yaml", yml: "application/yaml", pdf: "application/pdf", png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp",
  py: "text/x-python", js: "text/javascript", html: "text/html", css: "text/css",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", xlsm: "application/vnd.ms-excel.sheet.macroEnabled.12",
  xls: "application/vnd.ms-excel", ods: "application/vnd.oasis.opendocument.spreadsheet",
};

/** The part of a form that takes files; `.files()` is a promise of them as the server takes them, `.clear()` empties it. */
export function attachments() {
  let chosen = [];
  const input = h("input", { type: "file", multiple: true, id: "attachments", "aria-describedby": "attachments-hint" });
  const list = h("ul", { class: "chips" });
  const problem = h("p", { class: "error-text", role: "alert", dir: "auto" });
  const hint = h("p", { class: "hint", id: "attachments-hint" }, `Or drop files here. At most ${MOST_FILES}, about ${bytes(MOST_BYTES)} in all.`);
  const node = h("div", { class: "drop" }, h("div", { class: "field" }, h("label", { for: "attachments" }, "Attachments"), input, hint), list, problem);

  const show = () => {
    replace(list, chosen.map((file) => h("li", { class: "chip" }, icon("file"), h("bdi", { dir: "auto" }, file.name), h("span", { class: "muted" }, bytes(file.size)), remover(file))));
    const total = chosen.reduce((sum, file) => sum + file.size, 0);
    const wrong = chosen.length > MOST_FILES ? `${chosen.length} files are more than ${MOST_FILES}.` : total > MOST_BYTES ? `${bytes(total)} are more than fits into one request (about ${bytes(MOST_BYTES)}).` : "";
    if (problem.textContent !== wrong) problem.textContent = wrong;
  };
  const remover = (file) => h("button", { type: "button", "aria-label": `Remove ${file.name}`, onclick: () => {
    chosen = chosen.filter((one) => one !== file);
    show();
    input.focus();
  } }, icon("close"));
  const add = (files) => {
    const names = new Set([...files].map((file) => file.name));
    chosen = [...chosen.filter((file) => !names.has(file.name)), ...files]; // no two have one name
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
  const files = () => Promise.all(chosen.map(async (file) => ({ name: named(file.name), mediaType: typed(file), data: await base64(file) })));
  return { node, files, clear };
}

/** A name that the server takes; what it does not know becomes an underscore. */
function named(name) {
  const plain = name.normalize("NFC").replace(/[^A-Za-z0-9._ -]/g, "_").slice(-128);
  return /^[A-Za-z0-9_]/.test(plain) ? plain : `_${plain.slice(1)}`;
}

function typed(file) {
  return TYPES[file.name.split(".").pop().toLowerCase()] ?? (file.type.split(";")[0] || "text/plain");
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error(`${file.name} cannot be read.`));
    reader.readAsDataURL(file);
  });
}
