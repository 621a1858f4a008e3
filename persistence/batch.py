"""What a batch of records does to the tasks it names, decided in Python.

A batch sees the stored state of its tasks, carries out its records in order, each seeing those before it, and
is left with rows: one for each task, event and session that changed. No SQL here. The writer's thread;
imported by `writes.py` (and `WriteOutcome` by `store.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callboard.errors import TaskNotFound
from callboard.messages import (
    NewEvent,
    RecordAcceptance,
    RecordEvents,
    RecordResult,
    RecordStart,
    SessionRecord,
    Status,
    TaskEvent,
    TaskRecord,
)
from callboard.persistence.codec import Rows
from callboard.persistence.statements import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOutcome:
    """What became of one record: its `value` as messages.py says, and the events it appended, numbered."""

    value: Any
    events: tuple[TaskEvent, ...] = ()


@dataclass(slots=True)
class TaskState:
    """A task while a batch works on it; `record` is None until somebody needs it whole."""

    task_id: str
    status: Status
    attempt: int
    started_at: datetime | None
    last_seq: int
    record: TaskRecord | None = None
    is_new: bool = False
    changed: bool = False
    ended: bool = False


FALSE = WriteOutcome(value=False)
TRUE = WriteOutcome(value=True)


class Batch:
    """Records carried out on `states`; afterwards its fields say what to store.

    `whole` returns a stored task with all its fields, for the few that the writer does not hold in memory.
    """

    def __init__(self, rows: Rows, states: dict[str, TaskState], whole: Callable[[str], TaskRecord]) -> None:
        self.states = states
        self.event_rows: list[Row] = []
        self.sessions: dict[str, SessionRecord] = {}
        self.bare_sessions: dict[str, SessionRecord] = {}
        self.accepted = 0
        self.ended: dict[str, TaskRecord] = {}
        self._rows = rows
        self._whole = whole

    def accept(self, message: RecordAcceptance) -> WriteOutcome:
        record = message.record
        self.states[record.task_id] = state = TaskState(
            record.task_id, record.status, record.attempt, record.started_at, 0, record, is_new=True
        )
        self.accepted += 1
        return WriteOutcome(value=record, events=self._append(state, (message.event,)))

    def start(self, message: RecordStart) -> WriteOutcome:
        state = self.states.get(message.task_id)
        if state is None or state.ended or message.attempt <= state.attempt:
            return FALSE
        state.status = Status.RUNNING
        state.attempt = message.attempt
        state.started_at = message.at
        state.changed = True
        return TRUE

    def append(self, message: RecordEvents) -> WriteOutcome:
        state = self.states.get(message.task_id)
        if state is None or state.ended or message.attempt != state.attempt:
            return FALSE
        return WriteOutcome(value=True, events=self._append(state, message.events))

    def end(self, message: RecordResult) -> WriteOutcome:
        state = self.states.get(message.task_id)
        if state is None:
            return WriteOutcome(value=TaskNotFound(f"There is no task {message.task_id}."))
        if state.record is None:
            state.record = self._whole(message.task_id)
        if state.ended or message.attempt not in (None, state.attempt):
            return WriteOutcome(value=_as_it_stands(state, state.record))
        if not message.status.ended:
            return WriteOutcome(value=ValueError(f"A result cannot leave a task {message.status}."))
        events = self._append(state, message.events)
        state.record = record = _ended(state, state.record, message)
        state.status = message.status
        state.ended = state.changed = True
        self.ended[state.task_id] = record
        self._keep_session(record, message)
        return WriteOutcome(value=record, events=events)

    def new_rows(self) -> list[Row]:
        """Return the rows of accepted tasks, as they stand after the whole batch."""
        return [
            self._rows.task(_as_it_stands(state, state.record))
            for state in self.states.values()
            if state.is_new and state.record is not None
        ]

    def changed_rows(self) -> list[Row]:
        """Return what changes in the rows of tasks that were stored before; in the order of their ids."""
        rows = self._rows
        changed = [s for s in self.states.values() if s.changed and not s.is_new]
        return [
            rows.ended(s.record)
            if s.ended and s.record is not None
            else rows.started(s.task_id, s.status, s.attempt, s.started_at)
            for s in changed
        ]

    def counted(self) -> dict[str, int | float]:
        """Return what to add to the totals."""
        counts: dict[str, int | float] = {
            "more_total": self.accepted,
            "more_live": self.accepted - len(self.ended),
            "more_stored": len(self.ended),
            "more_execution_ms": 0.0,
            "more_completed": 0,
            "more_failed": 0,
            "more_cancelled": 0,
        }
        for record in self.ended.values():
            counts[f"more_{record.status._value_}"] += 1
            counts["more_execution_ms"] += record.execution_time_ms or 0.0
        return counts

    def _append(self, state: TaskState, new: tuple[NewEvent, ...]) -> tuple[TaskEvent, ...]:
        """Number events from the last one on; the writer owns the rows, so numbers have no gap."""
        task_id, seq, made = state.task_id, state.last_seq, []
        for event in new:
            seq += 1
            self.event_rows.append(self._rows.event(task_id, seq, event))
            made.append(TaskEvent(task_id=task_id, seq=seq, topic=event.topic, at=event.at, data=event.data))
        state.last_seq = seq
        return tuple(made)

    def _keep_session(self, record: TaskRecord, message: RecordResult) -> None:
        # Invariant: a session has a row once a task of it has ended, so one without a row and without
        # unended tasks is unknown or deleted.
        if message.session is not None:
            self.sessions[message.session.session_id] = message.session
        elif record.session_id not in self.sessions:
            self.bare_sessions[record.session_id] = SessionRecord(
                session_id=record.session_id, created_at=record.created_at, updated_at=message.at
            )


def _as_it_stands(state: TaskState, record: TaskRecord) -> TaskRecord:
    """Return the record with what a start has changed since it was made."""
    if state.attempt == record.attempt and state.status is record.status:
        return record
    return _with(record, status=state.status, attempt=state.attempt, started_at=state.started_at)


def _ended(state: TaskState, record: TaskRecord, message: RecordResult) -> TaskRecord:
    return _with(
        record,
        status=message.status,
        attempt=state.attempt,
        started_at=state.started_at,
        ended_at=message.at,
        output=message.output if message.status is Status.COMPLETED else None,
        error=message.error,
        error_code=message.error_code,
        execution_time_ms=message.execution_time_ms,
        metadata=message.metadata,
    )


def _with(
    record: TaskRecord,
    *,
    status: Status,
    attempt: int,
    started_at: datetime | None,
    ended_at: datetime | None = None,
    output: Any = None,
    error: str | None = None,
    error_code: str | None = None,
    execution_time_ms: float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> TaskRecord:
    """Return a task with other changing fields. PERF: 2.4 µs, where `dataclasses.replace` takes 4.4 µs."""
    return TaskRecord(
        task_id=record.task_id,
        session_id=record.session_id,
        task=record.task,
        created_at=record.created_at,
        system_prompt=record.system_prompt,
        available_skills=record.available_skills,
        agent=record.agent,
        labels=record.labels,
        timeout_ms=record.timeout_ms,
        priority=record.priority,
        request_id=record.request_id,
        caller=record.caller,
        attempt=attempt,
        status=status,
        started_at=started_at,
        ended_at=ended_at,
        output=output,
        error=error,
        error_code=error_code,
        execution_time_ms=execution_time_ms,
        metadata={} if metadata is None else metadata,
    )
