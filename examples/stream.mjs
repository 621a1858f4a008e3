// Submit a task and watch it happen, with fetch and EventSource only: browsers, and node 20.18 or later.
//
// Run it: node --experimental-eventsource examples/stream.mjs "What is 12 times 7?"
//
// CALLBOARD_URL names the server (http://127.0.0.1:3000 when unset), CALLBOARD_KEY its API key if it asks for one.
//
// EventSource cannot send headers, so no X-API-Key either: `watch` is for servers without a key, or behind a proxy that adds
// it. `follow` reads the same stream by fetch, key and all.

const BUSY = [429, 502, 503, 504]; // what goes away by itself

async function ask(url, path, key, body) {
  const headers = { ...(key && { "X-API-Key": key }), ...(body && { "Content-Type": "application/json" }) };
  const answer = await fetch(url + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.message);
  return found;
}

// Submit a task; return its id.
export async function submit(url, task, key) {
  return (await ask(url, "/agent/execute", key, { task })).taskId;
}

async function resultOf(url, taskId, key) {
  return (await ask(url, `/agent/results?taskId=${taskId}`, key)).result;
}

// Call `onEvent` with each event; return the result. EventSource connects again by itself, behind the last event it saw.
export function watch(url, taskId, onEvent, after = 0) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(`${url}/agent/tasks/${taskId}/events?after=${after}`);
    source.onmessage = ({ data, lastEventId }) => {
      after = lastEventId;
      onEvent(JSON.parse(data));
    };
    source.addEventListener("end", ({ data }) => {
      source.close();
      resolve(JSON.parse(data));
    });
    source.onerror = async () => {
      if (source.readyState !== EventSource.CLOSED) return; // it is connecting again
      try {
        const result = await resultOf(url, taskId); // refused for good if all had been told, or there is no such task
        if (result.success !== null) resolve(result);
        else setTimeout(() => resolve(watch(url, taskId, onEvent, after)), 2000); // or the server is busy
      } catch (error) {
        reject(error);
      }
    };
  });
}

// The same by fetch, for servers that ask for a key.
export async function follow(url, taskId, onEvent, key) {
  for (let cursor = "", pauseMs = 0; ; pauseMs = Math.min(2 * pauseMs || 500, 8000)) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const headers = { Accept: "text/event-stream", ...(key && { "X-API-Key": key }), ...(cursor && { "Last-Event-ID": cursor }) };
    const answer = await fetch(`${url}/agent/tasks/${taskId}/events`, { headers }).catch(() => null);
    if (!answer || BUSY.includes(answer.status)) continue;
    if (!answer.ok) throw new Error((await answer.json()).message);
    if (answer.status === 204) return resultOf(url, taskId, key); // all had been told before
    for await (const message of messages(answer)) {
      if (message.event === "end") return JSON.parse(message.data);
      if (message.data) onEvent(JSON.parse(message.data));
      [cursor, pauseMs] = [message.id ?? cursor, 0];
    }
  }
}

// Yield the messages of an event stream until the connection ends, whichever way.
async function* messages(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let text = ""; ; ) {
      const { done, value } = await reader.read().catch(() => ({ done: true }));
      if (done) return; // what is left is half a message; it comes again
      const whole = (text + value).split("\n\n");
      text = whole.pop();
      for (const one of whole) yield Object.fromEntries(one.split("\n").map((line) => line.split(/: ?(.*)/s)));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

if (globalThis.process?.argv[1]?.endsWith("stream.mjs")) {
  const { CALLBOARD_URL: url = "http://127.0.0.1:3000", CALLBOARD_KEY: key } = process.env;
  const taskId = await submit(url, process.argv.slice(2).join(" ") || "What is 12 times 7?", key);
  const awake = setInterval(() => {}, 1000); // node would not stay for an EventSource that waits to connect again
  const print = (event) => console.log(event.seq, event.topic);
  const result = await (key ? follow(url, taskId, print, key) : watch(url, taskId, print));
  clearInterval(awake);
  console.log(result.success ? result.output : `${result.errorCode}: ${result.error}`);
}
