// Health: each service, what is wrong, and the last hour in charts, drawn from the server's own numbers.

import { api } from "../api.js";
import { chart } from "../charts.js";
import { h, replace } from "../dom.js";
import { duration, number, when } from "../format.js";
import { icon } from "../icons.js";
import { repeat } from "../lists.js";
import { announce } from "../shell.js";
import { failure, loading, problemList, section, stat } from "../widgets.js";

export const title = "Health";

const REFRESH_MS = 5000;
const SERVICES = {
  api: "HTTP interface",
  agent: "Agent",
  sandbox: "Sandbox",
  llm: "Model",
  store: "Store",
};
const STATES = {
  healthy: ["check", "Healthy", "Everything works."],
  degraded: ["alert", "Degraded", "It works, but not as it should."],
  unhealthy: ["close", "Unhealthy", "Tasks are not worked out as they should be."],
};

export async function render(main, _params, signal) {
  const now = h("div", { class: "stack" }, loading());
  const hour = h("div", { class: "stack" }, loading());
  replace(main, now, section("The last hour", hour));
  const charts = hourCharts();
  let last = null;
  const showNow = part(now, signal, () => api.get("/health"), (health) => {
    if (last && last !== health.status) announce(`The server is ${health.status}.`);
    last = health.status;
    replace(now, overview(health));
  });
  const showHour = part(hour, signal, () => api.get("/agent/statistics"), ({ points }) => {
    if (!hour.contains(charts.element)) replace(hour, charts.element);
    charts.update(points);
  });
  await Promise.all([showNow(), showHour()]);
  if (signal.aborted) return;
  repeat(showNow, REFRESH_MS, signal);
  repeat(showHour, REFRESH_MS, signal);
}

/** Return a function that loads and shows; what was shown stays while the server is away, and the banner says so. */
function part(place, signal, load, show) {
  let shown = false;
  const refresh = async () => {
    try {
      const loaded = await load();
      if (signal.aborted) return;
      show(loaded);
      shown = true;
    } catch (error) {
      if (!signal.aborted && !(shown && error.status === 0)) {
        replace(place, failure(error, refresh));
        shown = false;
      }
    }
  };
  return refresh;
}

function overview(health) {
  const [sign, word, meaning] = STATES[health.status] ?? ["alert", health.status, ""];
  const { metrics } = health;
  return [
    h("div", { class: `card verdict verdict-${health.status}` }, h("span", { class: "verdict-sign" }, icon(sign)), h("div", null, h("h2", null, word), h("p", { class: "muted" }, meaning))),
    problemList(health.problems),
    health.warnings?.length ? section("Warnings", h("ul", { class: "problems" }, health.warnings.map((one) => h("li", { dir: "auto" }, one)))) : null,
    section("Services", h("ul", { class: "services" }, Object.entries(health.services).map(service))),
    section(
      "Since it began to count",
      h(
        "div",
        { class: "stats stats-four" },
        stat("Tasks", number(metrics.totalTasks)),
        stat("Completed", number(metrics.successfulTasks)),
        stat("Failed", number(metrics.failedTasks)),
        stat("Cancelled", number(metrics.cancelledTasks)),
        stat("Under way", number(metrics.liveTasks)),
        stat("Mean time to the end", duration(metrics.averageElapsedTime)),
        stat("Mean time of work", duration(metrics.averageExecutionTime)),
        stat("Up for", duration(health.uptime * 1000)),
        stat("Version", health.version),
      ),
      h("p", { class: "hint" }, "Looked at ", when(health.timestamp), "; refreshed by itself."),
    ),
  ];
}

function service([name, works]) {
  return h(
    "li",
    { class: `card service ${works ? "service-works" : "service-fails"}` },
    icon(works ? "check" : "close"),
    h("span", null, h("strong", null, SERVICES[name] ?? name), h("span", { class: "service-word" }, works ? "works" : "does not work")),
  );
}

function hourCharts() {
  const all = [
    chart({
      title: "Throughput", unit: "tasks that ended, each minute", format: number, kind: "bars", whole: true, summary: throughputSummary,
      series: [
        { name: "completed", look: "look-ok", value: (point) => point.completed },
        { name: "failed", look: "look-bad", value: (point) => point.failed },
        { name: "cancelled", look: "look-idle", value: (point) => point.cancelled },
      ],
    }),
    chart({
      title: "Time of work", unit: "of tasks that ended, by percentile", format: spent, kind: "lines", summary: latencySummary,
      series: [
        { name: "p50", look: "look-ok", value: (point) => point.p50Ms },
        { name: "p95", look: "look-busy", value: (point) => point.p95Ms },
        { name: "p99", look: "look-wait", value: (point) => point.p99Ms },
      ],
    }),
    chart({
      title: "Failures", unit: "share of ended tasks that failed, each minute", format: percent, kind: "bars", summary: failureSummary,
      series: [{ name: "failed", look: "look-bad", value: failedShare }],
    }),
    chart({
      title: "Queue", unit: "tasks, sampled each minute", format: number, kind: "steps", whole: true, summary: queueSummary,
      series: [
        { name: "queued", look: "look-wait", value: (point) => point.queued },
        { name: "running", look: "look-busy", value: (point) => point.running },
      ],
    }),
  ];
  return { element: h("div", { class: "charts" }, all), update: (points) => all.forEach((one) => one.update(points)) };
}

const sum = (points, name) => points.reduce((total, point) => total + (point[name] ?? 0), 0);
const ended = (point) => point.completed + point.failed + point.cancelled;
const spent = (ms) => (ms === 0 ? "0" : duration(ms));
const percent = (share) => `${Number((100 * share).toPrecision(2))}%`;

function failedShare(point) {
  return ended(point) ? point.failed / ended(point) : null;
}

function throughputSummary(points) {
  const most = Math.max(...points.map(ended));
  if (!most) return "No task has ended in the last hour.";
  return `${number(sum(points, "completed"))} completed, ${number(sum(points, "failed"))} failed, ${number(sum(points, "cancelled"))} cancelled in the last hour; at most ${number(most)} in a minute.`;
}

function latencySummary(points) {
  const last = points.findLast((point) => point.p50Ms !== null);
  if (!last) return "No task has ended in the last hour.";
  const worst = Math.max(...points.map((point) => point.p99Ms ?? 0));
  return `Lately half of the tasks took at most ${duration(last.p50Ms)}, 95% at most ${duration(last.p95Ms)}; the greatest p99 of the hour is ${duration(worst)}. With all waiting, from acceptance to end, it was ${duration(last.p50ElapsedMs)} and ${duration(last.p95ElapsedMs)}.`;
}

function failureSummary(points) {
  const all = points.reduce((total, point) => total + ended(point), 0);
  if (!all) return "No task has ended in the last hour.";
  const failed = sum(points, "failed");
  return failed ? `${number(failed)} of ${number(all)} tasks failed, ${percent(failed / all)}.` : `None of ${number(all)} tasks failed.`;
}

function queueSummary(points) {
  const sampled = points.filter((point) => point.queued !== null);
  if (!sampled.length) return "Nothing has been sampled yet.";
  const last = sampled.at(-1);
  return `${number(last.queued)} queued and ${number(last.running)} running now; at most ${number(Math.max(...sampled.map((point) => point.queued)))} queued.`;
}
