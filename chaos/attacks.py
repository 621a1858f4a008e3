"""What `hostile-skills` and `hostile-model` share: attacks, a caller who means well beside them, and what is left behind.

An attack is a task that must end, within its time and in one of the ways that it may; the caller beside it gets right
answers all the while; afterwards the server is as it was. Imported by those two scenarios.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench.figures import Figure, percentile
from callboard.errors import TASK_ERROR_CODES
from chaos.api import Api, Lost
from chaos.drain import wait_for
from chaos.scenario import Run, amount, count, holds, seconds
from chaos.server import Server

TASK_S = 20
"""How long an attack may run, `timeoutMs` of its task."""

LATE_S = 5
"""How much longer than that its end may take to be seen."""

PAGE_BYTES = 2_500_000
"""The most that a page of a list may weigh: a megabyte that it is filled up to, and its last entry."""

LEFT_BYTES = 40_000_000
"""The most that one task may leave in the database, in all its rows."""

MEMORY_MB = 50
WELL_MEANT = "Run this:"
"""What begins a well-meant task: code follows, for the built-in planner and for a model that repeats it."""


TOLD = frozenset({"completed", *TASK_ERROR_CODES}) - {"internal_error", "dead_letter", "sandbox_crashed"}
"""Every way in which a task may end that is the fault of what it was given, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A task, and how it may end: statuses, and error codes of those that failed."""

    name: str
    body: dict[str, Any]
    ends: frozenset[str]


@dataclass(slots=True)
class Seen:
    """How attacks ended. Written by one thread at a time for each name."""

    task_ids: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    took_s: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    """Processor time that the server's own process took meanwhile; skills and all else that it does included."""

    surprises: list[str] = field(default_factory=list)

    def add(self, other: "Seen") -> None:
        self.task_ids |= other.task_ids
        self.ends |= other.ends
        self.took_s |= other.took_s
        self.cpu_s |= other.cpu_s
        self.surprises += other.surprises


class Beside:
    """A caller who means well: one small task after another, each of which must come to the right answer."""

    def __init__(self, port: int) -> None:
        self.latencies_s: list[float] = []
        self.wrong: list[str] = []
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask_again_and_again)

    def __enter__(self) -> "Beside":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _ask_again_and_again(self) -> None:
        with Api(self._port) as api:
            number = 0
            while not self._over.is_set():
                number += 1
                self._ask(api, number)
                self._over.wait(0.05)

    def _ask(self, api: Api, number: int) -> None:
        body = {"task": f"{WELL_MEANT}\n```python\nfrom skills import calculate\ncalculate('{number} * 7')\n```"}
        began = time.monotonic()
        try:
            status, answer = api.execute(body, wait_s=30)
        except Lost as error:
            self.wrong.append(str(error))
            return
        self.latencies_s.append(time.monotonic() - began)
        if status != 200 or answer.get("status") != "completed" or str(number * 7) not in str(answer.get("output")):
            self.wrong.append(f"{status} {json.dumps(answer)[:200]}")


def one_after_another(server: Server, attacks: Iterable[Attack], run: Run) -> Seen:
    """Carry out each attack alone, and take down the processor time that it costs the server's own process."""
    seen, process = Seen(), psutil.Process(server.pid)
    with Api(server.port, timeout_s=60) as api:
        for attack in attacks:
            before = process.cpu_times()
            _carry_out(api, attack, seen)
            after = process.cpu_times()
            seen.cpu_s[attack.name] = after.user + after.system - before.user - before.system
            run.say(f"{attack.name}: {seen.ends.get(attack.name)} in {seen.took_s.get(attack.name, 0):.1f} s")
    return seen


