"""What `callboard.client` returns: the answers of the HTTP interface as frozen, typed values.

Attributes are snake_case; `model_dump(by_alias=True, mode="json")` gives the wire's form back. Keys that a later server
adds are ignored, and what stands for one of several words (a status, a topic) is a plain string, so that a new word is
no error. Any thread; imported by the client and its users.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, create_model
from pydantic.alias_generators import to_camel

from callboard.client.errors import TaskFailedError
from callboard.task_spec import KeptSpec

_ENDED = frozenset({"completed", "failed", "cancelled"})


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


Moment = Annotated[datetime, PlainSerializer(_iso, return_type=str, when_used="json")]


class Model(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, protected_namespaces=()
    )


class Accepted(Model):
    """A task that the server has committed: it will end, whatever happens to the server."""

    success: bool = True
    message: str = ""
    task_id: str
    task: str
    session_id: str
    status: str


class Result(Model):
    """A task and, once it has ended, what came of it.

    `status`: pending, running, paused, completed, failed or cancelled. `execution_time` is the milliseconds of work,
    `elapsed_time` those from acceptance to end, both None until then. `timestamp` is when it ended, or else when it was
    accepted. `metadata` is as docs/api.md has it.
    """

    success: bool | None
    task_id: str
    task: str
    session_id: str
    status: str
    output: Any = None
    error: str | None = None
    error_code: str | None = None
    execution_time: float | None = None
    elapsed_time: float | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    timestamp: Moment

    @property
    def ok(self) -> bool:
        """Return whether the task completed."""
        return self.success is True

    @property
    def ended(self) -> bool:
        """Return whether the task has completed, failed or been cancelled."""
        return self.status in _ENDED

    def raise_for_failure(self) -> Self:
        """Return the result itself; raise `TaskFailedError` if the task failed or was cancelled."""
        if not self.ended or self.ok:
            return self
        what = "failed" if self.status == "failed" else f"was {self.status}"
        raise TaskFailedError(
            f"The task {self.task_id} {what}{f': {self.error}' if self.error else '.'}",
            task_id=self.task_id,
            status=self.status,
            code=self.error_code or self.status,
        )


class _Report(Result):
    created_at: Moment
    started_at: Moment | None = None
    ended_at: Moment | None = None
    attempt: int = 1
    system_prompt: str | None = None
    available_skills: list[str] | None = None
    agent: str | None = None
    labels: dict[str, str | int | float] = Field(default_factory=dict)
    timeout_ms: int | None = None
    priority: int = 0
    retry: dict[str, Any] | None = None
    callback_url: str | None = None
    request_id: str | None = None
    pause: dict[str, Any] | None = None
    not_before: Moment | None = None
    redrive_of: str | None = None
    redriven_as: str | None = None
    budget: dict[str, Any] | None = None
    attachments: list[dict[str, Any]] = Field(default_factory=list)
    parent_id: str | None = None
    root_id: str | None = None
    depth: int = 0


if TYPE_CHECKING:

    class _Asked(_Report, KeptSpec):  # type: ignore[misc]  # an answer's types are wider than those of a request
        pass

else:  # what a caller may write and has no line above, as the server shows it
    _LATER = {name: (Any, None) for name in KeptSpec.model_fields if name not in _Report.model_fields}
    _Asked = create_model("_Asked", __base__=_Report, **_LATER)


class Task(_Asked):
    """All that is known of a task: its result as far as there is one, and what was asked."""


class ShortResult(Result):
    """A task in a list: what is long is cut, and `…_truncated` says so; `Client.result` returns it whole."""

    task_truncated: bool = False
    output_truncated: bool = False
    error_truncated: bool = False
    metadata_truncated: bool = False


class DeadLetter(ShortResult):
    """A task that killed the server again and again; `redriven_as` is the task that goes on with it."""

    redriven_as: str | None = None


class Event(Model):
    """An entry in a task's log. `cursor` is what `stream(after=…)` goes on from; it is no part of the wire's form."""

    task_id: str
    seq: int
    topic: str
    timestamp: Moment
    data: dict[str, Any] = Field(default_factory=dict)
    cursor: str = Field(default="", exclude=True)


class FeedEvent(Event):
    """An event in the feed of all tasks; `position` is its place there, and what `events(after=…)` goes on from."""

    session_id: str | None = None
    position: int | None = None


class Cancelled(Model):
    """What is true after a wish to cancel; `success` is false if the task had ended in another way."""

    success: bool
    message: str
    task_id: str
    status: str


class Decided(Model):
    """How a task stands after a decision about it."""

    success: bool
    message: str
    task_id: str
    status: str


class Turn(Model):
    """One turn of a conversation; `role` is user or assistant, `task_id` names the task whose result has the whole answer."""

    number: int
    role: str
    content: str
    task_id: str | None = None


class SessionSummary(Model):
    """A session in the list; `preview` is the beginning of its last user turn."""

    session_id: str
    tasks: int
    created_at: Moment
    updated_at: Moment
    preview: str | None = None


class Session(Model):
    """What a session remembers: its newest turns, or those before a number; `next_before` is what to ask with for more."""

    session_id: str
    conversation: list[Turn]
    next_before: int | None = None
    variables: list[str]
    tasks: int
    created_at: Moment
    updated_at: Moment


class SkillInfo(Model):
    """A skill; `stub` is its declaration in Python, `json_schema` describes its arguments (`schema` on the wire)."""

    name: str
    description: str
    version: str | None = None
    kind: str
    origin: str
    stub: str
    json_schema: dict[str, Any] = Field(alias="schema")
    replay: str
    permissions: list[str] = Field(default_factory=list)
    approval: bool = False
    calls: int = 0
    failures: int = 0


class ShortSkillInfo(SkillInfo):
    """A skill in a list: what is long is cut, a long schema left out, and `…_truncated` says so; `Client.skill` returns it whole."""

    description_truncated: bool = False
    stub_truncated: bool = False
    schema_truncated: bool = False


class AgentInfo(Model):
    """An agent; `skills` None: it may call all there are, `model` None: it asks the server's own."""

    name: str
    description: str
    skills: list[str] | None = None
    model: str | None = None
    budget: dict[str, Any] | None = None
    origin: str
    max_rounds: int | None = None
    tasks: int = 0
    failures: int = 0


