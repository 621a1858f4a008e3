"""`nth-operation`: a crash at the N-th database operation of one task, for every N until the task ends.

Four sweeps, a kill before the N-th statement of the writing connection and a kill after the N-th commit has returned, of the
server and of its worker, each over an arithmetic task, over a script with a call of each replay policy, and over one whose skill is unavailable
at first and that is retried. After each crash the server is
started again where it is the one that was hit, a paused task is decided (`retry`, `assume_done` and `fail` in turn), and the outcome must be one of the
documented ones.

The server is `chaos/counting_server.py`, which is `callboard serve` with a counter. What is said between it and its worker is
`nth_frame.py`'s. How many operations a task takes
moves by a few with what falls into one transaction, so a sweep ends at the first N that the task outlives.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable

from bench.figures import Figure
from chaos.api import Api, Lost
from chaos.load import DECISIONS, ENDED, Memory, decide_all, end_of
from chaos.order import SERVER, WORKER, struck
from chaos.scenario import ChaosError, Run, amount, count
from chaos.server import Server
from chaos.verdict import Verdict, listed
from chaos.work import Work, plain, scripted, unavailable

MOST = 400
"""No task takes as many operations; a sweep that gets here has gone wrong."""

ENDS_WITHIN_S = 60
DIES_WITHIN_S = 60


def measure(run: Run) -> list[Figure]:
    """Sweep over every N, or over some of them in the short version."""
    numbers = run.random("nth-operation").sample(range(1, 25), 4) if run.quick else range(1, MOST)
    with counting(run) as server:
        sweeps = Sweeps(run, server)
        server.start()
        for kind in ("statement", "commit"):
            for task in ("plain", "script", "retried"):
                for victim in (SERVER, WORKER):
                    sweeps.sweep(kind, task, numbers, victim)
        server.stop()
        verdict = Verdict(sweeps.memory, server.database, server.effects)
    return [*sweeps.figures(), *verdict.figures()]


def counting(run: Run) -> Server:
    """Return a server that counts its operations once it is told to, not yet started."""
    folder = run.new_folder("nth-operation")
    command = ("-m", "chaos.counting_server", str(folder / "order"))
    return Server(folder, command=command, skill_chaos_delay_ms=1)


class Sweeps:
    """The sweeps on one server, one task after the other; what is learnt stays in `memory`."""

    def __init__(self, run: Run, server: Server, make: Callable[[str, str, Run], Work] | None = None) -> None:
        """`make` returns the task of a name and a kind."""
        self.memory = Memory()
        self._make = make or _work
        self._run = run
        self._server = server
        self._order = server.folder / "order"
        self._longest: dict[str, int] = {}
        self._crashes = {SERVER: 0, WORKER: 0}
        self._stuck: list[str] = []
        self.worker_kills: list[float] = []
        """The unix times of the crashes of a worker."""

    def sweep(self, kind: str, task: str, numbers: Iterable[int], victim: str = SERVER) -> None:
        """Crash at each number in turn until the task outlives one."""
        for number in numbers:
            crashed = self.crash_at(kind, task, number, victim)
            if not crashed:
                self._longest[f"{task} {kind}"] = number - 1
                if not self._run.quick:
                    return
        if not self._run.quick:
            raise ChaosError(f"a {task} task took more than {MOST} operations")

    def figures(self) -> list[Figure]:
        note = listed({f"{name}s": number for name, number in self._longest.items()})
        return [
            amount("kills of the server at the N-th operation", self._crashes[SERVER], "kills", f"operations: {note}"),
            amount("kills of a worker at the N-th operation", self._crashes[WORKER], "kills"),
            count("tasks that did not go on after the restart", self._stuck),
        ]

    def crash_at(self, kind: str, task: str, number: int, victim: str = SERVER) -> bool:
        """Post a task, have the victim die at an operation, see the task end; False if none came."""
        name = f"{kind}-{task}-{victim}-{number}"
        work = self._make(name, task, self._run)
        self.memory.posted[name] = work
        self._order.write_text(f"{kind} {number} {victim}")
        with Api(self._server.port) as api:
            task_id = self._post(api, work)
            crashed = self._is_hit_or_ends(api, task_id, number)
        try:
            self._order.unlink()
        except FileNotFoundError:  # it was carried out, perhaps a moment ago
            crashed = True
            struck(self._order).unlink()
        if crashed:
            self._crashes[victim] += 1
            if victim == SERVER:
                self._server.died()
                self._server.start()
            else:
                self.worker_kills.append(time.time())
        self._see_it_end(name, task_id, number)
        return crashed

    def _post(self, api: Api, work: Work) -> str | None:
        try:
            status, body = api.execute(work.body)
        except Lost:
            return None
        if status != 200:
            raise ChaosError(f"{work.name} was answered with {status} {body}")
        self.memory.accepted[body["taskId"]] = work
        task_id: str = body["taskId"]
        return task_id

    def _is_hit_or_ends(self, api: Api, task_id: str | None, number: int) -> bool:
        """Decide what has to be approved; return whether the victim was hit; False once the task has ended without it."""
        until = time.monotonic() + DIES_WITHIN_S
        while time.monotonic() < until:
            if struck(self._order).exists():
                return True
            with contextlib.suppress(Lost):
                if task_id and (found := api.task(task_id)) is not None and found["status"] in ENDED:
                    return struck(self._order).exists()
                decide_all(api, self.memory, DECISIONS[number % 3])
            threading.Event().wait(0.01)
        raise ChaosError("nobody was hit, and the task has not ended")

    def _see_it_end(self, name: str, task_id: str | None, number: int) -> None:
        """Wait for the end of the task, which is there under its label if its acceptance was not heard of."""
        until = time.monotonic() + ENDS_WITHIN_S
        with Api(self._server.port) as api:
            while time.monotonic() < until:
                task_id = task_id or _find(api, name)
                if task_id is None:
                    return  # it was never accepted
                found = api.task(task_id)
                if found is None:
                    return  # lost: the verdict says so
                if found["status"] in ENDED:
                    self.memory.ends[task_id] = end_of(found)
                    return
                decide_all(api, self.memory, DECISIONS[number % 3])
                threading.Event().wait(0.02)
        self._stuck.append(f"{name} ({task_id})")


def _work(name: str, task: str, run: Run) -> Work:
    if task == "plain":
        return plain(name, run.random(name))[0]
    if task == "retried":
        return unavailable(name, 1)
    return scripted(name, ("pure", "safe", "keyed", "never"), "script of all")


def _find(api: Api, name: str) -> str | None:
    """Return the id of the newest task if it is the one of this name."""
    page = api.request("GET", "/agent/results?limit=1")[1]["results"]
    if not page:
        return None
    found = api.task(page[0]["taskId"])
    return found["taskId"] if found and found["labels"].get("work") == name else None
