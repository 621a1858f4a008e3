"""The shapes of answers, for the OpenAPI document.

Answers are built by hand in http/views.py, which is faster; tests/http/test_openapi.py holds real answers against
these models. The request's model is `callboard.task_spec.TaskSpec`, the one that validates.
Imported by http/openapi.py only.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_camel

from callboard.budget import Budget
from callboard.deliveries import DeliveryState
from callboard.messages import PauseReason, Status, Topic
from callboard.task_spec import RetryPolicy

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Problem(_Answer):
    """Every error has this shape."""

    error: str = Field(description="A title, the same for every error of its kind.")
    message: str = Field(description="A sentence that names the thing, the limit and the next step.")
    code: str = Field(description="A stable name for programs.")
    details: dict[str, Any] | None = Field(
        default=None, description="`fields` names each wrong field; in development a defect's traceback."
    )
    request_id: str = Field(description="The id under which the server's log has this request.")
    retry_after: int | None = Field(default=None, description="Seconds to wait, also in the Retry-After header.")


class TaskAccepted(_Answer):
    """The task is committed and will end."""

    success: Literal[True]
    message: str
    task_id: str
    task: str
    session_id: str
    status: Status


class TaskResult(_Answer):
    """A task and what became of it."""

    success: bool | None = Field(description="null until the task has ended")
    task_id: str
    task: str
    session_id: str
    status: Status
    output: Any = Field(description="What the task came to: any JSON value.")
    error: str | None = Field(description="Why the task failed, a sentence.")
    error_code: str | None = Field(description="Why the task failed, a stable name.")
    execution_time: float | None = Field(
        description="Milliseconds of work in all attempts, waiting left out; null until the task has ended."
    )
    elapsed_time: float | None = Field(
        description="Milliseconds from its acceptance to its end, waiting included; null until the task has ended."
    )
    metadata: dict[str, Any] = Field(
        description="`llmCalls`, `skillCalls`, `totalTokens` and more, those of the agents' tasks included."
    )
    timestamp: Timestamp = Field(description="When the task ended, or else when it was accepted.")


class ExecuteReply(RootModel[TaskResult | TaskAccepted]):
    """The result if the client waited and the task ended in time, else that the task was accepted."""


class AttachedFile(_Answer):
    """What is known of a file that came with a task; it has a size, or an address that it is got from."""

    name: str
    media_type: str
    size: int | None = Field(default=None, description="Bytes.")
    url: str | None = None


class TaskReport(TaskResult):
    """All that is known of a task."""

    created_at: Timestamp
    started_at: Timestamp | None
    ended_at: Timestamp | None
    attempt: int = Field(description="How many times work on it has begun.")
    system_prompt: str | None
    available_skills: list[str] | None
    agent: str | None
    labels: dict[str, str | int | float]
    timeout_ms: int | None
    priority: int
    retry: RetryPolicy | None
    callback_url: str | None = Field(description="Where a webhook tells of its end.")
    request_id: str | None = Field(description="The id of the request that submitted it.")
    pause: dict[str, Any] | None = Field(description="What a paused task waits for.")
    not_before: Timestamp | None = Field(description="When the next attempt may start.")
    redrive_of: str | None = Field(description="The dead letter that it goes on with.")
    redriven_as: str | None = Field(description="The task that goes on with this dead letter.")
    budget: Budget | None = Field(description="What it may spend, as it was asked for.")
    attachments: list[AttachedFile]
    parent_id: str | None = Field(description="The task that delegated it.")
    root_id: str | None = Field(description="The first task of that line.")
    depth: int = Field(description="How many tasks are above it.")


class ResultReply(_Answer):
    success: Literal[True]
    result: TaskResult


class ShortResult(TaskResult):
    """A task as lists and webhooks show it: of what is long they have the beginning, as a text; `/agent/results?taskId=` has all."""

    task_truncated: bool = Field(description="Whether `task` is only its beginning.")
    output_truncated: bool = Field(
        description="Whether `output` is only its beginning: of a text itself, else of its JSON, with how much is left out."
    )
    error_truncated: bool = Field(description="Whether `error` is only its beginning.")
    metadata_truncated: bool = Field(description="Whether something of `metadata` is left out.")


class ListedTask(ShortResult):
    """A task in a list: its result, and what tells it from its neighbours."""

    created_at: Timestamp
    agent: str | None = Field(description="The agent that it was addressed to; null: master.")
    parent_id: str | None = Field(description="The task that delegated it.")


class ResultPage(_Answer):
    """Some results, newest first."""

    success: Literal[True]
    count: int
    results: list[ListedTask]
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")


class ResultsReply(RootModel[ResultReply | ResultPage]):
    """One result with `taskId`, a page without it."""


class DeadLetter(ShortResult):
    """A task under which the server died again and again."""

    redriven_as: str | None = Field(description="The task that goes on with it; null: nobody has redriven it.")


class DeadLetterPage(_Answer):
    """Some dead letters, newest first."""

    success: Literal[True]
    count: int
    results: list[DeadLetter]
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")


class Event(_Answer):
    """One entry of a task's log."""

    task_id: str
    seq: int = Field(description="Counts 1, 2, 3, … without a gap within the task.")
    topic: str
    timestamp: Timestamp
    data: dict[str, Any]


