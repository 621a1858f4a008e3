"""The result logger: the only writer of the history, with group commit.

What arrives is buffered, and the logger tells itself to flush. That message queues behind everything already
there, so each transaction holds all that came in while the one before it was being committed. Nobody is answered,
and nothing is published, before the commit.

When the store refuses (locked, full, gone), acceptances are answered with the error and forgotten; what belongs to
accepted tasks is kept and tried again. The buffer outlives a crash of the actor, because the wiring passes it in.
"""

import contextlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from callboard.actors.mailbox import LATER, Address, Delivery, Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.clock import Clock
from callboard.errors import ActorStopped, Overloaded, StorageFull, StoreUnavailable
from callboard.messages import (
    EventsCommitted,
    Flush,
    NewEvent,
    Ping,
    Pong,
    RecordAcceptance,
    RecordEvents,
    RecordResult,
    RecordSessionDeleted,
    RecordStart,
    Status,
    TaskAccepted,
    TaskEnded,
    TaskEvent,
    TaskQueued,
    TaskRecord,
    Tick,
    Topic,
)
from callboard.persistence.store import Store, WriteOutcome
from callboard.settings import Settings

logger = logging.getLogger("callboard.history")

_RETRY_S = 0.5
_PRUNE_EVERY_S = 60.0
_PRUNE_STEP = 200


@dataclass(slots=True)
class Buffer:
    """What has been told and not yet committed; changed by the logger's thread only."""

    entries: list[tuple[Any, Delivery | None]] = field(default_factory=list)
    flush_told: bool = False


