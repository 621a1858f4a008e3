"""What actors tell each other, and themselves, beside what anybody may ask (`callboard.messages`).

All are immutable, because Pykka does not copy. Sent with `tell`, after the commit of what they say has happened.
Imported by `actors/` and the wiring only.
"""

from dataclasses import dataclass

from callboard.conversation import SessionRecord
from callboard.messages import TaskEvent, TaskRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed; sent by an actor's own inbox to actors that ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Tell the courier to send no more: the server stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """The result logger's word to itself: commit what has been buffered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQueued:
    """A task has been committed and may start. If it was asked, the reply is its record at its end or after `wait_s`."""

    record: TaskRecord
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    """A task's end has been committed; `session` is what its session keeps, if the task itself ended it."""

    record: TaskRecord
    session: SessionRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesSetAside:
    """A deleted session's files are out of its reach and can be deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPaused:
    """A pause has been committed."""

    record: TaskRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimited:
    """A run may take no longer than `left_s` seconds more, for the sake of a budget; `error` is what to end it with."""

    task_id: str
    attempt: int
    left_s: float
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFreed:
    """A worker thread has let go of a task, whatever became of it."""

    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsCommitted:
    """These events are in the store; `ended` holds the ids of the tasks among them that have ended."""

    events: tuple[TaskEvent, ...]
    ended: frozenset[str]