class EventPage(_Answer):
    """Some of a task's log, oldest first."""

    success: Literal[True]
    events: list[Event]
    ended: bool = Field(description="The task has ended and these are the last.")
    next_after: int = Field(description="The `after` of the next page.")


class FeedEntry(Event):
    """One event of the feed."""

    session_id: str = Field(description="The session of its task.")
    position: int = Field(description="Goes up over all events, in the order of their commits; it may have gaps.")


class FeedPage(_Answer):
    """Some events of all tasks, in the order of their commits."""

    success: Literal[True]
    events: list[FeedEntry]
    next_after: int = Field(description="The `after` of the next page; it may go up although no event fits.")


class CancelReply(_Answer):
    """What is true of the task now."""

    success: bool = Field(description="Whether the task is cancelled.")
    message: str
    task_id: str
    status: Status


class Pause(BaseModel):
    """What a paused task waits for; what else there is depends on the reason."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel)

    reason: PauseReason
    message: str
    since: Timestamp = Field(description="When it was paused.")


class PauseReply(_Answer):
    success: Literal[True]
    task_id: str
    pause: Pause


class DecideReply(_Answer):
    """The decision is committed; how the task stands now."""

    success: Literal[True]
    message: str
    task_id: str
    status: Status


class Turn(_Answer):
    """One turn; of one beyond 100,000 characters the middle is left out, which is said there."""

    number: int = Field(description="Goes up by one within the session.")
    role: str
    content: str
    task_id: str | None = Field(
        description="Its task, whose result has the whole answer; null: said before that was kept."
    )


class Session(_Answer):
    """What a session keeps between tasks."""

    session_id: str
    conversation: list[Turn] = Field(description="The newest turns, oldest first: at most 100 and a megabyte.")
    next_before: int | None = Field(description="The `before` of the turns before these; null: there are none.")
    variables: list[str] = Field(description="Names that the session's code has bound.")
    tasks: int
    created_at: Timestamp
    updated_at: Timestamp


class SessionSummary(_Answer):
    """A session in a list."""

    session_id: str
    tasks: int
    created_at: Timestamp
    updated_at: Timestamp = Field(description="When it was last used.")
    preview: str | None = Field(description="How the last question that was answered begins; null: none was yet.")


class SessionList(_Answer):
    """Some sessions, last used first."""

    success: Literal[True]
    count: int
    sessions: list[SessionSummary]
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")


class SessionReply(_Answer):
    success: Literal[True]
    session: Session


class SessionDeleted(_Answer):
    success: Literal[True]
    message: str
    session_id: str


class Delivery(_Answer):
    """One message of one webhook."""

    delivery_id: str = Field(description="Also the `webhook-id` of every attempt.")
    task_id: str
    url: str
    type: Topic = Field(description="What the message tells of.")
    state: DeliveryState
    attempts: int = Field(description="Since it was made, or sent again by hand.")
    status_code: int | None = Field(description="What the receiver answered last.")
    error: str | None = Field(description="Why the last attempt was none, a sentence.")
    created_at: Timestamp
    next_at: Timestamp | None = Field(description="When it is tried next; null once it is over.")
    expires_at: Timestamp = Field(description="When it is given up.")
    ended_at: Timestamp | None


class DeliveryReply(_Answer):
    success: Literal[True]
    delivery: Delivery


class DeliveryList(_Answer):
    """Some deliveries, newest first."""

    success: Literal[True]
    count: int
    deliveries: list[Delivery]
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")


class Skill(_Answer):
    """Something that a task's code can call."""

    name: str
    description: str
    version: str = Field(description="Empty where it says none.")
    kind: str = Field(description="`python`, `folder` (Agent Skills), `mcp`, or `agent`.")
    origin: str = Field(description="`builtin`, or where it was found.")
    stub: str = Field(description="Its declaration in Python.")
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema of its arguments.")
    replay: Literal["pure", "safe", "keyed", "never"] = Field(description="What may happen to a call after a crash.")
    permissions: list[str] = Field(description="What it reaches, such as `network` or `files`; for people.")
    approval: bool = Field(description="Whether a person must approve each call.")
    calls: int = Field(description="How often it was called, over the whole history.")
    failures: int = Field(description="How many of these calls failed.")


