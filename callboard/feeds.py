"""What streams of events are read with: the log of a task and of those below it, and the feed of all tasks.

Both go by an event's position, a number that goes up over the whole history in the order of the commits. All are
immutable. Imported by the actors, by `persistence/` and by `http/`.
"""

from dataclasses import dataclass, replace

from callboard.messages import TaskEvent, Topic

MOST_EVENTS = 1000
"""Events on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetFamilyEvents:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEvents:
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
        """Say whether an event fits, as far as the event itself tells: its session and its agent it does not."""
        if self.task_id is not None and event.task_id != self.task_id:
            return False
        return not self.topics or event.topic in self.topics

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
