"""Requests a second, and what each takes: accepting tasks and running them to their result, beside what others reach with them.

Each load stands between two loads of the ceiling, a bare server, and is compared with their mean, because the speed of a shared machine
drifts; right beside it stand those of FastAPI with Celery, of an older Callboard where one is given (`--beside`), and those of ours
over more connections, and with greenlets. Figures are medians over rounds, ratios those of a round's own loads. Each load of ours meets a server of its
own on a fresh data folder, whose history is read afterwards: no task lost, none made up, every answer right.
"""

import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from bench import celery_pair, checks, server
from bench.figures import Figure, Run, spread
from bench.laps import ALL_END_WITHIN_S, WAIT, Lap, Target, callboard, lap
from bench.load import hammer
from bench.machine import busy_percent

ACCEPT, RUN, JOURNALED = "accept", "run to result", "run with a journaled call"
PREFER = {ACCEPT: "", RUN: WAIT, JOURNALED: WAIT}
AT_LEAST = {ACCEPT: 0.30, RUN: 0.20, JOURNALED: 0.12}
TOWARDS = {ACCEPT: 0.40, RUN: 0.27, JOURNALED: 0.20}
CELERYS = 1.5
TOWARDS_CELERYS = {ACCEPT: 3.0, RUN: 2.5}
OLDER_CPU = 0.6
P99_TO_P50 = 3.0
OURS, OLDER = "Callboard", "older Callboard"
MANY = 64
HOLDS_MANY = {"max_waiting": 2 * MANY}
"""One caller is given seven eighths of the places to wait in at most; without one it is answered before its task has ended."""

GREENLETS = {"http_greenlets": "true"}
KILLED_AFTER_S = 1.5
Start = Callable[[str], AbstractContextManager[Target]]
"""How a server is given for a kind of load."""


@dataclass(slots=True)
class Round:
    """One load of each server and kind; `ceiling` is what the bare one answered a second, before and after a kind's loads."""

    laps: dict[tuple[str, str], Lap] = field(default_factory=dict)
    many: dict[str, Lap] = field(default_factory=dict)
    greenlets: dict[str, Lap] = field(default_factory=dict)
    ceiling: dict[str, float] = field(default_factory=dict)

    def part_of_ceiling(self, kind: str) -> float:
        return self.laps[OURS, kind].load.rate / self.ceiling[kind]

    def ratio(self, kind: str, other: str, of: Callable[[Lap], float]) -> float:
        """Return our figure as a part of another server's."""
        return of(self.laps[OURS, kind]) / of(self.laps[other, kind])


def measure(run: Run) -> list[Figure]:
    """Run all loads in the order ceiling, accept by each, ceiling, run to result by each, ceiling, journaled, ceiling, accept, …"""
    number, seconds = (2, 1.0) if run.quick else (5, 3.0)
    rounds: list[Round] = []
    busy: list[float] = []
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(server.ceiling(run.new_folder("ceiling")))
        others = _others(run, stack, seconds)
        hammer(bare.port, 1, client=run.client)
        ceilings = [hammer(bare.port, seconds, client=run.client).rate]
        for _ in range(number):
            busy.append(busy_percent(0.5))
            rounds.append(Round())
            for kind in PREFER:
                _loads(run, kind, seconds, others, rounds[-1])
                ceilings.append(hammer(bare.port, seconds, client=run.client).rate)
                rounds[-1].ceiling[kind] = statistics.mean(ceilings[-2:])
            now = ", ".join(f"{kind} {rounds[-1].part_of_ceiling(kind):.2f}" for kind in PREFER)
            run.say(f"round {len(rounds)} of {number}, ratios to the ceiling: {now}")
    ceiling = _of("ceiling: bare Falcon on waitress", ceilings, "requests/s", "{:,.0f}", f"{len(ceilings)} loads")
    return [ceiling, *figures_of(rounds, others), _busy(busy), *_killed(run)]


def _others(run: Run, stack: contextlib.ExitStack, seconds: float) -> dict[str, Start]:
    """Return who else is loaded, and how each is started for a kind of load."""
    found: dict[str, Start] = {}
    reason = celery_pair.why_not()
    if reason:
        run.say(f"the comparison with {celery_pair.NAME} is skipped: {reason}")
    else:
        pair = stack.enter_context(celery_pair.celery(run))
        found[celery_pair.NAME] = lambda _kind: contextlib.nullcontext(pair)
    if run.beside is None:
        run.say("the comparison with an older Callboard is skipped: no --beside, a checkout after its `make setup`")
    else:
        command = (str(run.beside / ".venv" / "bin" / "callboard"),)
        found[OLDER] = lambda kind: callboard(run, f"older {kind}", command=command, warm_s=seconds)
    return found


def _loads(run: Run, kind: str, seconds: float, others: dict[str, Start], found: Round) -> None:
    """Load each server in turn: ours, the others, ours over more connections, and ours with greenlets."""
    with callboard(run, kind, journaled=kind == JOURNALED, warm_s=seconds) as ours:
        found.laps[OURS, kind] = lap(run, ours, seconds, PREFER[kind], journaled=kind == JOURNALED)
    if kind == JOURNALED:
        return
    for name, start in others.items():
        with start(kind) as target:
            found.laps[name, kind] = lap(run, target, seconds, PREFER[kind])
    with callboard(run, f"{kind} many", settings=HOLDS_MANY, warm_s=seconds) as ours:
        found.many[kind] = lap(run, ours, seconds, PREFER[kind], connections=MANY)
    with callboard(run, f"{kind} greenlets", settings=GREENLETS, warm_s=seconds) as ours:
        found.greenlets[kind] = lap(run, ours, seconds, PREFER[kind])


