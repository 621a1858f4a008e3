"""Answering a sandbox's calls with one function, as most tests of scripts need it."""

from collections.abc import Callable
from typing import Any

from callboard.agent.sandbox_run import AnswerCalls, Asked, Dump
from callboard.errors import TaskError

Call = Callable[[str, tuple[Any, ...], dict[str, Any]], Any]


def one_by_one(call: Call) -> AnswerCalls:
    """Return what answers each call with `call(name, args, kwargs)`, or raises its `TaskError` in the script."""

    def answer(asked: list[Asked], _dump: Dump) -> list[Any]:
        return [_answer(call, one) for one in asked]

    return answer


def _answer(call: Call, one: Asked) -> Any:
    try:
        return call(one.name, one.args, one.kwargs)
    except TaskError as error:
        return error
