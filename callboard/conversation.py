"""What a session keeps between tasks, and what a task that ends changes of it.

The store has every turn that is kept, each in a row of its own. What a task is given, and what stays in memory between
tasks, is the newest of them as far as a planner reads: so a task costs the same however long its session is. All are
immutable; any thread. Imported by the actors, by the runner, by `persistence/` and by `http/`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from sys import getsizeof

from callboard.limits import CONVERSATION_READ_CHARS, TURN_CHARS, TURN_READ_CHARS, cut_middle

MOST_TURNS_KEPT = 10_000
"""The most that `CALLBOARD_CONVERSATION_TURNS` can be."""

A_TURN_CHARS = 100
"""What each turn counts for beside its text, so that ten thousand empty ones count too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of a conversation; `role` is `user` or `assistant`.

    Stored turns have a `number`, which goes up by one within the session, and the `task_id` of what was asked (None: said
    before that was kept).
    """

    role: str
    content: str
    number: int = 0
    task_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """What a session keeps between tasks.

    `conversation` is a part of it that is bounded, oldest first: for people a page, and `next_before` is what to ask with
    for the turns before it (None: there are none); for a task the newest turns, as a planner reads them. `variables`
    are the names its code has bound; `interpreter` is the signed dump that holds their values, for a task only.
    """

    session_id: str
    created_at: datetime
    updated_at: datetime
    conversation: tuple[Turn, ...] = ()
    variables: tuple[str, ...] = ()
    interpreter: bytes | None = None
    tasks: int = 0
    next_before: int | None = None

    @property
    def size_bytes(self) -> int:
        """About how many bytes of memory it takes."""
        said = sum(getsizeof(turn.content) for turn in self.conversation)
        return said + sum(map(getsizeof, self.variables)) + len(self.interpreter or b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUpdate:
    """What a task that ends leaves in its session.

    `said` is added to its turns, of which the oldest beyond `most_turns` are deleted. `record` is how the session then
    stands for its next task; what it has of variables is written only where `variables_changed`.
    """

    record: SessionRecord
    said: tuple[Turn, ...] = ()
    most_turns: int = MOST_TURNS_KEPT
    variables_changed: bool = False


def turn_of(role: str, content: str) -> Turn:
    """Return a turn to be kept; of a text that is too long the middle is left out, which is said there."""
    return Turn(role=role, content=cut_middle(content, TURN_CHARS))


def as_read(newest_first: Iterable[Turn], most_turns: int = MOST_TURNS_KEPT) -> tuple[Turn, ...]:
    """Return, oldest first, the turns that a planner is given, long ones shortened; takes no more of them than it needs."""
    found: list[Turn] = []
    room = CONVERSATION_READ_CHARS
    for turn in newest_first:
        short = excerpt(turn)
        room -= len(short.content) + A_TURN_CHARS
        if room < 0 or len(found) == most_turns:
            break
        found.append(short)
    return tuple(reversed(found))


def excerpt(turn: Turn) -> Turn:
    """Return a turn as a planner is given it; one that was shortened before is left as it is."""
    if len(turn.content) <= TURN_READ_CHARS + A_TURN_CHARS:
        return turn
    return replace(turn, content=cut_middle(turn.content, TURN_READ_CHARS))
