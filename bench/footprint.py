"""How soon `callboard serve` is ready, and how much memory all its processes keep when they have nothing to do.

Ready is what a caller would call so: `GET /health` says that all is well, and a first task has been worked out.
"""

import json
import statistics
import time
from collections import Counter
from contextlib import closing

import psutil

from bench import checks, process_tree, server
from bench.figures import BenchError, Figure, Run, spread

IDLE_S = 3.0
STARTS = 5
READY_S = 1.2
TOGETHER_MB = 150
_FIRST = "What is 17 times 19?"


def measure(run: Run) -> list[Figure]:
    folder = run.new_folder("start")
    with server.callboard(folder):
        pass  # migrates the database, and compiles what was never imported
    live, worked = [], []
    for _ in range(STARTS):
        with server.callboard(folder) as ours:
            live.append(ours.ready_s)
            worked.append(_first_task_s(ours))
    with server.callboard(folder) as ours:
        _first_task_s(ours)
        time.sleep(IDLE_S)
        memory = _memory(ours)
    run.say(f"ready after {statistics.median(worked):.2f} s, idle with {memory[-1].value:.0f} MB")
    note = (
        f"process start to GET /health = 200 and the first task's result, migrated database; {spread(worked, '{:.2f}')}"
    )
    answers = f"process start to GET /health/live = 200; {STARTS} starts, {spread(live, '{:.2f}')}"
    return [
        Figure(name="serve answers", value=statistics.median(live), unit="s", at_most=1.0, note=answers),
        Figure(name="serve is ready", value=statistics.median(worked), unit="s", at_most=READY_S, note=note),
        *memory,
    ]


def _first_task_s(ours: server.Process) -> float:
    """Return how long after its start the server was well and had worked out a task."""
    until = ours.started + server.READY_WITHIN_S
    with closing(ours.connect()) as connection:
        while True:
            connection.request("GET", "/health")
            reply = connection.getresponse()
            said = json.loads(reply.read())
            if reply.status == 200:
                break
            if time.perf_counter() > until:
                raise BenchError(f"GET /health answers {reply.status} {said}")
            time.sleep(0.005)
        checks.ask(connection, _FIRST)
    return time.perf_counter() - ours.started


def _memory(ours: server.Process) -> list[Figure]:
    first, *others = process_tree.members([ours.pid])
    shared = process_tree.proportional_mb([first])
    pss = f"; {shared:.0f} MB with what is shared divided" if shared else ""
    whole = process_tree.proportional_mb([first, *others])
    resident = process_tree.resident_mb([first, *others])
    together = Figure(
        name="idle memory together",
        value=whole or resident,
        unit="MB",
        at_most=TOGETHER_MB,
        note=f"{'proportional (PSS)' if whole else 'resident'}, after a first task; resident {resident:.0f} MB",
    )
    return [
        Figure(
            name="idle memory of the server process",
            value=process_tree.resident_mb([first]),
            unit="MB",
            at_most=90,
            note=f"resident{pss}",
        ),
        Figure(
            name="idle memory of its other processes",
            value=process_tree.proportional_mb(others),
            unit="MB",
            note=f"with what is shared divided: {_by_name(others)}",
        ),
        together,
    ]


def _by_name(processes: list[psutil.Process]) -> str:
    """Return how many processes there are of each program, and their memory."""
    count, memory = Counter[str](), Counter[str]()
    for one in processes:
        name = one.name()
        count[name] += 1
        memory[name] += round(process_tree.proportional_mb([one]))
    return ", ".join(f"{number} {name} {memory[name]} MB" for name, number in count.items())
