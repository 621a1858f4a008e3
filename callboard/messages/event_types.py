"""Every event: one class for each `Topic`, with its fields in the order of its wire form.

All are immutable. Made by the run and by whoever ends a task, read by who follows them; imported by every folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from callboard.messages.events import NewEvent, TaskEvent, Topic
from callboard.messages.pauses import Decision, Pause
from callboard.messages.wire import ABSENT, QUOTED, Absent
from callboard.values import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskExecute(NewEvent):
    """A task was accepted; `attachments` are the names of its files, `parent_id` the task that delegated it."""

    topic = Topic.TASK_EXECUTE
    task: str
    session_id: str
    request_id: str | None = None
    available_skills: tuple[str, ...] | None = None
    agent: str | None = None
    parent_id: str | None = None
    attachments: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDelta(NewEvent):
    """A model has written something, or thought; `reset`: what came before of this answer is to be forgotten."""

    topic = Topic.MODEL_DELTA
    step: int
    purpose: str
    text: str
    thoughts: str | None = None
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCompleted(NewEvent):
    """A call of a model has ended; the cost is None where nobody knows the price."""

    topic = Topic.MODEL_COMPLETED
    step: int
    purpose: str
    model: str
    ok: bool
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | Absent | None = ABSENT
    tries: int | None = None
    cached_tokens: int | None = None
    estimated: bool = False
    cut: bool = False
    tools: str | None = field(default=None, metadata=QUOTED)
    truncated: bool = False
    thoughts: str | None = field(default=None, metadata=QUOTED)
    turns_left_out: int | None = None
    rounds_left_out: int | None = None
    duration_ms: float | None = None
    replayed: bool = False
    error: str | None = None
    error_code: str | None = None

    def data(self) -> dict[str, Json]:
        """Return the wire form; that of a call that failed has another order."""
        told = NewEvent.data(self)
        return told if self.ok else {key: told[key] for key in _OF_A_FAILED_CALL if key in told}


_OF_A_FAILED_CALL = (
    *("step", "purpose", "model", "turnsLeftOut", "roundsLeftOut", "durationMs"),
    *("ok", "error", "errorCode", "inputTokens", "outputTokens"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(NewEvent):
    """A plan has been made and its code, if it has any, is about to run, or to go on.

    `resumed_at_call` is the ledger's number of the call that it goes on from; `snapshot_refused` why it starts again instead.
    """

    topic = Topic.STEP_STARTED
    step: int
    agent: str
    planner: str
    intent: str
    code: str | None = field(metadata=QUOTED)
    prompt_version: int | None = None
    resumed_at_call: int | None = None
    snapshot_refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCompleted(NewEvent):
    """The code has ended; `printed` is None where there was none."""

    topic = Topic.STEP_COMPLETED
    step: int
    duration_ms: float
    ok: bool
    printed: str | None = field(default=None, metadata=QUOTED)
    truncated: bool = False
    error: str | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillStarted(NewEvent):
    """A skill is about to be called, or a task to be delegated (`agent`, `task_id`).

    `edited` are the arguments that a person put in place of the code's own; `effect_id` is there where the call is in the ledger,
    `digest` where a person decides on it, or may have to.
    """

    topic = Topic.SKILL_STARTED
    call: int
    skill: str
    replay: str
    args: Json = field(metadata=QUOTED)
    kwargs: Json = field(metadata=QUOTED)
    edited: Json = field(default=None, metadata=QUOTED)
    args_truncated: bool = False
    effect_id: str | None = None
    digest: str | None = None
    agent: str | None = None
    task_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillCompleted(NewEvent):
    """A call has returned, failed, was refused (then it has no duration), or was answered from the ledger (`replayed`)."""

    topic = Topic.SKILL_COMPLETED
    ok: bool
    result: Json | Absent = field(default=ABSENT, metadata=QUOTED)
    truncated: bool = False
    error: str | None = None
    error_code: str | None = None
    exception: Mapping[str, Json] | None = field(default=None, metadata=QUOTED)
    call: int
    skill: str
    duration_ms: float | None = None
    replayed: bool = False
    agent: str | None = None
    task_id: str | None = None

    def data(self) -> dict[str, Json]:
        """Return the wire form; that of a call that was refused has another order."""
        told = NewEvent.data(self)
        made = self.duration_ms is not None or self.replayed or self.task_id is not None
        return told if made else {"call": self.call, "skill": self.skill, **told}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPaused(NewEvent):
    """The task waits for a decision, or for agents: `pause` says for what."""

    topic = Topic.TASK_PAUSED
    pause: Pause

    def data(self) -> dict[str, Json]:
        """Return the pause's wire form, without the time, which is the event's own."""
        return {key: value for key, value in self.pause.data().items() if key != "since"}

    @classmethod
    def read(cls, data: Mapping[str, Json], **beside: Any) -> Self:
        return cls(pause=Pause.read(data), **beside)

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        return tuple(key for key in Pause.keys() if key != "since")  # noqa: SIM118  # it is no mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequeued(NewEvent):
    """The attempt `attempt` is over, and the task goes on under the next one.

    `reason` is `takeover`, `worker`, `retry`, `decision`, `subagents` or `drain`; `error` why it is a retry, or how the worker's
    process has ended; `digest` that of the arguments that were decided on.
    """

    topic = Topic.TASK_REQUEUED
    reason: str
    attempt: int
    error: str | None = None
    error_code: str | None = None
    not_before: datetime | None = None
    decision: Decision | None = None
    decision_reason: str | None = None
    request_id: str | None = None
    digest: str | None = None
    crashes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnd(NewEvent):
    """The last event of a task's log; the writer says how many milliseconds it took, by the clock and of work."""

    elapsed_time: float | None = None
    execution_time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCompleted(TaskEnd):
    """The task has its output; the writer cuts one that is long (`output_truncated`)."""

    topic = Topic.TASK_COMPLETED
    output: Json
    output_truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(TaskEnd):
    """The task ended with an error, or since it was decided so."""

    topic = Topic.TASK_FAILED
    error: str
    error_code: str
    decision: Decision | None = None
    decision_reason: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCancelled(TaskEnd):
    """The task was cancelled, by a request or since the task that delegated it has ended (`reason`)."""

    topic = Topic.TASK_CANCELLED
    request_id: str | None = None
    reason: str | None = None


TYPES: Mapping[Topic, type[NewEvent]] = {
    kind.topic: kind
    for kind in (
        *(TaskExecute, ModelDelta, ModelCompleted, StepStarted, StepCompleted, SkillStarted, SkillCompleted),
        *(TaskPaused, TaskRequeued, TaskCompleted, TaskFailed, TaskCancelled),
    )
}


def read(event: TaskEvent) -> NewEvent:
    """Return what an entry of a log says; older ones lack what was not told yet, which is None then, whatever its type."""
    return TYPES[event.topic].read(event.data, at=event.at)
