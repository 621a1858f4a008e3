"""What a paused task waits for, as it is stored with the task and as the ledger's row of the call has it in full.

Pure functions; any thread. Imported by the actors and by the command line.
"""

from collections.abc import Callable, Mapping
from typing import Any

from callboard.errors import TaskNotPaused
from callboard.messages import PauseReason, Status, TaskRecord
from callboard.records import CallRecord


def reason_of(record: TaskRecord) -> PauseReason | None:
    """Return what a task waits for, None if it is not paused."""
    if record.status is not Status.PAUSED:
        return None
    return PauseReason((record.pause or {}).get("reason", PauseReason.OUTCOME_UNKNOWN))


def whole_pause(record: TaskRecord, call: Callable[[str, int], CallRecord | None]) -> Mapping[str, Any]:
    """Return what a task waits for, with the arguments of the call in full; raise `TaskNotPaused`.

    `call` returns a row of a task's ledger. `argsTruncated` stays true where a server before did not keep the whole.
    """
    if reason_of(record) is None:
        raise not_paused(record)
    pause = record.pause or {}
    if "call" not in pause:
        return pause
    row = call(record.task_id, pause["call"])
    whole = None if row is None else row.arguments
    if whole is None:
        return {"argsTruncated": True, **pause}
    if whole.digest != pause.get("digest"):
        raise TaskNotPaused(f"The task {record.task_id} has just been decided about; look at it again.")
    more = {} if whole.edited is None else {"edited": whole.edited}
    if whole.binding is not None:
        more["defaults"] = whole.binding.defaults
    return {**pause, "args": list(whole.args), "kwargs": whole.kwargs, **more, "argsTruncated": False}


def not_paused(record: TaskRecord) -> TaskNotPaused:
    """Return the error of a task that nothing can be decided about."""
    return TaskNotPaused(f"The task {record.task_id} is {record.status}, not paused; there is nothing to decide.")
