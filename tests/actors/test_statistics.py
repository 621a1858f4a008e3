"""The statistics actor over a real store, with a clock that the test sets."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from callboard import Settings
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.statistics import Statistics
from callboard.actors.supervision import Supervisor
from callboard.clock import Clock
from callboard.errors import StoreUnavailable
from callboard.messages.events import EventsCommitted, TaskEvent, Topic
from callboard.messages.health import GetStatistics, StatisticsReport
from callboard.messages.records import RecordAcceptance, RecordResult
from callboard.messages.tasks import Status
from callboard.persistence.store import SqlStore
from tests.samples import sample
from tests.tasks import make_task

NOON = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


class World:
    """A statistics actor, its store, and the time."""

    def __init__(self, settings: Settings) -> None:
        self.now = NOON
        self.store = SqlStore.open(settings)
        self.address = Address(Mailbox("statistics", 1000))
        self.supervisor = Supervisor()
        clock = Clock(now=lambda: self.now)
        self.supervisor.start(self.address, lambda mailbox: Statistics(mailbox, reader=self.store.reader, clock=clock))

    def write(self, number: int, at: datetime) -> EventsCommitted:
        """Store a task that was accepted and completed at a time; return what the event bus tells of it."""
        task_id = f"{int(at.timestamp() * 1000):012x}-{number}"
        task = make_task(task_id, session_id="s", created_at=at)
        outcomes = self.store.writer.write(
            [
                RecordAcceptance(task=task, event=sample(Topic.TASK_EXECUTE, at)),
                RecordResult(
                    task_id=task_id,
                    attempt=None,
                    status=Status.COMPLETED,
                    at=at,
                    execution_time_ms=5.0,
                    events=(sample(Topic.TASK_COMPLETED, at),),
                ),
            ]
        )
        events: tuple[TaskEvent, ...] = sum((outcome.events for outcome in outcomes), ())
        return EventsCommitted(events=events, ended=frozenset({task_id}))

    def report(self) -> StatisticsReport:
        report: StatisticsReport = self.address.ask(GetStatistics(), timeout_s=30)
        return report

    def counts(self) -> tuple[int, int]:
        points = self.report().points
        return sum(point.accepted for point in points), sum(point.completed for point in points)


@pytest.fixture
def world(make_settings: Callable[..., Settings]) -> Iterator[World]:
    world = World(make_settings())
    yield world
    world.supervisor.stop(world.address, timeout_s=10)
    world.supervisor.close()
    world.store.close()


def test_what_is_in_the_history_and_is_told_as_well_counts_once(world: World) -> None:
    late = world.write(1, NOON - timedelta(seconds=1))  # by the one before, told to this one
    own = world.write(2, NOON + timedelta(seconds=1))
    world.address.tell(late)
    world.address.tell(own)
    world.now = NOON + timedelta(seconds=2)
    assert world.counts() == (2, 2)
    assert world.counts() == (2, 2)


def test_what_is_more_than_an_hour_ago_is_in_no_report(world: World) -> None:
    world.write(1, NOON - timedelta(minutes=61))
    world.write(2, NOON - timedelta(minutes=59))
    assert world.counts() == (1, 1)
    world.address.tell(world.write(3, NOON))
    world.now = NOON + timedelta(minutes=2)
    assert world.counts() == (1, 1)
    world.now = NOON + timedelta(minutes=59)
    assert world.counts() == (1, 1)
    world.now = NOON + timedelta(minutes=60)
    assert world.counts() == (0, 0)


def test_the_report_is_refused_while_the_history_cannot_be_read_and_whole_afterwards(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(1, NOON - timedelta(minutes=5))

    def fail(*_: object) -> None:
        raise StoreUnavailable("The store is away.")

    with monkeypatch.context() as patch:
        patch.setattr(world.store.reader, "ended_between", fail)
        with pytest.raises(StoreUnavailable):
            world.report()
    assert world.counts() == (1, 1)
    with monkeypatch.context() as patch:
        patch.setattr(world.store.reader, "backlog", fail)
        world.now = NOON + timedelta(minutes=1)
        assert world.report().points[-1].queued is None
    assert world.report().points[-1].queued == 0
