"""`soak`: half an hour of mixed load, in which memory, descriptors and threads must stay where they are.

The load is that of `kill-9` without the kills: four clients, each with a connection of its own, a bounded number of
tasks open. The server's process is measured every few seconds. The first third is warm-up: caches fill, and sessions
stay in memory for `CALLBOARD_SESSION_IDLE_S` (a minute here). Memory is a line fitted to what follows; descriptors and threads
are compared between the first and the last part of it.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from bench.figures import Figure
from chaos.load import Load
from chaos.scenario import Run, amount
from chaos.server import Server
from chaos.verdict import Verdict

SLOPE_MB = 1.0
"""In ten minutes."""

WARM_UP = 1 / 3
EVERY_S = 5.0
PACE_S = 0.15
"""How long each of the clients waits before its next task: some twenty tasks a second, a third of what it can do."""

SETTLE_S = 180
FLAT = 2
"""How many descriptors or threads more at the end are still flat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The server's process at one moment; `memory_mb` is its private memory: of the file's mapped pages none."""

    at_s: float
    memory_mb: float
    descriptors: int
    threads: int


def measure(run: Run) -> list[Figure]:
    duration_s = run.minutes * 60
    with Server(run.new_folder("soak"), session_idle_s=min(60, duration_s / 10)) as server:
        load = Load(server.port, run, most_open=24, name="soak", pace_s=PACE_S)
        try:
            server.start()
            load.start()
            samples = _watch(run, server, duration_s)
            load.stop_posting()
            load.wait_until_ended(SETTLE_S)
        finally:
            load.close()
        server.stop()
        verdict = Verdict(load.memory, server.database, server.effects)
    return [*_figures(samples, duration_s), *verdict.figures()]


def _watch(run: Run, server: Server, duration_s: float) -> list[Sample]:
    process, samples, began = psutil.Process(server.pid), [], time.monotonic()
    every_s = min(EVERY_S, duration_s / 60)
    while (at_s := time.monotonic() - began) < duration_s:
        memory = process.memory_full_info()
        samples.append(
            Sample(
                at_s=at_s,
                memory_mb=memory.uss / 1e6,
                descriptors=process.num_fds(),
                threads=process.num_threads(),
            )
        )
        if len(samples) % 60 == 0:
            last = samples[-1]
            run.say(f"soak: {at_s / 60:.1f} min, {last.memory_mb:.1f} MB, {last.descriptors} descriptors")
        time.sleep(every_s)
    return samples


def _figures(samples: Sequence[Sample], duration_s: float) -> list[Figure]:
    kept = [sample for sample in samples if sample.at_s >= duration_s * WARM_UP]
    slope, _ = statistics.linear_regression([s.at_s for s in kept], [s.memory_mb for s in kept])
    memories = [sample.memory_mb for sample in kept]
    note = f"{len(kept)} samples, {min(memories):.1f}–{max(memories):.1f} MB after the warm-up"
    return [
        amount("load", duration_s / 60, "min"),
        amount("memory after the start", samples[0].memory_mb, "MB"),
        Figure(name="memory slope in 10 minutes", value=slope * 600, unit="MB", at_most=SLOPE_MB, note=note),
        _flat("descriptors more at the end", kept, lambda sample: sample.descriptors),
        _flat("threads more at the end", kept, lambda sample: sample.threads),
    ]


def _flat(name: str, samples: Sequence[Sample], of: Callable[[Sample], int]) -> Figure:
    """Compare the median of the last fifth with that of the first fifth."""
    part = max(1, len(samples) // 5)
    first, last = (statistics.median(map(of, some)) for some in (samples[:part], samples[-part:]))
    return Figure(name=name, value=last - first, unit="", at_most=FLAT, note=f"{first:g} → {last:g}")
