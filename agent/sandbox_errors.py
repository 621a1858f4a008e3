"""What code in the sandbox has raised, as the error of its task.

Pure functions; any thread. Imported by the sandbox.
"""

from collections.abc import Collection
from typing import Any

from pydantic_monty import MontyError, MontyRuntimeError, MontySyntaxError

from callboard.agent.gap_hints import with_hints
from callboard.errors import TaskError
from callboard.values import mend_text, shortened

_MOST_CHARS = 20_000
"""Most that is looked at of an error's text: code may raise one of fifty megabytes, which took four seconds to read."""

_LIMITS = {
    "time limit exceeded": "time_limit",
    "memory limit exceeded": "memory_limit",
    "maximum recursion depth exceeded": "recursion_limit",
    "suspension limit": "call_limit",
    "exceeded its memory limit": "memory_limit",
}


def error_of(error: MontyError, code: str, allowed: Collection[str] | None, time_s: float) -> TaskError:
    """Return what code has raised, with what to write instead where the sandbox lacks something.

    `allowed` are the skills that may be advised (None: all), `time_s` is the limit of the code's time. The details have the
    `traceback`, `exception` with type and line, and `raised`, the message without advice.
    """
    text = _cut(str(error))
    if isinstance(error, MontySyntaxError):
        where = {"traceback": _cut(error.display())}
        return TaskError("script_error", f"The code cannot be parsed: {text}", details=where)
    if not isinstance(error, MontyRuntimeError):
        return TaskError("script_error", text)
    limit = next((limit for words, limit in _LIMITS.items() if words in text), None)
    if limit == "time_limit":
        told = f"The code ran longer than the limit of {time_s:g} s; do less, or raise CALLBOARD_SANDBOX_TIME_S."
        return TaskError(limit, told)
    if limit is not None:
        return TaskError(limit, f"The code was stopped at its limit: {text}")
    raised = f"The code raised {text}"
    details: dict[str, Any] = {"raised": raised, "traceback": with_hints(_cut(error.display()), code, allowed)}
    if frames := error.traceback():
        details["exception"] = {"type": text.partition(":")[0][:200], "line": frames[-1].line}
    return TaskError("script_error", with_hints(raised, code, allowed), details=details)


def _cut(text: str) -> str:
    return mend_text(shortened(text, _MOST_CHARS))
