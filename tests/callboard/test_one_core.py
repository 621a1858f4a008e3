"""The core that the busy threads of a server share: who is on it, who is not, and when they move."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from callboard import one_core
from callboard.one_core import OneCore
from callboard.settings import Settings
from callboard.system import AgentSystem
from chaos.server import CALLBOARD, Server

ALL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()

pytestmark = pytest.mark.skipif(len(ALL) < 2, reason="this machine has one core, or does not say where threads run")


@pytest.fixture(autouse=True)
def _where_it_was() -> Iterator[None]:
    yield
    os.sched_setaffinity(0, ALL)


def test_who_joins_is_on_one_core_and_what_it_starts_is_not() -> None:
    core = OneCore(wanted=True)
    core.join()
    assert os.sched_getaffinity(0) == {core.core}
    with core.left():
        asked = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
        assert subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip() == str(ALL)
    assert os.sched_getaffinity(0) == {core.core}
    core.leave()
    assert os.sched_getaffinity(0) == ALL


def test_nothing_is_done_unasked() -> None:
    core = OneCore(wanted=False)
    core.join()
    core.look(0)
    with core.left():
        pass
    assert (core.core, os.sched_getaffinity(0)) == (None, ALL)


class Load:
    """What the system says of the cores and of the threads that have joined, and when."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        self._stat, self._threads = folder / "stat", folder / "task"
        self._threads.mkdir()
        self.passes(0, {}, 0)
        monkeypatch.setattr(one_core, "_STAT", self._stat)
        monkeypatch.setattr(one_core, "_THREADS", self._threads)
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)

    def passes(self, to_s: float, busy_s: Mapping[int, float], own_s: float) -> None:
        """Come to a moment; until then cores have been busy so long, 0 if not named, and each thread has had so much."""
        self.now_s = to_s
        ticks = os.sysconf("SC_CLK_TCK")
        lines = [f"cpu{core} {int(busy_s.get(core, 0) * ticks)} 0 0 5 5 0 0 0 0 0" for core in sorted(ALL)]
        self._stat.write_text("\n".join(["cpu 1 2 3 4 5 6 7 8 9 10", *lines, "intr 1 2", "ctxt 1"]))
        for thread in threading.enumerate():
            (self._threads / str(thread.native_id)).mkdir(exist_ok=True)
            (self._threads / str(thread.native_id) / "schedstat").write_text(f"{int(own_s * 1e9)} 7 8\n")


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    return Load(tmp_path, monkeypatch)


class Other(threading.Thread):
    """A thread that joins or not, and says in the end where it was."""

    def __init__(self, core: OneCore, *, joins: bool) -> None:
        super().__init__()
        self._core, self._joins = core, joins
        self.is_there, self.ends = threading.Event(), threading.Event()
        self.where = set[int]()
        self.start()
        assert self.is_there.wait(60)

    def run(self) -> None:
        if self._joins:
            self._core.join()
        else:
            self._core.leave()
        self.is_there.set()
        self.ends.wait(60)
        self.where = os.sched_getaffinity(0)

    def end(self) -> set[int]:
        self.ends.set()
        self.join()
        return self.where


def test_threads_move_together_where_others_are_in_the_way(load: Load) -> None:
    core = OneCore(wanted=True)
    core.join()
    joined, not_joined = Other(core, joins=True), Other(core, joins=False)
    first = core.core
    assert first is not None
    load.passes(10, {first: 10.0}, 5)
    core.look(10)
    assert core.core == first  # that was the two threads themselves
    load.passes(20, {first: 20.0}, 5)
    core.look(20)
    assert core.core not in (first, None)
    load.passes(30, dict.fromkeys(ALL, 30.0), 5)
    core.look(30)
    assert os.sched_getaffinity(0) == joined.end() == {core.core}  # and stays, where no core is free
    assert not_joined.end() == ALL


def test_what_is_set_from_outside_holds(load: Load) -> None:
    core = OneCore(wanted=True)
    core.join()
    other = Other(core, joins=True)
    for thread in (0, other.native_id or 0):
        os.sched_setaffinity(thread, ALL)
    load.passes(10, {}, 0)
    core.look(10)
    assert os.sched_getaffinity(0) == other.end() == {core.core}
    only = min(ALL - {core.core})
    os.sched_setaffinity(0, {only})
    load.passes(20, {}, 0)
    core.look(20)
    core.join()
    core.leave()
    assert (core.core, os.sched_getaffinity(0)) == (None, {only})


def test_nobody_moves_where_the_system_does_not_say_who_is_busy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(one_core, "_STAT", tmp_path / "none")
    core = OneCore(wanted=True)
    core.join()
    before = core.core
    core.look(1e9)
    assert (core.core, os.sched_getaffinity(0)) == (before, {before})


def test_slow_cores_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_core, "_CLOCKS", str(tmp_path / "{}"))
    for core in ALL:
        (tmp_path / str(core)).write_text("4000000" if core == max(ALL) else "2400000")
    core_ = OneCore(wanted=True)
    core_.join()
    assert (core_.core, os.sched_getaffinity(0)) == (None, ALL)  # there is but one that is fast
    for core in sorted(ALL)[-2:]:
        (tmp_path / str(core)).write_text("4000000")
    core_ = OneCore(wanted=True)
    core_.join()
    assert core_.core in sorted(ALL)[-2:]


def test_a_system_in_a_program_leaves_its_threads_alone(tmp_path: Path) -> None:
    with AgentSystem.start(Settings(data_dir=tmp_path, worker_processes=0, one_core=True)) as system:
        assert system.execute("Calculate 2 + 2").output == 4
        assert {frozenset(one) for one in _where(os.getpid())} == {frozenset(ALL)}


def _where(pid: int) -> list[set[int]]:
    """Return where each thread of a process may run."""
    found = list[set[int]]()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended
            found.append(os.sched_getaffinity(int(thread.name)))
    return found


def test_a_server_has_its_busy_threads_on_one_core_and_its_workers_wherever_they_like(tmp_path: Path) -> None:
    with Server(tmp_path, command=CALLBOARD, worker_processes=2) as server:
        server.start()
        where = _where(server.pid)
        while len({min(one) for one in where if len(one) == 1}) > 1:  # it moves just now
            where = _where(server.pid)
        assert any(len(one) == 1 for one in where)
        free = [one for one in where if len(one) > 1]
        assert free == [ALL] * len(free) != []  # history readers and others
        workers = server.workers()
        assert len(workers) == 2
        assert all(one == ALL for worker in workers for one in _where(worker.pid))


def test_a_server_leaves_its_threads_alone_where_that_is_said(tmp_path: Path) -> None:
    with Server(tmp_path, command=CALLBOARD, one_core="false") as server:
        server.start()
        assert all(one == ALL for one in _where(server.pid))
