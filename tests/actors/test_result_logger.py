"""What the result logger tells the others of tasks that a pause has delegated."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from callboard import Settings, Status, Topic
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.readers import Readers
from callboard.actors.result_logger import ResultLogger
from callboard.actors.supervision import Supervisor
from callboard.actors.waiters import Waiters
from callboard.actors.write_buffer import Buffer
from callboard.agent.workspaces import Workspaces
from callboard.clock import Clock
from callboard.messages.events import EventsCommitted
from callboard.messages.pauses import Pause, PauseReason
from callboard.messages.records import RecordAcceptance, RecordEvents, RecordPause, RecordResult, RecordStart
from callboard.messages.tasks import PauseCommitted, TaskQueued
from callboard.persistence.store import SqlStore
from tests.samples import sample
from tests.tasks import make_task

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Wired:
    """A real result logger over a real store; the actors it tells are mailboxes that the test reads."""

    def __init__(self, settings: Settings) -> None:
        self.store = SqlStore.open(settings)
        self.buffer = Buffer()
        self.master_agent, self.event_bus = (Address(Mailbox(name, 100)) for name in ("master agent", "event bus"))
        self._supervisor = Supervisor()
        self.logger = Address(Mailbox("result logger", 1000))
        self._supervisor.start(
            self.logger,
            lambda mailbox: ResultLogger(
                mailbox,
                reader=self.store.reader,
                writer=self.store.writer,
                buffer=self.buffer,
                settings=settings,
                clock=Clock(),
                address=self.logger,
                master_agent=self.master_agent,
                readers=Readers(for_one=(), for_pages=()),
                waiters=Waiters(),
                event_bus=self.event_bus,
                courier=Address(Mailbox("courier", 100)),
                janitor=Address(Mailbox("janitor", 100)),
                workspaces=Workspaces(settings.data_dir / "workspaces"),
            ),
        )

    def close(self) -> None:
        self._supervisor.stop(self.logger, timeout_s=10)
        self._supervisor.close()
        self.store.close()

    def told_master(self) -> list[Any]:
        """Return what the master agent has been told so far; it is told before who asked is answered."""
        mailbox, found = self.master_agent.mailbox, []
        while not mailbox.empty():
            found.append(mailbox.get().payload)
        return found

    def published(self, topic: Topic) -> EventsCommitted:
        """Wait for the commit of an event of this topic."""
        while True:
            commit = self.event_bus.mailbox.get().payload
            assert isinstance(commit, EventsCommitted)
            if any(event.topic is topic for event in commit.events):
                return commit


@pytest.fixture
def wired(make_settings: Callable[..., Settings]) -> Iterator[Wired]:
    wired = Wired(make_settings())
    yield wired
    wired.close()


def accepted(task_id: str, parent_id: str | None = None) -> RecordAcceptance:
    task = make_task(task_id, created_at=NOW, parent_id=parent_id)
    return RecordAcceptance(task=task, event=sample(Topic.TASK_EXECUTE, NOW))


def delegation(*children: RecordAcceptance) -> RecordEvents:
    begun = sample(Topic.SKILL_STARTED, NOW)
    return RecordEvents(task_id="parent", attempt=1, events=(begun,), children=children)


def pause() -> RecordPause:
    events = (sample(Topic.TASK_PAUSED, NOW),)
    waits = Pause(reason=PauseReason.SUBAGENTS)
    return RecordPause(task_id="parent", attempt=1, at=NOW, pause=waits, events=events)


def test_the_tasks_that_agents_are_given_are_queued_before_the_pause_counted_and_published(wired: Wired) -> None:
    wired.logger.ask(accepted("parent"), timeout_s=30)
    wired.logger.ask(RecordStart(task_id="parent", attempt=1, at=NOW), timeout_s=30)
    wired.told_master()
    assert wired.logger.ask(delegation(accepted("one", "parent"), accepted("two", "parent")), timeout_s=30) is True
    record = wired.logger.ask(pause(), timeout_s=30)
    assert record.status is Status.PAUSED
    *queued, paused = wired.told_master()  # so that the task which waits for them has them to wait for
    assert isinstance(paused, PauseCommitted)
    assert [told.record.task_id for told in queued if isinstance(told, TaskQueued)] == ["one", "two"]
    events = wired.published(Topic.SKILL_STARTED).events
    assert [(event.task_id, event.seq) for event in events] == [("parent", 2), ("one", 1), ("two", 1)]
    assert wired.buffer.live == wired.store.reader.totals().live == 3


def test_what_is_handed_over_too_late_queues_nothing(wired: Wired) -> None:
    wired.logger.ask(accepted("parent"), timeout_s=30)
    wired.logger.ask(RecordStart(task_id="parent", attempt=1, at=NOW), timeout_s=30)
    cancelled = sample(Topic.TASK_CANCELLED, NOW)
    end = RecordResult(task_id="parent", attempt=None, status=Status.CANCELLED, at=NOW, events=(cancelled,))
    wired.logger.ask(end, timeout_s=30)
    wired.told_master()
    assert wired.logger.ask(delegation(accepted("one", "parent")), timeout_s=30) is False
    assert wired.logger.ask(pause(), timeout_s=30).status is Status.CANCELLED
    assert wired.told_master() == []
    assert wired.buffer.live == wired.store.reader.totals().live == 0
