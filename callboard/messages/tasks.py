"""Tasks: what is asked about them, what is answered, and what actors tell each other of them.

All messages are immutable, because Pykka does not copy. A request is an imperative (`SubmitTask`), an event past tense
(`TaskEnded`), a reply a noun (`TaskAccepted`). Times are UTC `datetime`s; durations say their unit in their name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import Field
from pydantic.dataclasses import dataclass as request

from callboard.clock import elapsed_ms
from callboard.conversation import SessionRecord
from callboard.messages.ask import Ask
from callboard.messages.pauses import Pause
from callboard.task_spec import KeptSpec, TaskSpec
from callboard.values import Json

MASTER = "master"
"""The agent that works on a task which names none."""


IDEMPOTENCY_KEY_PATTERN = r"^[!-~]([ -~]{0,253}[!-~])?$"
"""1 to 255 printable ASCII characters; spaces at either end are HTTP's."""


MOST_WORDS = 200
"""Characters that tasks can be searched for (`ListTasks.q`); SQLite's own limit for a pattern is 50,000 bytes."""


class Status(StrEnum):
    """Where a task stands: pending → running ⇄ paused → completed | failed | cancelled."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedFile:
    """A file that came with a task: its bytes, or where to get them from."""

    name: str
    media_type: str
    data: bytes | None = None
    url: str | None = None

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What was asked, and by whom. It never changes: whoever has to do with a task is handed the same object.

    `spec` is what the caller wrote, `attachments` what is known of the files that came with it, as
    `[{name, mediaType, size | url}]`; the files themselves are `Reader.files`. `redrive_of` is the dead letter it goes on
    with, `parent_id` the task that delegated it, `root_id` the first of that line (of a task of nobody's: None), `depth`
    how many are above it.
    """

    task_id: str
    created_at: datetime
    spec: KeptSpec
    attachments: tuple[Mapping[str, Json], ...] = ()
    caller: str | None = None
    request_id: str | None = None
    redrive_of: str | None = None
    parent_id: str | None = None
    root_id: str | None = None
    depth: int = 0

    @property
    def session_id(self) -> str:
        """The session it is in. Invariant: one that bears its task's id is new with it; the master agent relies on it."""
        return self.spec.session_id or self.task_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """How a task stands; a change is another state.

    `owner` is the server that runs it, `crashes` how many times in a row an owner died while it ran without getting
    any further, `failures` how many attempts ended in an error that may be retried, `not_before` when the next one
    may start. `pause` says what a paused task waits for. `redriven_as` is the task that goes on with it as a dead letter.
    """

    status: Status = Status.PENDING
    attempt: int = 0
    started_at: datetime | None = None
    owner: str | None = None
    crashes: int = 0
    failures: int = 0
    not_before: datetime | None = None
    pause: Pause | None = None
    redriven_as: str | None = None
    ended_at: datetime | None = None
    execution_time_ms: float | None = None
    error_code: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    error: str | None = None
    output: Json = None


