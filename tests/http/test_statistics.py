"""The last hour, from a running server."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from callboard.actors import statistics
from callboard.actors.mailbox import SOON_S
from callboard.clock import Clock
from callboard.messages.events import Topic
from callboard.messages.records import RecordAcceptance, RecordResult
from callboard.messages.tasks import Status
from callboard.persistence.store import SqlStore
from tests.http.test_openapi import described
from tests.samples import sample
from tests.tasks import make_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from callboard import Settings
    from tests.http.conftest import Gate, Running

COUNTS = ("accepted", "completed", "failed", "cancelled")


def report(running: Running) -> list[dict[str, Any]]:
    reply = running.client.get("/agent/statistics")
    described("GET", "/agent/statistics", 200).validate(reply.json())
    view = reply.json()
    assert (view["success"], view["stepS"], len(view["points"])) == (True, 60, 60)
    points: list[dict[str, Any]] = view["points"]
    return points


def totals(points: list[dict[str, Any]]) -> tuple[int, ...]:
    return tuple(sum(point[name] for point in points) for name in COUNTS)


def totals_when(running: Running, expected: tuple[int, ...]) -> list[dict[str, Any]]:
    """Ask until the counts are these: events come to the statistics a little after the answer to the client."""
    until = Clock().monotonic() + 50 * SOON_S + 5
    while totals(points := report(running)) != expected:
        assert Clock().monotonic() < until, points[-1]
    return points


def test_what_happens_is_counted_in_its_minute(
    start_server: Callable[..., Running], skills_dir: Any, gate: Gate
) -> None:
    running = start_server(skills_dir=skills_dir, workers=1)
    assert totals(report(running)) == (0, 0, 0, 0)
    running.result("What is 1 + 1?")
    running.result("Please paint the fence.")
    held, waiting = (running.execute(gate.task).json()["taskId"] for _ in range(2))
    while running.client.get(f"/agent/tasks/{held}").json()["status"] != "running":
        pass
    points = totals_when(running, (4, 1, 1, 0))
    assert (points[-1]["queued"], points[-1]["running"]) == (1, 1)
    busy = [point for point in points if point["completed"]]
    assert all(0 < point["p50Ms"] <= point["p95Ms"] <= point["p99Ms"] for point in busy)
    running.client.post(f"/agent/tasks/{waiting}/cancel")
    totals_when(running, (4, 1, 1, 1))


def test_the_points_are_the_last_sixty_minutes_oldest_first(shared: Running) -> None:
    before = datetime.now(UTC)
    points = report(shared)
    times = [datetime.fromisoformat(point["at"]) for point in points]
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [timedelta(minutes=1)] * 59
    assert before - timedelta(minutes=1) < times[-1] <= datetime.now(UTC)
    assert (times[-1].second, times[-1].microsecond) == (0, 0)


def ended(at: datetime, n: int, status: Status = Status.COMPLETED) -> list[Any]:
    """Return the records of a task that was accepted and ended at a time; its id was made then."""
    task_id = f"{int(at.timestamp() * 1000):012x}"
    task_id = f"{task_id[:8]}-{task_id[8:]}-7000-8000-{n:012d}"
    task = make_task(task_id, created_at=at)
    return [
        RecordAcceptance(task=task, event=sample(Topic.TASK_EXECUTE, at)),
        RecordResult(
            task_id=task_id, attempt=None, status=status, at=at, execution_time_ms=100.0 + n,
            events=(sample(Topic(f"agent.task.{status}"), at),),
        ),
    ]  # fmt: skip


def test_the_hour_before_a_start_is_read_from_the_history(
    start_server: Callable[..., Running], make_settings: Callable[..., Settings]
) -> None:
    now = datetime.now(UTC)
    store = SqlStore.open(make_settings())
    for n, minutes in enumerate((70, 30, 30, 10)):
        status = Status.FAILED if minutes == 10 else Status.COMPLETED
        store.writer.write(ended(now - timedelta(minutes=minutes), n, status))
    store.close()
    running = start_server()
    running.result("What is 1 + 1?")
    points = totals_when(running, (4, 3, 1, 0))
    [half_an_hour_ago] = [point for point in points if point["completed"] == 2]
    assert half_an_hour_ago["p50Ms"] == pytest.approx(101, rel=0.05)
    assert half_an_hour_ago["queued"] is None, "nobody looked then"
    assert totals(report(running)) == (4, 3, 1, 0), "what is read once is not read again"


def test_a_restart_keeps_the_hour_and_counts_nothing_twice(start_server: Callable[..., Running]) -> None:
    first = start_server()
    for n in range(3):
        first.result(f"What is 1 + {n}?")
    totals_when(first, (3, 3, 0, 0))
    first.stop()
    first.system.stop()
    second = start_server()
    second.result("What is 2 + 2?")
    totals_when(second, (4, 4, 0, 0))


def test_an_actor_that_crashed_has_the_hour_again(start_server: Callable[..., Running]) -> None:
    running = start_server()
    running.result("What is 1 + 1?")
    totals_when(running, (1, 1, 0, 0))
    address = running.system._addresses["statistics"]
    address.tell(object())  # no message of its: it crashes and is restarted
    running.result("What is 1 + 2?")
    totals_when(running, (2, 2, 0, 0))


def test_the_backlog_is_looked_at_without_a_question(start_server: Callable[..., Running], monkeypatch: Any) -> None:
    monkeypatch.setattr(statistics, "SAMPLE_EVERY_S", 0.01)
    running = start_server()
    looked: list[object] = []
    real = running.system._store.reader.backlog

    def look() -> Any:
        looked.append(None)
        return real()

    monkeypatch.setattr(running.system._store.reader, "backlog", look)
    until = Clock().monotonic() + 10
    while len(looked) < 3:
        assert Clock().monotonic() < until
        running.client.get("/health/live")
