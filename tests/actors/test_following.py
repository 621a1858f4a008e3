"""Who follows misses nothing and sees nothing twice: whatever a sink drops, and though the event bus dies."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from callboard import AgentSystem, AwaitTask, CancelTask, SubmitTask, Topic
from callboard.actors import subscriptions
from callboard.actors.following import FEED_EVERY_S, TaskFollower
from callboard.actors.subscriptions import MOST_HELD, Subscriptions
from callboard.actors.waiters import Waiters
from callboard.clock import Clock, new_id
from callboard.errors import TaskNotFound
from callboard.messages.events import ENDS, FeedEntry, ListEvents, TaskEvent
from callboard.persistence.reads import SqlReader


def event(task_id: str, seq: int, position: int, topic: Topic = Topic.STEP_STARTED, **data: str) -> TaskEvent:
    return TaskEvent(task_id=task_id, seq=seq, topic=topic, at=Clock().now(), data=data, position=position)


def submit(system: AgentSystem, task: str, **spec: str) -> str:
    return str(system.gateway.ask(SubmitTask(task=task, **spec), timeout_s=30).task_id)  # type: ignore[arg-type]


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


def test_a_sink_of_the_feed_holds_what_fits_only() -> None:
    registry = Subscriptions()
    fitting = {"topics": frozenset({Topic.TASK_COMPLETED}), "task_id": "t", "session_id": "s", "agent": "code-reviewer"}
    sinks = [registry.watch(ListEvents(**{name: value})) for name, value in fitting.items()]  # type: ignore[arg-type]
    registry.publish([event("other", 1, 1)])
    assert all(sink.take(0) == ([], False) for sink in sinks)
    fits = replace(event("t", 2, 2, Topic.TASK_COMPLETED), session_id="s", agent="code-reviewer")
    registry.publish([fits])
    assert all(sink.take(0) == ([fits], False) for sink in sinks)
    for sink in sinks:
        registry.release(sink)
    assert registry.empty


def test_an_event_of_a_task_that_names_no_agent_is_the_masters() -> None:
    registry = Subscriptions()
    sink = registry.watch(ListEvents(agent="master"))
    registry.publish([event("t", 1, 1)])
    assert [one.position for one in sink.take(0)[0]] == [1]


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


FOR_EVER = "```python\nwhile True: pass\n```"
DELEGATING = """```python
from skills import delegate
delegate("data-analyst", "What is 6 times 7?")
while True: pass
```"""


def test_what_is_in_the_store_and_in_the_sink_is_seen_once(system: AgentSystem) -> None:
    task_id = new_id()
    follower = system.follow(task_id)  # registered before there is anything, so that its sink gets everything
    system.gateway.ask(SubmitTask(task=DELEGATING, task_id=task_id), timeout_s=30)
    next(event for event in system.events(task_id) if event.topic is Topic.SKILL_COMPLETED)  # its agent has answered
    with follower:
        follower.open()
        seen = [event for _, event in follower.next(0)]
        assert {event.task_id for event in seen} > {task_id}
        system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
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
    system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)  # or the stop waits for it


def test_a_feed_that_has_caught_up_reads_nothing_and_has_few_turns(
    start_system: Callable[..., AgentSystem], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = start_system()
    with system.feed(ListEvents()) as feed:
        feed.open()

        def refused(self: object, query: ListEvents) -> None:
            raise AssertionError("the feed was read again")

        monkeypatch.setattr(SqlReader, "feed", refused)
        record = [system.execute(f"What is {n} + 7?", session_id="s") for n in range(10)][-1]
        told: list[FeedEntry] = []
        turns: list[float] = []
        while len(told) < 60:
            if entries := feed.next(10):
                turns.append(time.monotonic())
                told += entries
        assert {entry.session_id for entry in told} == {"s"}
        assert told[-1].event.task_id == record.task_id
        assert [entry.event.position for entry in told] == list(range(1, 61))
    assert all(later - earlier >= FEED_EVERY_S * 0.8 for earlier, later in pairwise(turns))


def test_a_feed_that_lost_something_reads_it_in_the_history(start_system: Callable[..., AgentSystem]) -> None:
    system = start_system()
    with system.feed(ListEvents()) as feed:
        feed.open()
        system._subscriptions.lose()
        system.execute("What is 1 + 7?")
        told = [entry.event.position for entry in feed.next(10)]
        while len(told) < 6:
            told += [entry.event.position for entry in feed.next(10)]
    assert told == [1, 2, 3, 4, 5, 6]


def test_a_session_and_an_agent_are_told_by_what_is_committed_after_a_restart_too(
    start_system: Callable[..., AgentSystem], tmp_path: Path
) -> None:
    """The writer holds no record of a task that an earlier server has accepted."""
    settings = {"data_dir": tmp_path}
    with start_system(**settings) as first:
        task_id = submit(first, "```python\nwhile True: pass\n```", session_id="s")
        with first.follow(task_id) as follower:
            follower.open()
            while not any(e.topic is Topic.STEP_STARTED for _, e in follower.next(10)):
                pass
    second = start_system(**settings)
    with second.feed(ListEvents(session_id="s", agent="master", topics=ENDS)) as feed:
        feed.open()
        second.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
        (entry,) = feed.next(10)
    assert (entry.event.task_id, entry.session_id) == (task_id, "s")


def test_a_logger_that_dies_between_the_commit_and_the_telling_loses_followers_nothing(
    system: AgentSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes next does not join on to what they have been told, so they read the history."""
    task_id = submit(system, FOR_EVER)
    with system.feed(ListEvents(after=0)) as feed, system.follow(task_id) as follower:
        feed.open()
        follower.open()
        places: list[str] = []
        positions: list[int] = []
        while len(places) < 2:
            places += [place for place, _ in follower.next(10)]
        while len(positions) < 2:
            positions += [entry.event.position for entry in feed.next(10)]
        told: list[object] = []

        def dies(*_: object) -> None:
            told.append(_)
            monkeypatch.undo()
            raise RuntimeError("between the commit and the telling")

        monkeypatch.setattr(Waiters, "committed", dies)
        other = submit(system, "What is 1 + 1?")  # whose acceptance is committed and told to nobody
        system.gateway.ask(AwaitTask(task_id=other, wait_s=60), timeout_s=65)
        assert told
        while len(positions) < 8:
            positions += [entry.event.position for entry in feed.next(10)]
        assert positions == list(range(1, 9))
        system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
        while not follower.over:
            places += [place for place, _ in follower.next(10)]
        assert places == ["1", "2", "3"]
