"""What the history must say after a load: nothing lost, nothing made up, every answer right.

Reads the SQLite file itself, beside the server or after its end.
"""

import http.client
import json
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bench.client import task_of
from bench.figures import BenchError
from bench.server import Process

_TASK = re.compile(r"What is (\d+) times (\d+)\?|```python\nfrom skills import product\nproduct\((\d+), (\d+)\)\n```")
ENDED = ("completed", "failed", "cancelled")


@contextmanager
def history(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open the history of a data folder for reading."""
    with closing(sqlite3.connect(f"file:{folder / 'callboard.db'}?mode=ro", uri=True, timeout=10)) as connection:
        yield connection


def by_status(folder: Path) -> dict[str, int]:
    """Return how many tasks there are of each status."""
    with history(folder) as connection:
        return dict(connection.execute("SELECT status, count(*) FROM tasks GROUP BY status").fetchall())


def nothing_lost(folder: Path, *, answered: int, sent: int) -> dict[str, int]:
    """Return the statuses; raise `BenchError` unless every answered task is there and no task that was never sent."""
    found = by_status(folder)
    total = sum(found.values())
    if not answered <= total <= sent:
        raise BenchError(f"{answered} tasks were accepted of {sent} sent, but the history holds {total}.")
    return found


def missing(folder: Path, *, sent: int, unanswered: Iterable[int]) -> int:
    """Return how many of the requests 1 to `sent` were answered with a 200 and are not in the history."""
    with history(folder) as connection:
        stored = {task for (task,) in connection.execute("SELECT task FROM tasks")}
    return len({task_of(number) for number in set(range(1, sent + 1)) - set(unanswered)} - stored)


def all_right(folder: Path) -> int:
    """Return how many tasks have ended; raise `BenchError` if one did not complete with the right product."""
    ended = 0
    with history(folder) as connection:
        rows = connection.execute("SELECT task, status, output, error FROM tasks WHERE ended_at IS NOT NULL")
        for task, status, output, error in rows:
            ended += 1
            if status != "completed" or not is_right(task, json.loads(output)):
                raise BenchError(f"{task!r} ended as {status} with the output {output!r}, error {error!r}.")
    return ended


def is_right(task: str, output: Any) -> bool:
    """Return whether an output holds the product that the task asks for."""
    asked = _TASK.fullmatch(task)
    numbers = re.findall(r"\d+", str(output).replace(",", ""))
    return asked is not None and str(int(asked[1] or asked[3]) * int(asked[2] or asked[4])) in numbers


def ask(connection: http.client.HTTPConnection, task: str) -> dict[str, Any]:
    """Post one task, wait for its result, and return it; raise `BenchError` if it is not the right one."""
    headers = {"Content-Type": "application/json", "Prefer": "wait=30"}
    connection.request("POST", "/agent/execute", body=json.dumps({"task": task}), headers=headers)
    reply = connection.getresponse()
    body: dict[str, Any] = json.loads(reply.read())
    right = reply.status == 200 and body.get("status") == "completed" and is_right(task, body.get("output"))
    if not right:
        raise BenchError(f"{task!r} was answered with {reply.status} {body}.")
    return body


def sample(server: Process, tasks: int) -> int:
    """Ask some tasks one after another, check the answers as a client sees them, and return how many were asked."""
    with closing(server.connect()) as connection:
        for number in range(tasks):
            ask(connection, f"What is {700_000 + number} times {number % 89 + 3}?")
    return tasks


def ended(folder: Path) -> int:
    """Return how many tasks have ended, however they did."""
    found = by_status(folder)
    return sum(found.get(status, 0) for status in ENDED)


def last_end(folder: Path) -> float:
    """Return the unix time at which the last task ended that has."""
    with history(folder) as connection:
        (latest_us,) = connection.execute("SELECT max(ended_at) FROM tasks").fetchone()
    return float(latest_us / 1e6)


def wait_until_all_ended(folder: Path, within_s: float) -> dict[str, int]:
    """Return the statuses once no task is live; raise `BenchError` if that takes too long."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        found = by_status(folder)
        if not set(found) - set(ENDED):
            return found
        time.sleep(0.05)
    raise BenchError(f"after {within_s:g} s there are still tasks that have not ended: {by_status(folder)}.")
