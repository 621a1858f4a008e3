"""What a run is given and what it leaves: the job, the tools every run shares, the way to the log, the outcome.

Data only. Imported by the runner, by the skill calls and by `actors/`.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic_core import to_json

from callboard.agent.cancel import CancelToken
from callboard.agent.catalogue import Catalogue
from callboard.agent.delegation import Delegated
from callboard.agent.planner import Planner
from callboard.agent.roster import Roster
from callboard.agent.sandbox import Sandbox
from callboard.agent.signing import Signer
from callboard.agent.spending import Accounts, Purse
from callboard.budget import Charges
from callboard.clock import Clock
from callboard.conversation import SessionRecord, SessionUpdate
from callboard.errors import TaskError
from callboard.excerpts import excerpt
from callboard.limits import LOG_BYTES, NOTE_CHARS, NOTES, cut
from callboard.messages import AttachedFile, TaskRecord, Topic
from callboard.records import CallRecord, NewEvent, TaskLedger
from callboard.settings import Settings
from callboard.unstorable import type_name
from callboard.values import mend_text, recordable, storable

_QUOTED = frozenset({"args", "kwargs", "edited", "result", "code", "printed", "thoughts", "tools", "exception"})
"""What events quote of code, calls and answers."""


class Journal(Protocol):
    """Where a run says what happens; any thread of it."""

    def tell(self, event: NewEvent) -> None:
        """Have an event stored soon."""

    def record(self, call: CallRecord, event: NewEvent | None = None) -> None:
        """Have a row of the ledger stored without delay, with the event that tells of it; wait for nothing."""

    def commit(self, events: tuple[NewEvent, ...], calls: tuple[CallRecord, ...], snapshot: bytes | None) -> None:
        """Have events stored with rows of the ledger and a snapshot, if there is one; return after the commit.

        Waits while the store takes nothing; raises `Cancelled` if the task is no longer this run's, or is to stop.
        """


@dataclass(slots=True)
class Progress:
    """How far a run has come; filled by the worker's thread, read by whoever ends the task."""

    printed: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    purse: Purse | None = None
    # Guards `notes` in the metadata: skills that are called at once may each note something, in threads of their own.
    _noting: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _log_room_bytes: int = LOG_BYTES

    def note(self, name: str, value: Any) -> None:
        """Put what a skill says of its answer into the metadata's `notes`; an object is joined with the one that is there."""
        if not isinstance(name, str):
            raise TypeError(f"the name of a note is a text; this is a {type_name(name)}")
        name, value = cut(mend_text(name), NOTE_CHARS), storable(value)
        with self._noting:
            notes: dict[str, Any] = self.metadata.setdefault("notes", {})
            before: Any = notes.get(name)
            if len(notes) < NOTES or name in notes:
                joined = isinstance(before, dict) and isinstance(value, dict)
                notes[name] = excerpt(before | value if joined else value)

    def fitting(self, event: NewEvent) -> NewEvent | None:
        """Return an event as the log has room for it: without what it quotes once the attempt has told very much, a delta not at all."""
        if self._log_room_bytes > 0:
            try:
                size_bytes = len(to_json(event.data, inf_nan_mode="strings", fallback=str))
            except ValueError:  # of text that is mended on the way into the store
                size_bytes = len(to_json(recordable(event.data)))
            self._log_room_bytes -= size_bytes
            return event
        if event.topic is Topic.MODEL_DELTA:
            return None
        if not event.data.keys() & _QUOTED:
            return event
        told = {name: value for name, value in event.data.items() if name not in _QUOTED}
        return replace(event, data={**told, "truncated": True})

    def charges(self, *, last: bool = False) -> Charges:
        """Return what was spent and is not on record yet; it goes with the next record, `last` with the task's end."""
        return () if self.purse is None else self.purse.charges(last=last)

    @property
    def worked_ms(self) -> float | None:
        """Milliseconds that this attempt has worked; None before it does."""
        return None if self.purse is None else self.purse.worked_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt at one task; `session` is what the session keeps, None if that is only in the store.

    The deadline is in UTC for those who are shown it and in seconds of `Clock.monotonic` for those who keep it;
    `ends_by_s` is the task's own one, over all attempts, None without a `timeoutMs`.
    """

    record: TaskRecord
    attempt: int
    session: SessionRecord | None
    deadline: datetime
    deadline_s: float
    ends_by_s: float | None = None
    token: CancelToken = field(default_factory=CancelToken)
    progress: Progress = field(default_factory=Progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended: an output, an error with its code, or a question; and what it leaves in the session (None: nothing).

    `pause` says what the task waits for; with it go rows of the ledger (`calls`), the script as it stands (`snapshot`)
    and the tasks of the agents it has delegated to. `reopened` are the calls to be made again if the error is retried.
    """

    output: Any = None
    error: TaskError | None = None
    pause: Mapping[str, Any] | None = None
    calls: tuple[CallRecord, ...] = ()
    snapshot: bytes | None = None
    children: tuple[Delegated, ...] = ()
    reopened: tuple[CallRecord, ...] = ()
    metadata: Mapping[str, Any]
    session: SessionUpdate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every run shares.

    `load_files` returns what came with a task, `count_below` how many tasks there are below the first of a line.
    """

    planner: Planner
    sandbox: Sandbox
    catalogue: Catalogue
    signer: Signer
    settings: Settings
    clock: Clock
    workspace_root: Path
    roster: Roster
    accounts: Accounts
    load_files: Callable[[str], tuple[AttachedFile, ...]]
    count_below: Callable[[str], int]
    load_task: Callable[[str], TaskRecord]
    load_session: Callable[[str], SessionRecord | None]
    load_ledger: Callable[[str], TaskLedger]
