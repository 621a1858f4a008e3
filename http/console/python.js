// Colours Python code: a small tokenizer, good enough for what models write. It makes text nodes in spans, no markup.

import { h } from "./dom.js";

const KEYWORDS = new Set(
  ("False None True and as assert async await break class continue def del elif else except finally for from global if " +
    "import in is lambda nonlocal not or pass raise return try while with yield match case").split(" "),
);

const MOST_CHARACTERS = 60_000; // beyond it colours cost more than they help

// One alternative a kind, the order decides. Strings first, with their prefixes; an open one ends with the text.
const TOKEN = new RegExp(
  [
    /(?<string>[rbfuRBFU]{0,2}(?:"""(?:\\[^]|[^\\])*?(?:"""|$(?![^]))|'''(?:\\[^]|[^\\])*?(?:'''|$(?![^]))|"(?:\\[^]|[^"\\\n])*(?:"|(?=\n)|$(?![^]))|'(?:\\[^]|[^'\\\n])*(?:'|(?=\n)|$(?![^]))))/,
    /(?<comment>#[^\n]*)/,
    /(?<number>\b(?:0[xob][\da-f_]+|\d[\d_]*(?:\.[\d_]*)?(?:e[+-]?\d+)?j?)\b)/,
    /(?<word>[\p{L}_][\p{L}\p{N}_]*)/,
    /(?<space>\s+)/,
    /(?<other>[^])/,
  ]
    .map((one) => one.source)
    .join("|"),
  "giu",
);

/** Return the nodes of a code, coloured. */
export function highlight(code) {
  if (code.length > MOST_CHARACTERS) return [code];
  const made = [];
  let plain = "";
  let before = "";
  const push = (kind, text) => {
    if (kind === null) {
      plain += text;
      return;
    }
    if (plain) made.push(plain);
    plain = "";
    made.push(h("span", { class: `tok-${kind}` }, text));
  };
  for (const { 0: text, groups, index } of code.matchAll(TOKEN)) {
    const kind = Object.keys(groups).find((name) => groups[name] !== undefined);
    push(kind === "word" ? wordKind(text, before, code, index) : kindOf(kind), text);
    if (kind !== "space") before = text;
  }
  if (plain) made.push(plain);
  return made;
}

function kindOf(kind) {
  return kind === "string" || kind === "comment" || kind === "number" ? kind : null;
}

function wordKind(word, before, code, index) {
  if (KEYWORDS.has(word)) return "keyword";
  if (before === "def" || before === "class") return "name";
  return code[index + word.length] === "(" ? "name" : null;
}
