"""What skills do to the process that they run in costs that process; whoever is beside them ends as if nothing had been."""

import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from callboard import Decision, Status
from callboard.actors import places
from callboard.variables import LEAST_WORKER_BYTES
from callboard.workers import process, processes
from tests.workers.conftest import Hell, calling, code, wait_for

pytestmark = pytest.mark.slow

SPOILT = "ended by the server, since something in it had closed its pipe or written into it"
HOW = {
    "exits": r"exit 3",
    "segfaults": r"signal 11 \(SIGSEGV\)",
    "kills_itself": r"signal 9 \(SIGKILL\)",
    "closes_everything": rf"(signal 9 \(SIGKILL\)|exit 1|{SPOILT})",  # whichever of its threads notices first
    "writes_anywhere": SPOILT,
}
"""How each ends its process, as an expression."""
ENDING = tuple(HOW)
HOLDING = ("sleeps", "backtracks", "computes")
SPOILING = ("forks_and_exits", "forks_and_returns", "forks_and_raises", "leaks_threads", "moves_and_redecorates")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the moments pass sooner in which somebody may let go."""
    monkeypatch.setattr(places, "STUCK_AFTER_S", 0.5)
    monkeypatch.setattr(processes, "GRACE_S", 0.5)


def assert_fine(hell: Hell, tasks: dict[str, str]) -> None:
    for token, task_id in tasks.items():
        record = hell.ended(task_id)
        assert (record.status, record.output) == (Status.COMPLETED, token), record
    assert hell.system.execute("6*7", wait_s=20).output == 42


# --- what ends a process ---


@pytest.mark.parametrize("deed", ENDING)
def test_a_safe_call_that_ends_its_process_is_made_again_until_it_is_a_dead_letter_that_says_how(
    hell: Hell, deed: str, caplog: pytest.LogCaptureFixture
) -> None:
    hell.start(max_crashes=2)
    before = hell.pids
    beside = hell.innocents("pure", "safe")
    done_never = hell.submit(
        code("from skills import held_never, held_pure\nheld_never('paid', 'open')\nheld_pure('after', 'gate')")
    )
    hell.open("open")
    hell.wait_begun("after")
    guilty = hell.submit(calling("hell_safe", deed))
    hell.wait_begun(deed)
    wait_for(lambda: hell.pids and not hell.pids & before, "another process takes its place")
    hell.open("gate")
    record = hell.ended(guilty)
    assert (record.status, record.error_code) == (Status.FAILED, "dead_letter")
    assert re.search(f"; the last time it was a worker's process, {HOW[deed]}; find out why", str(record.error))
    (requeued,) = hell.requeued(guilty)
    assert re.fullmatch(f"The worker's process that the task was in has ended: {HOW[deed]}.", requeued["error"])
    assert len(hell.calls(deed)) == 2
    assert_fine(hell, {**beside, "after": done_never})
    assert len(hell.calls("paid")) == 1, "it was on record as done"
    first, second = (line.getMessage() for line in caplog.records if "has died" in line.msg)
    assert re.search(rf"has died \({HOW[deed]}\) with 4 tasks under way, in a call: ", first)
    assert all(task_id in first for task_id in (guilty, done_never, *beside.values()))
    assert f"with 1 tasks under way, in a call: {guilty};" in second


@pytest.mark.parametrize("deed", ENDING)
def test_a_never_call_that_ends_its_process_is_in_doubt_and_not_made_again(hell: Hell, deed: str) -> None:
    hell.start()
    task_id = hell.submit(calling("hell_never", deed))
    told = hell.in_doubt(task_id)
    what = f"The worker's process that the task was in has ended \\({HOW[deed]}\\) while the skill hell-never was"
    assert re.match(what, told)
    assert len(hell.calls(deed)) == 1
    hell.decide(task_id, Decision.ASSUME_DONE, "done")
    assert hell.ended(task_id).output == "done"
    assert len(hell.calls(deed)) == 1


def test_a_task_that_is_between_two_calls_as_its_process_dies_has_not_crashed(hell: Hell) -> None:
    hell.start(max_crashes=1)  # one crash is one too many
    between = hell.submit(code("import asyncio\nn = 0\nwhile n < 20000000:\n    n += 1\nn"))
    wait_for(lambda: hell.task(between).status is Status.RUNNING, "it does not run")
    record = hell.ended(hell.submit(calling("hell_safe", "exits")))
    assert record.error_code == "dead_letter"
    hell.cancel(between)
    assert hell.ended(between).status is Status.CANCELLED
    assert hell.reasons(between) == ["worker"]


def test_two_processes_share_the_tasks_and_one_that_dies_leaves_the_other_alone(hell: Hell) -> None:
    hell.start(worker_processes=2)
    beside = hell.innocents("never", "safe", "pure")
    places = {token: hell.wait_begun(token)["pid"] for token in beside}
    assert set(places.values()) == hell.pids
    victim = places["safe"]
    os.kill(victim, 9)
    wait_for(lambda: victim not in hell.pids and len(hell.pids) == 2, "it is replaced")
    hell.wait_begun("safe", 2)
    hell.open("gate")
    for token, task_id in beside.items():
        if token == "never" and places["never"] == victim:
            hell.in_doubt(task_id)
        else:
            assert hell.ended(task_id).output == token
    assert all(len(hell.calls(token)) == 1 + (places[token] == victim) for token in beside if token != "never")
    assert len(hell.calls("never")) == 1


def test_the_least_memory_that_is_taken_is_enough_for_eight_tasks_at_once(hell: Hell) -> None:
    hell.start(worker_memory_bytes=LEAST_WORKER_BYTES)
    before = hell.pids
    tasks = [hell.submit(calling("held_safe", str(number), "gate")) for number in range(8)]
    for number in range(8):
        hell.wait_begun(str(number))
    hell.open("gate")
    assert [hell.ended(task_id).output for task_id in tasks] == [str(number) for number in range(8)]
    assert hell.pids == before


# --- what holds one ---


@pytest.mark.usefixtures("quick")
def test_a_never_call_is_waited_for_before_the_process_of_a_stuck_one_is_killed(hell: Hell) -> None:
    hell.start(max_crashes=1)
    (before,) = hell.pids
    beside = hell.innocents("pure", "safe", "never")
    stuck = hell.submit(calling("hell_safe", "sleeps"), timeout_ms=300)
    assert hell.ended(stuck).error_code == "deadline_exceeded"
    wait_for(lambda: hell.pids - {before}, "another one stands in")
    assert hell.system.execute("6*7", wait_s=20).output == 42
    with pytest.raises(psutil.TimeoutExpired):  # over a call that must not be repeated it is not killed
        psutil.Process(before).wait(2)
    hell.open("gate")
    assert_fine(hell, beside)
    assert len(hell.calls("never")) == 1
    wait_for(lambda: before not in hell.pids, "it is ended")
    assert not psutil.pid_exists(before)
    assert hell.calls("sleeps", "end") == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("skill", ["hell_safe", "hell_never"])
@pytest.mark.parametrize("deed", HOLDING)
def test_a_stuck_call_costs_its_own_process_and_those_beside_it_go_on_in_another(
    hell: Hell, deed: str, skill: str
) -> None:
    hell.start(max_crashes=1)
    (before,) = hell.pids
    beside = hell.innocents("pure", "safe")
    stuck = hell.submit(calling(skill, deed), timeout_ms=300)
    assert hell.ended(stuck).error_code == "deadline_exceeded"
    wait_for(lambda: before not in hell.pids, "it is ended")
    hell.open("gate")
    assert_fine(hell, beside)
    assert len(hell.calls(deed)) == 1


@pytest.mark.usefixtures("quick")
def test_a_never_call_in_a_process_that_gets_no_further_is_in_doubt_and_not_lost(
    hell: Hell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "DEAF_S", 1.0)
    hell.start()
    beside = hell.innocents("never")
    hell.submit(calling("hell_safe", "backtracks"), timeout_ms=300)
    hell.in_doubt(beside["never"])
    assert len(hell.calls("never")) == 1


@pytest.mark.parametrize("deed", HOLDING)
def test_a_stuck_call_does_not_hold_up_the_end(hell: Hell, deed: str) -> None:
    hell.start(drain_s=1)
    (before,) = hell.pids
    hell.submit(calling("hell_safe", deed))
    hell.wait_begun(deed)
    hell.system.stop()
    assert not psutil.pid_exists(before)


# --- what spoils one ---


@pytest.mark.parametrize("deed", SPOILING)
def test_what_a_skill_changes_or_forks_disturbs_nobody(
    hell: Hell, deed: str, capfd: pytest.CaptureFixture[str]
) -> None:
    hell.start()
    here, environment = Path.cwd(), dict(os.environ)
    beside = hell.innocents("pure", "safe", "never")
    record = hell.ended(hell.submit(calling("hell_never", deed)))
    assert (record.status, record.output) == (Status.COMPLETED, deed), record
    assert len(hell.calls(deed, "end")) == 1 + (deed == "forks_and_returns")
    hell.open("gate")
    assert_fine(hell, beside)
    assert (Path.cwd(), dict(os.environ)) == (here, environment)
    assert "hell" not in capfd.readouterr().out, "what skills print belongs to the log"
    later = hell.ended(hell.submit(calling("held_never", "later", "gate")))
    assert later.output == "later"


def test_a_skill_that_eats_memory_costs_nobody_else_a_task(hell: Hell) -> None:
    hell.start(worker_memory_bytes=1 << 30)
    beside = hell.innocents("pure", "safe", "never")
    record = hell.ended(hell.submit(calling("hell_safe", "eats_memory")))
    assert record.status is Status.FAILED
    hell.open("gate")
    assert_fine(hell, beside)


# --- what holds its process while its task is under way ---


@pytest.fixture
def soon_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a process count as frozen after 5 s."""
    monkeypatch.setattr(process, "_LOOK_S", 0.25)
    monkeypatch.setattr(process, "_ASKED_AFTER", 4)
    monkeypatch.setattr(process, "FROZEN_AFTER", 20)


