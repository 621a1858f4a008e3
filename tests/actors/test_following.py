"""Who follows misses nothing and sees nothing twice: whatever a sink drops, and though the event bus dies."""

import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from callboard import AgentSystem, CancelTask, SubmitTask, Topic
from callboard.actors import subscriptions
from callboard.actors.following import TaskFollower
from callboard.actors.subscriptions import MOST_HELD, FeedSink, Subscriptions
from callboard.clock import Clock, new_id
from callboard.errors import TaskNotFound
from callboard.feeds import ListEvents
from callboard.messages import TaskEvent


def event(task_id: str, seq: int, position: int, topic: Topic = Topic.STEP_STARTED, **data: str) -> TaskEvent:
    return TaskEvent(task_id=task_id, seq=seq, topic=topic, at=Clock().now(), data=data, position=position)


def submit(system: AgentSystem, task: str) -> str:
    return str(system.gateway.ask(SubmitTask(task=task), timeout_s=5).task_id)


def follow(follower: TaskFollower) -> list[str]:
    with follower:
        follower.open()
        places: list[str] = []
        while not follower.over:
            places += [place for place, _ in follower.next(10)]
        return places


def test_a_task_that_has_ended_is_followed_to_its_end_all_the_same(system: AgentSystem) -> None:
    task_id = system.execute("What is 1 + 1?").task_id
    assert follow(system.follow(task_id)) == ["1", "2", "3", "4", "5", "6"]
    with system.follow(task_id) as follower:
        follower.open()
        assert (follower.ended, follower.over) == (False, False)
        assert len(follower.next(0)) == 6
        assert (follower.ended, follower.over) == (True, True)


def test_a_sink_gets_the_events_of_its_task_and_of_what_that_delegates() -> None:
    registry = Subscriptions()
    sink = registry.follow("parent")
    told = [
        event("parent", 1, 1),
        event("stranger", 1, 2),
        event("child", 1, 3, Topic.TASK_EXECUTE, parentId="parent"),
        event("grandchild", 1, 4, Topic.TASK_EXECUTE, parentId="child"),
        event("other", 1, 5, Topic.TASK_EXECUTE, parentId="stranger"),
        event("grandchild", 2, 6),
    ]
    registry.publish(told[:3])
    registry.publish(told[3:])
    events, lost = sink.take(1)
    assert [one.position for one in events] == [1, 3, 4, 6]
    assert not lost
    registry.release(sink)
    registry.release(sink)
    assert registry.empty


def test_a_sink_drops_what_it_cannot_hold_and_says_so() -> None:
    registry = Subscriptions()
    sink = registry.follow("t")
    for position in range(1, MOST_HELD + 2):
        registry.publish([event("t", position, position)])
    registry.publish([event("t", MOST_HELD + 2, MOST_HELD + 2)])
    assert sink.take(1) == ([], True)
    registry.publish([event("t", MOST_HELD + 3, MOST_HELD + 3)])
    events, lost = sink.take(1)
    assert ([one.position for one in events], lost) == ([MOST_HELD + 3], False)


def test_a_sink_of_the_feed_holds_nothing_and_hears_of_what_fits_only() -> None:
    registry = Subscriptions()
    sink = registry.watch(ListEvents(topics=frozenset({Topic.TASK_COMPLETED})))
    registry.publish([event("t", 1, 1)])
    assert sink.take(0) == ([], False)
    registry.publish([event("t", 2, 2, Topic.TASK_COMPLETED)])
    assert sink.take(0) == ([], True)
    registry.release(sink)
    assert registry.empty


@pytest.mark.parametrize("end", ["wake", "close", "lose"])
def test_a_wait_ends_at_once_when_there_is_a_reason(end: str) -> None:
    registry = Subscriptions()
    sinks = [registry.follow("t"), registry.watch(ListEvents())]
    waiting = threading.Barrier(3)
    ended: list[float] = []

    def wait(sink: subscriptions.Sink) -> None:
        waiting.wait()
        started = time.monotonic()
        sink.take(30)
        ended.append(time.monotonic() - started)

    threads = [threading.Thread(target=wait, args=(sink,)) for sink in sinks]
    for thread in threads:
        thread.start()
    waiting.wait()
    for sink in sinks:
        getattr(sink, end)()
    for thread in threads:
        thread.join(10)
    assert max(ended) < 5


