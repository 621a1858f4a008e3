"""What the result logger is told to write, and the ledger of calls that makes a task's work durable.

Each `Record…` is carried out in one transaction with whatever else is waiting; its outcome is told or replied after
the commit. All are immutable. Imported by the actors, by the runner and by `persistence/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from callboard.arguments import Arguments
from callboard.budget import Charges
from callboard.conversation import SessionUpdate
from callboard.deliveries import WebhookDelivery
from callboard.messages import AttachedFile, Json, Status, TaskAccepted, TaskRecord, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event before the store has given it its number."""

    topic: Topic
    at: datetime
    data: Mapping[str, Json]


class CallState(StrEnum):
    """Where a call in the ledger stands.

    `started`: it may or may not have happened; `done` and `failed`: it has, and is never made again; `open`: it is
    known not to have happened, or a person said so, and is made when the script comes to it; `waiting`: it has not
    happened, and waits for a person's approval or for another agent's end.
    """

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    OPEN = "open"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One row of a task's ledger: a call of a model, of a skill that is not `pure`, or of another agent.

    `number` counts within the task, `kind` is `model`, `skill` or `agent`, `digest` is the SHA-256 of name and
    arguments, `effect_id` the idempotency key that every attempt at this call uses (of an agent: the id of its task).
    `error` is `{code, message, retryable}` of a call that failed. `arguments` are there where a person decides on the
    call, or may have to: of one that needs approval, or is `never` repeated.
    """

    number: int
    kind: str
    name: str
    replay: str
    digest: str
    effect_id: str
    attempt: int
    state: CallState
    started_at: datetime
    ended_at: datetime | None = None
    result: Json = None
    error: Mapping[str, Json] | None = None
    arguments: Arguments | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLedger:
    """What earlier attempts at a task have left: their calls in order, and the signed snapshot at the last of them."""

    calls: tuple[CallRecord, ...] = ()
    snapshot: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """What makes a repeated request the same one: who sent it, its `Idempotency-Key`, and the SHA-256 of its body."""

    caller: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAcceptance:
    """Store a new task with its first event. Outcome: the `TaskRecord`.

    With `wait_s` the asker is answered by the master agent, at the task's end or after that time. With an
    `idempotency` key that has been used, nothing is stored. Outcome: the `KeptAnswer`, or `IdempotencyConflict`.
    """

    record: TaskRecord
    event: NewEvent
    wait_s: float | None = None
    idempotency: Idempotency | None = None
    files: tuple[AttachedFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRefusal:
    """Keep the error that a request with an idempotency key was answered with. Outcome: the `KeptAnswer` that holds."""

    idempotency: Idempotency
    at: datetime
    answer: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStart:
    """Set a pending task to `running` under a new attempt, owned by a server. Outcome: whether it was."""

    task_id: str
    attempt: int
    at: datetime
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvents:
    """Append events to a task's log, with the rows of its ledger that they tell of, new or changed.

    Outcome: whether the attempt is still the task's own and it is running. Here and in what follows, an `owner` that is
    given must be the server that runs the task: another one may have begun an attempt of the same number; and
    `charges` are added to their accounts if the record is carried out.
    """

    task_id: str
    attempt: int
    events: tuple[NewEvent, ...]
    calls: tuple[CallRecord, ...] = ()
    snapshot: bytes | None = None
    charges: Charges = ()
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPause:
    """Set a running task to `paused`: a person has to decide, or other agents have to end.

    `calls` and `snapshot` are where it stands; `children` are the tasks of other agents that it waits for, accepted in
    the same transaction (those that are stored already are left alone). Outcome: the `TaskRecord` as it now stands.
    """

    task_id: str
    attempt: int
    at: datetime
    pause: Mapping[str, Json]
    events: tuple[NewEvent, ...]
    calls: tuple[CallRecord, ...] = ()
    snapshot: bytes | None = None
    children: tuple[RecordAcceptance, ...] = ()
    charges: Charges = ()
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRequeue:
    """Set a task back to `pending`, to be gone on with under its next attempt, not before `not_before`.

    `attempt` None: the task must be paused (a decision), else the outcome is `TaskNotPaused`; otherwise the attempt
    must still be the task's own. `crashes` and `failures` replace the task's counts where they are given; `calls`
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResult:
    """End a task with its last events and what it leaves in its session.

    `attempt` None ends it whatever attempt is running (cancel, deadline). Outcome: the `TaskRecord` as it now
    stands (ended by this or by something earlier), or `TaskNotFound`; with `only_paused`, `TaskNotPaused` for a task
    that is not. `metadata` replaces what was there; `output` of a task that did not complete is what it had printed.
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
    charges: Charges = ()
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRedrive:
    """Give a dead letter one more chance: a new task with its ledger, so that nothing that was done is done again.

    Outcome: the new `TaskRecord`; where the dead letter has been redriven before, the task of then;
    `DeadLetterNotFound` for a task that is none.
    """

    dead_id: str
    record: TaskRecord
    event: NewEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSessionDeleted:
    """Delete a session's row. Outcome: None, `SessionNotFound` or `SessionBusy`."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDelivery:
    """Write how a delivery stands now. Outcome: the `WebhookDelivery`, or `DeliveryNotFound`."""

    delivery: WebhookDelivery


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """The first answer to a request with an idempotency key.

    `task_id` names the task that it made, None for an error; `answer` has the fields to say it again.
    """

    fingerprint: str
    task_id: str | None
    answer: Mapping[str, Json]

    def accepted(self) -> TaskAccepted | None:
        """Return the acceptance, to be said again; None for an error. The task itself may have been pruned since."""
        if self.task_id is None:
            return None
        return TaskAccepted(
            task_id=self.task_id, session_id=self.answer["sessionId"], task=self.answer["task"], replayed=True
        )


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
