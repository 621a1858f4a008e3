"""The body of POST /agent/tasks/{taskId}/decide: one model, for the OpenAPI document and for validation.

Pure functions in the request's waitress thread; imported within `http/` only.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError
from pydantic.alias_generators import to_camel

from callboard.arguments import DIGEST_PATTERN
from callboard.errors import InvalidRequest
from callboard.http.validation import explained, require_fields, whole
from callboard.messages.decisions import DecideTask
from callboard.messages.pauses import BELONGS_TO, Decision
from callboard.task_spec import LabelText
from callboard.values import INT64_MAX, check_value


class DecisionSpec(BaseModel):
    """What to do about the call that a paused task waits with; its `pause.decisions` says which of these there are."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    decision: Decision = Field(
        description="Of a call whose outcome is unknown: `retry`: make it again; `assume_done`: go on as if it had returned "
        "`result`; `fail`: end the task as failed. Of one that needs approval: `approve`: make it; `reject`: do not, and "
        "have the code go on with an error; `edit`: make it with `arguments`."
    )
    result: Any = Field(
        default=None,
        description="With `assume_done`: what the call is taken to have returned; null where it is not sent.",
    )
    arguments: dict[StrictStr, Any] | None = Field(
        default=None, description="With `edit`: all arguments of the call, by name, in place of the code's own."
    )
    call: StrictInt | None = Field(
        default=None,
        ge=1,
        le=INT64_MAX,
        description="The `call` of the task's pause that the decision is about: one that comes twice is then refused with "
        "409, and does not fall on the next call.",
    )
    digest: StrictStr | None = Field(
        default=None,
        pattern=DIGEST_PATTERN,
        description="The `digest` of the task's pause: what was decided on. Refused with 409 if the call that waits has other "
        "arguments.",
    )
    reason: LabelText | None = Field(default=None, description="Why, for the task's log.")


FIELDS = frozenset(DecisionSpec.model_fields)


def decision_from(body: Any, task_id: str) -> DecideTask:
    """Return the decision that a decoded body takes about a task; raise `InvalidRequest`."""
    require_fields(body, FIELDS)
    try:
        spec = DecisionSpec.model_validate({**body, "call": whole(body.get("call"))} if "call" in body else body)
    except ValidationError as error:
        raise explained(error) from error
    sent = spec.model_fields_set - ({"arguments"} if spec.arguments is None else set())
    for field, decision in BELONGS_TO.items():
        if field in sent and spec.decision is not decision:
            raise _wrong(field, f"goes with the decision {decision} only; leave it out")
    if spec.decision is Decision.EDIT and spec.arguments is None:
        raise _wrong("arguments", "is missing; the decision edit needs an object with the call's arguments by name")
    check_value(spec.result, "result")
    check_value(spec.arguments, "arguments")
    return DecideTask(
        task_id=task_id,
        decision=spec.decision,
        result=spec.result,
        arguments=spec.arguments,
        call=spec.call,
        digest=spec.digest,
        reason=spec.reason,
    )


def _wrong(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{field} {problem}.", details={"fields": [{"field": field, "problem": problem}]})
