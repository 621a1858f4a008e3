"""Calls as others see them: in the log, in a pause's question, in a snapshot, as a task's error.

Pure functions; any thread. Imported by the runner and its skill calls.
"""

import time
from collections.abc import Mapping
from typing import Any

from callboard.agent.catalogue import Catalogue
from callboard.agent.exceptions import text_of
from callboard.agent.ledger import Paused
from callboard.agent.sandbox import Asked
from callboard.agent.skill import RetryableError
from callboard.agent.skill_answers import WrongAnswer
from callboard.errors import TaskError
from callboard.excerpts import excerpt
from callboard.messages import DECISIONS, PauseReason
from callboard.records import CallRecord
from callboard.values import mend_text, recordable


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
    return {
        **told,
        "call": call.number,
        "skill": call.name,
        "effectId": call.effect_id,
        "attempt": call.attempt,
        **paused.arguments,
        **({} if call.edited is None else {"edited": excerpt(call.edited)}),
        "decisions": list(DECISIONS[paused.reason]),
    }


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


def shown(asked: Asked) -> dict[str, Any]:
    """Return a call's arguments for the log."""
    return {"args": excerpt(list(asked.args)), "kwargs": excerpt(asked.kwargs)}


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
