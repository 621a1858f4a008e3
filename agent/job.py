"""What a run is given and what it leaves: the job, the tools every run shares, the way to the log, the outcome.

Data only. Imported by the runner, by the skill calls and by `actors/`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from callboard.agent.cancel import CancelToken
from callboard.agent.catalogue import Catalogue
from callboard.agent.planner import Planner
from callboard.agent.sandbox import Sandbox
from callboard.agent.signing import Signer
from callboard.clock import Clock
from callboard.errors import TaskError
from callboard.messages import SessionRecord, TaskRecord
from callboard.records import CallRecord, NewEvent, TaskLedger
from callboard.settings import Settings


class Journal(Protocol):
    """Where a run says what happens."""

    def tell(self, event: NewEvent) -> None:
        """Have an event stored soon."""

    def tell_now(self, event: NewEvent, call: CallRecord) -> None:
        """Have an event stored without delay, with a row of the ledger."""

    def commit(self, event: NewEvent, calls: tuple[CallRecord, ...], snapshot: bytes | None) -> None:
        """Have an event stored with rows of the ledger and a snapshot, if there is one; return after the commit.

        Waits while the store takes nothing; raises `Cancelled` if the task is no longer this run's, or is to stop.
        """


@dataclass(slots=True)
class Progress:
    """How far a run has come; filled by the worker's thread, read by whoever ends the task."""

    printed: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


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
    """How an attempt ended: an output, an error with its code, or a question; and what the session keeps of it.

    `pause` says what a person has to decide; `reopened` is the call to be made again if the error is retried.
    """

    output: Any = None
    error: TaskError | None = None
    pause: Mapping[str, Any] | None = None
    reopened: CallRecord | None = None
    metadata: Mapping[str, Any]
    session: SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every run shares."""

    planner: Planner
    sandbox: Sandbox
    catalogue: Catalogue
    signer: Signer
    settings: Settings
    clock: Clock
    workspace_root: Path
    load_session: Callable[[str], SessionRecord | None]
    load_ledger: Callable[[str], TaskLedger]
