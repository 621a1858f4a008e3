"""What a run is given and what it leaves: the job, the tools every run shares, the way to the log, the outcome.

Data only. Imported by the runner, by the skill calls and by `actors/`.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic_core import to_json

from callboard.agent.cancel import CancelToken
from callboard.agent.catalogue import Catalogue
from callboard.agent.delegation import Delegated
from callboard.agent.purse import Spent
from callboard.agent.roster import Roster
from callboard.agent.sealing import Left, OpenSession, Unsealed
from callboard.agent.spending import Spending
from callboard.budget import Charges
from callboard.clock import Clock
from callboard.conversation import SessionRecord, SessionUpdate
from callboard.errors import TaskError
from callboard.excerpts import excerpt
from callboard.limits import LOG_BYTES, NOTE_CHARS, NOTES, cut
from callboard.messages.event_types import ModelDelta
from callboard.messages.events import NewEvent
from callboard.messages.ledger import CallRecord
from callboard.messages.pauses import Pause
from callboard.messages.records import TooManyBelow
from callboard.messages.tasks import AttachedFile, Task
from callboard.settings import Settings
from callboard.unstorable import type_name
from callboard.values import mend_text, recordable, storable

if TYPE_CHECKING:  # PERF: the control side has jobs, and where worker processes run them neither of these
    from callboard.agent.planner import Planner
    from callboard.agent.sandbox import Sandbox


class Journal(Protocol):
    """Where a run says what happens; any thread of it."""

    def tell(self, event: NewEvent) -> None:
        """Have an event stored soon."""

    def record(self, call: CallRecord, event: NewEvent | None = None) -> None:
        """Have a row of the ledger stored without delay, with the event that tells of it; wait for nothing."""

    def commit(self, events: tuple[NewEvent, ...], calls: tuple[CallRecord, ...], snapshot: Unsealed | None) -> None:
        """Have events stored with rows of the ledger and a snapshot, if there is one; return after the commit.

        Waits while the store takes nothing; raises `Cancelled` if the task is no longer this run's, or is to stop.
        """

    def delegate(
        self,
        events: tuple[NewEvent, ...],
        calls: tuple[CallRecord, ...],
        snapshot: Unsealed | None,
        children: tuple[Delegated, ...],
    ) -> TooManyBelow | None:
        """Do the same with tasks for agents, which are accepted in that transaction; return why not, and nothing is stored."""


class Control(Protocol):
    """What a run asks the control side for; any thread of it. What passes here are values, since it may pass between processes."""

    def session(self, session_id: str) -> OpenSession | None:
        """Return a session as the store has it, None where there is none yet."""

    def left(self, task_id: str) -> Left:
        """Return what earlier attempts at a task have left."""

    def files(self, task_id: str) -> tuple[AttachedFile, ...]:
        """Return what came with a task."""

    def workspace_of(self, task_id: str) -> str | None:
        """Return the session whose files a task works on, None where the task was pruned."""


def as_note(name: str, value: Any) -> tuple[str, Any]:
    """Return a note as plain data; raise `TypeError` or `Unstorable` for what is none."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a note is a text; this is a {type_name(name)}")
    return cut(mend_text(name), NOTE_CHARS), storable(value)


def add_note(notes: dict[str, Any], name: str, value: Any) -> None:
    """Add to what was noted: an excerpt, joined with the object that is there; nothing beyond the limit."""
    before = notes.get(name)
    if len(notes) < NOTES or name in notes:
        joined = isinstance(before, dict) and isinstance(value, dict)
        notes[name] = excerpt(before | value if joined else value)


@dataclass(slots=True)
class Progress:
    """How far a run has come; filled by the worker's thread, read by whoever ends the task."""

    printed: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    spent: Spent | None = None
    # Guards `notes` in the metadata, and the room in the log: calls that are made at once note and tell in threads of their own.
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _log_room_bytes: int = LOG_BYTES

    def note(self, name: str, value: Any) -> None:
        """Put what a skill says of its answer, as plain data, into the metadata's `notes`."""
        with self._guard:
            add_note(self.metadata.setdefault("notes", {}), name, value)

    def fitting(self, event: NewEvent) -> NewEvent | None:
        """Return an event as the log has room for it: without what it quotes once the attempt has told very much, a delta not at all."""
        if self._log_room_bytes > 0:
            try:
                size_bytes = len(to_json(event.data(), inf_nan_mode="strings", fallback=str))
            except ValueError:  # of text that is mended on the way into the store
                size_bytes = len(to_json(recordable(event.data())))
            with self._guard:
                self._log_room_bytes -= size_bytes
            return event
        return None if isinstance(event, ModelDelta) else replace(event, bare=True)

    def charges(self, *, last: bool = False) -> Charges:
        """Return what was spent and is not on record yet; it goes with the next record, `last` with the task's end."""
        return () if self.spent is None else self.spent.charges(last=last)

    @property
    def worked_ms(self) -> float | None:
        """Milliseconds that this attempt has worked; None before it does."""
        return None if self.spent is None else self.spent.worked_ms


UnderWay = Callable[[bool], AbstractContextManager[None]]
"""Notes, where it outlives this process, that a call of a skill is under way in a block; True: one that is `never` repeated."""


def no_note(_never: bool) -> AbstractContextManager[None]:  # it is asked for by position
    """Note nothing: the run ends with the server."""
    return _NOTHING


_NOTHING = nullcontext()


@dataclass(frozen=True, slots=True)
class LostProcess:
    """The worker's process that is gone which an attempt was in, and how it ended, as in "exit 3"."""

    attempt: int
    how: str

    @property
    def told(self) -> str:
        """Why the task goes on, as its log says it."""
        return f"The worker's process that the task was in has ended: {self.how}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt at one task, of which `failures` have failed in a way that may be retried.

    `session` is what the session keeps, as it is stored, None if that is only in the store; `opened` is what a run is given of it.
    The deadline is in UTC for those who are shown it and in seconds of `Clock.monotonic` for those who keep it;
    `ends_by_s` is the task's own one, over all attempts, None without a `timeoutMs`. `lost` is the last process that was lost
    with an attempt at the task, as far as this server knows.
    """

    task: Task
    attempt: int
    failures: int = 0
    session: SessionRecord | None
    opened: OpenSession | None = None
    deadline: datetime
    deadline_s: float
    ends_by_s: float | None = None
    lost: LostProcess | None = None
    token: CancelToken = field(default_factory=CancelToken)
    progress: Progress = field(default_factory=Progress)
    under_way: UnderWay = no_note


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended: an output, an error with its code, or a question; and what it leaves in the session (None: nothing).

    `pause` says what the task waits for; with it go rows of the ledger (`calls`) and the script as it stands (`snapshot`).
    `reopened` are the calls to be made again if the error is retried.
    """

    output: Any = None
    error: TaskError | None = None
    pause: Pause | None = None
    calls: tuple[CallRecord, ...] = ()
    snapshot: Unsealed | None = None
    reopened: tuple[CallRecord, ...] = ()
    metadata: Mapping[str, Any]
    session: SessionUpdate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every run shares."""

    planner: "Planner"
    sandbox: "Sandbox"
    catalogue: Catalogue
    settings: Settings
    clock: Clock
    workspace_root: Path
    roster: Roster
    accounts: Spending
    control: Control
