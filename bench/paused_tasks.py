"""What a thousand tasks that wait for a person cost the server: its memory, its threads, the sandbox's processes.

They are posted over HTTP to `callboard serve` with a skill that needs approval. Before and after, the server is idle;
some are approved at the end, to see that they were alive.
"""

import http.client
import json
import statistics
import time
from typing import Any

import psutil

from bench import checks, server
from bench.figures import BenchError, Figure, Run, milliseconds, percentile
from bench.laps import SKILLS

TASKS = 1000
WARM_UP = 200
DECIDED = 20
_SETTLED_S = 2.0
_WITHIN_S = 180
_MIB = 2**20


def measure(run: Run) -> list[Figure]:
    folder = run.new_folder("paused")
    settings = {"skills_dir": str(SKILLS), "approve_skills": "product"}
    with server.callboard(folder, **settings) as ours:
        connection = ours.connect()
        for number in range(WARM_UP):  # fills caches and pools that any load fills, paused or not
            checks.ask(connection, f"What is {number + 3} times 7?")
        process = psutil.Process(ours.pid)
        before = _size(process)
        posted = [_post(connection, number) for number in range(TASKS)]
        _wait_until_paused(ours)
        after = _size(process)
        decided_ms = milliseconds(lambda n: _approve(connection, posted[n], n), DECIDED, warm_up=1)
        connection.close()
    more = [now - then for now, then in zip(after, before, strict=True)]
    run.say(f"{TASKS:,} paused tasks: {more[0]:.1f} MB and {more[1]:.0f} threads more")
    return [
        Figure(
            name=f"{TASKS:,} paused tasks, memory of the server",
            value=more[0],
            unit="MB",
            note=f"resident, more than idle after {WARM_UP} tasks ({before[0]:.0f} MB); {1024 * more[0] / TASKS:.1f} KB a task",
        ),
        Figure(
            name=f"{TASKS:,} paused tasks, threads held",
            value=more[1],
            unit="threads",
            at_most=0,
            note=f"{before[1]:.0f} before; sandbox processes {before[2]:.0f} before and {after[2]:.0f} with them",
        ),
        Figure(
            name="approval to result",
            value=statistics.median(decided_ms),
            unit="ms",
            note=f"over HTTP, of one among {TASKS:,} paused; p99 {percentile(decided_ms, 99):.1f} ms",
        ),
    ]


def _size(process: psutil.Process) -> tuple[float, float, float]:
    """Return resident MB (2^20 bytes), threads and child processes, when the server has come to rest."""
    time.sleep(_SETTLED_S)
    children = process.children(recursive=True)
    return process.memory_info().rss / _MIB, float(process.num_threads()), float(len(children))


def _task(number: int) -> str:
    return f"```python\nfrom skills import product\nproduct({number + 3}, {number % 89 + 2})\n```"


def _post(connection: http.client.HTTPConnection, number: int) -> str:
    task_id: str = _sent(connection, "POST", "/agent/execute", {"task": _task(number)})["taskId"]
    return task_id


def _approve(connection: http.client.HTTPConnection, task_id: str, number: int) -> None:
    """Approve the call that a task waits with, and see the right answer come."""
    _sent(connection, "POST", f"/agent/tasks/{task_id}/decide", {"decision": "approve"})
    after, ended = 0, False
    while not ended:
        page = _sent(connection, "GET", f"/agent/tasks/{task_id}/events?after={after}&wait=30", None)
        after, ended = page["nextAfter"], page["ended"]
    body = _sent(connection, "GET", f"/agent/tasks/{task_id}", None)
    if body.get("status") != "completed" or body.get("output") != (number + 3) * (number % 89 + 2):
        raise BenchError(f"an approved task was answered with {body}.")


def _sent(connection: http.client.HTTPConnection, method: str, path: str, body: Any) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
    reply = connection.getresponse()
    text = reply.read()
    if reply.status not in (200, 202):
        raise BenchError(f"{method} {path} was answered with {reply.status}: {text.decode()[:300]}")
    answer: dict[str, Any] = json.loads(text)
    return answer


def _wait_until_paused(ours: server.Process) -> None:
    until = time.monotonic() + _WITHIN_S
    while (found := checks.by_status(ours.folder)).get("paused", 0) < TASKS:
        if time.monotonic() > until or found.get("failed"):
            raise BenchError(f"{TASKS} tasks were to be paused, the history holds {found}.")
        time.sleep(0.1)
