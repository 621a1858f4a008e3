"""`nth-frame`: a kill before, in the middle of, and after each kind of frame between a server and its worker.

Whoever sends a frame dies before it is written, with half of it written, and after it; whoever is to read it dies before and
after. Each kind has an occasion at which it is sent: a task with calls of every policy, a budget and something printed; a cancel,
a drain, a worker that is started anew, a probe, a server of tools that goes. The server is `chaos/counting_server.py`.

Beside the task that does all that, each time one computes between two calls, and one is in a call. Whatever was hit, all end with
their right results: a `never` call of which nobody knows is decided as the record of effects says, so it is begun once. Where the
worker is hit, the task between two calls has lost no try. Accounts of budgets come to what the code calls, of which a budget
allows not one call more. It cannot show what another moment within a frame would do: reading ends a frame whole or drops it.
"""

import contextlib
import json
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.figures import Figure
from bench.load import ROOT
from chaos import effects
from chaos.api import Api, Lost
from chaos.blows import Blows
from chaos.effects import begun
from chaos.load import ENDED, Memory, decide, end_of, token_of
from chaos.order import SERVER, WORKER, struck
from chaos.scenario import ChaosError, Run, amount, count
from chaos.server import Server
from chaos.verdict import Verdict, listed
from chaos.work import CANCELLED, COMPLETED, POLICIES, Work, code

DOWN = ("Assignment", "Answered", "Cancel", "HandBack", "Begin", "Listing", "Probe", "Close")
UP = ("Told", "Recorded", "Commit", "Call", "Printed", "Progressed", "TimeLeft", "Ended", "Ready", "Probed")
AT_DRAIN, AT_START, AT_PROBE = ("HandBack", "Close"), ("Begin", "Ready"), ("Probe", "Probed")
ONCE = (*AT_DRAIN, *AT_START, *AT_PROBE, "Listing", "Cancel", "Assignment", "TimeLeft", "Ended")
"""Kinds of which there is one frame at its occasion; of the others the second is hit too, and so on."""

QUICK = 6
COMPUTES = 1_000_000
HIT_WITHIN_S, ENDS_WITHIN_S = 40.0, 120.0
TOOLS = ROOT / "tests" / "agent" / "mcp" / "listed_server.py"


@dataclass(frozen=True, slots=True)
class Point:
    """A kind of frame, a moment, and who dies at it."""

    kind: str
    when: str
    victim: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.when} {self.victim}"


def points() -> list[Point]:
    found = []
    for kinds, sender, reader in ((DOWN, SERVER, WORKER), (UP, WORKER, SERVER)):
        for kind in kinds:
            found += [Point(kind, when, sender) for when in ("before", "cut", "after")]
            if kind != "Begin":  # nobody is there yet to read it
                found += [Point(kind, when, reader) for when in ("before", "after")]
    return found


def measure(run: Run) -> list[Figure]:
    """Hit at the first frame of each kind, then at the second of those of which there is one, until it is enough."""
    chosen = run.random("nth-frame").sample(points(), QUICK) if run.quick else points()
    with serving(run) as server:
        frames = Frames(run, server)
        server.start()
        number = 1
        while chosen and frames.kills < run.kills:
            frames.hit_at_all(chosen, number, run.kills)
            chosen = [] if run.quick else [one for one in chosen if one.kind not in ONCE and one in frames.last_hit]
            number += 1
        server.stop()
        return frames.figures(Verdict(frames.memory, server.database, server.effects))


def serving(run: Run) -> Server:
    """Return a server that counts its frames once it is told to, not yet started."""
    folder = run.new_folder("nth-frame")
    budgets = {"session_budget": "skillCalls=1000", "caller_day_budget": "skillCalls=1000000"}
    command = ("-m", "chaos.counting_server", str(folder / "order"))
    return Server(folder, command=command, skill_chaos_delay_ms=20, drain_s=3, **budgets)


def _with_tools(server: Server, *, there: bool) -> None:
    """Start a server anew with a server of tools, or without: it takes long to start, and most kinds of frames need none."""
    config = server.folder / "mcp.json"
    _list_tools(server, "add")
    entry = {"command": sys.executable, "args": [str(TOOLS), str(server.folder / "tools.json")]}
    config.write_text(json.dumps({"mcpServers": {"tools": entry} if there else {}}))
    server.stop()
    server.change(mcp_config=str(config))
    server.start()


def _list_tools(server: Server, *names: str) -> None:
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
    (server.folder / "tools.json").write_text(json.dumps(tools))


