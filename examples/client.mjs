// A small client in JavaScript over plain fetch: node 20 or later, and browsers.
//
// Run it: node examples/client.mjs "What is 12 times 7?"
//
// CALLBOARD_URL names the server (http://127.0.0.1:3000 when unset), CALLBOARD_KEY its API key if it asks for one.

const MOST_TRIES = 5;
// Errors after which nothing was accepted, so the same request can be sent again without the task running twice.
const REFUSED = new Set(["rate_limited", "overloaded", "unavailable", "store_unavailable", "storage_full"]);

export class CallboardError extends Error {
  constructor(problem) {
    super(problem.message);
    this.name = "CallboardError";
    this.code = problem.code;
    this.requestId = problem.requestId;
  }
}

export class Client {
  constructor(url, key) {
    this.url = url;
    this.headers = key ? { "X-API-Key": key } : {};
  }

  // Post a task and return its result once it has ended; `fields` as on the wire, such as sessionId.
  async run(task, fields = {}) {
    const posted = await this.ask("POST", "/agent/execute", { task, ...fields }, { Prefer: "wait=20" });
    if ("output" in posted) return posted; // it ended within the 20 seconds
    for await (const _event of this.events(posted.taskId));
    return (await this.ask("GET", `/agent/results?taskId=${posted.taskId}`)).result;
  }

  // Yield a task's events as they happen, until the task has ended.
  async *events(taskId, after = 0) {
    for (let ended = false; !ended; ) {
      const page = await this.ask("GET", `/agent/tasks/${taskId}/events?after=${after}&wait=20`);
      yield* page.events;
      ({ nextAfter: after, ended } = page);
    }
  }

  cancel(taskId) {
    return this.ask("POST", `/agent/tasks/${taskId}/cancel`);
  }

  async ask(method, path, body, headers = {}) {
    for (let tries = 1; ; tries++) {
      const answer = await fetch(this.url + path, {
        method,
        headers: { ...this.headers, ...headers, ...(body && { "Content-Type": "application/json" }) },
        body: body && JSON.stringify(body),
      });
      const found = await answer.json();
      if (!answer.ok && (!REFUSED.has(found.code) || tries === MOST_TRIES)) throw new CallboardError(found);
      // of a good answer, where the server had no place to hold the request: who asks again at once would never rest
      const restS = Number(answer.headers.get("Retry-After"));
      if (restS) await new Promise((resolve) => setTimeout(resolve, restS * 1000));
      if (answer.ok) return found;
    }
  }
}

if (globalThis.process?.argv[1]?.endsWith("client.mjs")) {
  const { CALLBOARD_URL = "http://127.0.0.1:3000", CALLBOARD_KEY } = process.env;
  const task = process.argv.slice(2).join(" ") || "What is 12 times 7?";
  const result = await new Client(CALLBOARD_URL, CALLBOARD_KEY).run(task);
  console.log(result.success ? result.output : `${result.errorCode}: ${result.error}`);
}
