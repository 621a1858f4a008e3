"""The body of POST /agent/tasks/{taskId}/decide: one model, for the OpenAPI document and for validation.

Pure functions in the request's waitress thread; imported within `http/` only.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from callboard.errors import InvalidRequest
from callboard.http.request import Request
from callboard.http.validation import explained, require_fields
from callboard.messages import DecideTask, Decision
from callboard.task_spec import LabelText
from callboard.values import check_value


class DecisionSpec(BaseModel):
    """What to do about a call whose outcome is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    decision: Decision = Field(
        description="`retry`: make the call again; `assume_done`: go on as if it had returned `result`; `fail`: end the "
        "task as failed."
    )
    result: Any = Field(default=None, description="With `assume_done`: what the call is taken to have returned.")
    reason: LabelText | None = Field(default=None, description="Why, for the task's log.")


FIELDS = frozenset(DecisionSpec.model_fields)


def decision_from(body: Any, req: Request, task_id: str) -> DecideTask:
    """Return the decision that a decoded body takes about a task; raise `InvalidRequest`."""
    require_fields(body, FIELDS)
    try:
        spec = DecisionSpec.model_validate(body)
    except ValidationError as error:
        raise explained(error) from error
    if "result" in spec.model_fields_set and spec.decision is not Decision.ASSUME_DONE:
        problem = "goes with the decision assume_done only; leave it out"
        raise InvalidRequest(f"result {problem}.", details={"fields": [{"field": "result", "problem": problem}]})
    check_value(spec.result, "result")
    return DecideTask(
        task_id=task_id,
        decision=spec.decision,
        result=spec.result,
        reason=spec.reason,
        caller=req.caller,
        request_id=req.request_id,
    )
