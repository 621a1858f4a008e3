"""Callers that wait for events get them as they are committed, without a gap, and slow subscribers slow nobody."""

import threading

import pytest

from callboard import AgentSystem, AwaitEvents, CancelTask, SubmitTask, Topic
from callboard.actors.event_bus import EventBus
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.readers import Readers
from callboard.actors.subscriptions import Subscriptions
from callboard.actors.supervision import Supervisor
from callboard.actors.waiters import Waiters
from callboard.clock import Clock
from callboard.errors import TaskNotFound
from callboard.messages.events import ENDS, EventsCommitted, TaskEvent
from callboard.messages.health import Ping

LONG_TASK = "Run this:\n```python\nwhile True: pass\n```"


def submit(system: AgentSystem, task: str) -> str:
    return str(system.gateway.ask(SubmitTask(task=task), timeout_s=30).task_id)


def test_a_caller_that_waits_gets_the_next_events_when_they_are_committed(system: AgentSystem) -> None:
    task_id = submit(system, "What is 2 + 2?")
    seen: list[int] = []
    ended = False
    while not ended:
        page = system.gateway.ask(AwaitEvents(task_id=task_id, after=len(seen), wait_s=60), timeout_s=65)
        seen += [event.seq for event in page.events]
        ended = page.ended
    assert seen == [1, 2, 3, 4, 5, 6]


def test_many_callers_wait_for_one_task_and_all_see_the_same_log(system: AgentSystem) -> None:
    task_id = submit(system, "What is 3 + 4?")
    logs: list[list[tuple[int, str]]] = []
    lock = threading.Lock()

    def follow() -> None:
        mine = [(event.seq, str(event.topic)) for event in system.events(task_id)]
        with lock:
            logs.append(mine)

    threads = [threading.Thread(target=follow) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(logs) == 10
    assert all(log == logs[0] for log in logs)


def test_when_the_time_is_up_an_empty_page_says_that_the_task_goes_on(system: AgentSystem) -> None:
    task_id = submit(system, LONG_TASK)
    after = 0
    for event in system.events(task_id):
        after = event.seq
        if event.topic is Topic.STEP_STARTED:
            break
    page = system.gateway.ask(AwaitEvents(task_id=task_id, after=after, wait_s=0.05), timeout_s=30)
    assert page.events == ()
    assert not page.ended
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)


def test_waiting_for_an_unknown_task_is_an_error_at_once(system: AgentSystem) -> None:
    with pytest.raises(TaskNotFound):
        system.gateway.ask(AwaitEvents(task_id="nobody", wait_s=10), timeout_s=30)


def test_a_subscriber_that_is_full_misses_events_and_the_bus_goes_on() -> None:
    slow, quick = Address(Mailbox("slow", 1)), Address(Mailbox("quick", 100))
    bus, supervisor = Address(Mailbox("bus", 1000)), Supervisor()
    supervisor.start(
        bus,
        lambda mailbox: EventBus(
            mailbox,
            readers=Readers(for_one=(), for_pages=()),
            subscribers={slow: ENDS, quick: ENDS},
            subscriptions=Subscriptions(),
            waiters=Waiters(),
        ),
    )
    event = TaskEvent(task_id="t", seq=1, topic=Topic.TASK_COMPLETED, at=Clock().now(), data={})
    step = TaskEvent(task_id="t", seq=2, topic=Topic.STEP_STARTED, at=Clock().now(), data={})
    for _ in range(5):
        bus.tell(EventsCommitted(events=(event, step), ended=frozenset({"t"})))
    bus.ask(Ping(), timeout_s=30)
    assert len(slow.mailbox) == 1
    assert len(quick.mailbox) == 5
    assert quick.mailbox.get().payload.events == (event,), "only the topics it asked for"
    supervisor.stop(bus, timeout_s=30)
    supervisor.close()
