"""What the result logger is told to write, and the ledger of calls that makes a task's work durable.

Each `Record…` is carried out in one transaction with whatever else is waiting; its outcome is told or replied after
the commit. All are immutable. Imported by the actors, by the runner and by `persistence/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from callboard.budget import Charges
from callboard.conversation import SessionUpdate
from callboard.messages.ask import Ask
from callboard.messages.deliveries import (
    WebhookDelivery,
)
from callboard.messages.events import (
    NewEvent,
)
from callboard.messages.ledger import CallRecord
from callboard.messages.pauses import Pause
from callboard.messages.tasks import (
    AttachedFile,
    Idempotency,
    KeptAnswer,
    Status,
    Task,
    TaskAccepted,
    TaskRecord,
)
from callboard.values import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAcceptance(Ask[TaskAccepted | TaskRecord | KeptAnswer]):
    """Store a new task with its first event. Outcome: the `TaskRecord`.

    With `wait_s` the asker is answered at the task's end, or after that time as it stands then. With an
    `idempotency` key that has been used, nothing is stored. Outcome: the `KeptAnswer`, or `IdempotencyConflict`.
    """

    task: Task
    event: NewEvent
    wait_s: float | None = None
    idempotency: Idempotency | None = None
    files: tuple[AttachedFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRefusal(Ask[KeptAnswer]):
    """Keep the error that a request with an idempotency key was answered with. Outcome: the `KeptAnswer` that holds."""

    idempotency: Idempotency
    at: datetime
    answer: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStart(Ask[bool]):
    """Set a pending task to `running` under a new attempt, owned by a server. Outcome: whether it was."""

    task_id: str
    attempt: int
    at: datetime
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvents(Ask["bool | TooManyBelow"]):
    """Append events to a task's log, with the rows of its ledger that they tell of, new or changed.

    `children` are the tasks that it hands to other agents, accepted in the same transaction; those that are stored already
    are left alone. Where they would make more than `most_below` below the first task of the line, nothing of the record is
    carried out: `TooManyBelow`.

    Outcome: whether the attempt is still the task's own and it is running. Here and in what follows, an `owner` that is
    given must be the server that runs the task: another one may have begun an attempt of the same number; and
    `charges` are added to their accounts if the record is carried out.
    """

    task_id: str
    attempt: int
    events: tuple[NewEvent, ...]
    calls: tuple[CallRecord, ...] = ()
    snapshot: bytes | None = None
    children: tuple[RecordAcceptance, ...] = ()
    most_below: int | None = None
    charges: Charges = ()
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TooManyBelow:
    """Why tasks are not handed to agents: `there` are below the first task of the line already, and these were `new`."""

    there: int
    new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPause(Ask[TaskRecord]):
    """Set a running task to `paused`: a person has to decide, or other agents have to end.

    `calls` and `snapshot` are where it stands. Outcome: the `TaskRecord` as it now stands.
    """

    task_id: str
    attempt: int
    at: datetime
    pause: Pause
    events: tuple[NewEvent, ...]
    calls: tuple[CallRecord, ...] = ()
    snapshot: bytes | None = None
    charges: Charges = ()
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRequeue(Ask[TaskRecord]):
    """Set a task back to `pending`, to be gone on with under its next attempt, not before `not_before`.

    `attempt` None: the task must be paused, since its attempt `paused_attempt` if that is given (a decision, or the end of what
    it waits for), else the outcome is `TaskNotPaused`; otherwise the attempt must still be the task's own. `crashes` and `failures` replace the task's counts where they are given; `calls`
    are rows of the ledger that change. Outcome: the `TaskRecord` as it now stands, or `TaskNotFound`.
    """

    task_id: str
    attempt: int | None
    at: datetime
    events: tuple[NewEvent, ...]
    crashes: int | None = None
    failures: int | None = None
    not_before: datetime | None = None
    calls: tuple[CallRecord, ...] = ()
    charges: Charges = ()
    owner: str = ""
    paused_attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResult(Ask[TaskRecord]):
    """End a task with its last events and what it leaves in its session.

    `attempt` None ends it whatever attempt is running (cancel, deadline). Outcome: the `TaskRecord` as it now
    stands (ended by this or by something earlier), or `TaskNotFound`; with `only_paused`, `TaskNotPaused` for a task
    that is not, or not since its attempt `paused_attempt`. `metadata` replaces what was there; `output` of a task that did not complete is what it had printed.
    """

    task_id: str
    attempt: int | None
    status: Status
    at: datetime
    events: tuple[NewEvent, ...]
    output: Json = None
    error: str | None = None
    error_code: str | None = None
    execution_time_ms: float | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    session: SessionUpdate | None = None
    only_paused: bool = False
    paused_attempt: int | None = None
    charges: Charges = ()
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRedrive(Ask[TaskRecord]):
    """Give a dead letter one more chance: a new task with its ledger, so that nothing that was done is done again.

    Outcome: the new `TaskRecord`; where the dead letter has been redriven before, the task of then;
    `DeadLetterNotFound` for a task that is none; `DelegationRefused` where it was delegated and there are `most_below` below
    the first task of its line already.
    """

    dead_id: str
    task: Task
    event: NewEvent
    most_below: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSessionDeleted(Ask[None]):
    """Delete a session's row. Outcome: None, `SessionNotFound` or `SessionBusy`."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDelivery(Ask[WebhookDelivery]):
    """Write how a delivery stands now. Outcome: the `WebhookDelivery`, or `DeliveryNotFound`."""

    delivery: WebhookDelivery


Record = (
    RecordAcceptance
    | RecordRefusal
    | RecordStart
    | RecordEvents
    | RecordPause
    | RecordRequeue
    | RecordResult
    | RecordRedrive
    | RecordDelivery
    | RecordSessionDeleted
)
