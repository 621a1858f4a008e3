"""Tasks that have not ended, as the master agent holds them, and what it has the result logger write about them.

Plain data and pure functions inside the master agent; only its thread touches them.
"""

from dataclasses import dataclass
from datetime import datetime

from callboard.agent.job import Job, LostProcess, Progress
from callboard.budget import Charges
from callboard.messages.event_types import TaskCancelled, TaskFailed, TaskRequeued
from callboard.messages.ledger import CallRecord, TaskLedger
from callboard.messages.records import RecordRequeue, RecordResult
from callboard.messages.tasks import Status, TaskRecord
from callboard.settings import Settings


@dataclass(slots=True, kw_only=True)
class Live:
    """A task that has not ended, as far as the store has told.

    `ends_by_s` is its own deadline and `deadline_s` the one that is watched now, in seconds of `time.monotonic`, so
    that no change of the wall clock moves them. `turn` counts how often it was put among the ready ones: an entry of
    an earlier turn means nothing any more.
    """

    record: TaskRecord
    job: Job | None = None
    lost: LostProcess | None = None  # the last one, since this server began to look after it
    started_at: datetime | None = None
    ends_by_s: float | None = None
    deadline_s: float | None = None
    turn: int = 0
    budget_s: float | None = None  # when a budget of time is spent, and what to end it with then
    budget_error: str = ""
    ending: bool = False  # its end is on its way to the store: it must not start any more

    def on_last_chance(self, crashes: int) -> bool:
        """Whether one more death of a server makes it a dead letter; `crashes` is the last number that does not."""
        return 0 < self.record.state.crashes == crashes

    def unsaid(self) -> Charges:
        """Return what its attempt has spent and no record has carried yet; the next one is to carry it."""
        return () if self.job is None else self.job.progress.charges()

    def extend(self, until_s: float) -> bool:
        """Let a pause's time not run out before a moment, while a decision is on its way; True if another deadline is to be watched."""
        before = self.deadline_s
        if before is not None and before != self.ends_by_s:
            self.deadline_s = max(before, until_s if self.ends_by_s is None else min(until_s, self.ends_by_s))
        return self.deadline_s != before


def got_further(record: TaskRecord, ledger: TaskLedger) -> bool:
    """Say whether the attempt that died had finished a call: then it is not the task that servers die of."""
    return any(call.attempt == record.state.attempt and call.ended_at is not None for call in ledger.calls)


def died_of(crashes: int, most: int, lost: LostProcess | None) -> str:
    """Return why a task is a dead letter; `lost` is the worker's process that died last, if it was one."""
    last = "" if lost is None else f"; the last time it was a worker's process, {lost.how}"
    return (
        f"The server, or the process that worked on the task, died {crashes} times while it did, the limit is {most} "
        f"(CALLBOARD_MAX_CRASHES){last}; find out why, then redrive the dead letter."
    )


def requeued(
    record: TaskRecord,
    event: TaskRequeued,
    *,
    attempt: int | None,
    calls: tuple[CallRecord, ...] = (),
    charges: Charges = (),
) -> RecordRequeue:
    """Return the record that sets a task back to pending, as its event says."""
    return RecordRequeue(
        task_id=record.task_id,
        attempt=attempt,
        at=event.at,
        events=(event,),
        crashes=event.crashes,
        calls=calls,
        charges=charges,
        paused_attempt=record.state.attempt if attempt is None else None,
    )


def ended(
    task_id: str, live: Live | None, event: TaskCancelled | TaskFailed, *, paused_attempt: int | None = None
) -> RecordResult:
    """Return the record that ends a task from outside, as its event says, with how far its run has come.

    With `paused_attempt` only where it is paused since that attempt.
    """
    attempt = live.job.attempt if live and live.job else live.record.state.attempt if live else 0
    progress = live.job.progress if live and live.job else Progress()
    failed = event if isinstance(event, TaskFailed) else None
    return RecordResult(
        task_id=task_id,
        attempt=None,
        status=Status.CANCELLED if failed is None else Status.FAILED,
        at=event.at,
        events=(event,),
        output="".join(tuple(progress.printed)) or None,
        error=None if failed is None else failed.error,
        error_code=None if failed is None else failed.error_code,
        execution_time_ms=None if progress.worked_ms is None else round(progress.worked_ms, 3),
        metadata={**progress.metadata, "attempt": attempt} if attempt else {},
        only_paused=paused_attempt is not None,
        paused_attempt=paused_attempt,
        charges=progress.charges(last=True),
    )


def overdue(live: Live, deadline_s: float, settings: Settings) -> tuple[str, str]:
    """Return why a task's time is up, as a sentence and a code."""
    if deadline_s == live.budget_s:
        return live.budget_error, "budget_exceeded"
    if deadline_s == live.ends_by_s:
        limit = f"its timeoutMs of {live.record.task.spec.timeout_ms}"
    elif live.record.status is Status.PAUSED and live.job is None:
        return (
            f"The task was paused and nobody decided within {settings.decision_timeout_s:g} s "
            "(CALLBOARD_DECISION_TIMEOUT_S).",
            "decision_expired",
        )
    else:
        limit = f"the server's limit of {settings.run_timeout_s:g} s (CALLBOARD_RUN_TIMEOUT_S)"
    return f"The task did not end within {limit}; give it more time, or less to do.", "deadline_exceeded"