class ResultLogger(SupervisedActor):
    """Commits acceptances, starts, events and results, then replies and publishes."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        store: Store,
        buffer: Buffer,
        settings: Settings,
        clock: Clock,
        address: Address,
        master_agent: Address,
        event_bus: Address,
    ) -> None:
        super().__init__(mailbox)
        self._store = store
        self._buffer = buffer
        self._settings = settings
        self._clock = clock
        self._address = address
        self._master_agent = master_agent
        self._event_bus = event_bus
        self._live = 0
        self._store_failed = False

    def setup(self) -> None:
        self._live = self._store.totals().live
        # acceptances whose askers were told of the crash are not carried out behind their backs
        kept = [(r, d) for r, d in self._buffer.entries if d is None or not d.answered]
        self._buffer.entries[:] = kept
        self._buffer.flush_told = False
        if kept:
            self._tell_flush()
        if self._settings.retention_days or self._settings.retention_tasks:
            self.wake_in(1.0)

    def receive(self, message: Any) -> Any:
        match message:
            case RecordAcceptance() | RecordStart() | RecordEvents() | RecordResult() | RecordSessionDeleted():
                return self._take(message)
            case Flush():
                self._buffer.flush_told = False
                self._flush()
                return None
            case Tick():
                self._tick()
                return None
            case Ping():
                self._store.ping()
                return Pong()
            case _:
                return super().receive(message)

    def teardown(self) -> None:
        self._flush()

    def _take(self, message: Any) -> Any:
        if isinstance(message, RecordAcceptance):
            if self._live >= self._settings.max_backlog:
                raise Overloaded(
                    f"The backlog holds its limit of {self._settings.max_backlog} tasks; try again when some have ended.",
                    retry_after_s=2,
                )
            self._live += 1
        asked = self.delivery.reply is not None
        self._buffer.entries.append((message, self.hold() if asked else None))
        if not self._buffer.flush_told:
            self._tell_flush()
        return LATER if asked else None

    def _tell_flush(self) -> None:
        self._buffer.flush_told = True
        self._address.tell(Flush())

    def _flush(self) -> None:
        entries = self._buffer.entries
        if not entries:
            return
        try:
            outcomes = self._store.write([record for record, _ in entries])
        except (StoreUnavailable, StorageFull) as error:
            self._keep_for_later(error)
            return
        done = entries[:]
        entries.clear()  # Invariant: what is committed is never written again, whatever happens below
        if self._store_failed:
            self._store_failed = False
            logger.info("the store takes transactions again")
        self._tell_everyone(done, outcomes)

    def _keep_for_later(self, error: StoreUnavailable | StorageFull) -> None:
        """Refuse what was only asked for; keep what accepted tasks have done, and try again."""
        kept = []
        for record, delivery in self._buffer.entries:
            if delivery is None:
                kept.append((record, None))
                continue
            delivery.fail(error)
            if isinstance(record, RecordAcceptance):
                self._live -= 1
            elif isinstance(record, RecordResult):
                kept.append((record, None))  # a cancel: its task's work has been stopped already, so it must end
        self._buffer.entries[:] = kept
        if not self._store_failed:
            self._store_failed = True
            logger.error("the store refused a transaction, %d records are kept: %s", len(kept), error)
        self.wake_in(_RETRY_S)

    def _tell_everyone(self, done: list[tuple[Any, Delivery | None]], outcomes: list[WriteOutcome]) -> None:
        events: list[TaskEvent] = []
        ended: set[str] = set()
        for (record, delivery), outcome in zip(done, outcomes, strict=True):
            events.extend(outcome.events)
            value = outcome.value
            match record, value:
                case RecordAcceptance(), TaskRecord():
                    # before the reply, so that a cancel sent on its receipt finds the task at the master agent
                    value = self._queue(record, value, delivery)
                case RecordAcceptance(), _:
                    self._live -= 1
                case RecordResult(session=session), TaskRecord():
                    if outcome.events:
                        self._live -= 1
                        ended.add(value.task_id)
                    self._master_agent.notify(TaskEnded(record=value, session=session if outcome.events else None))
            self._reply(record, delivery, value)
        if events:
            self._event_bus.notify(EventsCommitted(events=tuple(events), ended=frozenset(ended)))

    def _queue(self, acceptance: RecordAcceptance, record: TaskRecord, delivery: Delivery | None) -> Any:
        """Hand an accepted task to the master agent, with its asker if that one waits for the end."""
        if acceptance.wait_s is not None and delivery is not None:
            with contextlib.suppress(ActorStopped):
                self._master_agent.pass_on(delivery, TaskQueued(record=record, wait_s=acceptance.wait_s))
            return record
        self._master_agent.notify(TaskQueued(record=record))
        return TaskAccepted(task_id=record.task_id, session_id=record.session_id, task=record.task)

    def _reply(self, record: Any, delivery: Delivery | None, value: Any) -> None:
        if isinstance(value, BaseException):
            if delivery is not None:
                delivery.fail(value)
                return
            logger.error("could not store %s: %s", type(record).__name__, value, exc_info=value)
            if isinstance(record, RecordResult) and record.error_code != "internal_error":
                self._address.tell(_unstorable(record))  # an accepted task must end, whatever its result is
        elif delivery is not None:
            delivery.answer(value)

    def _tick(self) -> None:
        if self._store_failed:
            self._flush()
        elif self._settings.retention_days or self._settings.retention_tasks:
            self._prune()

    def _prune(self) -> None:
        """Delete one small step of what is past retention; the next follows soon if this one was full."""
        days, keep = self._settings.retention_days, self._settings.retention_tasks
        older_than = self._clock.now() - timedelta(days=days) if days else None
        try:
            pruned = self._store.prune_step(older_than=older_than, keep=keep or None, limit=_PRUNE_STEP)
        except (StoreUnavailable, StorageFull) as error:
            logger.warning("pruning is put off: %s", error)
            pruned = 0
        self.wake_in(0.05 if pruned >= _PRUNE_STEP else _PRUNE_EVERY_S)


def _unstorable(result: RecordResult) -> RecordResult:
    """Return the end of a task whose own result the store does not take."""
    error = "The task ended, but its result could not be stored; the server's log says why."
    data = {"error": error, "errorCode": "internal_error"}
    return RecordResult(
        task_id=result.task_id,
        attempt=result.attempt,
        status=Status.FAILED,
        at=result.at,
        events=(NewEvent(topic=Topic.TASK_FAILED, at=result.at, data=data),),
        error=error,
        error_code="internal_error",
        execution_time_ms=result.execution_time_ms,
    )
