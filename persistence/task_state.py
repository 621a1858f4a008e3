"""Where a task stands while a batch works on it, and the record of it that this leads to.

Plain data and pure functions; the writer's thread. Imported by `batch.py`, and by `writes.py`, which reads the states.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callboard.messages import Status, TaskRecord
from callboard.persistence import bounds
from callboard.records import RecordResult


@dataclass(slots=True)
class TaskState:
    """A task while a batch works on it; `record` is None until somebody needs it whole."""

    task_id: str
    status: Status
    attempt: int
    started_at: datetime | None = None
    owner: str | None = None
    crashes: int = 0
    failures: int = 0
    not_before: datetime | None = None
    pause: Mapping[str, Any] | None = None
    last_seq: int = 0
    record: TaskRecord | None = None
    is_new: bool = False
    changed: bool = False
    ended: bool = False


def is_running(state: TaskState, attempt: int, owner: str) -> bool:
    return state.status is Status.RUNNING and state.attempt == attempt and owner in ("", state.owner)


def is_own(state: TaskState, attempt: int | None, owner: str) -> bool:
    """Say whether an attempt may still move the task: it is the task's own and was not handed back or paused."""
    if attempt is None:
        return not state.ended
    if not attempt:
        return attempt == state.attempt and state.status is Status.PENDING
    return is_running(state, attempt, owner)


def state_of(record: TaskRecord) -> TaskState:
    """Return the state of a stored task, but for its log."""
    return TaskState(
        record.task_id,
        record.status,
        record.attempt,
        record.started_at,
        record.owner,
        record.crashes,
        record.failures,
        record.not_before,
        record.pause,
        ended=record.status.ended,
    )


def ended(
    state: TaskState,
    record: TaskRecord,
    message: RecordResult,
    metadata: Mapping[str, Any],
    worked_ms: float | None,
) -> TaskRecord:
    """Return a task as its end leaves it, with the figures and the milliseconds of work of all attempts."""
    return standing(
        record,
        state,
        ended_at=message.at,
        output=bounds.held(message.output)[0],
        error=bounds.error_text(message.error),
        error_code=message.error_code,
        execution_time_ms=worked_ms,
        metadata=metadata,
    )


def standing(
    record: TaskRecord,
    state: TaskState,
    *,
    ended_at: datetime | None = None,
    output: Any = None,
    error: str | None = None,
    error_code: str | None = None,
    execution_time_ms: float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> TaskRecord:
    """Return a task with other changing fields. PERF: half of what `dataclasses.replace` takes."""
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
        retry=record.retry,
        callback_url=record.callback_url,
        redrive_of=record.redrive_of,
        budget=record.budget,
        attachments=record.attachments,
        parent_id=record.parent_id,
        root_id=record.root_id,
        depth=record.depth,
        attempt=state.attempt,
        status=state.status,
        owner=state.owner,
        crashes=state.crashes,
        failures=state.failures,
        not_before=state.not_before,
        pause=state.pause,
        started_at=state.started_at,
        ended_at=ended_at,
        output=output,
        error=error,
        error_code=error_code,
        execution_time_ms=execution_time_ms,
        metadata={} if metadata is None else metadata,
    )
