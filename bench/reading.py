"""How long it takes to read a result beside 200 clients of the feed, as a multiple of what it takes beside none.

Tasks are posted at a steady rate all the while, so that the feeds have something to tell; the reads go over one connection,
one after another. Turns with and without the feeds take place on one server, in between each other.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import server
from bench.client import task_of
from bench.figures import BenchError, Figure, Run, percentile, spread
from bench.load import ROOT

FEEDS = 200
TASKS_A_SECOND = 20
WAIT = {"Content-Type": "application/json", "Prefer": "wait=30"}


def measure(run: Run) -> list[Figure]:
    turns, seconds = (2, 3.0) if run.quick else (5, 6.0)
    alone: list[list[float]] = []
    beside: list[list[float]] = []
    told = 0
    with server.callboard(run.new_folder("reading"), max_streams=FEEDS + 50) as ours:
        _reads_ms(ours, 1.0)
        for turn in range(turns):
            alone.append(_reads_ms(ours, seconds))
            with _feeds(ours.port) as found:
                beside.append(_reads_ms(ours, seconds))
            told += found["told"]
            p99s = percentile(alone[-1], 99), percentile(beside[-1], 99)
            run.say(f"turn {turn + 1} of {turns}: p99 {p99s[0]:.1f} ms beside no feed, {p99s[1]:.1f} ms beside {FEEDS}")
    quiet, busy = ([percentile(ms, 99) for ms in kind] for kind in (alone, beside))
    ratios = [with_them / without for with_them, without in zip(busy, quiet, strict=True)]
    middle = sorted(ratios)[len(ratios) // 2]
    note = f"{told:,} events told; medians {_median(alone):.1f} and {_median(beside):.1f} ms"
    return [
        Figure(name="reading a result, p99", value=sorted(quiet)[len(quiet) // 2], unit="ms", note=spread(quiet)),
        Figure(
            name=f"reading a result beside {FEEDS} busy feeds, p99",
            value=sorted(busy)[len(busy) // 2],
            unit="ms",
            note=spread(busy),
        ),
        Figure(name="the same, as a multiple of what it takes beside none", value=middle, unit="ratio", note=note),
    ]


def _median(found: list[list[float]]) -> float:
    return percentile([ms for turn in found for ms in turn], 50)


def _reads_ms(ours: server.Process, seconds: float) -> list[float]:
    """Read one task's result again and again while tasks are posted; return what each read took."""
    over = threading.Event()
    posting = threading.Thread(target=_post, args=(ours, over))
    posting.start()
    try:
        connection = ours.connect()
        connection.request("POST", "/agent/execute", json.dumps({"task": "What is 6 times 7?"}), WAIT)
        task_id = json.loads(connection.getresponse().read())["taskId"]
        took, until = [], time.perf_counter() + seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            connection.request("GET", f"/agent/tasks/{task_id}")
            reply = connection.getresponse()
            if reply.status != 200 or json.loads(reply.read())["output"] != 42:
                raise BenchError(f"a read was answered with {reply.status}")
            took.append((time.perf_counter() - began) * 1000)
            over.wait(0.005)
        connection.close()
    finally:
        over.set()
        posting.join()
    return took


def _post(ours: server.Process, over: threading.Event) -> None:
    connection, number, due = ours.connect(), 0, time.perf_counter()
    while not over.wait(max(0.0, due - time.perf_counter())):
        number, due = number + 1, due + 1 / TASKS_A_SECOND
        connection.request(
            "POST", "/agent/execute", json.dumps({"task": task_of(number)}), {"Content-Type": WAIT["Content-Type"]}
        )
        connection.getresponse().read()
    connection.close()


@contextmanager
def _feeds(port: int) -> Iterator[dict[str, int]]:
    """Follow the feed meanwhile; how many events were told is in the dictionary afterwards."""
    found: dict[str, int] = {}
    command = [sys.executable, "-m", "bench.feeds", str(port), str(FEEDS)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise BenchError("the feeds could not be followed")
        yield found
        said, _ = process.communicate(timeout=60)
        found.update(json.loads(said))
    finally:
        process.kill()
        process.wait(10)
