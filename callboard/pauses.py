"""What a paused task waits for, as it is stored with the task and as the ledger's row of the call has it in full.

Pure functions; any thread. Imported by the actors and by the command line.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from callboard.errors import TaskNotPaused
from callboard.messages.ledger import CallRecord
from callboard.messages.pauses import PauseReason
from callboard.messages.tasks import Status, TaskRecord


def reason_of(record: TaskRecord) -> PauseReason | None:
    """Return what a task waits for, None if it is not paused."""
    if record.status is not Status.PAUSED:
        return None
    pause = record.state.pause
    return (pause and pause.reason) or PauseReason.OUTCOME_UNKNOWN


def whole_pause(record: TaskRecord, call: Callable[[str, int], CallRecord | None]) -> Mapping[str, Any]:
    """Return the wire form of what a task waits for, with the arguments of the call in full; raise `TaskNotPaused`.

    `call` returns a row of a task's ledger. `argsTruncated` stays true where a server before did not keep the whole.
    """
    if reason_of(record) is None:
        raise not_paused(record)
    pause = record.state.pause
    if pause is None or pause.call is None:
        return {} if pause is None else pause.data()
    row = call(record.task_id, pause.call)
    whole = None if row is None else row.arguments
    if whole is None:
        return {"argsTruncated": True, **pause.data()}
    if whole.digest != pause.digest:
        raise TaskNotPaused(f"The task {record.task_id} has just been decided about; look at it again.")
    return replace(
        pause,
        args=list(whole.args),
        kwargs=whole.kwargs,
        edited=pause.edited if whole.edited is None else whole.edited,
        defaults=pause.defaults if whole.binding is None else whole.binding.defaults,
        args_truncated=False,
    ).data()


def not_paused(record: TaskRecord) -> TaskNotPaused:
    """Return the error of a task that nothing can be decided about."""
    return TaskNotPaused(f"The task {record.task_id} is {record.status}, not paused; there is nothing to decide.")
