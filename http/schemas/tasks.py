"""Answers about tasks: accepted, under way, ended, paused, dead."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model
from pydantic.alias_generators import to_camel

from callboard.http.schemas.base import ABSENT, Answer, Timestamp
from callboard.http.schemas.spending import KeptBudget, KeptRetryPolicy
from callboard.messages.pauses import PauseReason
from callboard.messages.tasks import Status
from callboard.task_spec import KeptSpec


class TaskAccepted(Answer):
    """The task is committed and will end."""

    success: Literal[True]
    message: str
    task_id: str
    task: str
    session_id: str
    status: Status


class TaskResult(Answer):
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


class AttachedFile(Answer):
    """What is known of a file that came with a task; it has a size, or an address that it is got from."""

    name: str
    media_type: str
    size: int = Field(default=ABSENT, description="Bytes.")
    url: str = Field(default=ABSENT, description="Where it is got from.")


class _Report(TaskResult):
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
    retry: KeptRetryPolicy | None
    callback_url: str | None = Field(description="Where a webhook tells of its end.")
    request_id: str | None = Field(description="The id of the request that submitted it.")
    pause: dict[str, Any] | None = Field(description="What a paused task waits for.")
    not_before: Timestamp | None = Field(description="When the next attempt may start.")
    redrive_of: str | None = Field(description="The dead letter that it goes on with.")
    redriven_as: str | None = Field(description="The task that goes on with this dead letter.")
    budget: KeptBudget | None = Field(description="What it may spend, as it was asked for.")
    attachments: list[AttachedFile]
    parent_id: str | None = Field(description="The task that delegated it.")
    root_id: str | None = Field(description="The first task of that line.")
    depth: int = Field(description="How many tasks are above it.")


_LATER: dict[str, Any] = {
    name: (field.annotation, Field(description=field.description))
    for name, field in KeptSpec.model_fields.items()
    if name not in _Report.model_fields
}
"""What a caller may write, and has no line above."""

TaskReport = create_model("TaskReport", __base__=_Report, __doc__="All that is known of a task.", **_LATER)


class ResultReply(Answer):
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


class ResultPage(Answer):
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


class DeadLetterPage(Answer):
    """Some dead letters, newest first."""

    success: Literal[True]
    count: int
    results: list[DeadLetter]
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")


class CancelReply(Answer):
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


class PauseReply(Answer):
    success: Literal[True]
    task_id: str
    pause: Pause


class DecideReply(Answer):
    """The decision is committed; how the task stands now."""

    success: Literal[True]
    message: str
    task_id: str
    status: Status