class Frames:
    """The kills on one server, one after another; what is learnt stays in `memory`."""

    def __init__(self, run: Run, server: Server) -> None:
        self.memory = Memory()
        self.hits = {SERVER: 0, WORKER: 0}
        self._run = run
        self._server = server
        self._order = server.folder / "order"
        self._outside = Blows(server, run.random("nth-frame", "victims"))
        self._calls: dict[str, int] = {}
        self._innocent: set[str] = set()
        self._hit: Counter[Point] = Counter()
        self._wanted: set[Point] = set()
        self._wrong: list[str] = []
        self._tools = False
        self.last_hit: set[Point] = set()

    @property
    def kills(self) -> int:
        return sum(self.hits.values())

    def hit_at_all(self, chosen: Sequence[Point], number: int, most: int) -> None:
        """Hit at the frames of this number, but no more than `most` times in all; `last_hit` are those at which there was one."""
        self.last_hit = set()
        for point in chosen:
            if self.kills >= most:
                return
            self._wanted.add(point)
            if self._tools != (tools := point.kind == "Listing"):
                self._tools = tools
                _with_tools(self._server, there=tools)
            if len(self._calls) % 80 == 0:
                self._run.say(f"nth-frame: {self.kills} kills, next is {point} number {number}")
            if self.hit_at(point, number):
                self.last_hit.add(point)

    def hit_at(self, point: Point, number: int = 1) -> bool:
        """Have somebody die at a frame, and see all tasks end; False if there was no such frame."""
        name = f"{point.kind}-{point.when}-{point.victim}-{number}"
        gate = self._server.folder / f"{name}.gate"
        works = _works(name, gate)
        with Api(self._server.port) as api:
            ids = {role: self._post(api, works[role]) for role in ("between", "in call", "cancelled")}
            self._wait(lambda: {f"{name}.gate", f"{name}.cancelled"} <= self._begun().keys(), "the calls beside it")
            self._order.write_text(f"{point.kind}.{point.when} {number} {point.victim}")
            ids["all"] = self._post(api, works["all"])
            self._have_it_sent(api, point.kind, ids["cancelled"])
            self._wait_until_hit(api, point.kind, ids["all"])
        hit = self._recover(point)
        gate.touch()
        with Api(self._server.port) as api:
            ids["all"] = ids["all"] or self._post(api, works["all"])
            self._cancel(api, ids["cancelled"])
            for role, task_id in ids.items():
                assert task_id is not None
                self._see_it_end(api, task_id)
                self._calls[task_id] = 0 if role == "between" else len(POLICIES) if role == "all" else 1
        if hit and point.victim == WORKER:
            self._innocent.add(str(ids["between"]))
        return hit

    # --- what is done ---

    def _post(self, api: Api, work: Work) -> str | None:
        """Post a task under its key; None if the server died over it."""
        self.memory.posted[work.name] = work
        try:
            status, body = api.execute(work.body, key=work.name)
        except Lost:
            return None
        if status != 200:
            raise ChaosError(f"{work.name} was answered with {status} {body}")
        task_id: str = body["taskId"]
        self.memory.accepted[task_id] = work
        return task_id

    def _have_it_sent(self, api: Api, kind: str, to_cancel: str | None) -> None:
        """Do what has a frame of this kind sent, where the tasks alone do not."""
        if kind == "Cancel":
            self._cancel(api, to_cancel)
        elif kind in AT_DRAIN:
            assert self._server.popen is not None
            self._server.popen.terminate()
        elif kind in AT_START:
            self._outside.strike_worker()
        elif kind == "Listing":  # it is started anew, and has other tools then
            _list_tools(self._server, "add", f"more_{self.kills}_{len(self._calls)}")
            for child in psutil.Process(self._server.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if TOOLS.name in " ".join(child.cmdline()):
                        child.kill()

    def _cancel(self, api: Api, task_id: str | None) -> None:
        with contextlib.suppress(Lost):
            status, body = api.request("POST", f"/agent/tasks/{task_id}/cancel")
            if status == 200 and body["success"] and task_id is not None:
                self.memory.cancelled.add(task_id)

    def _wait_until_hit(self, api: Api, kind: str, task_id: str | None) -> None:
        """Return once somebody was hit, or nobody will be."""
        own = kind in (*AT_DRAIN, *AT_START, *AT_PROBE, "Listing", "Cancel")
        until = time.monotonic() + HIT_WITHIN_S
        while time.monotonic() < until and not struck(self._order).exists():
            if not self._server.running:
                return
            with contextlib.suppress(Lost):
                found = api.task(task_id) if task_id and not own else None
                if found is not None and found["status"] in ENDED:
                    return
            threading.Event().wait(0.01)

    def _recover(self, point: Point) -> bool:
        """Take back an order that nobody has carried out, else count it; start the server again where it has ended."""
        try:
            self._order.unlink()
            hit = False
        except FileNotFoundError:
            struck(self._order).unlink()
            hit = True
            self.hits[point.victim] += 1
            self._hit[point] += 1
        if point.kind in AT_DRAIN or (hit and point.victim == SERVER):
            status = self._server.died()
            if point.kind in AT_DRAIN and not (hit and point.victim == SERVER) and status:
                self._wrong.append(f"{point}: the drain ended with {status}")
            self._server.start()
        return hit

    def _see_it_end(self, api: Api, task_id: str) -> None:
        until = time.monotonic() + ENDS_WITHIN_S
        while time.monotonic() < until:
            with contextlib.suppress(Lost):
                found = api.task(task_id)
                if found is None:
                    return  # lost: the verdict says so
                if found["status"] in ENDED:
                    self.memory.ends[task_id] = end_of(found)
                    return
                if found["status"] == "paused":
                    token = token_of(found["pause"])
                    decide(api, self.memory, task_id, token, "assume_done" if token in self._begun() else "retry")
            threading.Event().wait(0.02)
        self._wrong.append(f"{self.memory.accepted[task_id].name} ({task_id}) did not go on")

    def _begun(self) -> Mapping[str, list[effects.Effect]]:
        return {token: found for token, found in effects.read(self._server.effects).items() if begun(found)}

    def _wait(self, met: Callable[[], object], what: str) -> None:
        until = time.monotonic() + ENDS_WITHIN_S
        while not met():
            if time.monotonic() > until:
                raise ChaosError(f"waited {ENDS_WITHIN_S:g} s for {what}")
            threading.Event().wait(0.02)

    # --- what came of it ---

    def figures(self, verdict: Verdict) -> list[Figure]:
        innocent = [verdict.tasks[task_id] for task_id in self._innocent if task_id in verdict.tasks]
        return [
            amount("kills of the server at a frame", self.hits[SERVER], "kills", self._kinds(SERVER)),
            amount("kills of a worker at a frame", self.hits[WORKER], "kills", self._kinds(WORKER)),
            count(
                "moments of a kind of frame at which nobody was hit", sorted(map(str, self._wanted - self._hit.keys()))
            ),
            count("tasks that did not go on, drains that did not end in order", self._wrong),
            amount("tasks between two calls as the worker was hit", len(innocent), "tasks"),
            count(
                "of them that lost a try",
                (one.task_id for one in innocent if "takeover" in one.requeued or one.end != COMPLETED),
            ),
            amount("of them that went on in another worker", sum("worker" in one.requeued for one in innocent)),
            count("accounts of budgets that are not what was called", self._miscounted()),
            *verdict.figures(),
        ]

    def _kinds(self, victim: str) -> str:
        kinds: Counter[str] = Counter()
        for point, times in self._hit.items():
            if point.victim == victim:
                kinds[point.kind] += times
        return listed(kinds)

    def _miscounted(self) -> Iterable[str]:
        with closing(sqlite3.connect(self._server.database)) as connection:
            rows = connection.execute("SELECT scope, name, skill_calls FROM usage").fetchall()
            sessions = dict(connection.execute("SELECT id, session_id FROM tasks"))
        found = {(scope, name): calls for scope, name, calls in rows}
        in_session: Counter[str] = Counter()
        for task_id, calls in self._calls.items():
            in_session[sessions.get(task_id, "")] += calls
            if found.get(("task", task_id), 0) != calls:
                yield f"{task_id}: {found.get(('task', task_id))} instead of {calls}"
        yield from _differing("session", found, in_session)
        of_callers = sum(calls for (scope, _), calls in found.items() if scope == "caller")
        if of_callers != sum(self._calls.values()):
            yield f"callers: {of_callers} instead of {sum(self._calls.values())}"


def _differing(scope: str, found: Mapping[tuple[str, str], int], wanted: Mapping[str, int]) -> Iterator[str]:
    for name, calls in wanted.items():
        if found.get((scope, name), 0) != calls:
            yield f"{scope} {name}: {found.get((scope, name))} instead of {calls}"


def _works(name: str, gate: Path) -> dict[str, Work]:
    """Return the task that does everything, and those beside it: between two calls, in one, in one until it is cancelled."""
    tokens = [f"{name}.{policy}" for policy in POLICIES]
    calls = ", ".join(f"{policy}_effect({token!r})" for policy, token in zip(POLICIES, tokens, strict=True))
    names = ", ".join(f"{policy}_effect" for policy in POLICIES)
    everything = f"from skills import {names}\nprint('begun')\nfound = [{calls}]\nprint('done')\nfound"
    computing = f"n = total = 0\nwhile n < {COMPUTES}:\n    n += 1\n    total += n\ntotal"
    budget = {"skillCalls": len(POLICIES), "wallMs": 600_000}
    return {
        "all": _work(name, "everything", everything, tokens, budget=budget, sessionId=f"session-{name}"),
        "between": _work(f"{name}-between", "between two calls", computing, COMPUTES * (COMPUTES + 1) // 2),
        "in call": _work(f"{name}-gate", "in a call", _gated(f"{name}.gate", gate), f"{name}.gate"),
        "cancelled": _work(
            f"{name}-cancelled",
            "cancelled",
            _gated(f"{name}.cancelled", gate.with_suffix(".never")),
            f"{name}.cancelled",
            ends=frozenset({CANCELLED}),
        ),
    }


def _gated(token: str, gate: Path) -> str:
    return f"from skills import gate_effect\ngate_effect({token!r}, {str(gate)!r})"


def _work(
    name: str, kind: str, lines: str, output: Any, *, ends: frozenset[Any] = frozenset({COMPLETED}), **body: Any
) -> Work:
    return Work(
        name=name, kind=kind, body={"task": code(lines), "labels": {"work": name}, **body}, output=output, ends=ends
    )
