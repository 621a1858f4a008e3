"""What the result logger tells the others of tasks that a pause has delegated."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from callboard import Settings, Status, TaskRecord, Topic
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.result_logger import Buffer, ResultLogger
from callboard.actors.supervision import Supervisor
from callboard.agent.workspaces import Workspaces
from callboard.clock import Clock
from callboard.persistence.store import SqlStore
from callboard.records import NewEvent, RecordAcceptance, RecordPause, RecordResult, RecordStart
from callboard.signals import EventsCommitted, TaskPaused, TaskQueued

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
                store=self.store,
                buffer=self.buffer,
                settings=settings,
                clock=Clock(),
                address=self.logger,
                master_agent=self.master_agent,
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
    record = TaskRecord(task_id=task_id, session_id=task_id, task="Work.", created_at=NOW, parent_id=parent_id)
    return RecordAcceptance(record=record, event=NewEvent(topic=Topic.TASK_EXECUTE, at=NOW, data={}))


def pause(*children: RecordAcceptance) -> RecordPause:
    events = (NewEvent(topic=Topic.TASK_PAUSED, at=NOW, data={}),)
    waits = {"reason": "subagents"}
    return RecordPause(task_id="parent", attempt=1, at=NOW, pause=waits, events=events, children=children)


def test_the_tasks_that_a_pause_delegates_are_queued_before_it_counted_and_published(wired: Wired) -> None:
    wired.logger.ask(accepted("parent"), timeout_s=10)
    wired.logger.ask(RecordStart(task_id="parent", attempt=1, at=NOW), timeout_s=10)
    wired.told_master()
    record = wired.logger.ask(pause(accepted("one", "parent"), accepted("two", "parent")), timeout_s=10)
    assert record.status is Status.PAUSED
    *queued, paused = wired.told_master()  # so that the task which waits for them has them to wait for
    assert isinstance(paused, TaskPaused)
    assert [told.record.task_id for told in queued if isinstance(told, TaskQueued)] == ["one", "two"]
    events = wired.published(Topic.TASK_PAUSED).events
    assert [(event.task_id, event.seq) for event in events] == [("parent", 2), ("one", 1), ("two", 1)]
    assert wired.buffer.live == wired.store.totals().live == 3


def test_a_pause_that_comes_too_late_queues_nothing(wired: Wired) -> None:
    wired.logger.ask(accepted("parent"), timeout_s=10)
    wired.logger.ask(RecordStart(task_id="parent", attempt=1, at=NOW), timeout_s=10)
    cancelled = NewEvent(topic=Topic.TASK_CANCELLED, at=NOW, data={})
    end = RecordResult(task_id="parent", attempt=None, status=Status.CANCELLED, at=NOW, events=(cancelled,))
    wired.logger.ask(end, timeout_s=10)
    wired.told_master()
    record = wired.logger.ask(pause(accepted("one", "parent")), timeout_s=10)
    assert record.status is Status.CANCELLED
    assert wired.told_master() == []
    assert wired.buffer.live == wired.store.totals().live == 0
