// Charts over time as SVG: bars that are stacked, lines and steps. Colour is never all there is: lines differ in their
// dashes and bars in their filling, the legend shows both, a sentence sums each chart up, and a table has its numbers.

import { h, replace, s } from "./dom.js";
import { details, table } from "./widgets.js";

const HEIGHT = 190;
const MARGIN = { top: 10, right: 10, bottom: 24, left: 56 };
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DASHES = [null, "6 3", "1.5 3"];

let charts = 0;

/**
 * Build a chart: `title`, `unit` for the axis, `format(value)`, `kind` ("bars" | "lines" | "steps"), `summary(points)`
 * and `series`: {name, look (a class of the sheet), value(point) → number or null}. Points have `at`, a minute's start.
 * Returns a figure; `.update(points)` draws, and it draws itself anew when its width changes.
 */
export function chart({ title, unit, format, kind, series, summary, whole = false }) {
  const id = `chart-${(charts += 1)}`;
  const plot = h("div", { class: "plot" });
  const said = h("p", { class: "chart-summary" });
  const reading = h("p", { class: "chart-reading", "aria-hidden": "true" });
  const numbers = h("div");
  const made = h(
    "figure",
    { class: "card chart", "aria-labelledby": id },
    h("figcaption", { class: "chart-head" }, h("h3", { id }, title), h("span", { class: "muted" }, unit)),
    legend(series, kind, id),
    plot,
    reading,
    said,
    details("Numbers", numbers),
  );
  const spec = { id, title, format, kind, series, whole, reading };
  let points = [];
  made.update = (next) => {
    points = next;
    replace(said, summary(points));
    replace(numbers, numbersTable(points, spec));
    draw(plot, points, spec, said.textContent);
  };
  new ResizeObserver(() => points.length && draw(plot, points, spec, said.textContent)).observe(plot);
  return made;
}

function legend(series, kind, id) {
  const swatch = (one, i) =>
    s("svg", { class: `swatch ${one.look}`, viewBox: "0 0 24 12", width: "24", height: "12", "aria-hidden": "true" },
      kind === "bars" ? [filling(`${id}-key-${i}`, i), s("rect", { x: 1, y: 1, width: 22, height: 10, class: "bar", fill: fillOf(`${id}-key-${i}`, i) })]
        : s("path", { d: "M1 6H23", class: "line", "stroke-dasharray": DASHES[i] }));
  return h("ul", { class: "legend", "aria-label": "Legend" }, series.map((one, i) => h("li", null, swatch(one, i), one.name)));
}

/** The patterns of stacked bars: full, hatched, hollow. */
function filling(id, i) {
  if (i !== 1) return null;
  return s("pattern", { id, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    s("rect", { width: 5, height: 5, class: "hatch-ground" }), s("rect", { width: 2.5, height: 5, class: "hatch" }));
}

function fillOf(id, i) {
  if (i === 1) return `url(#${id})`;
  return i === 2 ? "none" : "currentColor";
}

function draw(plot, points, spec, said) {
  const width = Math.max(240, Math.floor(plot.clientWidth));
  const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const ticks = ticksTo(greatest(points, spec), spec.whole);
  const band = inner.width / points.length;
  const place = {
    band,
    bottom: MARGIN.top + inner.height,
    x: (i) => MARGIN.left + (i + 0.5) * band,
    y: (value) => MARGIN.top + inner.height * (1 - value / ticks.at(-1)),
  };
  const mark = s("line", { class: "chart-mark", y1: MARGIN.top, y2: place.bottom, visibility: "hidden" });
  const svg = s(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": `${spec.title}. ${said}` },
    axes(points, ticks, place, width, spec),
    spec.series.map((one, i) => s("g", { class: one.look }, SHAPES[spec.kind](points, i, place, spec))),
    mark,
  );
  svg.addEventListener("pointermove", (event) => read(event, svg, points, place, mark, spec));
  svg.addEventListener("pointerleave", () => {
    mark.setAttribute("visibility", "hidden");
    replace(spec.reading, "");
  });
  replace(plot, svg);
}

function greatest(points, { kind, series }) {
  const values = points.map((point) => series.map((one) => one.value(point) ?? 0));
  return Math.max(0, ...values.map((each) => (kind === "bars" ? each.reduce((sum, value) => sum + value, 0) : Math.max(...each))));
}

/** Round numbers from 0 to above the greatest value. */
function ticksTo(most, whole) {
  if (most <= 0) return [0, 1];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const found = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
  const step = whole ? Math.max(1, Math.ceil(found)) : found;
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step);
}

