"""Calls as others see them: in the log, in a pause's question, in a snapshot, as a task's error.

Pure functions; any thread. Imported by the runner and its skill calls.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from callboard.agent.catalogue import Catalogue
from callboard.agent.exceptions import text_of
from callboard.agent.job import LostProcess
from callboard.agent.ledger import Paused
from callboard.agent.sandbox_run import Asked
from callboard.agent.skill import AnySkill, RetryableError, Skill
from callboard.agent.skill_answers import WrongAnswer
from callboard.arguments import Arguments, size_of
from callboard.errors import TaskError
from callboard.excerpts import excerpt_as, excerpted
from callboard.messages.ledger import CallRecord
from callboard.messages.pauses import DECISIONS, Pause, PauseReason
from callboard.values import mend_text, recordable

SKILL_ERROR_CODES = (
    *("skill_failed", "skill_unavailable", "skill_not_configured"),
    *("attachment_unavailable", "path_refused", "address_refused"),
)
"""The codes that a skill of others may give its error: the rest say something of the server, the model or a person."""


def question_of(paused: Paused, lost: LostProcess | None) -> Pause:
    """Return what a pause waits for, as the log and the task show it; `lost` is the last process that was lost with the task."""
    call, reason = paused.call, paused.reason
    if reason is PauseReason.SUBAGENTS:
        return Pause(
            reason=reason,
            message="The task waits for the agents that it has delegated to.",
            agents=tuple(
                {"taskId": c.task_id, "agent": c.agent, **excerpt_as("task", c.task)} for c in paused.children
            ),
            calls=tuple(row.number for row in paused.calls if row.kind == "agent"),
        )
    if reason is PauseReason.APPROVAL:
        message = f"The skill {call.name} needs a person's approval: decide approve, reject or edit."
    else:
        if lost is not None and lost.attempt == call.attempt:
            what = f"The worker's process that the task was in has ended ({lost.how})"
        else:
            what = "The server, or the worker's process that the task was in, died or was stopped"
        message = (
            f"{what} while the {call.kind} {call.name} was being called, and a call of it must "
            "not be repeated; find out what it did, then decide retry, assume_done or fail."
        )
    pause = Pause(
        reason=reason,
        message=message,
        call=call.number,
        skill=call.name,
        effect_id=call.effect_id,
        attempt=call.attempt,
        args=paused.arguments.get("args"),
        kwargs=paused.arguments.get("kwargs"),
        args_truncated=paused.arguments.get("args_truncated") or None,
        decisions=DECISIONS[reason],
    )
    return pause if call.arguments is None else _with_whole(pause, call.arguments)


def _with_whole(pause: Pause, whole: Arguments) -> Pause:
    """Return a pause whose call's arguments are known, and can be decided on."""
    told = shown(whole.args, whole.kwargs, whole.edited)
    if whole.edited is not None and pause.args is not None:  # a server before did not keep what the script gave
        told |= {"args": pause.args, "kwargs": pause.kwargs}
        told["args_truncated"] = told["args_truncated"] or bool(pause.args_truncated)
    defaults, is_cut = excerpted(None if whole.binding is None else whole.binding.defaults)
    told["args_truncated"] = told["args_truncated"] or is_cut
    return replace(pause, **told, defaults=defaults, args_bytes=size_of(whole.made_with), digest=whole.digest)


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
    """Return a call's arguments for the log, by the names that events have for them, and whether they are shortened there."""
    told = {"args": excerpted(list(args)), "kwargs": excerpted(kwargs), "edited": excerpted(edited)}
    is_cut = any(cut for _, cut in told.values())
    return {name: value for name, (value, _) in told.items()} | {"args_truncated": is_cut}


def cannot_be_asked(name: str, why: Exception) -> TaskError:
    """Return why a call that needs approval is not made: nobody could be shown all that the skill would get, as it is."""
    return TaskError("skill_failed", f"The skill {name} needs a person's approval of its arguments, and {why}.")


def pending_of(asked: Asked, row: CallRecord | None = None) -> list[Any]:
    """Return a call as a snapshot keeps it."""
    arguments = recordable([list(asked.args), asked.kwargs])
    return [asked.call_id, asked.name, *arguments, asked.number if row is None else row.number]


def as_task_error(skill: AnySkill, raised: BaseException, known: TaskError | None, row: CallRecord | None) -> TaskError:
    """Return a skill's error as its task's; `call` is the skill's own row, or what failed inside of one that has none.

    `known` is that error as the host raised it, where it only passed through the skill. What a skill's own code raises is
    the skill's failure, of whichever class it is; of the tree of errors it may use the codes that are about skills.
    """
    call = None if row is None else row.number
    kind, ours = type(raised), not isinstance(skill, Skill) or skill.origin == "builtin"
    if known is None and ours and issubclass(kind, TaskError):
        known = cast("TaskError", raised)
    if known is not None:
        call = known.call if row is None else call
        return TaskError(known.code, mend_text(known.message), retryable=known.retryable, call=call)
    said = text_of(raised)  # kinds are compared by their class alone: an object may say that it is of another one
    words = said.partition(": ")[2] or said  # without the type, which says no more than the words before it
    if issubclass(kind, WrongAnswer):
        return TaskError("skill_failed", words, call=call)
    if issubclass(kind, RetryableError):
        told = f"The skill {skill.name} is not available now: {words}"
        return TaskError("skill_unavailable", told, retryable=True, call=call)
    if kind is TaskError and (code := _code_of(cast("TaskError", raised))) is not None:
        return TaskError(code, words, retryable=vars(raised).get("retryable") is True, call=call)
    return TaskError("skill_failed", f"The skill {skill.name} failed: {said}", call=call)


def _code_of(error: TaskError) -> str | None:
    code = vars(error).get("code")
    return next((own for own in SKILL_ERROR_CODES if type(code) is str and own == code), None)


def ms_since(started_s: float) -> float:
    return round((time.perf_counter() - started_s) * 1000, 3)
