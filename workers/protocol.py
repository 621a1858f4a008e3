"""What the two sides say to each other about runs: the control side assigns them, the work side tells how they go.

All are immutable values with a wire form (`codec.py`), whether they cross to another process or stay in this one. Nothing
else is shared but the log. Imported by `workers/` and by the actors' task pool.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from callboard.agent.cancel import CancelToken
from callboard.agent.delegation import Delegated
from callboard.agent.job import LostProcess, Outcome, Progress
from callboard.agent.sealing import OpenSession, Unsealed
from callboard.budget import Charges
from callboard.errors import CallboardError
from callboard.messages.events import NewEvent
from callboard.messages.ledger import CallRecord
from callboard.messages.tasks import Task


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at one task: what everything that is said about it names."""

    task_id: str
    attempt: int


# --- down: to the work side ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What is to be worked on: all that a run needs and does not ask for.

    `session` is what the session keeps, opened, None if that is in the store alone. The deadlines and `lost` are those of `Job`; `time.monotonic` is one clock for all processes of a machine.
    """

    task: Task
    attempt: int
    failures: int
    session: OpenSession | None
    deadline: datetime
    deadline_s: float
    ends_by_s: float | None = None
    lost: LostProcess | None = None
    slot: int = 0

    @property
    def run(self) -> Run:
        return Run(self.task.task_id, self.attempt)


@dataclass(frozen=True, slots=True)
class Cancel:
    """The run is over: somebody else has ended its task."""

    run: Run


@dataclass(frozen=True, slots=True)
class HandBack:
    """The run is to stop between two calls, to be gone on with elsewhere."""

    run: Run


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request comes to: a value, or the error to be raised; `cancelled`: the run is to stop."""

    number: int
    value: Any = None
    error: CallboardError | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """The first that a process is told: the settings that it needs, and what there is of tools of servers."""

    settings: Mapping[str, Any]
    servers: Any


@dataclass(frozen=True, slots=True)
class Listing:
    """What servers of tools have now, as a whole: it holds for the runs that are assigned after it."""

    servers: Any


IS_THERE = 0
"""The number of the probe that is answered by whoever reads."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Say whether the sandbox works; `IS_THERE`, whether anything gets on."""

    number: int


@dataclass(frozen=True, slots=True)
class Close:
    """End when every run is over."""


Down = Assignment | Cancel | HandBack | Answered | Begin | Listing | Probe | Close


# --- up: to the control side ---


@dataclass(frozen=True, slots=True)
class Told:
    """Events, to be stored soon."""

    run: Run
    events: tuple[NewEvent, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of the ledger, to be stored without delay, with the event that tells of it."""

    run: Run
    call: CallRecord
    event: NewEvent | None


@dataclass(frozen=True, slots=True)
class Commit:
    """What is to be stored before the run goes on, and the tasks that it delegates (None: it is no delegation).

    Answered with True, or with False where the attempt is not the task's own any more; or with `TooManyBelow`.
    """

    run: Run
    events: tuple[NewEvent, ...]
    calls: tuple[CallRecord, ...]
    snapshot: Unsealed | None
    children: tuple[Delegated, ...] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One method of the control side that a run calls (`Control`), answered with what it returns or raises."""

    run: Run | None
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """Something that is answered."""

    number: int
    asks: Commit | Call


@dataclass(frozen=True, slots=True)
class Printed:
    """Text that a run's code has printed; None: what it has printed is forgotten, it begins anew."""

    run: Run
    text: str | None


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far a run has come: what its task's result would say of it now (None: it says so itself), and what it has newly spent."""

    run: Run
    metadata: Mapping[str, Any] | None
    charges: Charges


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """A budget of time ends the run in `left_s` seconds, with this error."""

    run: Run
    left_s: float
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The run is over, and its thread free: with an outcome, for what the server lacks (`lacking`), or since it was told to stop."""

    run: Run
    outcome: Outcome | None = None
    lacking: CallboardError | None = None
    worked_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker's process can be given runs."""

    pid: int


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe has found: None where all is well."""

    number: int
    fault: str | None = None


Up = Told | Recorded | Request | Printed | Progressed | TimeLeft | Ended | Ready | Probed


class Reply(Protocol):
    """Where the answer to a request arrives."""

    def get(self, *, timeout_s: float) -> Any:
        """Return the answer or raise the error it is; raise `TimeoutError` if there is none in time."""


class Link(Protocol):
    """The work side's way to the control side; any thread."""

    def tell(self, message: Told | TimeLeft) -> None:
        """Say something that may wait a moment."""

    def tell_now(self, message: Recorded | Ended) -> None:
        """Say something that is on its way, out of this process, when this returns; behind all that was told before."""

    def ask(self, asks: Commit) -> Reply:
        """Have something stored; the answer comes after the commit."""


class Desk(Protocol):
    """The control side, as workers reach it; any thread."""

    def take(self, message: Told | Recorded | TimeLeft | Ended) -> None:
        """Have something stored or known; waits for nobody."""

    def commit(self, message: Commit, then: Callable[[Any, BaseException | None], None] | None = None) -> "Reply":
        """Have something stored; the answer arrives at the reply that is returned, and `then` is called with it, in another thread."""

    def lost(self, run: Run, *, crashed: bool, how: str) -> None:
        """Take back a run whose process is gone; `crashed`: it died by itself, while the run was in a call; `how` as in "exit 3"."""


class Workers(Protocol):
    """Where runs are worked on: threads of this process, or processes. Any thread."""

    @property
    def most_alone(self) -> int:
        """How many runs that are suspected of killing what they run in may go at once, each without the others dying of it."""

    def assign(self, assignment: Assignment, token: CancelToken, progress: Progress, *, alone: bool = False) -> None:
        """Have a run worked on, at once; it stops when the token is set, and `progress` tells how far it has come.

        `alone`: by nobody who has other runs, where that can be.
        """

    def stand_in(self, run: Run) -> None:
        """Have another worker stand in for one that does not let go of a run which is over."""

    def probe(self) -> None:
        """Have the sandbox tried; raise why it does not work."""

    def close(self, until_s: float) -> bool:
        """End every worker when its runs are over; False if some were not by then (`time.monotonic`)."""

    def kill(self) -> None:
        """End those that are left, where that can be, at once."""