function axes(points, ticks, place, width, { format }) {
  const every = width < 460 ? 20 : 10;
  const lines = ticks.map((tick) => [
    s("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: place.y(tick), y2: place.y(tick) }),
    s("text", { class: "tick", x: MARGIN.left - 8, y: place.y(tick) + 4, "text-anchor": "end" }, format(tick)),
  ]);
  const times = points.map(({ at }, i) =>
    new Date(at).getMinutes() % every === 0 &&
    s("text", { class: "tick", x: Math.min(Math.max(place.x(i), MARGIN.left + 14), width - 18), y: HEIGHT - 6, "text-anchor": "middle" }, CLOCK.format(new Date(at))),
  );
  return s("g", { "aria-hidden": "true" }, lines, times);
}

const SHAPES = { bars, lines, steps };

function bars(points, i, place, { id, series }) {
  const gap = place.band > 6 ? 2 : 0.5;
  const drawn = points.map((point, n) => {
    const value = series[i].value(point) ?? 0;
    if (!value) return null;
    const below = series.slice(0, i).reduce((sum, one) => sum + (one.value(point) ?? 0), 0);
    const top = place.y(below + value);
    return s("rect", { class: "bar", x: place.x(n) - (place.band - gap) / 2, y: top, width: place.band - gap, height: place.y(below) - top, fill: fillOf(`${id}-${i}`, i) });
  });
  return [filling(`${id}-${i}`, i), drawn];
}

function lines(points, i, place, { series }) {
  const values = points.map(series[i].value);
  let path = "";
  values.forEach((value, n) => {
    if (value !== null) path += `${n && values[n - 1] !== null ? "L" : "M"}${place.x(n).toFixed(1)} ${place.y(value).toFixed(1)}`;
  });
  // A minute between two that have no value has no line, so it gets a dot.
  const alone = values.map((value, n) =>
    value !== null && (values[n - 1] ?? null) === null && (values[n + 1] ?? null) === null && s("circle", { class: "dot", cx: place.x(n), cy: place.y(value), r: 2.5 }),
  );
  return [s("path", { class: "line", d: path, "stroke-dasharray": DASHES[i] }), alone];
}

function steps(points, i, place, { series }) {
  let path = "";
  let open = false;
  points.forEach((point, n) => {
    const value = series[i].value(point);
    if (value !== null) {
      const [left, right] = [place.x(n) - place.band / 2, place.x(n) + place.band / 2];
      path += `${open ? "L" : "M"}${left.toFixed(1)} ${place.y(value).toFixed(1)}H${right.toFixed(1)}`;
    }
    open = value !== null;
  });
  return s("path", { class: "line", d: path, "stroke-dasharray": DASHES[i] });
}

/** Say what stands where the pointer is. */
function read(event, svg, points, place, mark, { series, format, reading }) {
  const at = event.clientX - svg.getBoundingClientRect().left - MARGIN.left;
  const i = Math.min(points.length - 1, Math.max(0, Math.floor(at / place.band)));
  mark.setAttribute("x1", place.x(i));
  mark.setAttribute("x2", place.x(i));
  mark.setAttribute("visibility", "visible");
  const values = series.map((one) => `${one.name} ${shown(one.value(points[i]), format)}`);
  replace(reading, `${CLOCK.format(new Date(points[i].at))} · ${values.join(" · ")}`);
}

function shown(value, format) {
  return value === null || value === undefined ? "–" : format(value);
}

function numbersTable(points, { title, series, format }) {
  const columns = [
    { title: "Minute", cell: (point) => CLOCK.format(new Date(point.at)) },
    ...series.map((one) => ({ title: one.name, number: true, cell: (point) => shown(one.value(point), format) })),
  ];
  const made = table(columns, [...points].reverse(), { caption: `${title}, newest first` });
  made.classList.add("chart-numbers");
  made.tabIndex = 0; // it scrolls, so the keyboard has to reach it
  made.setAttribute("role", "region");
  made.setAttribute("aria-label", `${title}, numbers`);
  return made;
}
