"""Requests a second: accepting tasks and running them to their result, as parts of what a bare server answers.

Each load stands between two loads of the ceiling and is compared with their mean, because the speed of a shared
machine drifts; the figure is the median of several such ratios. Every load meets a server of its own on a fresh
data folder. Afterwards the history is read: no task lost, none made up, every answer right.
"""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench import checks, server
from bench.figures import BenchError, Figure, Run, spread
from bench.load import Load, hammer
from bench.machine import busy_percent

WAIT = "wait=30"
ACCEPT, RUN, JOURNALED = "accept", "run to result", "run with a journaled call"
PREFER = {ACCEPT: "", RUN: WAIT, JOURNALED: WAIT}
AT_LEAST = {ACCEPT: 0.40, RUN: 0.18, JOURNALED: 0.12}
TOWARDS = {ACCEPT: 0.60, RUN: 0.30, JOURNALED: 0.20}
SAMPLE = 40
SKILLS = Path(__file__).with_name("skills")
ALL_END_WITHIN_S = 120
KILLED_AFTER_S = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """One load of our server; `ceiling` is what the bare one answered a second, before and after it."""

    load: Load
    ceiling: float
    cpu_ms: float
    ended: int

    @property
    def ratio(self) -> float:
        return self.load.rate / self.ceiling


def measure(run: Run) -> list[Figure]:
    """Run all laps in the order ceiling, accept, ceiling, run, ceiling, journaled, ceiling, accept, …"""
    rounds, seconds = (2, 1.0) if run.quick else (7, 3.0)
    laps: dict[str, list[Lap]] = {kind: [] for kind in PREFER}
    busy: list[float] = []
    with server.ceiling(run.folder) as bare:
        hammer(bare.port, 1, client=run.client)
        ceilings = [hammer(bare.port, seconds, client=run.client).rate]
        for number in range(rounds):
            busy.append(busy_percent(0.5))
            for kind, done in laps.items():
                load, cpu_ms, ended = _load(run, kind, seconds)
                ceilings.append(hammer(bare.port, seconds, client=run.client).rate)
                done.append(Lap(load=load, ceiling=statistics.mean(ceilings[-2:]), cpu_ms=cpu_ms, ended=ended))
            now = ", ".join(f"{kind} {done[-1].ratio:.2f}" for kind, done in laps.items())
            run.say(f"round {number + 1} of {rounds}, ratios to the ceiling: {now}")
    return [*_figures(ceilings, laps), _others(busy), *_killed(run)]


def _load(run: Run, kind: str, seconds: float) -> tuple[Load, float, int]:
    """Load a fresh server; return the load, processor time a request, and how many tasks ended during it."""
    folder = run.new_folder(kind.replace(" ", "-"))
    journaled = kind == JOURNALED
    with server.callboard(folder, **({"skills_dir": str(SKILLS)} if journaled else {})) as ours:
        warm = hammer(ours.port, 1, client=run.client, prefer=WAIT, journaled=journaled)
        before_s, ended = server.cpu_seconds(ours), checks.by_status(folder).get("completed", 0)
        load = hammer(ours.port, seconds, client=run.client, prefer=PREFER[kind], journaled=journaled)
        cpu_ms = (server.cpu_seconds(ours) - before_s) * 1000 / load.answered
        ended = checks.by_status(folder).get("completed", 0) - ended
        asked = checks.sample(ours, SAMPLE if kind == RUN else 0)
    checks.nothing_lost(folder, answered=warm.answered + load.answered + asked, sent=warm.sent + load.sent + asked)
    checks.all_right(folder)
    if kind != ACCEPT and ended < load.answered:
        raise BenchError(f"{load.answered} results were awaited, but only {ended} tasks have ended.")
    return load, cpu_ms, ended


def _figures(ceilings: Sequence[float], laps: dict[str, list[Lap]]) -> list[Figure]:
    found = [
        Figure(
            name="ceiling: bare Falcon on waitress",
            value=statistics.median(ceilings),
            unit="requests/s",
            note=f"{len(ceilings)} loads, {spread(ceilings, '{:,.0f}')}",
        )
    ]
    for kind, done in laps.items():
        found += _of_kind(kind, done)
    return found


def _of_kind(kind: str, laps: Sequence[Lap]) -> list[Figure]:
    ratios = [lap.ratio for lap in laps]
    rates = [lap.load.rate for lap in laps]
    p50_ms, p99_ms = (statistics.median(getattr(lap.load, name) for lap in laps) for name in ("p50_ms", "p99_ms"))
    ended = statistics.median(lap.ended / lap.load.seconds for lap in laps)
    meanwhile = f"; {ended:,.0f} tasks/s ended in the background meanwhile" if kind == ACCEPT else ""
    return [
        Figure(
            name=f"{kind}, part of the ceiling",
            value=statistics.median(ratios),
            unit="ratio",
            at_least=AT_LEAST[kind],
            note=f"median of {len(laps)} rounds, {spread(ratios, '{:.2f}')}; towards {TOWARDS[kind]:.2f}",
        ),
        Figure(
            name=kind,
            value=statistics.median(rates),
            unit="requests/s",
            note=f"p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, 16 connections{meanwhile}",
        ),
        Figure(
            name=f"{kind}, processor time of the server",
            value=statistics.median(lap.cpu_ms for lap in laps),
            unit="ms/request",
            note="server and sandbox processes, background work included",
        ),
    ]


def _others(busy: Sequence[float]) -> Figure:
    return Figure(
        name="processor busy with other work",
        value=statistics.median(busy),
        unit="%",
        note=f"while nothing of ours was at work, between the rounds: {spread(busy, '{:.0f}')}",
    )


def _killed(run: Run) -> list[Figure]:
    """Kill a server while it accepts tasks, start it again, and see every accepted one end with the right answer."""
    folder = run.new_folder("killed")
    with server.callboard(folder) as first, ThreadPoolExecutor(1) as pool:
        loading = pool.submit(hammer, first.port, KILLED_AFTER_S + 5, client="python", may_break=True)
        time.sleep(KILLED_AFTER_S)
        first.kill()
        load = loading.result()
    left = checks.nothing_lost(folder, answered=load.answered, sent=load.sent)
    with server.callboard(folder):
        checks.wait_until_all_ended(folder, ALL_END_WITHIN_S)
    ended = checks.all_right(folder)
    lost = checks.missing(folder, sent=load.sent, unanswered=load.unanswered)
    unfinished = sum(left.values()) - left.get("completed", 0)
    run.say(f"killed with {unfinished:,} tasks unfinished; after a restart all {ended:,} ended with the right answer")
    return [
        Figure(
            name="accepted tasks lost by kill -9 under load",
            value=lost,
            unit="tasks",
            at_most=0,
            note=f"{load.answered:,} were accepted, {unfinished:,} unfinished; after a restart all ended right",
        )
    ]
