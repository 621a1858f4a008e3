"""A worker that is killed costs its tasks a try; with a server that is killed its workers are gone, and nothing begins any more."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from callboard import Settings, Status
from callboard.workers.team import MOST_ALONE
from chaos.api import Api
from chaos.server import CALLBOARD, Server
from tests.workers.conftest import PACK, Hell, calling, code, wait_for

pytestmark = pytest.mark.slow

MANY = "from skills import held_safe\nfor n in range(100000):\n    held_safe('many', 'open')"


def test_a_worker_that_is_killed_is_another_one_and_its_tasks_go_on(hell: Hell) -> None:
    hell.start()
    (before,) = hell.pids
    beside = hell.innocents("pure", "safe", "never")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: hell.pids and before not in hell.pids, "it is replaced")
    hell.open("gate")
    for token in ("pure", "safe"):
        assert hell.ended(beside[token]).output == token
        assert len(hell.calls(token)) == 2
    hell.in_doubt(beside["never"])
    assert len(hell.calls("never")) == 1
    assert hell.reasons(beside["safe"]) == ["takeover"]


def test_a_worker_that_is_killed_with_nothing_to_do_is_replaced(hell: Hell) -> None:
    hell.start(worker_processes=2)
    before = hell.pids
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(hell.pids) == 2 and not hell.pids & before, "they are replaced")
    assert hell.system.execute("6*7", wait_s=20).output == 42


@pytest.fixture
def server(hell: Hell, tmp_path: Path) -> Iterator[Server]:
    """A server with one worker process, and the skills from hell."""
    folder = tmp_path / "server"
    folder.mkdir()
    hells = {"skills_dir": str(PACK), "skill_hell": str(hell.folder)}
    with Server(folder, command=CALLBOARD, worker_processes=1, max_crashes=9, drain_s=1, **hells) as server:
        yield server


@pytest.mark.parametrize("task", [code(MANY), calling("hell_safe", "backtracks"), calling("hell_never", "sleeps")])
def test_workers_are_gone_with_a_server_that_is_killed_and_nothing_begins_after_it(
    server: Server, hell: Hell, task: str
) -> None:
    server.start()
    hell.open("open")
    with Api(server.port) as api:
        api.execute({"task": task})
    wait_for(lambda: any(map(hell.calls, ("many", "backtracks", "sleeps"))), "nothing begins")
    (worker,) = server.workers()
    assert server.popen is not None
    server.popen.kill()
    server.popen.wait(20)
    killed_at = time.time()
    worker.wait(2)
    begun = [one for token in ("many", "backtracks", "sleeps") for one in hell.calls(token)]
    assert [one for one in begun if one["at"] > killed_at + 0.05] == []
    server.start()  # it waits for nobody


def test_a_start_waits_while_a_worker_of_the_server_before_is_there_and_names_it(
    hell: Hell, make_settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_settings().data_dir
    folder.mkdir(parents=True)
    held = os.open(folder / "workers.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=(held,))
    os.close(held)
    starting = threading.Thread(target=hell.start)
    starting.start()
    try:
        wait_for(lambda: str(left.pid) in caplog.text, f"nobody says who is waited for: {caplog.text}")
        assert starting.is_alive()
    finally:
        left.kill()
        left.wait()
    starting.join(20)
    assert hell.system.execute("6*7", wait_s=20).output == 42


def test_a_probe_of_a_worker_that_dies_over_it_is_answered_by_the_next_one(hell: Hell) -> None:
    hell.start()
    (pid,) = hell.pids
    os.kill(pid, signal.SIGSTOP)
    workers = hell.system._workforce._processes
    assert workers is not None
    with ThreadPoolExecutor(1) as threads:
        probed = threads.submit(workers.probe)
        wait_for(lambda: any(one._asked for one in workers._processes), "nobody is asked")
        os.kill(pid, signal.SIGKILL)
        probed.result(60)
    assert pid not in hell.pids


def test_a_stop_does_not_wait_for_a_worker_that_is_still_starting(hell: Hell) -> None:
    hell.start()
    (before,) = hell.pids
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: hell.pids - {before, 0}, "it is replaced")
    (starting,) = hell.processes
    os.kill(starting["pid"], signal.SIGSTOP)  # it does not get there
    assert not starting["ready"]
    task_id = hell.submit(calling("held_safe", "held", "gate"))
    assert hell.system.stop()
    assert hell.calls("held") == []
    hell.start()
    hell.open("gate")
    assert hell.ended(task_id).output == "held"


def held(hell: Hell, *tokens: str) -> dict[str, str]:
    """Have tasks begin that are repeated after a crash, each in a call at the gate; by token."""
    found = {token: hell.submit(calling("held_safe", token, "gate")) for token in tokens}
    for token in found:
        hell.wait_begun(token)
    return found


def begun_again(hell: Hell, tokens: Iterable[str]) -> dict[str, int]:
    """Return in which process each is whose task is worked on for the second time."""
    return {token: calls[1]["pid"] for token in tokens if len(calls := hell.calls(token)) == 2}


def test_a_suspect_does_not_die_with_the_guilty_one_that_runs_at_the_same_time(hell: Hell) -> None:
    hell.start(max_crashes=2)
    innocent = held(hell, "one", "two", "three")
    guilty = hell.submit(calling("hell_safe", "kills_itself"))  # with all four, and then alone
    wait_for(lambda: len(begun_again(hell, innocent)) == 3, "the innocent do not begin again at once")
    assert hell.ended(guilty).error_code == "dead_letter"
    processes = begun_again(hell, innocent).values()
    assert len(set(processes)) == 3
    assert hell.pids >= set(processes)
    hell.open("gate")
    for token, task_id in innocent.items():
        record = hell.ended(task_id)
        assert (record.output, record.state.crashes, len(hell.calls(token))) == (token, 1, 2)


def test_so_many_suspects_go_at_once_and_the_others_hold_nobody_up(hell: Hell) -> None:
    hell.start(max_crashes=2)
    suspects = held(hell, *(f"suspect {n}" for n in range(MOST_ALONE + 2)))
    (worker,) = hell.pids
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: len(begun_again(hell, suspects)) == MOST_ALONE, "they do not begin again at once")
    assert hell.system.execute("6*7", wait_s=60).output == 42
    assert len(set(begun_again(hell, suspects).values())) == MOST_ALONE
    processes = hell.pids
    assert len(processes) == MOST_ALONE + 1
    hell.open("gate")
    for token, task_id in suspects.items():
        assert hell.ended(task_id).output == token
    assert set(begun_again(hell, suspects).values()) <= processes  # which are there for the next ones
    wait_for(lambda: len(hell.pids) == 1, "those that were too many go on")


def test_where_there_are_fewer_places_as_many_suspects_go_at_once(hell: Hell) -> None:
    hell.start(max_crashes=2, workers=2)
    suspects = held(hell, "one", "two")
    (worker,) = hell.pids
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: len(begun_again(hell, suspects)) == 2, "they do not begin again at once")
    hell.open("gate")
    for token, task_id in suspects.items():
        assert hell.ended(task_id).output == token


def test_a_process_that_was_there_for_a_suspect_takes_others_only_where_one_is_lacking(hell: Hell) -> None:
    hell.start(max_crashes=2)
    suspect = held(hell, "suspect")["suspect"]
    (worker,) = hell.pids
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: begun_again(hell, ["suspect"]), "it does not begin again")
    beside = hell.submit(calling("held_safe", "beside", "other gate"))
    standing = hell.wait_begun("beside")["pid"]
    hell.open("gate")
    assert hell.ended(suspect).output == "suspect"
    others = [hell.submit(calling("held_safe", f"other {n}", "other gate")) for n in range(3)]
    assert {hell.wait_begun(f"other {n}")["pid"] for n in range(3)} == {standing}
    wait_for(lambda: hell.pids == {standing}, "the one that was too many goes on")
    hell.open("other gate")
    for task_id in (beside, *others):
        assert hell.ended(task_id).status is Status.COMPLETED


def test_a_suspect_that_holds_its_process_is_not_what_a_probe_finds(hell: Hell) -> None:
    hell.start(max_crashes=2)
    suspect = hell.submit(calling("hell_safe", "backtracks"))
    hell.wait_begun("backtracks")
    (worker,) = hell.pids
    os.kill(worker, signal.SIGKILL)
    apart = hell.wait_begun("backtracks", 2)["pid"]
    (standing,) = hell.pids - {apart, 0}
    os.kill(standing, signal.SIGKILL)  # the suspect's is now the one that has been there longest
    wait_for(lambda: hell.pids - {standing, apart, 0}, "it is replaced")
    workers = hell.system._workforce._processes
    assert workers is not None
    workers.probe()
    assert apart in hell.pids
    hell.cancel(suspect)
    wait_for(lambda: apart not in hell.pids, "it is not ended")


STARTS_A_WORKER_AND_DIES = """
import os, signal
from callboard.workers.process import WorkerProcess
worker = WorkerProcess(lambda: None)
worker.spawn(dict(os.environ), os.open("workers.lock", os.O_RDWR | os.O_CREAT))
open("pid", "w").write(str(worker.pid))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_whose_server_is_killed_as_it_starts_ends_before_it_has_loaded_anything(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", STARTS_A_WORKER_AND_DIES], cwd=tmp_path, check=False, timeout=60)
    maps_of = Path(f"/proc/{(tmp_path / 'pid').read_text()}/maps")
    seen: list[str] = []

    def is_gone() -> bool:
        with contextlib.suppress(OSError):
            maps = maps_of.read_text()
            seen.append(maps)
            return not maps  # nobody may have taken note of its end yet
        return True

    wait_for(is_gone, "it goes on")
    assert not any("pydantic_core" in maps for maps in seen)