NEW = TaskState()
"""How every task stands when it has been accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task as the history holds it: what was asked, and how it stands.

    A list's have no pause or files, of the spec only what lists show, and the beginning of what `cut` names.
    """

    task: Task
    state: TaskState = NEW
    cut: frozenset[str] = frozenset()

    @property
    def task_id(self) -> str:
        return self.task.task_id

    @property
    def session_id(self) -> str:
        return self.task.session_id

    @property
    def status(self) -> Status:
        return self.state.status

    @property
    def success(self) -> bool | None:
        """None until the task has ended."""
        return self.status is Status.COMPLETED if self.status.ended else None

    @property
    def output(self) -> Json:
        """What the task came to; of one that did not complete, what it had printed."""
        return self.state.output

    @property
    def error(self) -> str | None:
        """Why it failed, a sentence."""
        return self.state.error

    @property
    def error_code(self) -> str | None:
        """Why it failed, a stable name."""
        return self.state.error_code

    @property
    def metadata(self) -> Mapping[str, Json]:
        """What it took, and the notes of its skills."""
        return self.state.metadata

    def accepted(self) -> "TaskAccepted":
        """Return the answer to a task that has not ended."""
        task = self.task
        return TaskAccepted(
            task_id=task.task_id, session_id=task.session_id, task=task.spec.task, status=self.state.status
        )

    @property
    def elapsed_ms(self) -> float | None:
        """Milliseconds by the clock from its acceptance to its end, None until then."""
        task, state = self.task, self.state
        return elapsed_ms(task.created_at, state.ended_at, state.execution_time_ms, task.redrive_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """Some tasks, newest first, and where the next page begins (None: there is none)."""

    tasks: tuple[TaskRecord, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAccepted:
    """The task is committed and will end."""

    task_id: str
    session_id: str
    task: str
    status: Status = Status.PENDING
    replayed: bool = False
    """Whether this is the first answer to the same idempotency key, said again."""


class NewTask(TaskSpec):
    """What whoever asks for a task says of it."""

    task_id: str | None = None
    """A fresh id (`callboard.clock.new_id`) where the asker wants to know it before the reply; otherwise made up."""

    idempotency_key: str | None = Field(default=None, pattern=IDEMPOTENCY_KEY_PATTERN)


class SubmitTask(NewTask, Ask[TaskAccepted]):
    """Ask the gateway to accept a task; the reply is sent after the commit.

    With an idempotency key, what is asked must be the same each time. Raises pydantic's `ValidationError` (a `ValueError`)
    where it is built, in the caller's thread.
    """


class SubmitOnce(NewTask, Ask["TaskAccepted | KeptAnswer"]):
    """Like `SubmitTask` with an idempotency key, by whoever keeps errors too: the reply may be the `KeptAnswer` of one."""

    fingerprint: str
    """The SHA-256 of the request, so that the same key with another body is refused."""


class ExecuteTask(NewTask, Ask[TaskRecord]):
    """Like `SubmitTask`, with the reply held until the task has ended, or `wait_s` seconds: the task as it stands then.

    An error that comes after the commit (`ReplyTimeout`, `ActorCrashed`) leaves the task going on: name the task
    with `task_id` to find it again.
    """

    wait_s: float = Field(ge=0)


@request(frozen=True, slots=True, kw_only=True)
class GetTask(Ask[TaskRecord]):
    """Ask for one task's `TaskRecord`; raises `TaskNotFound`."""

    task_id: str


@request(frozen=True, slots=True, kw_only=True)
class AwaitTask(Ask[TaskRecord]):
    """Ask for a task's `TaskRecord` once it has ended, or as it stands after `wait_s` seconds."""

    task_id: str
    wait_s: float


@request(frozen=True, slots=True, kw_only=True)
class ListTasks(Ask[TaskPage]):
    """Ask for a `TaskPage`, newest first; `cursor` is the `next_cursor` of the page before."""

    session_id: str | None = None
    status: Status | None = None
    parent_id: str | None = None
    """Only those that this task has delegated."""

    agent: str | None = None
    """Only those of this agent; `master` has those that name none."""

    q: str | None = None
    """Only those whose text or id holds these characters, in upper or lower case."""

    limit: int = 10
    cursor: str | None = None
    dead: bool = False
    """Only dead letters."""


@request(frozen=True, slots=True, kw_only=True)
class CancelTask(Ask[TaskRecord]):
    """Ask that a task be cancelled; the reply is its `TaskRecord` after the commit, whatever is true then."""

    task_id: str


@request(frozen=True, slots=True, kw_only=True)
class RedriveTask(Ask[TaskRecord]):
    """Ask for one more try at a dead letter; the reply is the `TaskRecord` of the task that goes on with it."""

    task_id: str


@request(frozen=True, slots=True, kw_only=True)
class RetryTask(Ask[TaskAccepted]):
    """Ask that what an ended task was asked be done again, from the beginning and with a budget of its own.

    The reply is the new task's `TaskAccepted`, sent after the commit. Raises `TaskNotFound`, `TaskNotEnded`, and
    whatever submitting the task now would. With an idempotency key it is done once.
    """

    task_id: str
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """What makes a request with the same key the same one; no body of another kind has such a one."""
        return f"retry:{self.task_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """What makes a repeated request the same one: who sent it, its `Idempotency-Key`, and the SHA-256 of its body."""

    caller: str
    key: str
    fingerprint: str


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


@request(frozen=True, slots=True, kw_only=True)
class GetKeptAnswer(Ask[KeptAnswer | None]):
    """Ask for the `KeptAnswer` of the asker's idempotency key, or None; raises `IdempotencyConflict`."""

    key: str
    fingerprint: str


@request(frozen=True, slots=True, kw_only=True)
class KeepRefusal(Ask[KeptAnswer]):
    """Ask that the error which a request with an idempotency key was answered with be kept; the reply: `KeptAnswer`."""

    key: str
    fingerprint: str
    answer: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQueued:
    """A task has been committed and may start."""

    record: TaskRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseCommitted:
    """A pause has been committed."""

    record: TaskRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    """A task's end has been committed; `session` is what its session keeps, if the task itself ended it."""

    record: TaskRecord
    session: SessionRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimited:
    """A run may take no longer than `left_s` seconds more, for the sake of a budget; `error` is what to end it with."""

    task_id: str
    attempt: int
    left_s: float
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFreed:
    """A worker has let go of a task, whatever became of it."""

    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLost:
    """The process that worked on a task is gone; `crashed`: it died by itself, while a call of a skill was under way.

    `further` says that the attempt had finished a call before that, `how` how the process ended, as in "exit 3".
    """

    task_id: str
    attempt: int
    crashed: bool
    further: bool
    how: str
