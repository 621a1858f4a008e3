"""`overload`: ten times the capacity for a minute.

The capacity is measured first, by the bench's closed loop of 16 connections that wait for their results. Then ten
times as many tasks a second are due in an open loop from another process (`chaos/open_loop.py`): half of them from one
greedy address, which the rate limiter holds back (429), half from fifty addresses that it lets through, which fill
the backlog (503). Every answer must be 200, 429 or 503, a refusal must be quick, every accepted task must end, and
the server's memory must come back.

The load generator and the server share this machine's cores, and a refusal costs the server a good part of what an
acceptance costs; so `requests sent` says how much of the tenfold load was really put on it, and the rest was due
while every connection was waiting.
"""

import json
import subprocess
import sys
import time
from typing import Any

from bench import checks, process_tree
from bench.figures import Figure, percentile
from bench.load import ROOT
from chaos.api import Api
from chaos.drain import wait_for
from chaos.scenario import ChaosError, Run, amount, count, holds, seconds
from chaos.server import Server
from chaos.verdict import listed

TIMES = 10
ALLOWED = {"200", "429", "503"}
P99_MS = 50
MEMORY_MB = 50
GREEDY, MODEST = 50, 50
WINDOW_S = 60
CALMS_WITHIN_S = 300


def measure(run: Run) -> list[Figure]:
    short_s, long_s, backlog = (2, 4, 300) if run.quick else (10, 60, 10_000)
    capacity = _capacity(run, short_s)
    rate = capacity * TIMES
    # what the modest addresses may send together is three times the capacity; the greedy one gets a fiftieth of it
    allowed = max(1, round(3 * capacity * WINDOW_S / MODEST))
    folder = run.new_folder("overload")
    with Server(folder, max_backlog=backlog, rate_limit_max_requests=allowed) as server:
        server.start()
        _flood(server.port, short_s, capacity)  # warm: what it takes once is not what an overload takes
        before = _calm(server)
        found = _flood(server.port, long_s, rate)
        peak = _memory_mb(server)
        began = time.monotonic()
        after = _calm(server)
        calmed_s = time.monotonic() - began
        ready = server.is_ready()
        server.stop()
        ends = checks.by_status(server.folder)
        inside = _refusals_inside_ms(server)
    return [
        amount("capacity", capacity, "tasks/s", "closed loop, 16 connections, run to result"),
        amount("requests due", rate, "a second", f"for {long_s} s"),
        amount(
            "requests sent", found["sent"] / long_s, "a second", f"{found['unsent']:,} were due with no connection free"
        ),
        amount("answers", sum(found["statuses"].values()), "", listed(found["statuses"])),
        count("answers other than 200, 429, 503", found["statuses"].keys() - ALLOWED),
        count("requests without an answer", range(found["unanswered"] + found["broken"])),
        amount("refusal, median", found["refusal_p50_ms"], "ms"),
        Figure(name="refusal, p99", value=found["refusal_p99_ms"], unit="ms", at_most=P99_MS),
        amount("refusal, p99 of the time in the app", inside, "ms", "without the wait for a thread and for the socket"),
        amount("acceptance, p99", found["accepted_p99_ms"], "ms"),
        count("tasks that did not end as completed", ends.keys() - {"completed"}, note=listed(ends)),
        amount("memory before", before, "MB"),
        amount("memory at the end of the load", peak, "MB"),
        Figure(name="memory that did not come back", value=after - before, unit="MB", at_most=MEMORY_MB),
        seconds("end of the load to all tasks ended and memory back", calmed_s),
        holds("ready afterwards", ready, "/health/ready is 200"),
    ]


def _capacity(run: Run, for_s: float) -> float:
    """Return how many tasks a second the server works out."""
    with Server(run.new_folder("capacity")) as server:
        server.start()
        command = [sys.executable, "-m", "bench.client", str(server.port), str(for_s), "prefer=wait=30"]
        done = _json(command, for_s + 90)
        server.stop()
    return float(done["answered"] / done["seconds"])


def _flood(port: int, for_s: float, rate: float) -> dict[str, Any]:
    arguments = (port, for_s, rate, GREEDY, MODEST)
    return _json([sys.executable, "-m", "chaos.open_loop", *map(str, arguments)], for_s + 90)


def _json(command: list[str], within_s: float) -> dict[str, Any]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=within_s, check=False)
    if done.returncode:
        raise ChaosError(f"the load failed: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _calm(server: Server) -> float:
    """Wait until no task is left and the memory falls no more; return the memory in MB."""

    def idle() -> bool:
        with Api(server.port, source="127.0.0.99") as api:
            pages = [api.request("GET", f"/agent/results?status={s}&limit=1") for s in ("pending", "running")]
        return all(status == 200 and not page["results"] for status, page in pages)

    wait_for(idle, "every task to end", CALMS_WITHIN_S)
    least, still = _memory_mb(server), 0
    while still < 10:
        time.sleep(0.5)
        now = _memory_mb(server)
        least, still = (now, 0) if now < least - 1 else (least, still + 1)
    return least


def _refusals_inside_ms(server: Server) -> float:
    """Return the 99th percentile of what the server's log says a refusal took."""
    took = []
    with server.log.open(encoding="utf-8") as lines:
        for line in lines:
            if '"status":429' in line or '"status":503' in line:
                took.append(float(json.loads(line)["duration_ms"]))
    return percentile(took, 99) if len(took) > 1 else 0.0


def _memory_mb(server: Server) -> float:
    """Return what is private to the server and its workers."""
    return process_tree.private_mb(process_tree.without_sandbox(process_tree.members([server.pid])))
