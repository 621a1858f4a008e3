"""Who waits for a task is told once, of the commit that it waits for or of how things stand, and never for nothing."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from callboard import AgentSystem, AwaitEvents, AwaitTask, CancelTask, Status, SubmitTask
from callboard.actors.mailbox import Delivery, Reply
from callboard.actors.waiters import Waiters
from callboard.clock import Clock
from callboard.errors import TaskNotFound
from callboard.messages.events import EventPage, TaskEvent, Topic
from callboard.messages.tasks import ExecuteTask, TaskRecord, TaskState
from callboard.persistence.reads import SqlReader
from tests.tasks import make_task

FOR_EVER = "```python\nwhile True: pass\n```"


def submit(system: AgentSystem, task: str = FOR_EVER) -> str:
    return str(system.gateway.ask(SubmitTask(task=task), timeout_s=30).task_id)


def cancel(system: AgentSystem, task_id: str) -> None:
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)


@pytest.mark.parametrize("read", ["task", "events"])
def test_an_end_between_the_look_and_the_wait_is_not_missed(
    system: AgentSystem, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    task_id = submit(system)
    system.gateway.ask(AwaitEvents(task_id=task_id, after=1, wait_s=60), timeout_s=65)
    looked, go_on = threading.Event(), threading.Event()
    real: Any = getattr(SqlReader, read)

    def slow(self: SqlReader, *given: Any) -> Any:
        found = real(self, *given)
        looked.set()
        assert go_on.wait(20)
        return found

    ask = AwaitTask(task_id=task_id, wait_s=30) if read == "task" else AwaitEvents(task_id=task_id, wait_s=30, after=2)
    with ThreadPoolExecutor(1) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(SqlReader, read, slow)
            asked = pool.submit(system.gateway.ask, ask, timeout_s=40)
            assert looked.wait(10)
        cancel(system, task_id)
        go_on.set()
        reply = asked.result(10)
    if isinstance(reply, EventPage):
        assert reply.ended
    else:
        assert isinstance(reply, TaskRecord)
        assert reply.status is Status.CANCELLED


def test_when_the_time_is_up_the_task_is_told_as_it_stands(system: AgentSystem) -> None:
    record = system.gateway.ask(ExecuteTask(task=FOR_EVER, wait_s=0.05), timeout_s=30)
    assert record.status in (Status.PENDING, Status.RUNNING)
    again = system.gateway.ask(AwaitTask(task_id=record.task_id, wait_s=0.05), timeout_s=30)
    assert again.status in (Status.PENDING, Status.RUNNING)
    assert not system.gateway.ask(AwaitTask(task_id=record.task_id, wait_s=0), timeout_s=30).status.ended
    cancel(system, record.task_id)
    assert system.gateway.ask(AwaitTask(task_id=record.task_id, wait_s=30), timeout_s=30).status is Status.CANCELLED


def test_nobody_waits_for_a_task_that_is_not_there(system: AgentSystem) -> None:
    for ask in (AwaitTask(task_id="nobody", wait_s=30), AwaitEvents(task_id="nobody", wait_s=30)):
        with pytest.raises(TaskNotFound):
            system.gateway.ask(ask, timeout_s=30)
    assert not system._waiters._waiting


def test_a_logger_that_dies_between_the_commit_and_the_telling_has_nobody_wait_to_the_end(
    system: AgentSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = submit(system)
    for event in system.events(task_id):  # what is committed from here on is its end only
        if event.topic is Topic.STEP_STARTED:
            break
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(system.gateway.ask, AwaitTask(task_id=task_id, wait_s=30), timeout_s=40)
        while not system._waiters._waiting:
            system.gateway.ask(AwaitTask(task_id=task_id, wait_s=0), timeout_s=30)

        def dies(*_: object) -> None:
            monkeypatch.undo()
            raise RuntimeError("between the commit and the telling")

        monkeypatch.setattr(Waiters, "committed", dies)
        cancel(system, task_id)
        assert asked.result(10).status is Status.CANCELLED


def test_a_bus_that_dies_keeps_the_time_afterwards(system: AgentSystem) -> None:
    task_id = submit(system)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(system.gateway.ask, AwaitTask(task_id=task_id, wait_s=1), timeout_s=30)
        while not system._waiters._waiting:
            system.gateway.ask(AwaitTask(task_id=task_id, wait_s=0), timeout_s=30)
        system._addresses["event bus"].tell("a message that nothing knows")
        assert not asked.result(10).status.ended
    cancel(system, task_id)


def test_an_end_of_the_system_tells_who_waits_how_things_stand(start_system: Callable[..., AgentSystem]) -> None:
    system = start_system()
    task_id = submit(system)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(system.gateway.ask, AwaitTask(task_id=task_id, wait_s=30), timeout_s=40)
        while not system._waiters._waiting:
            system.gateway.ask(AwaitTask(task_id=task_id, wait_s=0), timeout_s=30)
        system.hand_back()
        assert not asked.result(10).status.ended
        assert not system.gateway.ask(AwaitTask(task_id=task_id, wait_s=30), timeout_s=30).status.ended


def waiting(waiters: Waiters, after: int | None = None, wait_s: float = 30) -> Reply[Any]:
    reply: Reply[Any] = Reply()
    assert waiters.add("t", Delivery(None, reply), wait_s, after=after) is not None
    return reply


def told(seq: int) -> TaskEvent:
    return TaskEvent(task_id="t", seq=seq, topic=Topic.STEP_STARTED, at=Clock().now(), data={}, position=seq)


def test_each_is_told_of_what_it_waits_for_only() -> None:
    waiters = Waiters()
    end, early, late = waiting(waiters), waiting(waiters, after=0), waiting(waiters, after=1)
    waiters.committed([told(1)], {})
    assert [one.seq for one in early.get(timeout_s=0).events] == [1]
    record = TaskRecord(task=make_task("t"), state=TaskState(status=Status.COMPLETED))
    waiters.committed([told(2)], {"t": record})
    assert end.get(timeout_s=0) is record
    page = late.get(timeout_s=0)
    assert ([one.seq for one in page.events], page.ended) == ([2], True)
    assert not waiters.expired()


def test_what_is_committed_during_a_look_is_looked_for_again_and_not_told_by_itself() -> None:
    """It may not be all: an earlier commit may have come after the asker's last page and before it was registered."""
    waiters = Waiters()
    reply: Reply[Any] = Reply()
    waiter = waiters.add("t", Delivery(None, reply), 30, after=1, looking=True)
    assert waiter is not None
    waiters.committed([told(3)], {})
    with pytest.raises(TimeoutError):
        reply.get(timeout_s=0)
    assert not waiters.looked(waiter)
    assert waiters.looked(waiter)
    waiters.committed([told(2), told(3)], {})
    assert [one.seq for one in reply.get(timeout_s=0).events] == [2, 3]


def test_a_commit_that_does_not_join_on_to_where_the_asker_is_has_him_ask_again() -> None:
    """The one before was told to nobody, since the logger died over it."""
    waiters = Waiters()
    reply = waiting(waiters, after=1)
    waiters.committed([told(3)], {})
    assert reply.get(timeout_s=0) == EventPage(events=(), ended=False)


def test_the_bus_is_told_of_a_time_that_comes_before_those_it_knows() -> None:
    times: list[float] = []
    waiters = Waiters(lambda: times.append(time.monotonic()))
    for wait_s in (30, 40, 20, 25):
        waiting(waiters, wait_s=wait_s)
    assert len(times) == 2
    assert 19 < (waiters.due_in_s() or 0) <= 20
    waiters.hurry()
    assert waiters.due_in_s() == 0
    assert len(waiters.expired()) == 4
    assert waiters.due_in_s() is None


def test_none_waits_any_more_after_the_end() -> None:
    waiters = Waiters()
    waiters.hurry(close=True)
    assert waiters.add("t", Delivery(None, Reply()), 30) is None
