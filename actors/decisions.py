"""What a decision about a paused task leads to, and what an agent's end does to the call that waits for it.

Pure functions inside the master agent; only its thread calls them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from callboard.actors.live_tasks import Live, ended, requeued
from callboard.agent.catalogue import Catalogue
from callboard.errors import InvalidRequest, SkillNotFound, TaskNotPaused
from callboard.limits import ERROR_CHARS, LEDGER_BYTES, cut_middle
from callboard.messages import DECISIONS, DecideTask, Decision, PauseReason, Status, TaskRecord
from callboard.records import CallRecord, CallState, RecordRequeue, RecordResult, TaskLedger


def reason_of(record: TaskRecord) -> PauseReason | None:
    """Return what a task waits for, None if it is not paused."""
    if record.status is not Status.PAUSED:
        return None
    return PauseReason((record.pause or {}).get("reason", PauseReason.OUTCOME_UNKNOWN))


def check_decision(record: TaskRecord, message: DecideTask, catalogue: Catalogue) -> None:
    """Raise unless the decision answers what the task asks, with arguments that fit."""
    reason = reason_of(record)
    if reason is None:
        raise TaskNotPaused(f"The task {record.task_id} is {record.status}, not paused; there is nothing to decide.")
    if reason is PauseReason.SUBAGENTS:
        raise TaskNotPaused(
            f"The task {record.task_id} waits for the agents that it has delegated to; it goes on when they have ended, or "
            "cancel it."
        )
    asked = (record.pause or {}).get("call")
    if message.call is not None and message.call != asked:
        raise TaskNotPaused(
            f"The task {record.task_id} waits with the call {asked}, not with {message.call}; look at its pause again."
        )
    allowed = DECISIONS[reason]
    if message.decision not in allowed:
        raise InvalidRequest(
            f"The task is paused with the reason {reason}, and the decision {message.decision} does not go with that; "
            f"decide one of {', '.join(allowed)}."
        )
    if message.decision is Decision.EDIT:
        _check_arguments(str((record.pause or {}).get("skill")), message.arguments, catalogue)


def _check_arguments(skill: str, arguments: Mapping[str, Any] | None, catalogue: Catalogue) -> None:
    if arguments is None:
        raise InvalidRequest("The decision edit needs arguments: an object with the skill's arguments by name.")
    try:
        catalogue.get(skill).check(arguments)
    except SkillNotFound as error:
        raise InvalidRequest(f"{error.message.removesuffix('.')}; decide reject, or bring the skill back.") from error
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"The arguments do not fit the skill {skill}: {error}.") from error


def decision_record(
    record: TaskRecord,
    live: Live | None,
    ledger: Callable[[], TaskLedger],
    message: DecideTask,
    at: datetime,
) -> RecordResult | RecordRequeue:
    """Return what a decision has written: the task's end, or that it goes on."""
    told: dict[str, Any] = {"decision": message.decision.value}
    told |= {} if message.reason is None else {"decisionReason": message.reason}
    told |= {} if message.request_id is None else {"requestId": message.request_id}
    if message.decision is not Decision.FAIL:
        calls = (_decided(record, ledger(), message, at),)
        return requeued(record, "decision", at, attempt=None, crashes=0, calls=calls, told=told)
    return ended(
        record.task_id,
        live,
        at,
        status=Status.FAILED,
        error=f"The server died after {(record.pause or {}).get('skill')} was called, its outcome is unknown, "
        "and it was decided that the task fails.",
        error_code="outcome_unknown",
        only_paused=True,
        told=told,
    )


def _decided(record: TaskRecord, ledger: TaskLedger, message: DecideTask, at: datetime) -> CallRecord:
    """Return the ledger's row of the call that a paused task asks about, as a decision to go on has it."""
    number = (record.pause or {}).get("call")
    row = next(call for call in ledger.calls if call.number == number)
    match message.decision:
        case Decision.RETRY | Decision.APPROVE:
            return replace(row, state=CallState.OPEN)
        case Decision.EDIT:
            return replace(row, state=CallState.OPEN, edited=message.arguments)
        case Decision.REJECT:
            why = f": {message.reason}" if message.reason else ""
            told = f"A person rejected the call of {row.name}{why}."
            error = {"code": "approval_rejected", "message": told, "retryable": False}
            return replace(row, state=CallState.FAILED, error=error, ended_at=at)
        case _:
            return replace(row, state=CallState.DONE, result=message.result, ended_at=at)


def worked_out(row: CallRecord, child: TaskRecord, at: datetime, *, fits: bool = True) -> CallRecord:
    """Return the row of a delegation as the end of the agent's task has it; `fits`: the ledger has room for the answer."""
    if child.status is Status.COMPLETED and not fits:
        told = (
            f"The agent {child.agent} has answered, but its answer cannot be kept beside the others: the calls of one task may "
            f"return {LEDGER_BYTES:,} bytes in all. The result of the task {child.task_id} has it; have agents write files."
        )
        error = {"code": "ledger_limit", "message": told, "retryable": False}
        return replace(row, state=CallState.FAILED, error=error, ended_at=at)
    if child.status is Status.COMPLETED:
        return replace(row, state=CallState.DONE, result=child.output, ended_at=at)
    what = "was cancelled" if child.status is Status.CANCELLED else f"failed ({child.error_code}): {child.error}"
    told = f"The task {child.task_id} of the agent {child.agent} {what}"
    error = {"code": "agent_failed", "message": cut_middle(told, ERROR_CHARS), "retryable": False}
    return replace(row, state=CallState.FAILED, error=error, ended_at=at)
