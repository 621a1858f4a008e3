"""The core that the busy threads of a server share: who is on it, who is not, and when they move."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from callboard import one_core
from callboard.head_start import for_serving
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


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[int, float]], None]:
    """Return what sets how many seconds each core has been busy so far; those that are not named: 0."""
    path = tmp_path / "stat"
    ticks = os.sysconf("SC_CLK_TCK")

    def busy(seconds: Mapping[int, float]) -> None:
        lines = [f"cpu{core} {int(seconds.get(core, 0) * ticks)} 0 0 5 5 0 0 0 0 0" for core in sorted(ALL)]
        path.write_text("\n".join(["cpu 1 2 3 4 5 6 7 8 9 10", *lines, "intr 1 2", "ctxt 1"]))

    busy({})
    monkeypatch.setattr(one_core, "_STAT", path)
    return busy


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


def test_the_core_with_the_least_to_do_is_taken(stat: Callable[[Mapping[int, float]], None]) -> None:
    core = OneCore(wanted=True)
    free = max(ALL)
    stat(dict.fromkeys(ALL - {free}, 100.0))
    core.join()
    assert core.core == free


def test_threads_move_together_where_others_are_in_the_way(
    stat: Callable[[Mapping[int, float]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0, 0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "process_time", lambda: clock[1])
    core = OneCore(wanted=True)
    core.join()
    first = core.core
    assert first is not None
    end, joined, moved = threading.Event(), threading.Barrier(3), dict[bool, bool]()

    def other(joins: bool) -> None:
        if joins:
            core.join()
        else:
            core.leave()
        joined.wait(20)
        end.wait(20)
        moved[joins] = os.sched_getaffinity(0) == {core.core}

    threads = [threading.Thread(target=other, args=(joins,)) for joins in (True, False)]
    for thread in threads:
        thread.start()
    joined.wait(20)
    clock[0], clock[1] = 10.0, 9.0
    stat({first: 10.0})  # that was this process itself
    core.look(10)
    assert core.core == first
    clock[0] = 20.0
    stat({first: 20.0})
    core.look(20)
    end.set()
    for thread in threads:
        thread.join(20)
    assert core.core is not None
    assert core.core != first
    assert os.sched_getaffinity(0) == {core.core}
    assert moved == {True: True, False: False}  # who had joined came along, and who had left did not
    clock[0] = 30.0
    stat(dict.fromkeys(ALL, 30.0))
    core.look(30)
    assert os.sched_getaffinity(0) == {core.core}


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


def test_it_is_for_servers_whose_tasks_are_worked_on_elsewhere(tmp_path: Path) -> None:
    def one_core_of(**given: object) -> str:
        return for_serving(Settings(data_dir=tmp_path, **given)).one_core  # type: ignore[arg-type]

    assert (
        one_core_of(worker_processes=1)
        == one_core_of(worker_processes=2)
        == one_core_of(worker_processes=0, one_core="on")
        == "on"
    )
    assert one_core_of(worker_processes=0) == "auto"
    assert one_core_of(one_core="off") == "off"


def test_a_system_in_a_program_leaves_its_threads_alone(tmp_path: Path) -> None:
    with AgentSystem.start(Settings(data_dir=tmp_path, worker_processes=0)) as system:
        assert system.execute("Calculate 2 + 2").output == 4
        assert {frozenset(one) for one in _where(os.getpid())} == {frozenset(ALL)}


def _where(pid: int) -> list[set[int]]:
    """Return where each thread of a process may run."""
    return [os.sched_getaffinity(int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()]


def test_a_server_has_its_busy_threads_on_one_core_and_its_workers_wherever_they_like(tmp_path: Path) -> None:
    with Server(tmp_path, command=CALLBOARD, worker_processes=2) as server:
        server.start()
        cores = {min(one) for one in _where(server.pid) if len(one) == 1}
        assert len(cores) == 1
        free = [one for one in _where(server.pid) if len(one) > 1]
        assert free == [ALL] * len(free) != []  # history readers and others
        workers = server.workers()
        assert len(workers) == 2
        assert all(one == ALL for worker in workers for one in _where(worker.pid))


def test_a_server_leaves_its_threads_alone_where_that_is_said(tmp_path: Path) -> None:
    with Server(tmp_path, command=CALLBOARD, one_core="off") as server:
        server.start()
        assert all(one == ALL for one in _where(server.pid))
