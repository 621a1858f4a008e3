"""How soon `callboard serve` is ready, and how much memory it keeps when it has nothing to do."""

import statistics
import time
from collections.abc import Sequence

import psutil

from bench import server
from bench.figures import Figure, Run, spread

IDLE_S = 3.0
STARTS = 5
_MIB = 2**20


def measure(run: Run) -> list[Figure]:
    folder = run.new_folder("start")
    with server.callboard(folder):
        pass  # migrates the database, and compiles what was never imported
    ready = []
    for _ in range(STARTS):
        with server.callboard(folder) as ours:
            ready.append(ours.ready_s)
    with server.callboard(folder) as ours:
        time.sleep(IDLE_S)
        memory = _memory(ours)
    run.say(f"ready after {statistics.median(ready):.2f} s, idle with {memory[0].value:.0f} MB")
    return [
        Figure(
            name="serve is ready",
            value=statistics.median(ready),
            unit="s",
            at_most=1.0,
            note=f"process start to GET /health/live = 200, migrated database; {STARTS} starts, {spread(ready, '{:.2f}')}",
        ),
        *memory,
    ]


def _memory(ours: server.Process) -> list[Figure]:
    process = psutil.Process(ours.pid)
    workers = process.children(recursive=True)
    own, theirs = _rss([process]), _rss(workers)
    shared = _pss([process]), _pss(workers)
    pss = f"; {shared[0]:.0f} MB without what is shared" if shared[0] else ""
    count = f"{len(workers)} process{'' if len(workers) == 1 else 'es'}"
    return [
        Figure(name="idle memory of the server process", value=own, unit="MB", at_most=90, note=f"resident{pss}"),
        Figure(
            name="idle memory of the sandbox processes",
            value=theirs,
            unit="MB",
            note=f"resident, {count}; {shared[1]:.0f} MB with what is shared divided",
        ),
        Figure(name="idle memory together", value=own + theirs, unit="MB", note=f"{sum(shared):.0f} MB proportional"),
    ]


def _rss(processes: Sequence[psutil.Process]) -> float:
    """Return resident memory in MB (2^20 bytes)."""
    return sum(float(process.memory_info().rss) for process in processes) / _MIB


def _pss(processes: Sequence[psutil.Process]) -> float:
    """Return memory with each shared page divided by its users; 0 where the system does not tell."""
    return sum(float(getattr(process.memory_full_info(), "pss", 0)) for process in processes) / _MIB
