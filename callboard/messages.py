"""What is asked of actors, what they answer, and events; what is written stands in `callboard.records`, what actors tell
each other in `callboard.signals`.

All are immutable, because Pykka does not copy. A request is an imperative (`SubmitTask`), an event past tense
(`TaskEvent`), a reply a noun (`TaskAccepted`). Times are UTC `datetime`s; durations say their unit in their name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from callboard.budget import Budget
from callboard.clock import elapsed_ms
from callboard.task_spec import RetryPolicy, TaskSpec

MASTER = "master"
"""The agent that works on a task which names none."""

IDEMPOTENCY_KEY_PATTERN = r"^[!-~]([ -~]{0,253}[!-~])?$"
"""1 to 255 printable ASCII characters; spaces at either end are HTTP's."""

Json = Any
"""A value that JSON has: None, bool, int, float, str, list or dict with string keys."""


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


# --- requests from outside -----------------------------------------------------------------------------------------


class SubmitTask(TaskSpec):
    """Ask the gateway to accept a task; the reply is `TaskAccepted`, sent after the commit.

    With an idempotency key that was first answered with an error, the reply is the `KeptAnswer` of that. Raises
    pydantic's `ValidationError` (a `ValueError`) where it is built, in the caller's thread.
    """

    request_id: str | None = None
    caller: str | None = None
    task_id: str | None = None
    """A fresh id (`callboard.clock.new_id`) where the asker wants to know it before the reply; otherwise made up."""

    idempotency_key: str | None = Field(default=None, pattern=IDEMPOTENCY_KEY_PATTERN)
    fingerprint: str = ""
    """With a key: the SHA-256 of what is asked, so that the same key with another body is refused."""