def figures_of(rounds: list[Round], others: Collection[str]) -> list[Figure]:
    """Return the medians over all rounds: of what each server did, and of what ours is to each other one in the same round."""
    laps = defaultdict[tuple[str, str], list[Lap]](list)
    for one in rounds:
        for key, done in one.laps.items():
            laps[key].append(done)
    found = []
    for kind in PREFER:
        parts = [one.part_of_ceiling(kind) for one in rounds]
        note = f"towards {TOWARDS[kind]:.2f}"
        found.append(_of(f"{kind}, part of the ceiling", parts, "ratio", note=note, at_least=AT_LEAST[kind]))
        found += _of_server(kind, kind, laps[OURS, kind])
        if kind == JOURNALED:
            continue
        found.append(_of_many(kind, rounds))
        found += _of_greenlets(kind, rounds)
        if kind == ACCEPT:
            ratios = [one.load.p99_ms / one.load.p50_ms for one in laps[OURS, kind]]
            found.append(_of(f"{kind}, p99 to p50", ratios, "ratio", note="16 connections", at_most=P99_TO_P50))
        for name in others:
            found += _beside(kind, name, rounds)
            found += _of_server(f"{name}: {kind}", kind, laps[name, kind])
    return found


def _of_server(name: str, kind: str, laps: list[Lap]) -> list[Figure]:
    def middle(of: Callable[[Lap], float]) -> float:
        return statistics.median(map(of, laps))

    p50_ms, p99_ms = middle(lambda one: one.load.p50_ms), middle(lambda one: one.load.p99_ms)
    apart_ms = middle(lambda one: one.apart_ms)
    beside = f"; Redis {apart_ms:.2f} ms more" if apart_ms else ""
    found = [
        _of(
            name, [one.load.rate for one in laps], "requests/s", "{:,.0f}", f"p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms"
        ),
        _of(
            f"{name}, processor time",
            [one.cpu_ms for one in laps],
            "ms/task",
            "{:.2f}",
            f"all processes, until its last task has ended{beside}",
        ),
    ]
    if middle(lambda one: one.switches):
        note = "voluntary, of the threads of all processes"
        found.append(_of(f"{name}, thread switches", [one.switches for one in laps], "a task", "{:.0f}", note))
    if kind == ACCEPT:
        tasks, took_s = middle(lambda one: one.tasks), middle(lambda one: one.worked_off_s)
        meanwhile = middle(lambda one: one.ended_meanwhile / one.load.seconds)
        note = f"{tasks:,.0f} tasks in {took_s:.1f} s from the first post; {meanwhile:,.0f} tasks/s while it accepted"
        found.append(
            _of(f"{name}, until all are worked off", [one.through for one in laps], "tasks/s", "{:,.0f}", note)
        )
    return found


def _of_many(kind: str, rounds: list[Round]) -> Figure:
    more = [one.many[kind].load.rate / one.laps[OURS, kind].load.rate for one in rounds]
    p99_ms = statistics.median(one.many[kind].load.p99_ms for one in rounds)
    note = f"to the rate over 16; CALLBOARD_MAX_WAITING={HOLDS_MANY['max_waiting']}, p99 {p99_ms:.1f} ms"
    return _of(f"{kind} over {MANY} connections", more, "ratio", note=note, at_least=1.0)


def _of_greenlets(kind: str, rounds: list[Round]) -> list[Figure]:
    """Return what the same server is with CALLBOARD_HTTP_GREENLETS to what it is without."""
    pairs = [(one.greenlets[kind], one.laps[OURS, kind]) for one in rounds]
    p99_ms = statistics.median(one.load.p99_ms for one, _ in pairs)
    rates = [one.load.rate / plain.load.rate for one, plain in pairs]
    cpu = [one.cpu_ms / plain.cpu_ms for one, plain in pairs]
    name = f"{kind} with greenlets"
    return [
        _of(name, rates, "ratio", note=f"to the rate without; CALLBOARD_HTTP_GREENLETS=true, p99 {p99_ms:.1f} ms"),
        _of(f"{name}, processor time", cpu, "ratio"),
    ]


def _beside(kind: str, name: str, rounds: list[Round]) -> list[Figure]:
    """Return what ours is to another server's, each round's loads beside one another."""

    def ratios(of: Callable[[Lap], float]) -> list[float]:
        return [one.ratio(kind, name, of) for one in rounds]

    older = name == OLDER
    rate, cpu = ratios(lambda one: one.load.rate), ratios(lambda one: one.cpu_ms)
    least, towards = (None, "") if older else (CELERYS, f"towards {TOWARDS_CELERYS[kind]:.1f}")
    than = f"to that of {name}"
    found = [
        _of(f"{kind}, {than}", rate, "ratio", note=towards, at_least=least),
        _of(f"{kind}, processor time, {than}", cpu, "ratio", at_most=OLDER_CPU if older else None),
    ]
    if kind == ACCEPT:
        through = ratios(lambda one: one.through)
        found.append(_of(f"{kind}, until all are worked off, {than}", through, "ratio"))
    return found


def _of(
    name: str,
    values: list[float],
    unit: str,
    form: str = "{:.2f}",
    note: str = "",
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """Return the median of some values, with how far apart they are."""
    said = "; ".join(filter(None, (note, spread(values, form))))
    return Figure(name=name, value=statistics.median(values), unit=unit, note=said, at_least=at_least, at_most=at_most)


def _busy(busy: list[float]) -> Figure:
    note = "while nothing of ours was at work, between the rounds"
    return _of("processor busy with other work", busy, "%", "{:.0f}", note)


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
