"""The result logger: the only writer of the history, with group commit.

What arrives is buffered, and the logger tells itself to flush. That message queues behind everything already
there, so each transaction holds all that came in while the one before it was being committed. Nobody is answered,
and nothing is published, before the commit.

When the store refuses (locked, full, read-only, gone), what callers ask for is answered with the error and forgotten;
what accepted tasks do is kept and tried again, and workers who wait for a commit go on waiting. From then on callers
are refused at once, until a try twice a second finds that the store takes transactions again. The buffer outlives a
crash of the actor, because the wiring passes it in.
"""

import logging
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, TypeGuard

from callboard.actors.mailbox import LATER, Address, Delivery, Mailbox
from callboard.actors.readers import Readers
from callboard.actors.supervision import SupervisedActor
from callboard.actors.waiters import Waiters
from callboard.actors.write_buffer import Buffer, Fault, anew
from callboard.agent.workspaces import Workspaces
from callboard.clock import Clock
from callboard.errors import (
    SessionNotFound,
    StorageFull,
    StoreInDoubt,
    StoreUnavailable,
    TaskNotPaused,
    Unavailable,
)
from callboard.messages.deliveries import DeliveriesDue
from callboard.messages.event_types import TaskFailed
from callboard.messages.events import EventsCommitted, TaskEvent
from callboard.messages.health import Flush, Ping, Pong, Tick
from callboard.messages.records import (
    Record,
    RecordAcceptance,
    RecordDelivery,
    RecordEvents,
    RecordPause,
    RecordRedrive,
    RecordRefusal,
    RecordRequeue,
    RecordResult,
    RecordSessionDeleted,
    RecordStart,
)
from callboard.messages.sessions import FilesSetAside
from callboard.messages.tasks import (
    AwaitTask,
    KeptAnswer,
    PauseCommitted,
    Status,
    TaskEnded,
    TaskQueued,
    TaskRecord,
)
from callboard.persistence.store import Reader, WriteOutcome, Writer
from callboard.settings import Settings

logger = logging.getLogger("callboard.history")

_RETRY_S = 0.5
_PRUNE_EVERY_S = 60.0
_PRUNE_STEP = 200
_USAGE_KEPT = timedelta(days=90)
_NEW_TASKS = (RecordAcceptance, RecordRedrive)
"""What a caller's new task comes as. Parts of a task are counted too, and not refused: they have a limit of their own."""


ResultLoggerMessage = Record | Flush | Tick | Ping
"""What the result logger understands."""


