"""A small client in Python over httpx: posts a task, waits for its end, and comes back later when told to.

Run it: python examples/client.py "What is 12 times 7?"

CALLBOARD_URL names the server (http://127.0.0.1:3000 when unset), CALLBOARD_KEY its API key if it asks for one.
"""

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx

MOST_TRIES = 5
REFUSED = {"rate_limited", "overloaded", "unavailable", "store_unavailable", "storage_full"}
"""Errors after which nothing was accepted, so the same request can be sent again without the task running twice."""


class CallboardError(Exception):
    """An error of the server; `code` is stable, `request_id` is how its log names the request."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["message"])
        self.code: str = problem["code"]
        self.request_id: str = problem["requestId"]


class Client:
    """One server; safe to share between threads, as httpx's client is."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._http = httpx.Client(base_url=url, timeout=40, headers={"X-API-Key": key} if key else {})

    def run(self, task: str, **fields: Any) -> dict[str, Any]:
        """Post a task and return its result once it has ended; `fields` as on the wire, such as sessionId."""
        posted = self._ask("POST", "/agent/execute", json={"task": task, **fields}, headers={"Prefer": "wait=20"})
        if "output" in posted:  # it ended within the 20 seconds
            return posted
        for _ in self.events(posted["taskId"]):
            pass
        result: dict[str, Any] = self._ask("GET", "/agent/results", params={"taskId": posted["taskId"]})["result"]
        return result

    def events(self, task_id: str, after: int = 0) -> Iterator[dict[str, Any]]:
        """Yield a task's events as they happen, until the task has ended."""
        ended = False
        while not ended:
            params = {"after": after, "wait": 20}
            page = self._ask("GET", f"/agent/tasks/{task_id}/events", params=params)
            yield from page["events"]
            after, ended = page["nextAfter"], page["ended"]

    def cancel(self, task_id: str) -> dict[str, Any]:
        return self._ask("POST", f"/agent/tasks/{task_id}/cancel")

    def close(self) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        for tries_left in reversed(range(MOST_TRIES)):
            answer = self._http.request(method, path, **options)
            body: dict[str, Any] = answer.json()
            if answer.is_success:
                # says so where the server had no place to hold the request: who asks again at once would never rest
                time.sleep(float(answer.headers.get("Retry-After", 0)))
                return body
            if body["code"] not in REFUSED or not tries_left:
                break
            time.sleep(body["retryAfter"])
        raise CallboardError(body)


def main() -> None:
    client = Client(os.environ.get("CALLBOARD_URL", "http://127.0.0.1:3000"), os.environ.get("CALLBOARD_KEY"))
    try:
        result = client.run(" ".join(sys.argv[1:]) or "What is 12 times 7?")
    finally:
        client.close()
    print(result["output"] if result["success"] else f"{result['errorCode']}: {result['error']}")


if __name__ == "__main__":
    main()
