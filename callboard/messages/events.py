"""Events: a task's log, the log of a task and of those below it, and the feed of all tasks.

All go by an event's position, a number that goes up over the whole history in the order of the commits. All are immutable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pydantic.dataclasses import dataclass as request

from callboard.messages.ask import Ask
from callboard.messages.tasks import (
    MASTER,
)
from callboard.messages.wire import BESIDE, Wire
from callboard.values import Json


class Topic(StrEnum):
    """Names of events."""

    TASK_EXECUTE = "agent.task.execute"
    STEP_STARTED = "agent.step.started"
    STEP_COMPLETED = "agent.step.completed"
    TASK_COMPLETED = "agent.task.completed"
    TASK_FAILED = "agent.task.failed"
    TASK_CANCELLED = "agent.task.cancelled"
    TASK_PAUSED = "agent.task.paused"
    TASK_REQUEUED = "agent.task.requeued"
    SKILL_STARTED = "agent.skill.started"
    SKILL_COMPLETED = "agent.skill.completed"
    MODEL_DELTA = "agent.model.delta"
    MODEL_COMPLETED = "agent.model.completed"


ENDS = frozenset({Topic.TASK_COMPLETED, Topic.TASK_FAILED, Topic.TASK_CANCELLED})
"""The topics that end a task's log."""


MOST_POSITION = 10**15 - 1
"""No event's position is above: below 2^53, and of 15 digits, so that every reader of JSON keeps it as it is."""

MOST_EVENTS = 1000
"""Events on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent(Wire):
    """An event before the store has given it its number; `event_types` has one class for each topic.

    `caller` is who asked for what it tells of: a new task, a decision, a cancel; None where nobody did, or this process.
    `bare`: the log has no room for what it quotes, which is left out of the wire form.
    """

    topic: ClassVar[Topic]
    at: datetime = field(metadata=BESIDE)
    caller: str | None = field(default=None, metadata=BESIDE)
    bare: bool = field(default=False, metadata=BESIDE)

    def data(self) -> dict[str, Json]:
        """Return the wire form."""
        told = Wire.data(self)
        if self.bare and (quoted := told.keys() & self.quoted()):
            told = {key: value for key, value in told.items() if key not in quoted} | {"truncated": True}
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """One entry of a task's log; `seq` counts 1, 2, 3, … without a gap within the task.

    `position` goes up over all events of the history, in the order of their commits, with gaps. Of an event that has just been
    committed `size_bytes` is that of its data, `session_id` and `agent` are its task's; of one that is read they say nothing.
    `caller` is who asked for what it tells of (`NewEvent.caller`); nobody is shown it over HTTP.
    """

    task_id: str
    seq: int
    topic: Topic
    at: datetime
    data: Mapping[str, Json]
    position: int = 0
    caller: str | None = None
    size_bytes: int = field(default=0, compare=False)
    session_id: str = field(default="", compare=False)
    agent: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Some events of one task, oldest first; `ended` says that the task has ended and these are the last.

    `log_ends_at` is the number of the last event of a log that ends before the number it was asked behind, which is of another
    copy of the history; else None.
    """

    events: tuple[TaskEvent, ...]
    ended: bool
    log_ends_at: int | None = None

    @property
    def tells(self) -> bool:
        """Whether there is something in it for who would wait for it."""
        return bool(self.events) or self.ended or self.log_ends_at is not None


@request(frozen=True, slots=True, kw_only=True)
class GetEvents(Ask[EventPage]):
    """Ask for an `EventPage`: a task's events with a number above `after`, oldest first."""

    task_id: str
    after: int = 0
    limit: int = 1000


@request(frozen=True, slots=True, kw_only=True)
class AwaitEvents(Ask[EventPage]):
    """Like `GetEvents`, but held up to `wait_s` seconds while there is nothing to tell and the task goes on."""

    task_id: str
    wait_s: float
    after: int = 0
    limit: int = 1000


@request(frozen=True, slots=True, kw_only=True)
class GetFamilyEvents(Ask["FamilyPage"]):
    """Ask for a `FamilyPage`: the events of a task, and of all tasks below it, behind a place in its stream.

    The place is the task's own number `after`, or with `position` that one. Raises `TaskNotFound`.
    """

    task_id: str
    after: int = 0
    position: int | None = None
    limit: int = MOST_EVENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyPage:
    """Some events in the order of their positions, each above `position`; `more`: there were others behind them.

    `last_seq` is the number of the task's own last event. `family` are the ids of the task and of all tasks below it, as they were after the events were read: what is
    committed later belongs to them, or to tasks that they delegate later. `ended` says that the task itself had ended
    before the events were read.
    """

    events: tuple[TaskEvent, ...]
    position: int
    last_seq: int
    family: frozenset[str]
    more: bool
    ended: bool


@request(frozen=True, slots=True, kw_only=True)
class ListEvents(Ask["FeedPage"]):
    """Ask for a `FeedPage`: events of any task with a position above `after`, those that fit.

    `after` None: none, but where the feed stands now. No `topics`: all.
    """

    after: int | None = None
    topics: frozenset[Topic] = frozenset()
    task_id: str | None = None
    session_id: str | None = None
    agent: str | None = None
    limit: int = MOST_EVENTS

    def wants(self, event: TaskEvent) -> bool:
        """Say whether an event that has just been committed fits."""
        return (
            (not self.topics or event.topic in self.topics)
            and (self.task_id is None or event.task_id == self.task_id)
            and (self.session_id is None or event.session_id == self.session_id)
            and (self.agent is None or (event.agent or MASTER) == self.agent)
        )

    def behind(self, position: int) -> "ListEvents":
        """Return the same question about what comes behind a position."""
        return replace(self, after=position)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEntry:
    """One event of the feed, with the session of its task."""

    event: TaskEvent
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """Some events in order, and the position to go on after; `more`: not all that was there has been looked at.

    A page looks at a bounded number of events, so it may be empty and there may be more all the same.
    """

    entries: tuple[FeedEntry, ...]
    next_after: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsCommitted:
    """These events are in the store; `ended` holds the ids of the tasks among them that have ended."""

    events: tuple[TaskEvent, ...]
    ended: frozenset[str]
