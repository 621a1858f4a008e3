"""What a decision about a paused task leads to, and what an agent's end does to the call that waits for it.

Pure functions inside the master agent; only its thread calls them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from callboard.actors.live_tasks import Live, ended, requeued
from callboard.actors.mailbox import Delivery
from callboard.agent.catalogue import Catalogue
from callboard.arguments import Arguments, Binding, marks, size_of
from callboard.errors import DecisionOutdated, InvalidRequest, SkillNotFound, SkillNotReady, TaskNotPaused
from callboard.limits import ARGUMENTS_BYTES, ERROR_CHARS, LEDGER_BYTES, cut_middle
from callboard.messages.decisions import DecideTask
from callboard.messages.event_types import TaskFailed, TaskRequeued
from callboard.messages.ledger import CallRecord, CallState
from callboard.messages.pauses import BELONGS_TO, DECISIONS, Decision, PauseReason
from callboard.messages.records import RecordRequeue, RecordResult
from callboard.messages.tasks import Status, TaskRecord
from callboard.pauses import not_paused, reason_of


def _check(record: TaskRecord, message: DecideTask) -> None:
    """Raise unless the decision answers what the task asks."""
    reason = reason_of(record)
    if reason is None:
        raise not_paused(record)
    if reason is PauseReason.SUBAGENTS:
        raise TaskNotPaused(
            f"The task {record.task_id} waits for the agents that it has delegated to; it goes on when they have ended, or "
            "cancel it."
        )
    pause = record.state.pause
    asked, digest = (None, None) if pause is None else (pause.call, pause.digest)
    if message.call is not None and message.call != asked:
        raise TaskNotPaused(
            f"The task {record.task_id} waits with the call {asked}, not with {message.call}; look at its pause again."
        )
    if message.digest is not None and message.digest != digest:
        raise DecisionOutdated(
            f"The decision is about arguments with the digest {message.digest[:80]}, and the call {asked} of the task "
            f"{record.task_id} waits with {digest}; look at its pause again."
        )
    allowed = DECISIONS[reason]
    if message.decision not in allowed:
        raise InvalidRequest(
            f"The task is paused with the reason {reason}, and the decision {message.decision} does not go with that; "
            f"decide one of {', '.join(allowed)}."
        )
    for field, value in (("result", message.result), ("arguments", message.arguments)):
        if value is not None and message.decision is not (goes_with := BELONGS_TO[field]):
            raise InvalidRequest(f"{field} goes with the decision {goes_with} only; leave it out.")


def _check_whole(arguments: Mapping[str, Any], before: Arguments | None) -> None:
    """Raise where what an edit has as an argument is what a list or an event shows of a longer one."""
    known = set() if before is None else set(marks([before.args, before.kwargs]))
    if cut := next((mark for mark in marks(arguments) if mark not in known), None):
        raise InvalidRequest(
            f"The arguments are not whole: a text in them ends in {cut[-40:]!r}, as one that was shortened to be shown does; get "
            "the whole ones with GET /agent/tasks/{taskId}/pause and edit those."
        )
    if (size := size_of(arguments)) > ARGUMENTS_BYTES:
        raise InvalidRequest(
            f"The arguments are {size:,} bytes as JSON, the limit is {ARGUMENTS_BYTES:,}; give less, or the name of a file."
        )


def _require_skill(skill: str, catalogue: Catalogue) -> None:
    """Raise where the call cannot be made since its skill is gone: the decision would be used up for nothing."""
    try:
        catalogue.get(skill)
    except SkillNotReady:
        pass  # its server is late: the task waits for it
    except SkillNotFound as error:
        raise InvalidRequest(
            f"{error.message.removesuffix('.')}; bring the skill back, or decide otherwise."
        ) from error


def _binding_of(skill: str, arguments: Mapping[str, Any] | None, catalogue: Catalogue) -> Binding:
    """Return what the skill gets of an edit; raise where it does not fit, or where the skill would get something else."""
    if arguments is None:
        raise InvalidRequest("The decision edit needs arguments: an object with the skill's arguments by name.")
    try:
        return catalogue.get(skill).binding((), arguments)
    except SkillNotFound as error:
        raise InvalidRequest(f"{error.message.removesuffix('.')}; decide reject, or bring the skill back.") from error
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"The arguments do not fit the skill {skill}: {error}.") from error


def decision_record(
    record: TaskRecord,
    live: Live | None,
    message: DecideTask,
    at: datetime,
    envelope: Delivery,
    *,
    catalogue: Catalogue,
    call: Callable[[str, int], CallRecord | None],
) -> RecordResult | RecordRequeue:
    """Return what a decision has written, the task's end, or that it goes on; raise where it does not answer what is asked.

    `envelope` is that of the decision, and says whose it is; `call` returns a row of a task's ledger.
    """
    _check(record, message)
    pause, binding = record.state.pause, None
    assert pause is not None
    assert pause.call is not None, "else nothing can be decided"
    if message.decision in (Decision.RETRY, Decision.APPROVE):
        _require_skill(str(pause.skill), catalogue)
    if message.decision is Decision.EDIT:
        binding = _binding_of(str(pause.skill), message.arguments, catalogue)
    if message.decision is not Decision.FAIL:
        row = call(record.task_id, pause.call)
        assert row is not None, "it was written with the pause"
        row = _decided(row, message, at, binding)
        requeue = TaskRequeued(
            at=at,
            caller=envelope.principal.caller,
            reason="decision",
            attempt=record.state.attempt,
            decision=message.decision,
            decision_reason=message.reason,
            request_id=envelope.request_id,
            digest=None if row.arguments is None else row.arguments.digest,
            crashes=0,
        )
        return requeued(record, requeue, attempt=None, calls=(row,))
    failure = TaskFailed(
        at=at,
        caller=envelope.principal.caller,
        error=f"The server, or the worker's process, died after {pause.skill} was called, its outcome is unknown, "
        "and it was decided that the task fails.",
        error_code="outcome_unknown",
        decision=message.decision,
        decision_reason=message.reason,
        request_id=envelope.request_id,
    )
    return ended(record.task_id, live, failure, paused_attempt=record.state.attempt)


def _decided(row: CallRecord, message: DecideTask, at: datetime, binding: Binding | None) -> CallRecord:
    """Return the ledger's row of the call that a paused task asks about, as a decision to go on has it.

    `binding` is what the skill gets of an edit.
    """
    match message.decision:
        case Decision.RETRY | Decision.APPROVE:
            return replace(row, state=CallState.OPEN)
        case Decision.EDIT:
            given, before = message.arguments or {}, row.arguments
            _check_whole(given, before)
            args, kwargs = ((), {}) if before is None else (before.args, before.kwargs)
            edited = Arguments.of(row.name, row.effect_id, args, kwargs, given, binding)
            return replace(row, state=CallState.OPEN, arguments=edited)
        case Decision.REJECT:
            why = f": {message.reason}" if message.reason else ""
            told = f"A person rejected the call of {row.name}{why}."
            error = {"code": "approval_rejected", "message": told, "retryable": False}
            return replace(row, state=CallState.FAILED, error=error, ended_at=at)
        case Decision.ASSUME_DONE:
            return replace(row, state=CallState.DONE, result=message.result, ended_at=at)
        case Decision.FAIL:
            raise AssertionError("it ends the task, and changes no call")


def worked_out(row: CallRecord, child: TaskRecord, at: datetime, *, fits: bool = True) -> CallRecord:
    """Return the row of a delegation as the end of the agent's task has it; `fits`: the ledger has room for the answer."""
    if child.status is Status.COMPLETED and not fits:
        told = (
            f"The agent {child.task.spec.agent} has answered, but its answer cannot be kept beside the others: the calls of one task may "
            f"return {LEDGER_BYTES:,} bytes in all. The result of the task {child.task_id} has it; have agents write files."
        )
        error = {"code": "ledger_limit", "message": told, "retryable": False}
        return replace(row, state=CallState.FAILED, error=error, ended_at=at)
    if child.status is Status.COMPLETED:
        return replace(row, state=CallState.DONE, result=child.output, ended_at=at)
    what = "was cancelled" if child.status is Status.CANCELLED else f"failed ({child.error_code}): {child.error}"
    told = f"The task {child.task_id} of the agent {child.task.spec.agent} {what}"
    error = {"code": "agent_failed", "message": cut_middle(told, ERROR_CHARS), "retryable": False}
    return replace(row, state=CallState.FAILED, error=error, ended_at=at)
