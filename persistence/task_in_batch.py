"""A task while a batch works on it, and the state that its end leads to.

Plain data and pure functions; the writer's thread. Imported by `batch.py`, and by `writes.py`, which reads the states.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callboard.messages.records import RecordResult
from callboard.messages.tasks import Status, Task, TaskRecord, TaskState
from callboard.persistence import bounds


@dataclass(slots=True)
class TaskInBatch:
    """How a task stands, and how far its log has come; `task` is None until somebody needs it.

    The state of one that had ended before is what decides a record's fate, and nothing of its end, until it is `whole`.
    """

    task_id: str
    session_id: str
    agent: str | None
    state: TaskState
    last_seq: int = 0
    task: Task | None = None
    is_new: bool = False
    changed: bool = False

    @property
    def ended(self) -> bool:
        return self.state.status.ended

    def change(self, state: TaskState) -> None:
        self.state, self.changed = state, True


def is_running(held: TaskInBatch, attempt: int, owner: str) -> bool:
    state = held.state
    return state.status is Status.RUNNING and state.attempt == attempt and owner in ("", state.owner)


def is_own(held: TaskInBatch, attempt: int | None, owner: str) -> bool:
    """Say whether an attempt may still move the task: it is the task's own and was not handed back or paused."""
    if attempt is None:
        return not held.ended
    if not attempt:
        return attempt == held.state.attempt and held.state.status is Status.PENDING
    return is_running(held, attempt, owner)


def in_batch(record: TaskRecord) -> TaskInBatch:
    """Return a stored task as a batch has it, but for its log."""
    task = record.task
    return TaskInBatch(task.task_id, task.session_id, task.spec.agent, record.state, task=task)


def ended(state: TaskState, message: RecordResult, metadata: Mapping[str, Any], worked_ms: float | None) -> TaskState:
    """Return how a task stands after its end, with the figures and the milliseconds of work of all attempts."""
    return TaskState(
        status=message.status,
        attempt=state.attempt,
        started_at=state.started_at,
        crashes=state.crashes,
        failures=state.failures,
        redriven_as=state.redriven_as,
        ended_at=message.at,
        execution_time_ms=worked_ms,
        error_code=message.error_code,
        metadata=metadata,
        error=bounds.error_text(message.error),
        output=bounds.held(message.output)[0],
    )