FROZEN = "ended by the server, since nothing in it got on for 5 s"


@pytest.mark.usefixtures("soon_frozen")
def test_a_process_that_a_call_holds_is_ended_and_the_others_go_on_elsewhere(hell: Hell) -> None:
    hell.start(max_crashes=2)
    guilty = hell.submit(calling("hell_safe", "backtracks"))
    hell.wait_begun("backtracks")
    others = [hell.submit(f"What is {n} times 7?") for n in range(5)]
    assert [hell.ended(task_id).output for task_id in others] == [0, 7, 14, 21, 28]
    record = hell.ended(guilty)
    assert (record.status, record.error_code) == (Status.FAILED, "dead_letter")
    assert FROZEN in str(record.error)


@pytest.mark.usefixtures("soon_frozen")
def test_a_process_that_is_stopped_is_ended(hell: Hell) -> None:
    hell.start(max_crashes=9)
    beside = hell.innocents("pure", "safe")
    (pid,) = hell.pids
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: hell.pids and pid not in hell.pids, "it is not replaced")
    hell.open("gate")
    assert_fine(hell, beside)


@pytest.mark.usefixtures("soon_frozen")
def test_a_call_that_takes_long_is_none_that_holds_its_process(hell: Hell) -> None:
    hell.start()
    beside = hell.innocents("pure", "safe", "never")
    before = hell.pids
    (asked,) = hell.system._workforce._processes._processes  # type: ignore[union-attr]
    for _ in range(6):  # as often as it would have been ended by now, and once more
        wait_for(lambda: asked.answers, "nobody asked whether it is there, or it did not say")
        asked.answers = False
    assert hell.pids == before
    hell.open("gate")
    assert_fine(hell, beside)


def test_what_a_skill_makes_of_the_umask_is_nobody_elses(hell: Hell) -> None:
    hell.start()
    assert hell.ended(hell.submit(calling("hell_safe", "moves_and_redecorates"))).status is Status.COMPLETED
    made = hell.submit(code("from skills import write_file\nwrite_file('a.txt', 'x')"), session_id="after")
    assert hell.ended(made).status is Status.COMPLETED
    folder = hell.system.settings.data_dir / "workspaces" / "after"
    assert (folder.stat().st_mode & 0o777, (folder / "a.txt").stat().st_mode & 0o400) == (0o700, 0o400)