class ListedSkill(Skill):
    """A skill in a list; `/agent/skills/{name}` has it whole."""

    description_truncated: bool = Field(description="Whether `description` is only its beginning.")
    stub_truncated: bool = Field(description="Whether `stub` is only its beginning.")
    schema_truncated: bool = Field(description="Whether `schema` is left out.")


class SkillReply(_Answer):
    success: Literal[True]
    skill: Skill


class SkillList(_Answer):
    success: Literal[True]
    count: int
    skills: list[ListedSkill]
    problems: list[str] = Field(
        description="What could not be loaded, in sentences with what to do about it; on the first page."
    )
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")


class Agent(_Answer):
    """Who a task can be addressed to."""

    name: str
    description: str
    skills: list[str] | None = Field(description="The only skills it may call; null: all there are.")
    model: str | None = Field(description="The model it asks; null: the server's own.")
    budget: Budget | None = Field(description="What it may spend on one task, within the task's own budget.")
    origin: str = Field(description="`builtin`, or the file it was found in.")
    max_rounds: int = Field(description="How many times a model is asked at most in one task.")
    tasks: int = Field(description="How many tasks of it have ended, over the whole history.")
    failures: int = Field(description="How many of these failed.")


class AgentList(_Answer):
    success: Literal[True]
    count: int
    agents: list[Agent]
    problems: list[str] = Field(description="What could not be loaded, in sentences with what to do about it.")
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")


class StatisticsPoint(_Answer):
    """One minute. Percentiles are of the times of the tasks that completed or failed in it, at most 5 % off."""

    at: Timestamp = Field(description="When the minute began.")
    accepted: int
    completed: int
    failed: int
    cancelled: int
    p50_ms: float | None = Field(description="null: no task that was worked on ended.")
    p95_ms: float | None
    p99_ms: float | None
    p50_elapsed_ms: float | None = Field(description="From acceptance to end; null: no such task ended.")
    p95_elapsed_ms: float | None
    p99_elapsed_ms: float | None
    queued: int | None = Field(description="Tasks that waited, when that was last looked at; null: it was not.")
    running: int | None = Field(description="Tasks that were worked on, when that was last looked at.")


class StatisticsReply(_Answer):
    """The last hour, oldest minute first; the last one is under way."""

    success: Literal[True]
    step_s: int = Field(description="Seconds from one point to the next.")
    points: list[StatisticsPoint]


class HealthMetrics(_Answer):
    """Counts over the whole history."""

    total_tasks: int
    successful_tasks: int
    failed_tasks: int
    average_execution_time: float = Field(description="Milliseconds of work, of the tasks that completed or failed.")
    average_elapsed_time: float = Field(description="Milliseconds from acceptance to end, of the same tasks.")
    cancelled_tasks: int
    live_tasks: int


class Health(_Answer):
    """How the server is."""

    status: Literal["healthy", "degraded", "unhealthy"]
    version: str
    uptime: float = Field(description="Seconds.")
    timestamp: Timestamp
    services: dict[str, bool] = Field(description="`api`, `agent`, `sandbox`, `llm` and more.")
    metrics: HealthMetrics
    problems: list[str] = Field(description="What does not work or is not there, though configured.")
    warnings: list[str] = Field(
        description="What else an operator may want to know; the status has nothing to do with it."
    )


class Liveness(_Answer):
    status: Literal["live"]


class Readiness(_Answer):
    status: Literal["ready", "draining", "unhealthy"]


class Index(_Answer):
    """Where to go from here."""

    name: str
    version: str
    links: dict[str, str]