class ExecuteTask(SubmitTask):
    """Like `SubmitTask`, with the reply held until the task has ended, or `wait_s` seconds: then its `TaskRecord`.

    An error that comes after the commit (`ReplyTimeout`, `ActorCrashed`) leaves the task going on: name the task
    with `task_id` to find it again.
    """

    wait_s: float = Field(ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTask:
    """Ask for one task's `TaskRecord`; raises `TaskNotFound`."""

    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitTask:
    """Ask for a task's `TaskRecord` once it has ended, or as it stands after `wait_s` seconds."""

    task_id: str
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTasks:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GetEvents:
    """Ask for an `EventPage`: a task's events with a number above `after`, oldest first."""

    task_id: str
    after: int = 0
    limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitEvents:
    """Like `GetEvents`, but held up to `wait_s` seconds while there is nothing to tell and the task goes on."""

    task_id: str
    wait_s: float
    after: int = 0
    limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTask:
    """Ask that a task be cancelled; the reply is its `TaskRecord` after the commit, whatever is true then."""

    task_id: str
    request_id: str | None = None


class Decision(StrEnum):
    """What a person can say of a call: of one whose outcome is unknown, or of one that needs approval."""

    RETRY = "retry"
    ASSUME_DONE = "assume_done"
    FAIL = "fail"
    APPROVE = "approve"
    REJECT = "reject"
    EDIT = "edit"


class PauseReason(StrEnum):
    """What a paused task waits for: `pause["reason"]`."""

    OUTCOME_UNKNOWN = "outcome_unknown"
    APPROVAL = "approval"
    SUBAGENTS = "subagents"


DECISIONS = {
    PauseReason.OUTCOME_UNKNOWN: (Decision.RETRY, Decision.ASSUME_DONE, Decision.FAIL),
    PauseReason.APPROVAL: (Decision.APPROVE, Decision.REJECT, Decision.EDIT),
    PauseReason.SUBAGENTS: (),
}
"""What can be decided about a pause; nothing about one that ends with the agents it waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideTask:
    """Answer the question that a paused task waits with; the reply is its `TaskRecord` after the commit.

    `result` is what the call is taken to have returned (`assume_done`), `arguments` what it is made with instead of
    the script's own, by name (`edit`). `call` and `digest` say which call with which arguments it is about, as `pause` has
    them: a decision that comes twice does not fall on the next one then. Raises `TaskNotFound`, `TaskNotPaused`, `DecisionOutdated`,
    or `InvalidRequest` for a decision that does not fit what the task waits for, or arguments that do not fit the skill.
    """

    task_id: str
    decision: Decision
    result: Json = None
    arguments: Mapping[str, Json] | None = None
    call: int | None = None
    digest: str | None = None
    reason: str | None = None
    caller: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveTask:
    """Ask for one more try at a dead letter; the reply is the `TaskRecord` of the task that goes on with it."""

    task_id: str
    caller: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetKeptAnswer:
    """Ask for the `KeptAnswer` of a caller's idempotency key, or None; raises `IdempotencyConflict`."""

    caller: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRefusal:
    """Ask that the error which a request with an idempotency key was answered with be kept; the reply: `KeptAnswer`."""

    caller: str
    key: str
    fingerprint: str
    answer: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSession:
    """Ask for a `SessionRecord` with its newest turns, or those numbered below `before`; raises `SessionNotFound`."""

    session_id: str
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSkillUsage:
    """Ask how often skills were called and have failed; the reply is a `dict[str, Usage]` by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSession:
    """Forget a session's conversation and variables; its tasks stay in the history.

    The reply is None after the commit; raises `SessionNotFound`, or `SessionBusy` while a task of it is under way.
    """

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeToken:
    """Ask the rate limiter whether `identity` may make one more request; the reply is a `RateDecision`."""

    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Ask an actor whether it is alive; the reply is `Pong`."""


# --- replies and records ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """An actor's sign of life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDecision:
    """What the limiter decided: `reset_at` is a unix time in seconds, `retry_after_s` at least 1 when refused."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: float
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAccepted:
    """The task is committed and will end."""

    task_id: str
    session_id: str
    task: str
    status: Status = Status.PENDING
    replayed: bool = False
    """Whether this is the first answer to the same idempotency key, said again."""


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
class TaskRecord:
    """A task as the history holds it; the fields from `attempt` on change while it is worked on.

    `owner` is the server that runs it, `crashes` how many times in a row an owner died while it ran without getting
    any further, `failures` how many attempts ended in an error that may be retried, `not_before` when the next one
    may start. `pause` says what a paused task waits for. `redrive_of` is the dead letter it goes on with,
    `redriven_as` the task that goes on with this one. `parent_id` is the task that delegated it, `root_id` the first of
    that line (of a task of nobody's: None), `depth` how many are above it. `attachments` is `[{name, mediaType, size | url}]`;
    the files themselves are `Store.files`. A list's have no `pause`, labels, prompt or files, and the beginning of what `cut` names.
    """

    task_id: str
    session_id: str
    task: str
    created_at: datetime
    system_prompt: str | None = None
    available_skills: tuple[str, ...] | None = None
    agent: str | None = None
    labels: Mapping[str, str | int | float] = field(default_factory=dict)
    timeout_ms: int | None = None
    priority: int = 0
    request_id: str | None = None
    caller: str | None = None
    retry: RetryPolicy | None = None
    callback_url: str | None = None
    redrive_of: str | None = None
    budget: Budget | None = None
    attachments: tuple[Mapping[str, Json], ...] = ()
    parent_id: str | None = None
    root_id: str | None = None
    depth: int = 0
    attempt: int = 0
    status: Status = Status.PENDING
    owner: str | None = None
    crashes: int = 0
    failures: int = 0
    not_before: datetime | None = None
    pause: Mapping[str, Json] | None = None
    redriven_as: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    output: Json = None
    error: str | None = None
    error_code: str | None = None
    execution_time_ms: float | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    cut: frozenset[str] = frozenset()

    @property
    def success(self) -> bool | None:
        """None until the task has ended."""
        return self.status is Status.COMPLETED if self.status.ended else None

    @property
    def elapsed_ms(self) -> float | None:
        """Milliseconds by the clock from its acceptance to its end, None until then."""
        return elapsed_ms(self.created_at, self.ended_at, self.execution_time_ms, self.redrive_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """Some tasks, newest first, and where the next page begins (None: there is none)."""

    tasks: tuple[TaskRecord, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """One entry of a task's log; `seq` counts 1, 2, 3, … without a gap within the task.

    `position` goes up over all events of the history, in the order of their commits, with gaps. `size_bytes`: of the data stored just now.
    """

    task_id: str
    seq: int
    topic: Topic
    at: datetime
    data: Mapping[str, Json]
    position: int = 0
    size_bytes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Some events of one task, oldest first; `ended` says that the task has ended and these are the last."""

    events: tuple[TaskEvent, ...]
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts over the whole history, pruned tasks included; `live` tasks have not ended, cancelled ones add no time."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    execution_ms: float = 0.0
    elapsed_ms: float = 0.0
    live: int = 0
