"""What a task was allowed, as answers tell it: the models that validate, with what an answer does not leave out or never says."""

from typing import Any

from pydantic import ConfigDict

from callboard.budget import Budget
from callboard.task_spec import RetryPolicy


def _all_there(schema: dict[str, Any]) -> None:
    schema["required"] = list(schema["properties"])


def _none_null(schema: dict[str, Any]) -> None:
    for name, field in schema["properties"].items():
        (kind,) = (branch for branch in field.pop("anyOf") if branch != {"type": "null"})
        schema["properties"][name] = {**kind, **field}


class KeptRetryPolicy(RetryPolicy):
    """How often a task is tried when it fails with an error that is marked retryable, and how long it waits between."""

    model_config = ConfigDict(json_schema_extra=_all_there)


class KeptBudget(Budget):
    """Limits on what is spent; what is absent is not limited."""

    model_config = ConfigDict(json_schema_extra=_none_null)