def test_who_comes_after_the_end_is_told_that_it_is_over() -> None:
    registry = Subscriptions()
    registry.close()
    assert registry.follow("t").closed
    assert registry.watch(ListEvents()).closed


def test_following_an_unknown_task_is_an_error_at_once(system: AgentSystem) -> None:
    follower = system.follow("nobody")
    with pytest.raises(TaskNotFound):
        follower.open()
    follower.close()


def test_a_follower_sees_the_log_to_its_end(system: AgentSystem) -> None:
    assert follow(system.follow(submit(system, "What is 2 + 2?"))) == ["1", "2", "3", "4", "5", "6"]
    assert system._subscriptions.empty


DELEGATING = """```python
from skills import delegate
delegate("data-analyst", "What is 6 times 7?")
while True: pass
```"""


def test_what_is_in_the_store_and_in_the_sink_is_seen_once(system: AgentSystem) -> None:
    task_id = new_id()
    follower = system.follow(task_id)  # registered before there is anything, so that its sink gets everything
    system.gateway.ask(SubmitTask(task=DELEGATING, task_id=task_id), timeout_s=5)
    next(event for event in system.events(task_id) if event.topic is Topic.SKILL_COMPLETED)  # its agent has answered
    with follower:
        follower.open()
        seen = [event for _, event in follower.next(0)]
        assert {event.task_id for event in seen} > {task_id}
        system.gateway.ask(CancelTask(task_id=task_id), timeout_s=5)
        while not follower.over:
            seen += [event for _, event in follower.next(10)]
    for one in {event.task_id for event in seen}:
        its = [event.seq for event in seen if event.task_id == one]
        assert its == list(range(1, len(its) + 1))


def test_a_follower_outlives_the_event_bus(system: AgentSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bus dies over each commit that it is to tell of: whoever follows is told by the instance that comes after it."""
    died = []

    def die(self: Subscriptions, events: object) -> None:
        died.append(events)
        if len(died) <= 2:  # more often, and the bus is given up
            raise RuntimeError("for the test")
        publish(self, events)  # type: ignore[arg-type]

    publish = Subscriptions.publish
    feed = system.feed(ListEvents())
    feed.open()
    monkeypatch.setattr(Subscriptions, "publish", die)
    started = time.monotonic()
    task_id = submit(system, "What is 3 + 3?")
    assert follow(system.follow(task_id)) == ["1", "2", "3", "4", "5", "6"]
    seen: list[int] = []
    while len(seen) < 6:
        seen += [entry.event.seq for entry in feed.next(10)]
    assert seen == [1, 2, 3, 4, 5, 6]
    assert time.monotonic() - started < 8
    assert len(died) >= 2
    feed.close()


def test_while_somebody_follows_commits_wake_the_bus_and_else_they_need_not(system: AgentSystem) -> None:
    mailbox = system._addresses["event bus"].mailbox
    task_id = submit(system, "```python\nwhile True: pass\n```")
    follower = system.follow(task_id)
    follower.open()
    while not any(e.topic is Topic.STEP_STARTED for _, e in follower.next(10)):
        pass
    assert not mailbox.unhurried
    follower.close()
    assert follow(system.follow(submit(system, "What is 1 + 1?")))[-1] == "6"
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=5)  # or the stop waits for it


def test_a_feed_that_has_caught_up_reads_no_more_often_than_it_must(
    start_system: Callable[..., AgentSystem], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = start_system()
    reads: list[float] = []
    real = type(system._store).feed

    def counted(self: object, query: ListEvents) -> object:
        reads.append(time.monotonic())
        return real(self, query)  # type: ignore[arg-type]

    monkeypatch.setattr(type(system._store), "feed", counted)
    feed = system.feed(ListEvents())
    feed.open()
    assert isinstance(feed._sink, FeedSink)
    seen = 0
    for n in range(10):
        system.execute(f"What is {n} + 7?")
    while seen < 60:
        seen += len(feed.next(10))
    feed.close()
    gaps = [later - earlier for earlier, later in pairwise(reads)]
    assert all(gap >= 0.04 for gap in gaps)
