"""`soak`: half an hour of mixed load, in which memory, descriptors and threads must stay where they are.

The load is that of `kill-9` without the kills: four clients, each with a connection of its own, a bounded number of
tasks open. The server's processes, its workers' among them, are measured together every few seconds; the sandbox's, of which
there are as many as were ever at work at once, apart. The first third is warm-up: caches fill, and sessions stay in memory for
`CALLBOARD_SESSION_IDLE_S` (a minute here). Memory is a line fitted to what follows; descriptors and threads are compared
between the first and the last part of it.
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from bench import process_tree
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
OPEN_FOR_EACH = 3
"""Descriptors that its parent has open for each process of the sandbox, which come and go: two pipes and one to hear of its end."""

FLAT = 2
"""How many descriptors or threads more at the end are still flat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The server's processes at one moment; memory is what is private to them: of the file's mapped pages none.

    Descriptors are without those for the sandbox's processes.
    """

    at_s: float
    memory_mb: float
    sandbox_mb: float
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
    samples, began = list[Sample](), time.monotonic()
    every_s = min(EVERY_S, duration_s / 60)
    while (at_s := time.monotonic() - began) < duration_s:
        samples.append(_sample(server, at_s))
        if len(samples) % 60 == 0:
            last = samples[-1]
            run.say(f"soak: {at_s / 60:.1f} min, {last.memory_mb:.1f} MB, {last.descriptors} descriptors")
        time.sleep(every_s)
    return samples


def _sample(server: Server, at_s: float) -> Sample:
    everyone = process_tree.members([server.pid])
    own = process_tree.without_sandbox(everyone)
    sandbox = set(everyone) - set(own)
    descriptors, threads = -OPEN_FOR_EACH * len(sandbox), 0
    for one in own:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that reads a document ends with its task
            descriptors += one.num_fds()
            threads += one.num_threads()
    memory_mb = process_tree.private_mb(own)
    sandbox_mb = process_tree.private_mb(sandbox)
    return Sample(at_s=at_s, memory_mb=memory_mb, sandbox_mb=sandbox_mb, descriptors=descriptors, threads=threads)


def _figures(samples: Sequence[Sample], duration_s: float) -> list[Figure]:
    kept = [sample for sample in samples if sample.at_s >= duration_s * WARM_UP]
    slope, _ = statistics.linear_regression([s.at_s for s in kept], [s.memory_mb for s in kept])
    memories = [sample.memory_mb for sample in kept]
    note = f"{len(kept)} samples, {min(memories):.1f}–{max(memories):.1f} MB after the warm-up"
    return [
        amount("load", duration_s / 60, "min"),
        amount("memory after the start", samples[0].memory_mb, "MB"),
        amount(
            "memory of the sandbox at the end",
            samples[-1].sandbox_mb,
            "MB",
            f"{kept[0].sandbox_mb:.1f} MB after the warm-up",
        ),
        Figure(name="memory slope in 10 minutes", value=slope * 600, unit="MB", at_most=SLOPE_MB, note=note),
        _flat("descriptors more at the end", kept, lambda sample: sample.descriptors),
        _flat("threads more at the end", kept, lambda sample: sample.threads),
    ]


def _flat(name: str, samples: Sequence[Sample], of: Callable[[Sample], int]) -> Figure:
    """Compare the median of the last fifth with that of the first fifth."""
    part = max(1, len(samples) // 5)
    first, last = (statistics.median(map(of, some)) for some in (samples[:part], samples[-part:]))
    return Figure(name=name, value=last - first, unit="", at_most=FLAT, note=f"{first:g} → {last:g}")