def all_at_once(server: Server, attacks: Collection[Attack]) -> Seen:
    """Carry out all attacks together, each from a connection of its own."""
    seen = Seen()

    def carry_out(attack: Attack) -> None:
        with Api(server.port, timeout_s=60) as api:
            _carry_out(api, attack, seen)

    threads = [threading.Thread(target=carry_out, args=(attack,)) for attack in attacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(len(attacks) * (TASK_S + LATE_S))
    return seen


def _carry_out(api: Api, attack: Attack, seen: Seen) -> None:
    began = time.monotonic()
    try:
        status, answer = api.execute({"timeoutMs": TASK_S * 1000, **attack.body})
        if status != 200:
            seen.surprises.append(f"{attack.name} was answered with {status} {answer}")
            return
        seen.task_ids[attack.name] = answer["taskId"]
        wait_for(lambda: _ended(api, attack, seen), f"{attack.name} to end", 10 * (TASK_S + LATE_S))
    except Lost as error:
        seen.surprises.append(f"{attack.name}: {error}")
    seen.took_s[attack.name] = time.monotonic() - began


def _ended(api: Api, attack: Attack, seen: Seen) -> bool:
    found = api.task(seen.task_ids[attack.name])
    if found is None or found["status"] in ("pending", "running"):
        return False
    seen.ends[attack.name] = found.get("errorCode") or found["status"]
    return True


# --- what is left behind ----------------------------------------------------------------------------------------------


def about(name: str, attacks: Sequence[Attack], seen: Seen, *, within_s: float = TASK_S + LATE_S) -> list[Figure]:
    """Return how attacks ended."""
    wrong = [
        f"{attack.name} ended as {seen.ends.get(attack.name)}"
        for attack in attacks
        if seen.ends.get(attack.name) not in attack.ends
    ]
    late = [f"{one}: {took:.1f} s" for one, took in seen.took_s.items() if took > within_s]
    return [
        amount(f"attacks, {name}", len(attacks)),
        count(f"attacks that ended otherwise than they may, {name}", [*wrong, *seen.surprises]),
        count(f"attacks that ended late, {name}", late),
        seconds(f"longest attack, {name}", max(seen.took_s.values(), default=0.0)),
    ]


def about_beside(beside: Beside) -> list[Figure]:
    """Return how the caller who means well fared."""
    many = len(beside.latencies_s) > 1
    return [
        amount("well-meant tasks beside", len(beside.latencies_s)),
        count("well-meant tasks that did not come to the right answer", beside.wrong),
        seconds("well-meant task, p99", percentile(beside.latencies_s, 99) if many else 0.0),
    ]


def about_pages(server: Server) -> list[Figure]:
    """Return how much the lists weigh that name the attacks' tasks."""
    sizes = {}
    with Api(server.port, timeout_s=60) as api:
        for path in (
            "/agent/results?limit=100",
            "/agent/events?limit=1000",
            "/agent/sessions?limit=100",
            "/agent/dead-letters",
        ):
            status, answer = api.request("GET", path)
            sizes[path] = len(json.dumps(answer)) if status == 200 else -1
    heaviest = max(sizes, key=lambda path: sizes[path])
    return [
        holds("every list is answered", min(sizes.values()) >= 0, str(sizes)),
        Figure(name="heaviest page of a list", value=sizes[heaviest], unit="B", at_most=PAGE_BYTES, note=heaviest),
    ]


def about_rows(server: Server, names: dict[str, str]) -> list[Figure]:
    """Return what one task left in the database at most; to be asked when the server has ended."""
    left: dict[str, int] = {}
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)) as file:
        tables = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [row[1] for row in file.execute(f"PRAGMA table_info({table})")]
            owner = "id" if table == "tasks" else "task_id"
            if owner not in columns:
                continue
            weight = " + ".join(f"coalesce(length(CAST({column} AS BLOB)), 0)" for column in columns)
            for task_id, size in file.execute(f"SELECT {owner}, sum({weight}) FROM {table} GROUP BY {owner}"):
                left[task_id] = left.get(task_id, 0) + size
    by_name = {name: left.get(task_id, 0) for name, task_id in names.items()}
    most = max(by_name, key=lambda name: by_name[name], default="")
    return [
        Figure(
            name="most that one task left in the database",
            value=by_name.get(most, 0),
            unit="B",
            at_most=LEFT_BYTES,
            note=most,
        )
    ]


def about_log(server: Server) -> list[Figure]:
    """Return the errors of our own that the log tells of."""
    ours = []
    with server.log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if (
                '"code":"internal_error"' in line
                or '"status":500' in line
                or "actor crashed" in line
                or (not line.startswith("{") and "Traceback" in line)
            ):
                ours.append(line.strip()[:200])
    return [count("errors of our own in the log", ours)]


def memory_back(server: Server, before_mb: float, *, within_s: float = 60) -> Figure:
    """Return how much more memory the server keeps than before, as soon as it is little, else when the time is up."""
    until = time.monotonic() + within_s
    while (more := memory_mb(server) - before_mb) > MEMORY_MB and time.monotonic() < until:
        threading.Event().wait(0.5)
    return Figure(name="memory that did not come back", value=more, unit="MB", at_most=MEMORY_MB)


def memory_mb(server: Server) -> float:
    return float(psutil.Process(server.pid).memory_info().rss / 1e6)