class SkillList(Model):
    """The skills, and what could not be loaded."""

    skills: list[ShortSkillInfo]
    problems: list[str] = Field(default_factory=list)


class AgentList(Model):
    """The agents, and what could not be loaded."""

    agents: list[AgentInfo]
    problems: list[str] = Field(default_factory=list)


class HealthMetrics(Model):
    """Counts over the whole history; the averages are in milliseconds, of work and from acceptance to end."""

    total_tasks: int = 0
    successful_tasks: int = 0
    failed_tasks: int = 0
    average_execution_time: float = 0
    average_elapsed_time: float = 0
    cancelled_tasks: int = 0
    live_tasks: int = 0


class WorkerProcess(Model):
    """A process that works on tasks: whether it has loaded what it needs, and how many tasks it has."""

    pid: int
    ready: bool = True
    tasks: int = 0


class Health(Model):
    """How the server is: healthy, degraded or unhealthy, and why. `uptime` is in seconds."""

    status: str
    version: str
    uptime: float
    timestamp: Moment | None = None
    services: dict[str, bool] = Field(default_factory=dict)
    metrics: HealthMetrics = Field(default_factory=HealthMetrics)
    problems: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    workers: list[WorkerProcess] = Field(default_factory=list)
    worker_deaths: int = 0


class StatisticsPoint(Model):
    """One minute: how many tasks were accepted and ended, how long those took, how many waited and ran at its end."""

    at: Moment
    accepted: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    p50_elapsed_ms: float | None = None
    p95_elapsed_ms: float | None = None
    p99_elapsed_ms: float | None = None
    queued: int | None = None
    running: int | None = None


class Statistics(Model):
    """The last hour by minutes, oldest first; the last point is the minute under way."""

    step_s: int
    points: list[StatisticsPoint]
    workers: list[WorkerProcess] = Field(default_factory=list)
    worker_deaths: int = 0


class Delivery(Model):
    """What a webhook has told or is to tell; `status_code` and `error` are of the last attempt."""

    delivery_id: str
    task_id: str
    url: str
    type: str
    state: str
    attempts: int
    status_code: int | None = None
    error: str | None = None
    created_at: Moment
    next_at: Moment | None = None
    expires_at: Moment | None = None
    ended_at: Moment | None = None
