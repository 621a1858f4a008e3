"""Throughput by the number of worker processes: what more of them bring on the cores there are."""

import os
import statistics
from collections.abc import Collection

from bench.figures import Figure, Run, spread
from bench.laps import WAIT, Lap, callboard, lap
from callboard import Settings

SETTING = "worker_processes"
PROCESSES = (0, 1, 2, 4)
"""0: the tasks are worked on by threads of the server's own process."""


def measure(run: Run) -> list[Figure]:
    """Load a fresh server of each number, accept and run to result, in turns."""
    reason = why_not(Settings.model_fields)
    if reason:
        run.say(f"growth is skipped: {reason}")
        return []
    rounds, seconds = (1, 1.0) if run.quick else (3, 3.0)
    laps: dict[tuple[str, int], list[Lap]] = {(kind, n): [] for kind in ("accept", "run to result") for n in PROCESSES}
    for _ in range(rounds):
        for (kind, processes), done in laps.items():
            with callboard(run, f"growth {processes}", settings={SETTING: processes}) as ours:
                done.append(lap(run, ours, seconds, WAIT if kind == "run to result" else ""))
    return [_figure(kind, processes, done) for (kind, processes), done in laps.items()]


def why_not(settings: Collection[str]) -> str:
    """Return why it can't be measured with a server of these settings, nothing if it can."""
    return "" if SETTING in settings else f"there is no setting CALLBOARD_{SETTING.upper()}"


def _figure(kind: str, processes: int, laps: list[Lap]) -> Figure:
    rates = [one.load.rate for one in laps]
    through = statistics.median(one.through for one in laps)
    cpu_ms = statistics.median(one.cpu_ms for one in laps)
    switches = statistics.median(one.switches for one in laps)
    where = "threads" if not processes else f"{processes} worker process{'' if processes == 1 else 'es'}"
    each = f"{cpu_ms:.2f} ms and {switches:.0f} switches each"
    note = f"{spread(rates, '{:,.0f}')}; {through:,.0f} tasks/s to the last end, {each}; {os.cpu_count()} cores"
    return Figure(name=f"{kind}, {where}", value=statistics.median(rates), unit="requests/s", note=note)
