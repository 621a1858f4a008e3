// The pictures: strokes on a 24 by 24 grid, drawn in the colour of the text around them.

import { s } from "./dom.js";

const PATHS = {
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  plus: "M12 5v14M5 12h14",
  chat: "M4 5h16v11H9l-5 4z",
  tool: "M14.5 6.5a4 4 0 0 0-5.2 5.2L4 17l3 3 5.3-5.3a4 4 0 0 0 5.2-5.2L15 12l-3-3z",
  agent: "M7 9h10a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2v-6a2 2 0 0 1 2-2zM12 5v4M9 13v2M15 13v2",
  pulse: "M3 12h4l3-8 4 16 3-8h4",
  inbox: "M4 13l3-8h10l3 8v6H4zM4 13h5l1 3h4l1-3h5",
  hook: "M9 17a4 4 0 1 1-3.5-6M13 7a4 4 0 1 1 5 5M12 12l-3 5M13 8l3 6M11 17h7",
  key: "M15 9a4 4 0 1 1-3.9 5H9l-2 2-3-3 2-2h5.1A4 4 0 0 1 15 9zM15.5 13h.01",
  offline: "M3 3l18 18M8.5 16a5 5 0 0 1 5-1.3M5 12.5a10 10 0 0 1 4-2.3M12 20h.01M15 11a10 10 0 0 1 4 1.5",
  copy: "M9 9h10v11H9zM5 15V4h10",
  down: "M6 9l6 6 6-6",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  close: "M6 6l12 12M18 6L6 18",
  retry: "M4 12a8 8 0 1 0 2.5-5.8M4 4v4h4",
  stop: "M7 7h10v10H7z",
  check: "M5 12l5 5 9-10",
  alert: "M12 4l9 16H3zM12 10v4M12 17h.01",
};

/** Return a picture by its name; it says nothing to those who hear the page, the text beside it does. */
export function icon(name) {
  const path = s("path", { d: PATHS[name] ?? "", fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round", "stroke-linejoin": "round" });
  return s("svg", { class: "icon", viewBox: "0 0 24 24", width: "16", height: "16", "aria-hidden": "true", focusable: "false" }, path);
}