class ResultLogger(SupervisedActor[ResultLoggerMessage]):
    """Commits acceptances, starts, events and results, then replies and publishes."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        reader: Reader,
        writer: Writer,
        buffer: Buffer,
        settings: Settings,
        clock: Clock,
        address: Address[RecordResult | Flush],
        master_agent: Address[TaskQueued | PauseCommitted | TaskEnded],
        readers: Readers,
        waiters: Waiters,
        event_bus: Address[EventsCommitted],
        courier: Address[DeliveriesDue],
        janitor: Address[FilesSetAside],
        workspaces: Workspaces,
        on_fault: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(mailbox)
        self._on_fault = on_fault
        self._reader = reader
        self._writer = writer
        self._buffer = buffer
        self._settings = settings
        self._clock = clock
        self._address = address
        self._master_agent = master_agent
        self._readers = readers
        self._waiters = waiters
        self._event_bus = event_bus
        self._courier = courier
        self._janitor = janitor
        self._workspaces = workspaces
        self._forget_at_s = self._prune_at_s = 0.0
        self._usage_forgotten: date | None = None

    def setup(self) -> None:
        self._buffer.live = self._reader.totals().live
        self._buffer.live_of = self._reader.live_by_caller()
        # acceptances whose askers were told of the crash are not carried out behind their backs
        sure = self._buffer.entries[self._buffer.doubtful :]
        kept = self._buffer.entries[: self._buffer.doubtful]
        kept += [(r, None if d is not None and d.answered else d) for r, d in sure if _survives(r, d)]
        for record, _ in kept[self._buffer.doubtful :]:
            if isinstance(record, _NEW_TASKS):
                self._buffer.count(record.task, 1)
        self._buffer.entries[:] = kept
        self._buffer.flush_told = False
        if kept:
            self._tell_flush()
        self._prune_at_s = time.monotonic() + 1.0
        self._waiters.hurry()  # the commit that the instance before died over was told to nobody
        self.wake_in(_RETRY_S if self._buffer.fault else min(1.0, self._settings.health_interval_s))

    def receive(self, message: ResultLoggerMessage) -> Any:
        match message:
            case (
                RecordAcceptance()
                | RecordStart()
                | RecordEvents()
                | RecordPause()
                | RecordRequeue()
                | RecordResult()
                | RecordSessionDeleted()
                | RecordRefusal()
                | RecordRedrive()
                | RecordDelivery()
            ):
                return self._take(message)
            case Flush():
                self._buffer.flush_told = False
                if self._buffer.fault is None:  # else a tick tries again
                    self._flush()
                return None
            case Tick():
                self._tick()
                return None
            case Ping():
                if (fault := self._buffer.fault) is not None:
                    raise anew(fault)
                return Pong()
            case _:
                raise self.unknown(message)

    def teardown(self) -> None:
        self._flush()
        if self._buffer.entries and self._buffer.fault is None:  # the first ones were in doubt
            self._flush()

    def _take(self, message: Record) -> Any:
        asked = self.delivery.reply is not None
        if (fault := self._buffer.fault) is not None and asked and not _is_work(message):
            to_end = {record.task_id for record, _ in self._buffer.entries if _must_end(record)}
            if _must_end(message) and message.task_id not in to_end:
                self._buffer.entries.append((message, None))
            raise anew(fault)
        if isinstance(message, _NEW_TASKS):  # counted at once, so that those which are buffered together see each other
            if (refusal := self._buffer.refusal(self._settings.max_backlog, message.task.caller)) is not None:
                raise refusal
            self._buffer.count(message.task, 1)
        self._buffer.entries.append((message, self.hold() if asked else None))
        if not self._buffer.flush_told:
            self._tell_flush()
        return LATER if asked else None

    def _tell_flush(self) -> None:
        self._buffer.flush_told = True
        self._address.tell(Flush())

    def _flush(self) -> None:
        buffer = self._buffer
        entries = buffer.entries[: buffer.doubtful or None]
        if not entries:
            return
        try:
            outcomes = self._writer.write([record for record, _ in entries])
        except (StoreUnavailable, StorageFull) as error:
            if isinstance(error, StoreInDoubt):
                buffer.doubtful = len(entries)
            self._keep_for_later(error)
            return
        # Invariant: what is committed is never written again, whatever happens below
        del buffer.entries[: len(entries)]
        buffer.doubtful = 0
        if buffer.entries and not buffer.flush_told:
            self._tell_flush()
        self._tell_everyone(entries, outcomes)

    def _keep_for_later(self, error: Fault) -> None:
        """Refuse what callers asked for; keep what accepted tasks have done, and try again."""
        kept = self._buffer.entries[: self._buffer.doubtful]
        for record, delivery in self._buffer.entries[self._buffer.doubtful :]:
            if delivery is None or _is_work(record):
                kept.append((record, delivery))
                continue
            delivery.fail(error)
            if isinstance(record, _NEW_TASKS):
                self._buffer.count(record.task, -1)
            elif _survives(record, delivery):
                kept.append((record, None))
        self._buffer.entries[:] = kept
        if self._buffer.fault is None:
            logger.error("the store refused a transaction, %d records are kept: %s", len(kept), error)
        self._buffer.fault = anew(error)
        self._on_fault()
        self.wake_in(_RETRY_S)

    def _check(self, *, trial: bool) -> bool:
        """Find out whether the store takes transactions, although nobody has one for it."""
        try:
            self._writer.check(trial=trial)
        except (StoreUnavailable, StorageFull) as error:
            self._keep_for_later(error)
            return False
        return True

    def _tell_everyone(self, done: list[tuple[Record, Delivery | None]], outcomes: list[WriteOutcome]) -> None:
        events: list[TaskEvent] = []
        ended: dict[str, TaskRecord] = {}
        webhooks = False
        for (record, delivery), outcome in zip(done, outcomes, strict=True):
            events.extend(outcome.events)
            value = outcome.value
            match record, value:
                case RecordAcceptance(), TaskRecord():
                    # before the reply, so that a cancel sent on its receipt finds the task at the master agent
                    value = self._queue(record, value, delivery)
                case RecordAcceptance(task=refused), KeptAnswer():
                    self._buffer.count(refused, -1)
                    value = self._replay(record, value, delivery)
                case RecordRedrive(), TaskRecord() if outcome.events:
                    self._master_agent.notify(TaskQueued(record=value))
                case RecordAcceptance(task=refused) | RecordRedrive(task=refused), _:
                    self._buffer.count(refused, -1)  # it cannot be, or has been redriven before
                case RecordResult(session=session), TaskRecord():
                    if outcome.events:
                        self._buffer.count(value.task, -1)
                        ended[value.task_id] = value
                        webhooks = webhooks or value.task.spec.callback_url is not None
                    if value.status.ended:  # not where the record of another server's attempt was ignored
                        left = session.record if session is not None and outcome.events else None
                        self._master_agent.notify(TaskEnded(record=value, session=left))
                case RecordRequeue(), TaskRecord() if outcome.events:
                    self._master_agent.notify(TaskQueued(record=value))
                case RecordEvents(), True if outcome.accepted:
                    for delegated in outcome.accepted:
                        self._buffer.count(delegated.task, 1)
                        self._master_agent.notify(TaskQueued(record=delegated))
                case RecordPause(), TaskRecord() if outcome.events:
                    self._master_agent.notify(PauseCommitted(record=value))
                case RecordSessionDeleted(session_id=session_id), None | SessionNotFound():
                    self._set_aside(session_id)
                case _:  # nobody else has to be told of it
                    pass
            self._reply(record, delivery, value)
        if webhooks:
            self._courier.notify(DeliveriesDue())
        if events:
            self._waiters.committed(events, ended)
            self._event_bus.notify(EventsCommitted(events=tuple(events), ended=frozenset(ended)))

    def _queue(self, asked: RecordAcceptance, record: TaskRecord, delivery: Delivery | None) -> object:
        """Hand an accepted task to the master agent; an asker who waits for its end is answered then."""
        self._master_agent.notify(TaskQueued(record=record))
        if asked.wait_s is not None and delivery is not None:
            waiting = delivery.carrying(asked)
            delivery.release()
            if self._waiters.add(record.task_id, waiting, asked.wait_s) is None:
                waiting.answer(record)
            return record
        return record.accepted()

    def _replay(self, asked: RecordAcceptance, kept: KeptAnswer, delivery: Delivery | None) -> object:
        """Return the first answer to the same idempotency key, or have an asker who waits told of that task."""
        if kept.task_id is not None and asked.wait_s is not None and delivery is not None:
            try:
                self._readers.forward(delivery, AwaitTask(task_id=kept.task_id, wait_s=asked.wait_s))
            except Unavailable as error:
                delivery.fail(error)
        return kept.accepted() or kept

    def _set_aside(self, session_id: str) -> None:
        """Take the files of a session that is no more out of the reach of a later one of that name.

        Invariant: here, and at once. No task of the session was under way in the transaction, and the master agent
        is not told of a later one before this has been done.
        """
        try:
            if self._workspaces.set_aside(session_id):
                self._janitor.notify(FilesSetAside())
        except OSError as error:
            logger.warning("the files of the deleted session %s stay where they are: %s", session_id, error)

    def _reply(self, record: Record, delivery: Delivery | None, value: Any) -> None:
        if isinstance(value, BaseException):
            if delivery is not None:
                delivery.fail(value)
                return
            if isinstance(value, TaskNotPaused):
                return  # whom it waited for has ended twice, or it has gone on since
            logger.error("could not store %s: %s", type(record).__name__, value, exc_info=value)
            if isinstance(record, RecordResult) and record.error_code != "internal_error":
                self._address.tell(_unstorable(record))  # an accepted task must end, whatever its result is
        elif delivery is not None:
            delivery.answer(value)

    def _tick(self) -> None:
        if not self._check(trial=self._buffer.fault is not None):
            return
        if self._buffer.fault is not None:
            self._buffer.fault = None
            logger.info("the store takes transactions again")
            self._flush()
        elif time.monotonic() >= self._prune_at_s:
            self._prune()
        self.wake_in(min(self._settings.health_interval_s, max(0.0, self._prune_at_s - time.monotonic())))

    def _prune(self) -> None:
        """Delete one small step of what is past retention; the next follows soon if this one was full."""
        try:
            self._forget()
            pruned = self._prune_tasks()
        except (StoreUnavailable, StorageFull) as error:
            self._keep_for_later(error)
            pruned = 0
        self._prune_at_s = time.monotonic() + (0.05 if pruned >= _PRUNE_STEP else _PRUNE_EVERY_S)

    def _forget(self) -> None:
        """Forget the idempotency keys that are old enough, once in a while, and what was spent long ago, once a day."""
        now_s, now = self._clock.monotonic(), self._clock.now()
        if now_s >= self._forget_at_s:
            self._writer.forget_answers(before=now - timedelta(hours=self._settings.idempotency_hours))
            self._forget_at_s = now_s + _PRUNE_EVERY_S
        if now.date() != self._usage_forgotten:
            self._writer.forget_usage(before=now.date() - _USAGE_KEPT)
            self._usage_forgotten = now.date()

    def _prune_tasks(self) -> int:
        days, keep = self._settings.retention_days, self._settings.retention_tasks
        if not (days or keep):
            return 0
        older_than = self._clock.now() - timedelta(days=days) if days else None
        return self._writer.prune_step(older_than=older_than, keep=keep or None, limit=_PRUNE_STEP)


def _must_end(record: Record) -> TypeGuard[RecordResult]:
    """Say whether a record is a cancel: its task's work has been stopped already, so it must be carried out."""
    return isinstance(record, RecordResult) and not record.only_paused


def _survives(record: Record, delivery: Delivery | None) -> bool:
    """Say whether a record is kept although its asker, if it had one, has been told of a failure."""
    return delivery is None or not delivery.answered or _must_end(record)


def _is_work(record: Record) -> bool:
    """Say whether an accepted task's own work has to be on record; everything else is asked for by a caller."""
    worked = RecordStart | RecordEvents | RecordPause | RecordRequeue | RecordResult
    return isinstance(record, worked) and record.attempt is not None


def _unstorable(result: RecordResult) -> RecordResult:
    """Return the end of a task whose own result the store does not take."""
    error = "The task ended, but its result could not be stored; the server's log says why."
    code = "internal_error"
    return RecordResult(
        task_id=result.task_id,
        attempt=result.attempt,
        status=Status.FAILED,
        at=result.at,
        events=(TaskFailed(at=result.at, error=error, error_code=code),),
        error=error,
        error_code=code,
        execution_time_ms=result.execution_time_ms,
    )
