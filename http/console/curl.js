// What the console has just done, as a command to copy.

import { base } from "./api.js";

const MOST_DATA = 120;

/** Return the curl of a POST. The key is a variable of the shell; a file's data is cut, with a hint how to make it. */
export function curlOf(path, body, { keyed }) {
  const shortened = shorten(body);
  const lines = [
    `curl -s ${quoted(new URL(path.replace(/^\//, ""), base).href)}`,
    "-H 'Content-Type: application/json'",
    keyed ? '-H "X-API-Key: $API_KEY"' : null,
    `-d ${quoted(JSON.stringify(shortened.body, null, 2))}`,
  ].filter(Boolean);
  const hints = shortened.files.map((name) => `# data of ${oneLine(name)}, cut here: base64 -w0 < ${quoted(oneLine(name))}`);
  return [...hints, lines.join(" \\\n  ")].join("\n");
}

function shorten(body) {
  if (!body.attachments) return { body, files: [] };
  const files = [];
  const attachments = body.attachments.map((one) => {
    if (!one.data || one.data.length <= MOST_DATA) return one;
    files.push(one.name);
    return { ...one, data: `${one.data.slice(0, 24)}…` };
  });
  return { body: { ...body, attachments }, files };
}

/** Nothing of a text leaves single quotes in a shell, but the quote itself. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function oneLine(text) {
  return text.replace(/[\r\n]+/g, " ");
}
