// What a client is for, done with openapi-fetch and the types that openapi-typescript has made; test_typescript.py types and runs it.
import createClient from "openapi-fetch";
import type { components, paths } from "./callboard.js";

type Schemas = components["schemas"];
const client = createClient<paths, "application/json">({ baseUrl: process.argv[2] ?? "" });

function check(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

const code = (call: string, skill: string) => "```python\nfrom skills import " + skill + "\n" + call + "\n```";

async function execute(body: Schemas["TaskSpec"], headers: { Prefer?: string; "Idempotency-Key"?: string } = {}) {
  const { data, error, response } = await client.POST("/agent/execute", { body, params: { header: headers } });
  check(error === undefined && data !== undefined, error);
  return { data, response };
}

async function events(taskId: string, after: number) {
  const { data, error } = await client.GET("/agent/tasks/{taskId}/events", {
    params: { path: { taskId }, query: { after, wait: 20 } },
  });
  check(data !== undefined, error);
  return data;
}

async function paused(amount: number): Promise<string> {
  const { data } = await execute({ task: code(`pay(${amount})`, "pay") });
  for (let after = 0; ; ) {
    const page = await events(data.taskId, after);
    if (page.events.some((event) => event.topic === "agent.task.paused")) return data.taskId;
    check(!page.ended, page);
    after = page.nextAfter;
  }
}

async function output(taskId: string): Promise<unknown> {
  for (let after = 0; ; ) {
    const page = await events(taskId, after);
    if (page.ended) break;
    after = page.nextAfter;
  }
  const { data } = await client.GET("/agent/results", { params: { query: { taskId } } });
  check(data !== undefined && "result" in data, data);
  return data.result.output;
}

const health = await client.GET("/health");
check(health.data?.services["agent"] === true, health);

const { data: done } = await execute(
  {
    task: "What is 12 times 7?",
    sessionId: "typed",
    labels: { team: "blue", week: 12 },
    retry: { maxAttempts: 2 },
    budget: { modelCalls: 5, costUsd: 0.25 },
    attachments: [{ name: "a.csv", data: "YQ==", mediaType: "text/csv" }],
  },
  { Prefer: "wait=20" },
);
check("output" in done && done.output === 84 && done.status === "completed", done);

const report = await client.GET("/agent/tasks/{taskId}", { params: { path: { taskId: done.taskId } } });
check(report.data?.labels["week"] === 12 && report.data.retry?.backoffMs === 1000, report);

const page = await client.GET("/agent/results");
check(page.data !== undefined && "results" in page.data && page.data.results[0]?.taskId === done.taskId, page);

const log = await client.GET("/agent/tasks/{taskId}/events", {
  params: { path: { taskId: done.taskId } },
  headers: { Accept: "text/event-stream" },
  parseAs: "text",
});
check(log.data?.includes("event: end") === true, log.data);

const { data: running } = await execute({ task: code('wait_for_file("/nowhere/at/all")', "wait_for_file") });
const cancelled = await client.POST("/agent/tasks/{taskId}/cancel", { params: { path: { taskId: running.taskId } } });
check(cancelled.data?.success === true, cancelled);

const first = await paused(5);
const path = { taskId: first };
const asked = await client.GET("/agent/tasks/{taskId}/pause", { params: { path } });
check(asked.data?.pause.reason === "approval", asked);
await client.POST("/agent/tasks/{taskId}/decide", { params: { path }, body: { decision: "approve" } });
check((await output(first)) === "paid 5", first);
const second = await paused(6);
const edit: Schemas["DecisionSpec"] = { decision: "edit", arguments: { amount: 7 } };
await client.POST("/agent/tasks/{taskId}/decide", { params: { path: { taskId: second } }, body: edit });
check((await output(second)) === "paid 7", second);

const key = { "Idempotency-Key": crypto.randomUUID() };
const once = await execute({ task: "What is 1 + 1?" }, key);
const again = await execute({ task: "What is 1 + 1?" }, key);
check(once.data.taskId === again.data.taskId && again.response.headers.get("Idempotent-Replayed") === "true", again);

const missing = await client.GET("/agent/tasks/{taskId}", { params: { path: { taskId: "nobody" } } });
const problem: Schemas["Problem"] | undefined = missing.error;
check(problem?.code === "task_not_found" && missing.data === undefined, missing);

const forgotten = await client.DELETE("/agent/sessions/{sessionId}", { params: { path: { sessionId: "typed" } } });
check(forgotten.data?.sessionId === "typed", forgotten);
console.log("all of it works");
