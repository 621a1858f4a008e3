"""The type checker has limits of its own, and a check that takes long holds up nobody else."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pydantic_monty import ExternalModule

from callboard.agent import checker
from callboard.agent.cancel import CancelToken
from callboard.agent.checker import Checker, CheckerCancelled, Modules
from callboard.errors import TaskError

NO_SKILLS: Modules = {}
BRANCHES = 2500
BOMB = "def f(a: int) -> str:\n  if a == 0: x = 's0'\n" + "".join(
    f"  elif a == {n}: x = 's{n}'\n" for n in range(1, BRANCHES)
)
BOMB += "  return x\nf(3)\n"


@contextmanager
def started() -> Iterator[Checker]:
    made = Checker(memory_bytes=256 * 1024 * 1024)
    made.start()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def checks() -> Iterator[Checker]:
    with started() as made:
        yield made


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Checker]:
    """A checker whose limit of time ends no check."""
    monkeypatch.setattr(checker, "CHECK_TIME_S", 60)
    with started() as made:
        yield made


def test_a_check_that_takes_too_long_ends_and_the_next_one_works(checks: Checker) -> None:
    assert (
        checks.findings("1 + 1", (), CancelToken(), NO_SKILLS) is None
    )  # so that one that is warm ends like a fresh one
    with pytest.raises(TaskError, match="took longer than 2 s") as caught:
        checks.findings(BOMB, (), CancelToken(), NO_SKILLS)
    assert caught.value.code == "time_limit"
    assert checks.findings("1 + 1", (), CancelToken(), NO_SKILLS) is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is one of the clock")
def test_a_check_that_is_kept_waiting_by_the_machine_has_not_taken_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checker, "CHECK_TIME_S", 0.1)
    with started() as hasty:
        assert hasty.findings("1 + 1", (), CancelToken(), NO_SKILLS) is None
        warm = hasty._idle.get()
        pid = warm.session.worker_pid
        assert pid is not None
        hasty._idle.put(warm)
        os.kill(pid, signal.SIGSTOP)  # as a machine does to whoever is not his turn
        timer = threading.Timer(0.5, os.kill, (pid, signal.SIGCONT))
        timer.start()
        assert hasty.findings("1 + 1", (), CancelToken(), NO_SKILLS) is None
        timer.join()
        assert hasty._idle.get().session is warm.session


class HeldToken(CancelToken):
    """A token that says when its check holds a checker; the check does not end before it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.holds = threading.Event()

    @contextmanager
    def on_stop(self, action: Callable[[], None]) -> Iterator[None]:
        with super().on_stop(action):
            self.holds.set()
            yield


def test_checks_that_take_long_hold_up_nobody_else(patient: Checker) -> None:
    outcomes: list[str] = []

    def bomb(token: CancelToken) -> None:
        with pytest.raises(CheckerCancelled):
            patient.findings(BOMB, (), token, NO_SKILLS)
        outcomes.append("bomb")

    tokens = [HeldToken() for _ in range(3)]
    bombs = [threading.Thread(target=bomb, args=(token,)) for token in tokens]
    for thread in bombs:
        thread.start()
    assert all(token.holds.wait(30) for token in tokens)
    for _ in range(3):
        assert patient.findings("x + 1", (), CancelToken(), NO_SKILLS) is not None
    outcomes.append("others")
    for token, thread in zip(tokens, bombs, strict=True):
        token.cancel()
        thread.join(30)
    assert outcomes == ["others", "bomb", "bomb", "bomb"]


def test_a_cancelled_task_ends_its_check_at_once(patient: Checker) -> None:
    token = HeldToken()

    def cancel_once_it_holds() -> None:
        assert token.holds.wait(30)
        token.cancel()

    other = threading.Thread(target=cancel_once_it_holds)
    before_s = time.monotonic()
    other.start()
    with pytest.raises(CheckerCancelled):
        patient.findings(BOMB, (), token, NO_SKILLS)
    other.join()
    assert time.monotonic() - before_s < 30  # the limit is 60 s


def test_many_checks_at_once_all_get_their_answer(checks: Checker) -> None:
    found: dict[int, str | None] = {}

    def check(number: int) -> None:
        for _ in range(5):
            found[number] = checks.findings(
                f"v{number} + 1" if number % 2 else f"{number} + 1", (), CancelToken(), NO_SKILLS
            )

    threads = [threading.Thread(target=check, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {number: bool(text) for number, text in found.items()} == {n: bool(n % 2) for n in range(12)}


class LateToken(CancelToken):
    """A token that is set in the last instant in which setting it still kills."""

    @contextmanager
    def on_stop(self, action: Callable[[], None]) -> Iterator[None]:
        yield
        self.event.set()
        action()


def test_a_checker_that_was_killed_in_the_last_instant_is_not_used_again(checks: Checker) -> None:
    for _ in range(4):
        checks.findings("1 + 1", (), LateToken(), NO_SKILLS)
        assert checks.findings("1 + 1", (), CancelToken(), NO_SKILLS) is None


def test_a_checker_that_died_while_it_was_idle_is_replaced(checks: Checker) -> None:
    assert checks.findings("1 + 1", (), CancelToken(), NO_SKILLS) is None
    warm = checks._idle.get()
    warm.session.__exit__(None, None, None)
    checks._idle.put(warm)
    assert checks.findings("1 + 1", (), CancelToken(), NO_SKILLS) is None
    warm = checks._idle.get()
    assert warm.session.worker_pid is not None
    os.kill(warm.session.worker_pid, signal.SIGKILL)
    checks._idle.put(warm)
    assert checks.findings("1 + 1", (), CancelToken(), NO_SKILLS) is None


def test_a_warm_checker_never_checks_against_other_skills_than_the_codes_own(checks: Checker) -> None:
    def offering(name: str) -> Modules:
        return {"skills": ExternalModule({name: print}, stubs=f"def {name}(a: int) -> int:\n    ...\n")}

    before, after = offering("early"), offering("late")
    for modules, there, not_there in ((before, "early", "late"), (after, "late", "early")) * 3:
        assert checks.findings(f"from skills import {there}\n{there}(1)", (), CancelToken(), modules) is None
        found = checks.findings(f"from skills import {not_there}", (), CancelToken(), modules)
        assert f"has no member `{not_there}`" in str(found)
