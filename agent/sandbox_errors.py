"""What code in the sandbox has raised, as the error of its task.

Pure functions; any thread. Imported by the sandbox.
"""

from collections.abc import Collection
from typing import Any

from pydantic_monty import MontyError, MontyRuntimeError, MontySyntaxError

from callboard.agent.gap_hints import with_hints
from callboard.errors import TaskError
from callboard.limits import ERROR_CHARS, TOLD_CHARS, cut_middle
from callboard.values import mend_text

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
    text = mend_text(cut_middle(str(error), ERROR_CHARS - 200))  # with room for what is said about it
    if isinstance(error, MontySyntaxError):
        where = {"traceback": _display(error)}
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
    details: dict[str, Any] = {"raised": raised, "traceback": with_hints(_display(error), code, allowed)}
    if frames := error.traceback():
        details["exception"] = {"type": text.partition(":")[0][:200], "line": frames[-1].line}
    return TaskError("script_error", with_hints(raised, code, allowed), details=details)


def _display(error: MontyRuntimeError | MontySyntaxError) -> str:
    """Return the traceback in the sandbox; its end is what was raised, so a long one loses its middle."""
    return mend_text(cut_middle(error.display(), TOLD_CHARS))
