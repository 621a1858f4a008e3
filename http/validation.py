"""A request's body becomes a `SubmitTask`, or an error that names each field and what is wrong with it.

The rules themselves stand in `callboard.task_spec.TaskSpec`. Pure functions in the request's waitress thread;
imported within `http/` only.
"""

from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from callboard.arguments import DIGEST_PATTERN
from callboard.errors import InvalidRequest
from callboard.http.codec import read_body, shown
from callboard.http.request import Request
from callboard.messages.tasks import SubmitTask
from callboard.task_spec import SESSION_ID_PATTERN, SESSION_ID_RULE, TaskSpec
from callboard.values import INT64_MAX, INT64_MIN

FIELDS = frozenset(field.alias or name for name, field in TaskSpec.model_fields.items())
"""The names a task's body may have, as on the wire."""

_KINDS = {to_camel(name): {hint, *get_args(hint)} for name, hint in get_type_hints(TaskSpec).items()}
_INTEGERS = frozenset(name for name in FIELDS if int in _KINDS[name] and float not in _KINDS[name])
_INNER = {
    name: kind for name in FIELDS for kind in _KINDS[name] if isinstance(kind, type) and issubclass(kind, BaseModel)
}
_SHOWN_FAULTS = 20
_MOST_FAULTS = 200


def task_from(body: Any) -> SubmitTask:
    """Return the task a decoded body asks for; raise `InvalidRequest`."""
    require_fields(body, FIELDS)
    _check_label_numbers(body.get("labels"))
    fields = dict(body)
    for name in _INTEGERS & body.keys():
        fields[name] = whole(body[name])
    for name in _INNER.keys() & body.keys():
        if isinstance(inner := body[name], dict):
            fields[name] = {key: whole(value) for key, value in inner.items()}
    try:
        return SubmitTask.model_validate(fields, by_name=False)
    except ValidationError as error:
        raise explained(error) from error


def whole(value: Any) -> Any:
    """Return 5.0 as 5: JSON has one kind of number, so it is an integer to JSON Schema and the OpenAPI document."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def expect_no_wish(req: Request, limit_bytes: int) -> None:
    """Accept a request without a body, or with an empty object: one may not wish for what there is not."""
    if req.content_length:
        require_fields(read_body(req, limit_bytes), frozenset())


def require_fields(body: Any, known: frozenset[str]) -> None:
    """Raise unless `body` is an object with no other names than the known ones."""
    if not isinstance(body, dict):
        raise InvalidRequest('The body must be an object, such as {"task": "What is 12 times 7?"}.')
    if body.keys() <= known:
        return
    unknown = sorted(shown(name) for name in body.keys() - known)
    names = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    plural = "s" if len(unknown) > 1 else ""
    allowed = f"the known ones are: {', '.join(sorted(known))}" if known else "this request takes none"
    faults = [{"field": name.strip("'"), "problem": "is not known"} for name in unknown[:_SHOWN_FAULTS]]
    raise InvalidRequest(f"Unknown field{plural} {names}; {allowed}.", details={"fields": faults})


def _check_label_numbers(labels: Any) -> None:
    """Refuse integers beyond 64 bits, which the model would take as floats."""
    for name, value in labels.items() if isinstance(labels, dict) else ():
        if type(value) is int and not INT64_MIN <= value <= INT64_MAX:
            place, problem = f"labels.{shown(name)[1:-1]}", "is an integer beyond 64 bits; send it as a string"
            raise InvalidRequest(f"{place} {problem}.", details={"fields": [{"field": place, "problem": problem}]})


def explained(error: ValidationError) -> InvalidRequest:
    """Return one readable sentence for all faults, with each of them in `details`."""
    if error.error_count() > _MOST_FAULTS:  # PERF: pydantic would build a dict for each of up to a million
        return InvalidRequest(f"The body has {error.error_count()} faults; compare it with TaskSpec in /openapi.json.")
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        place, problem = _place(fault["loc"]), _problem(fault)
        # A label may be text or a number, so pydantic finds one fault for each; more than one says it is neither.
        faults[place] = "must be a string or a number" if place in faults else problem
    sentence = "; ".join(f"{place} {problem}" for place, problem in list(faults.items())[:3])
    more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
    fields = [{"field": place, "problem": problem} for place, problem in list(faults.items())[:_SHOWN_FAULTS]]
    return InvalidRequest(f"{sentence}{more}.", details={"fields": fields})


def _place(location: tuple[int | str, ...]) -> str:
    """Return where a fault is, such as `labels.colour`, `availableSkills[2]` or `attachments[0].name`."""
    # what is below a label are pydantic's names for the branches of a union
    parts = location[:2] if location and location[0] == "labels" else location
    text = str(parts[0]) if parts else "the body"
    for part in parts[1:]:
        text += f"[{part}]" if isinstance(part, int) else f".{shown(part)[1:-1] or '(empty name)'}"
    return text


_PROBLEMS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "enum": "must be {expected}",
    "model_type": "must be an object",
    "string_type": "must be a string",
    "string_unicode": "holds half of a surrogate pair, which cannot be stored",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "dict_type": "must be an object",
    "tuple_type": "must be an array",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "too_short": "is empty",
    "too_long": "is longer than {max_length}",
    "greater_than_equal": "is less than {ge}",
    "less_than_equal": "is more than {le}",
    "value_error": "{error}",
}
"""pydantic's kinds of fault in our words; any other keeps pydantic's own."""

_RULES: Mapping[str, str] = {
    DIGEST_PATTERN: "must be the whole digest of the task's pause: 64 characters of 0 to 9 and a to f",
    SESSION_ID_PATTERN: SESSION_ID_RULE,
}
"""What the patterns mean, for people."""


def _problem(fault: Mapping[str, Any]) -> str:
    inner = _INNER.get(str(fault["loc"][0])) if fault["loc"] else None
    if fault["type"] == "extra_forbidden" and inner is not None:
        return f"is not known; there are {', '.join(str(field.alias) for field in inner.model_fields.values())}"
    if fault["type"] == "string_pattern_mismatch" and (rule := _RULES.get(fault["ctx"]["pattern"])):
        return rule
    ours = _PROBLEMS.get(fault["type"])
    return ours.format_map(fault.get("ctx", {})) if ours else f"is not valid: {fault['msg']}"
