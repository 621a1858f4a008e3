// Builds elements. Text reaches the page as text nodes only, so nothing that a task says can become markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "selected", "open", "indeterminate", "multiple"]);

/**
 * Build an element: h("a", {href: "#/x", class: "big", onclick: go, dataset: {id: 1}, style: {width: "3px"}}, "text", node).
 * Attributes that are null, undefined or false are left out, true is an empty one; children may be nested arrays.
 */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Put children in place of those that a node has. */
export function replace(node, ...children) {
  node.replaceChildren(...nodes(children));
  return node;
}

/** Return text as an element that a text of the other direction cannot leak out of. */
export function text(value, attributes) {
  return h("bdi", { dir: "auto", ...attributes }, value ?? "");
}

function fill(element, attributes, children) {
  const late = [];
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function" && name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") Object.assign(element.style, value);
    else if (PROPERTIES.has(name) && name in element) late.push([name, value]);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  for (const [name, value] of late) element[name] = value; // a select takes its value once it has its options
  return element;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}
