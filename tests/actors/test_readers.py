"""A question about one task waits for no page, and no page for another."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from callboard import AgentSystem
from callboard.actors.readers import FOR_ONE, FOR_PAGES
from callboard.errors import Unavailable
from callboard.messages.ask import Ask
from callboard.messages.events import ListEvents
from callboard.messages.health import Ping
from callboard.messages.tasks import ExecuteTask, GetTask, ListTasks
from callboard.persistence.reads import SqlReader


@contextmanager
def held_up(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[threading.Semaphore]:
    """Have reads of one kind last until the end of the context; the semaphore counts those that have begun."""
    began, go_on = threading.Semaphore(0), threading.Event()
    real = getattr(SqlReader, name)

    def slow(self: SqlReader, *given: object) -> object:
        began.release()
        assert go_on.wait(20)
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(SqlReader, name, slow)
        try:
            yield began
        finally:
            go_on.set()


class Unheard(Ask[None]):
    """A message that no actor knows."""


def give_up(system: AgentSystem, name: str) -> None:
    """Have an actor crash until the supervisor starts it no more."""
    while not system._addresses[name].mailbox.closed:
        with contextlib.suppress(Unavailable):
            system._addresses[name].tell(Unheard())  # an ask would be answered
            system._addresses[name].ask(Ping(), timeout_s=30)


def test_a_task_is_read_beside_pages_that_take_long(system: AgentSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id = system.execute("What is 1 + 1?").task_id
    with ThreadPoolExecutor(8) as pool, held_up(monkeypatch, "feed") as began:
        pages = [pool.submit(system.gateway.ask, ListEvents(after=0), timeout_s=30) for _ in range(6)]
        for _ in FOR_PAGES:
            assert began.acquire(timeout=10)
        assert system.gateway.ask(GetTask(task_id=task_id), timeout_s=30).output == 2
    assert all(page.result().entries for page in pages)


def test_a_page_goes_to_the_reader_that_is_not_at_work(system: AgentSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    system.execute("What is 1 + 1?")
    with ThreadPoolExecutor(8) as pool, held_up(monkeypatch, "feed") as began:
        page = pool.submit(system.gateway.ask, ListEvents(after=0), timeout_s=30)
        assert began.acquire(timeout=10)
        for _ in range(10):
            assert len(system.gateway.ask(ListTasks(), timeout_s=30).tasks) == 1
    assert page.result().entries


def test_a_reader_that_was_given_up_is_passed_over_and_one_row_is_not_the_other(
    start_system: Callable[..., AgentSystem],
) -> None:
    system = start_system()
    task_id = system.execute("What is 1 + 1?").task_id
    give_up(system, FOR_ONE[0])
    for _ in range(4):
        assert system.gateway.ask(GetTask(task_id=task_id), timeout_s=30).output == 2
    give_up(system, FOR_ONE[1])
    with pytest.raises(Unavailable, match="history reader"):
        system.gateway.ask(GetTask(task_id=task_id), timeout_s=30)
    assert len(system.gateway.ask(ListTasks(), timeout_s=30).tasks) == 1


def test_a_repeat_that_waits_is_told_where_nobody_can_look_for_its_task(system: AgentSystem) -> None:
    ask = ExecuteTask(task="What is 1 + 1?", idempotency_key="k", wait_s=10)
    first = system.gateway.ask(ask, timeout_s=20)
    assert system.gateway.ask(ask, timeout_s=20).task_id == first.task_id
    for name in FOR_ONE:
        give_up(system, name)
    with pytest.raises(Unavailable):
        system.gateway.ask(ask, timeout_s=20)
    assert [task.task_id for task in system.gateway.ask(ListTasks(), timeout_s=20).tasks] == [first.task_id]
