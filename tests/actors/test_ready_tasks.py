"""The order in which tasks start: by priority, parts first, and callers in turn."""

from __future__ import annotations

from datetime import UTC, datetime

from callboard.actors.ready_tasks import ReadyTasks
from callboard.messages.tasks import Task
from tests.tasks import make_task

NOW = datetime(2026, 1, 8, tzinfo=UTC)


def task(name: str, caller: str | None, *, priority: int = 0, depth: int = 0) -> Task:
    return make_task(name, caller=caller, priority=priority, depth=depth)


def order_of(*tasks: Task) -> list[str]:
    ready = ReadyTasks(max_priority=100)
    for task in tasks:
        ready.add(task, 1)
    return [entry[-2] for entry in iter(ready.take, None)]


def test_tasks_of_one_caller_start_in_the_order_of_their_arrival() -> None:
    assert order_of(*(task(str(n), "one") for n in range(5))) == ["0", "1", "2", "3", "4"]
    assert order_of(*(task(str(n), None) for n in range(5))) == ["0", "1", "2", "3", "4"]


def test_callers_take_turns_whatever_one_of_them_has_waiting() -> None:
    crowd = [task(f"crowd {n}", "crowd") for n in range(50)]
    assert order_of(*crowd, task("one", "one"), task("two", "two"))[:4] == ["crowd 0", "one", "two", "crowd 1"]


def test_who_comes_when_a_crowd_is_under_way_waits_for_one_of_it_at_most() -> None:
    ready = ReadyTasks(max_priority=100)
    for n in range(50):
        ready.add(task(f"crowd {n}", "crowd"), 1)
    for _ in range(20):
        first = ready.take()
        assert first is not None
        ready.starts(first)
    ready.add(task("one", "one"), 1)
    assert "one" in [entry[-2] for entry in iter(ready.take, None)][:2]


def test_one_that_is_held_back_keeps_its_place_and_comes_only_where_those_may_start() -> None:
    ready = ReadyTasks(max_priority=100)
    for name, priority in (("held", 1), ("other", 0), ("urgent", 2)):
        ready.add(task(name, "one", priority=priority), 1)
    urgent, held = ready.take(), ready.take()
    assert urgent is not None
    assert held is not None
    assert (urgent[-2], held[-2]) == ("urgent", "held")
    ready.hold_back(held)
    ready.add(task("late", "one"), 1)
    other = ready.take(held=False)
    assert other is not None
    assert other[-2] == "other"
    assert [entry[-2] for entry in iter(ready.take, None)] == ["held", "late"]
    assert ready.take() is None


def test_callers_take_turns_among_those_that_were_held_back_too() -> None:
    ready = ReadyTasks(max_priority=100)
    for n in range(50):
        ready.add(task(f"crowd {n}", "crowd"), 1)
    for n in range(50):
        entry = ready.take(held=False)
        assert entry is not None
        if n:
            ready.hold_back(entry)
        else:
            ready.starts(entry)
    ready.add(task("one", "one"), 1)
    assert "one" in [entry[-2] for entry in iter(ready.take, None)][:2]


def test_priority_and_parts_come_before_turns() -> None:
    crowd = [task(f"crowd {n}", "crowd") for n in range(3)]
    part, urgent = task("part", "crowd", depth=1), task("urgent", "crowd", priority=1)
    assert order_of(*crowd, task("one", "one"), part, urgent)[:3] == ["urgent", "part", "crowd 0"]
