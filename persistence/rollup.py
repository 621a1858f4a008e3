"""What the end of a task says of it: the figures of all its attempts and of the agents below it, and how long it took.

A task has two accounts: on `task` is all that it has spent, attempt by attempt, with what ended tasks below it have; on
`subagents` the latter alone. Both are added to in the transactions of what they tell of, so they are known after a crash
and nothing is in them twice. Pure functions; the writer's thread; imported by `batch.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from callboard import figures
from callboard.budget import Account, Usage
from callboard.messages.event_types import TaskEnd
from callboard.messages.events import NewEvent
from callboard.messages.records import RecordResult
from callboard.messages.tasks import Task, TaskRecord
from callboard.values import Json


def accounts_of(task_id: str) -> tuple[Account, Account]:
    """Return the account of all that a task has spent, and that of the part of the tasks below it."""
    return Account("task", task_id), Account("subagents", task_id)


def tells_all(message: RecordResult, task: Task | None) -> bool:
    """Say whether an end tells of all that was done: a first attempt's own does, which no agent has worked for yet.

    PERF: then no account is read; most tasks have none.
    """
    first = message.attempt == 1 and task is not None and task.redrive_of is None
    return first and "llmCalls" in message.metadata


def summed(message: RecordResult, spent: Usage, below: Usage) -> tuple[Mapping[str, Json], float | None]:
    """Return an ended task's metadata and its milliseconds of work, by its two accounts.

    Where its end tells of more, the task was begun by a version that kept no account of it.
    """
    if spent == below == Usage():
        return message.metadata, message.execution_time_ms
    by_itself = _larger(_less(spent, below), figures.told(message.metadata))
    worked_ms = max(spent.wall_ms, message.execution_time_ms or 0.0)
    return figures.rolled_up(message.metadata, by_itself, below), round(worked_ms, 3)


def with_more_below(record: TaskRecord, more: Usage) -> TaskRecord:
    """Return a task that has ended as it stands when a task below it ends later."""
    return replace(record, state=replace(record.state, metadata=figures.with_more_below(record.metadata, more)))


def passed_up(record: TaskRecord) -> Usage:
    """Return what a task that has ended adds to each task above it: what it took itself; waiting for it is no work."""
    return figures.own(record.metadata)


def stamped(events: Sequence[NewEvent], record: TaskRecord) -> tuple[NewEvent, ...]:
    """Return the last events of a task with how long it took in the one that ends its log."""
    *before, last = events
    assert isinstance(last, TaskEnd)
    return (*before, replace(last, elapsed_time=record.elapsed_ms, execution_time=record.state.execution_time_ms))


def _less(spent: Usage, below: Usage) -> Usage:
    return Usage(**{name: max(0, getattr(spent, name) - getattr(below, name)) for name in Usage.__slots__})


def _larger(one: Usage, other: Usage) -> Usage:
    return Usage(**{name: max(getattr(one, name), getattr(other, name)) for name in Usage.__slots__})
