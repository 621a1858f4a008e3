"""`clock`: the wall clock is set an hour forward and an hour back while the server runs.

What is true of a clock that is set: durations are those of the monotonic clock, so a task with `timeoutMs` of a minute
is not ended because the clock jumped an hour ahead, and one of two seconds is ended after two seconds although the
clock jumped back. Retries, webhooks and the rate limiter wait as long as they say, or shorter, never the hour more.
What is stored (`createdAt`, `endedAt`) is what the wall clock said. A connection that was idle may be closed: waitress
counts its idleness by the wall clock, so the client here opens another, as clients do.

The server is `chaos/skewed_server.py`: `callboard serve` in which everything that reads the wall clock reads it with an
offset that a file names. A restart after the clock was set is not part of this: then only the wall clock is left.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from bench.figures import Figure
from chaos.api import Api
from chaos.drain import wait_for
from chaos.load import ENDED
from chaos.scenario import ChaosError, Run, amount, holds, seconds
from chaos.server import Server
from chaos.work import code

HOUR_S = 3600
WINDOW_S = 3
LIMIT = 5
LIMITS = {"rate_limit_window_ms": WINDOW_S * 1000, "rate_limit_max_requests": LIMIT}
MARGIN_S = 3.0
"""How much later than it says something may happen on a slow machine."""


def measure(run: Run) -> list[Figure]:
    figures: list[Figure] = []
    for name, offset_s in (("+1 h", HOUR_S), ("-1 h", -HOUR_S)):
        with Skewed(run.new_folder("clock"), webhook_allow_private="true") as skewed:
            parts = [skewed.long_deadline, skewed.short_deadline, skewed.backoff]
            parts += [] if run.quick else [skewed.webhook]
            for part in parts:
                figures += [_named(name, figure) for figure in part(offset_s)]
        if not run.quick:
            with Skewed(run.new_folder("clock"), **LIMITS) as skewed:
                figures += [_named(name, figure) for figure in skewed.limiter(offset_s)]
    return figures


def _named(name: str, figure: Figure) -> Figure:
    return Figure(**{**{k: v for k, v in figure.as_dict().items() if k != "met"}, "name": f"{name}: {figure.name}"})


class Skewed:
    """A running server whose clock can be set; each part sets it right again first."""

    def __init__(self, folder: Path, **settings: str | int) -> None:
        self._offset = folder / "offset"
        self._folder = folder
        self._server = Server(folder, command=("-m", "chaos.skewed_server", str(self._offset)), **settings)
        self._api = Api(self._server.port)

    def __enter__(self) -> "Skewed":
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()
        self._server.close()

    def set_clock(self, offset_s: float) -> None:
        changed = self._offset.with_name("offset.new")
        changed.write_text(str(offset_s))
        changed.rename(self._offset)
        self._api.close()  # the server may close what was idle across the jump

    # --- deadlines ---

    def long_deadline(self, offset_s: float) -> Iterator[Figure]:
        """A task with a minute to go is not ended by the jump, and ends when its work does."""
        self.set_clock(0)
        gate, task_id = self._held("long", timeoutMs=60_000)
        self.set_clock(offset_s)
        self._works()
        time.sleep(1.5)  # a deadline that the jump had brought up would be noticed meanwhile
        status = self._task(task_id)["status"]
        yield holds("a task with timeoutMs 60000 goes on", status == "running", f"it is {status}")
        gate.touch()
        self._ended(task_id, 10)
        found = self._task(task_id)
        yield holds(
            "the task with timeoutMs 60000 completes",
            found["status"] == "completed",
            f"{found['status']} {found['errorCode']}",
        )

    def short_deadline(self, offset_s: float) -> Iterator[Figure]:
        """A task with two seconds is ended after two seconds of the monotonic clock."""
        self.set_clock(0)
        began = time.monotonic()
        _, task_id = self._held("short", timeoutMs=2000)
        self.set_clock(offset_s)
        self._ended(task_id, 2 + 2 * MARGIN_S)
        took_s = time.monotonic() - began
        found = self._task(task_id)
        right = found["errorCode"] == "deadline_exceeded" and took_s >= 2
        yield holds(
            "a task with timeoutMs 2000 is ended, not early", right, f"{found['errorCode']} after {took_s:.1f} s"
        )
        yield seconds("the task with timeoutMs 2000 ended after", took_s, at_most=2 + MARGIN_S)

    def backoff(self, offset_s: float) -> Iterator[Figure]:
        """A task that waits for its second try does not wait the hour too."""
        self.set_clock(0)
        began = time.monotonic()
        task_id = self._post(
            code("from skills import flaky\nflaky('clock', 1)"),
            retry={"maxAttempts": 3, "backoffMs": 2000, "maxBackoffMs": 2000},
        )
        wait_for(lambda: self._requeued(task_id), "the first try to fail", 10)
        self.set_clock(offset_s)
        self._ended(task_id, 60)
        took_s = time.monotonic() - began
        found = self._task(task_id)
        yield holds("a task with a backoff of 2000 ms is tried again", found["status"] == "completed", found["status"])
        yield seconds("the task with a backoff of 2000 ms ended after", took_s, at_most=2.2 + MARGIN_S)

    # --- webhooks and limits ---

    def webhook(self, offset_s: float) -> Iterator[Figure]:
        """A webhook that failed once is sent again after about five seconds."""
        self.set_clock(0)
        with receiver(statuses=[503, 200]) as (url, calls):
            self._post("What is 6 times 7?", callbackUrl=url)
            wait_for(lambda: len(calls) > 0, "the webhook", 15)
            time.sleep(0.5)  # the failed attempt is committed
            self.set_clock(offset_s)
            again_s = _seconds_until(lambda: len(calls) > 1, 20)
        note = "" if again_s < 20 else "given up on after 20 s"
        yield seconds("a webhook that failed is sent again after", again_s, at_most=6 + MARGIN_S, note=note)

    def limiter(self, offset_s: float) -> Iterator[Figure]:
        """A caller who has used its window up is let in again within one window."""
        self.set_clock(0)
        caller = Caller(self._server.port, "127.0.0.50" if offset_s > 0 else "127.0.0.51")
        statuses = [caller.ask() for _ in range(LIMIT + 1)]
        yield holds("the limiter refuses what is too much", statuses == [200] * LIMIT + [429], str(statuses))
        self.set_clock(offset_s)
        after_s = _seconds_until(lambda: caller.ask() == 200, 4 * WINDOW_S)
        note = "" if after_s < 4 * WINDOW_S else f"given up on after {4 * WINDOW_S} s"
        yield seconds(f"a window of {WINDOW_S} s ends after", after_s, at_most=WINDOW_S + 1.0, note=note)
        again = [caller.ask() for _ in range(LIMIT)]
        yield amount("requests of a second window that were let in", again.count(200) + 1)

    # --- the server, asked ---

    def _post(self, task: str, **fields: Any) -> str:
        status, body = self._api.execute({"task": task, **fields})
        if status != 200:
            raise ChaosError(f"{task!r} was answered with {status} {body}")
        task_id: str = body["taskId"]
        return task_id

    def _held(self, name: str, **fields: Any) -> tuple[Path, str]:
        """Post a task that runs until a file is there; return the file and the task's id once it runs."""
        gate = self._folder / name
        task_id = self._post(code(f"from skills import wait_for_file\nwait_for_file({str(gate)!r})"), **fields)
        wait_for(gate.with_name(f"{name}.entered").exists, "the skill to be called", 10)
        return gate, task_id

    def _works(self) -> None:
        self._ended(self._post("What is 3 times 4?"), 10)

    def _task(self, task_id: str) -> dict[str, Any]:
        found = self._api.task(task_id)
        if found is None:
            raise ChaosError(f"the task {task_id} is not known")
        return found

    def _requeued(self, task_id: str) -> bool:
        page = self._api.request("GET", f"/agent/tasks/{task_id}/events")[1]
        return any(event["topic"] == "agent.task.requeued" for event in page["events"])

    def _ended(self, task_id: str, within_s: float) -> None:
        """Wait for a task's end; whether it came is for the figures to say."""
        until = time.monotonic() + within_s
        while self._task(task_id)["status"] not in ENDED and time.monotonic() < until:
            threading.Event().wait(0.02)


class Caller:
    """One caller of the rate limiter, by its address."""

    def __init__(self, port: int, address: str) -> None:
        self._port = port
        self._address = address

    def ask(self) -> int:
        """Return the status of a request that costs a token, on a connection of its own."""
        with Api(self._port, source=self._address) as api:
            status, _ = api.request("GET", "/agent/agents")
        return status


def _seconds_until(condition: Callable[[], bool], most_s: float) -> float:
    """Return the seconds until a condition held, at most `most_s`."""
    began = time.monotonic()
    while (took_s := time.monotonic() - began) < most_s and not condition():
        time.sleep(0.05)
    return min(took_s, most_s)


@contextmanager
def receiver(statuses: list[int]) -> Iterator[tuple[str, list[bytes]]]:
    """Listen for webhooks; yield the address and the bodies that came. Answers with each status once, then with 200."""
    calls: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Keep the terminal for the figures."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", calls
        finally:
            server.shutdown()
            thread.join()
