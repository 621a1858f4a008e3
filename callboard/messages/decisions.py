"""What a person asks of a paused task: what it waits for, and that it go on as decided. All are immutable."""

from collections.abc import Mapping

from pydantic.dataclasses import dataclass as request

from callboard.messages.ask import Ask
from callboard.messages.pauses import Decision
from callboard.messages.tasks import TaskRecord
from callboard.values import Json


@request(frozen=True, slots=True, kw_only=True)
class DecideTask(Ask[TaskRecord]):
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


@request(frozen=True, slots=True, kw_only=True)
class GetPause(Ask[Mapping[str, Json]]):
    """Ask what a paused task waits for, with the whole arguments of the call; the reply is the wire form of a `Pause`.

    Raises `TaskNotFound` or `TaskNotPaused`.
    """

    task_id: str
