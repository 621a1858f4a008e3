"""Crashes are contained, the mailbox is kept, the address is stable, and a supervisor gives up in the end."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from callboard.actors import supervision
from callboard.actors.mailbox import LATER, Address, Mailbox
from callboard.actors.supervision import SupervisedActor, Supervisor
from callboard.errors import ActorCrashed, ActorStopped, CallboardError, TaskNotFound
from callboard.messages.ask import Ask


@dataclass(frozen=True, slots=True)
class Do(Ask[Any]):
    """Ask for what a test has in mind."""

    what: Any


class Fragile(SupervisedActor[Do]):
    """Crashes on request."""

    def __init__(self, mailbox: Mailbox, on_setup: Callable[[], None] = lambda: None) -> None:
        super().__init__(mailbox)
        self._on_setup = on_setup
        self._kept: list[Any] = []

    def setup(self) -> None:
        self._on_setup()

    def receive(self, message: Do) -> Any:
        match message.what:
            case BaseException() as error:
                raise error
            case "hold":
                self._kept.append(self.hold())
                return LATER
            case "incarnation":
                return self.actor_urn
            case threading.Event() as event:
                return event.wait(10)
            case what:
                return what


@pytest.fixture
def given_up() -> list[str]:
    return []


@pytest.fixture
def supervisor(given_up: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(on_give_up=lambda name, _error: given_up.append(name))
    yield made
    made.close()


@pytest.fixture
def fragile(supervisor: Supervisor) -> Iterator[Address]:
    address = Address(Mailbox("fragile", 1000))
    supervisor.start(address, Fragile)
    yield address
    supervisor.stop(address, timeout_s=30)


def test_an_error_of_the_tree_is_an_answer_and_the_actor_lives(fragile: Address) -> None:
    incarnation = fragile.ask(Do("incarnation"), timeout_s=30)
    with pytest.raises(TaskNotFound):
        fragile.ask(Do(TaskNotFound("no task")), timeout_s=30)
    assert fragile.ask(Do("incarnation"), timeout_s=30) == incarnation


@pytest.mark.parametrize("error", [ValueError("defect"), SystemExit(3), KeyboardInterrupt(), MemoryError()])
def test_any_other_error_is_a_crash_that_the_asker_hears_of_and_the_address_survives(
    fragile: Address, error: BaseException
) -> None:
    incarnation = fragile.ask(Do("incarnation"), timeout_s=30)
    with pytest.raises(ActorCrashed, match="The fragile crashed while it worked on"):
        fragile.ask(Do(error), timeout_s=30)
    assert fragile.ask(Do("incarnation"), timeout_s=30) != incarnation


def test_a_crash_in_one_actor_leaves_the_others_alone(supervisor: Supervisor, fragile: Address) -> None:
    other = Address(Mailbox("other", 10))
    supervisor.start(other, Fragile)
    incarnation = other.ask(Do("incarnation"), timeout_s=30)
    with pytest.raises(ActorCrashed):
        fragile.ask(Do(SystemExit(1)), timeout_s=30)
    assert other.ask(Do("incarnation"), timeout_s=30) == incarnation
    supervisor.stop(other, timeout_s=30)


def test_what_was_queued_behind_a_crash_is_handled_by_the_next_incarnation(fragile: Address) -> None:
    gate = threading.Event()
    blocked = fragile.ask_later(Do(gate))
    crash = fragile.ask_later(Do(ValueError("defect")))
    queued = [fragile.ask_later(Do(n)) for n in range(10)]
    gate.set()
    assert blocked.get(timeout_s=30)
    with pytest.raises(ActorCrashed):
        crash.get(timeout_s=30)
    assert [future.get(timeout_s=30) for future in queued] == list(range(10))


def test_who_was_kept_waiting_hears_of_the_crash(fragile: Address) -> None:
    kept = fragile.ask_later(Do("hold"))
    fragile.tell(Do(ValueError("defect")))
    with pytest.raises(ActorCrashed):
        kept.get(timeout_s=30)


def test_an_actor_that_keeps_crashing_is_given_up_and_says_so(fragile: Address, given_up: list[str]) -> None:
    for _ in range(supervision.MAX_RESTARTS + 1):
        with pytest.raises(ActorCrashed):
            fragile.ask(Do(ValueError("defect")), timeout_s=30)
    # the supervisor closes the mailbox with this ask in it, or had closed it before
    with pytest.raises(ActorStopped, match="keeps crashing and was given up"):
        fragile.ask(Do("anyone?"), timeout_s=30)
    assert given_up == ["fragile"]


def test_an_actor_that_cannot_start_is_given_up(supervisor: Supervisor, given_up: list[str]) -> None:
    def fail() -> None:
        raise SystemExit("no database")

    address = Address(Mailbox("broken", 10))
    supervisor.start(address, lambda mailbox: Fragile(mailbox, on_setup=fail))
    with pytest.raises(CallboardError):
        address.ask(Do("anyone?"), timeout_s=30)
    assert given_up == ["broken"]


def test_a_stopped_actor_first_handles_what_was_queued(supervisor: Supervisor) -> None:
    address = Address(Mailbox("orderly", 100))
    supervisor.start(address, Fragile)
    queued = [address.ask_later(Do(n)) for n in range(50)]
    assert supervisor.stop(address, timeout_s=30)
    assert [future.get(timeout_s=30) for future in queued] == list(range(50))


def test_an_actor_that_dies_while_it_is_stopped_is_not_started_again(supervisor: Supervisor) -> None:
    """The supervisor hears of the stop first and of the death afterwards: a gate holds it until both are queued."""
    entered, gate, incarnations = threading.Event(), threading.Event(), []
    doomed, slow = Address(Mailbox("doomed", 100)), Address(Mailbox("slow", 100))

    def make_doomed(mailbox: Mailbox) -> Fragile:
        incarnations.append(mailbox)
        return Fragile(mailbox)

    def make_slow(mailbox: Mailbox) -> Fragile:
        entered.set()
        gate.wait(10)
        return Fragile(mailbox)

    supervisor.start(doomed, make_doomed)
    starter = threading.Thread(target=lambda: supervisor.start(slow, make_slow))
    stopper = threading.Thread(target=lambda: supervisor.stop(doomed, timeout_s=1))
    starter.start()
    assert entered.wait(10)
    stopper.start()
    while supervisor._worker.actor_inbox.empty():  # until the request to stop waits behind the gate
        pass
    with pytest.raises(ActorCrashed):
        doomed.ask(Do(SystemExit(1)), timeout_s=30)
    gate.set()
    starter.join(10)
    stopper.join(10)
    supervisor.stop(slow, timeout_s=30)
    assert len(incarnations) == 1


def test_stopping_a_stuck_actor_is_bounded(supervisor: Supervisor) -> None:
    address, gate = Address(Mailbox("stuck", 100)), threading.Event()
    supervisor.start(address, Fragile)
    blocked = address.ask_later(Do(gate))
    assert not supervisor.stop(address, timeout_s=0.05)
    gate.set()
    assert blocked.get(timeout_s=30)


def test_a_storm_of_crashes_leaves_no_ask_hanging(
    supervisor: Supervisor, fragile: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 asks from 8 threads, one in 200 of them deadly: each gets its reply or an error."""
    monkeypatch.setattr(supervision, "MAX_RESTARTS", 10**9)
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def ask(seed: int) -> None:
        mine: Counter[str] = Counter()
        for number in range(12_500):
            deadly = (number * 7 + seed) % 200 == 0
            message = (SystemExit(1) if number % 2 else ValueError("defect")) if deadly else number
            try:
                reply = fragile.ask(Do(message), timeout_s=30)
            except CallboardError as error:
                mine[error.code] += 1
            else:
                mine["answered" if reply == message else "wrong"] += 1
        with lock:
            outcomes.update(mine)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert sum(outcomes.values()) == 100_000
    assert set(outcomes) == {"answered", "actor_crashed"}
    assert outcomes["actor_crashed"] >= 500
