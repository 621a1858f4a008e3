"""Calls as others see them: in the log, in a pause's question, in a snapshot, as a task's error.

Pure functions; any thread. Imported by the runner and its skill calls.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from callboard.agent.catalogue import Catalogue
from callboard.agent.exceptions import text_of
from callboard.agent.ledger import Paused
from callboard.agent.sandbox import Asked
from callboard.agent.skill import RetryableError
from callboard.agent.skill_answers import WrongAnswer
from callboard.arguments import preview, size_of
from callboard.errors import TaskError
from callboard.messages import DECISIONS, PauseReason
from callboard.records import CallRecord
from callboard.values import mend_text, recordable

_EXCERPT_CHARS = 4000
_EXCERPT_DEPTH = 64


def question_of(paused: Paused) -> dict[str, Any]:
    """Return what a pause waits for, as the log and the task show it."""
    call = paused.call
    told: dict[str, Any] = {"reason": paused.reason.value}
    if paused.reason is PauseReason.SUBAGENTS:
        told["message"] = "The task waits for the agents that it has delegated to."
        told["agents"] = [{"taskId": c.task_id, "agent": c.agent, "task": excerpt(c.task)} for c in paused.children]
        told["calls"] = [row.number for row in paused.calls if row.kind == "agent"]
        return told
    if paused.reason is PauseReason.APPROVAL:
        told["message"] = f"The skill {call.name} needs a person's approval: decide approve, reject or edit."
    else:
        told["message"] = (
            f"The server died or was stopped while the {call.kind} {call.name} was being called, and a call of it must "
            "not be repeated; find out what it did, then decide retry, assume_done or fail."
        )
    told |= {"call": call.number, "skill": call.name, "effectId": call.effect_id, "attempt": call.attempt}
    whole = call.arguments
    if whole is None:
        told |= paused.arguments
    else:
        told |= {"argsTruncated": False, **shown(whole.args, whole.kwargs, whole.edited)}
        told |= {"argsBytes": size_of(whole.made_with), "digest": whole.digest}
        if whole.edited is not None:  # a server before did not keep what the script gave
            told |= paused.arguments
    return {**told, "decisions": list(DECISIONS[paused.reason])}


def refusal_of(name: str, allowed: Mapping[str, Any], catalogue: Catalogue) -> TaskError:
    """Return why a skill may not be called; `allowed` are those that the task may, were nothing restricted."""
    if name in allowed:
        why = f"The skill {name} is not among the allowed-tools of the skills that the task has loaded."
    elif name in catalogue:
        listed = ", ".join(sorted(allowed)) or "none"
        why = (
            f"The skill {name} is not among those that the task may call ({listed}); add it to availableSkills, or leave "
            "that out, or address an agent that has it."
        )
    else:
        why = f"There is no skill {name} on this server; it was there when the code was checked, so bring it back."
    return TaskError("skill_not_allowed", why)


def not_its_tool(asked: Asked) -> TaskError:
    """Return why a script of a skill's folder may not call a skill."""
    name = asked.name.replace("_", "-")
    told = f"The skill {name} is not among the allowed-tools of the script's SKILL.md; add it there."
    return TaskError("skill_not_allowed", told)


def arguments_of(asked: Asked) -> list[Any]:
    """Return what the ledger knows a call's arguments by."""
    return [list(asked.args), dict(sorted(asked.kwargs.items()))]


def shown(args: Sequence[Any], kwargs: Mapping[str, Any], edited: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a call's arguments for the log, and whether they are shortened there."""
    given: dict[str, Any] = {"args": list(args), "kwargs": kwargs, **({} if edited is None else {"edited": edited})}
    told = {name: preview(value) for name, value in given.items()}
    cut = any(cut for _, cut in told.values())
    return {name: value for name, (value, _) in told.items()} | ({"argsTruncated": True} if cut else {})


def cannot_be_shown(name: str, why: ValueError) -> TaskError:
    """Return why a call that needs approval is not made: nobody could be shown all that it would be made with."""
    return TaskError("skill_failed", f"The skill {name} needs a person's approval of its arguments, and {why}.")


def pending_of(asked: Asked, row: CallRecord | None = None) -> list[Any]:
    """Return a call as a snapshot keeps it."""
    arguments = recordable([list(asked.args), asked.kwargs])
    return [asked.call_id, asked.name, *arguments, asked.number if row is None else row.number]


def as_task_error(skill_name: str, raised: BaseException, row: CallRecord | None) -> TaskError:
    """Return a skill's error as its task's; `call` is the skill's own row, or what failed inside of one that has none."""
    call = None if row is None else row.number
    if isinstance(raised, TaskError):
        call = raised.call if row is None else call
        return TaskError(raised.code, mend_text(raised.message), retryable=raised.retryable, call=call)
    if isinstance(raised, WrongAnswer):
        return TaskError("skill_failed", mend_text(str(raised)), call=call)
    said = text_of(raised)
    if isinstance(raised, RetryableError):
        said = said.partition(": ")[2] or said  # its type says no more than the words before it
        return TaskError(
            "skill_unavailable", f"The skill {skill_name} is not available now: {said}", retryable=True, call=call
        )
    return TaskError("skill_failed", f"The skill {skill_name} failed: {said}", call=call)


def ms_since(started_s: float) -> float:
    return round((time.perf_counter() - started_s) * 1000, 3)


def excerpt(value: Any, depth: int = 0) -> Any:
    """Return the value for the log, long texts in it cut."""
    match value:
        case Mapping() | list() | tuple() if depth > _EXCERPT_DEPTH:
            return "…"
        case str() if len(value) > _EXCERPT_CHARS:
            return f"{mend_text(value[:_EXCERPT_CHARS])}… ({len(value) - _EXCERPT_CHARS} more characters)"
        case Mapping():
            return {mend_text(str(key)): excerpt(inner, depth + 1) for key, inner in value.items()}
        case list() | tuple():
            return [excerpt(inner, depth + 1) for inner in value[:100]]
        case None | bool():
            return value
        case int() | float() | str():
            return recordable(value)
        case _:
            return excerpt(recordable(value), depth + 1)
