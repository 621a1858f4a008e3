"""Tasks that have not ended, as the master agent holds them, and what it has the result logger write about them.

Plain data and pure functions inside the master agent; only its thread touches them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from callboard.agent.job import Job, Progress
from callboard.budget import Charges
from callboard.messages import Status, TaskRecord, Topic
from callboard.records import CallRecord, NewEvent, RecordRequeue, RecordResult, TaskLedger
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
    started_at: datetime | None = None
    ends_by_s: float | None = None
    deadline_s: float | None = None
    turn: int = 0
    budget_s: float | None = None  # when a budget of time is spent, and what to end it with then
    budget_error: str = ""
    ending: bool = False  # its end is on its way to the store: it must not start any more

    def on_last_chance(self, crashes: int) -> bool:
        """Whether one more death of a server makes it a dead letter; `crashes` is the last number that does not."""
        return 0 < self.record.crashes == crashes

    def as_it_stands(self) -> TaskRecord:
        if self.job is None:
            return self.record
        return replace(self.record, status=Status.RUNNING, attempt=self.job.attempt, started_at=self.started_at)


@dataclass(slots=True, kw_only=True)
class Held:
    """A worker that has not let go of a task that is over; `replaced` once another worker stands in for it."""

    since_s: float
    replaced: bool = False


_NOTHING: Mapping[str, Any] = {}


def got_further(record: TaskRecord, ledger: TaskLedger) -> bool:
    """Say whether the attempt that died had finished a call: then it is not the task that servers die of."""
    return any(call.attempt == record.attempt and call.ended_at is not None for call in ledger.calls)


def requeued(
    record: TaskRecord,
    reason: str,
    at: datetime,
    *,
    attempt: int | None,
    crashes: int | None = None,
    calls: tuple[CallRecord, ...] = (),
    charges: Charges = (),
    told: Mapping[str, Any] = _NOTHING,
) -> RecordRequeue:
    """Return the record that sets a task back to pending; `told` goes into its event."""
    data: dict[str, Any] = {"reason": reason, "attempt": record.attempt, **told}
    if crashes is not None:
        data["crashes"] = crashes
    return RecordRequeue(
        task_id=record.task_id,
        attempt=attempt,
        at=at,
        events=(NewEvent(topic=Topic.TASK_REQUEUED, at=at, data=data),),
        crashes=crashes,
        calls=calls,
        charges=charges,
    )


def ended(
    task_id: str,
    live: Live | None,
    at: datetime,
    *,
    status: Status,
    error: str | None = None,
    error_code: str | None = None,
    only_paused: bool = False,
    told: Mapping[str, Any] = _NOTHING,
) -> RecordResult:
    """Return the record that ends a task from outside, with how far its run has come; `told` goes into its event."""
    attempt = live.job.attempt if live and live.job else live.record.attempt if live else 0
    progress = live.job.progress if live and live.job else Progress()
    data: dict[str, Any] = {} if error is None else {"error": error, "errorCode": error_code}
    topic = Topic.TASK_CANCELLED if status is Status.CANCELLED else Topic.TASK_FAILED
    return RecordResult(
        task_id=task_id,
        attempt=None,
        status=status,
        at=at,
        events=(NewEvent(topic=topic, at=at, data={**data, **told}),),
        output="".join(tuple(progress.printed)) or None,
        error=error,
        error_code=error_code,
        execution_time_ms=None if progress.worked_ms is None else round(progress.worked_ms, 3),
        metadata={**progress.metadata, "attempt": attempt} if attempt else {},
        only_paused=only_paused,
        charges=progress.charges(last=True),
    )


def overdue(live: Live, deadline_s: float, settings: Settings) -> tuple[str, str]:
    """Return why a task's time is up, as a sentence and a code."""
    if deadline_s == live.budget_s:
        return live.budget_error, "budget_exceeded"
    if deadline_s == live.ends_by_s:
        limit = f"its timeoutMs of {live.record.timeout_ms}"
    elif live.record.status is Status.PAUSED and live.job is None:
        return (
            f"The task was paused and nobody decided within {settings.decision_timeout_s:g} s "
            "(CALLBOARD_DECISION_TIMEOUT_S).",
            "decision_expired",
        )
    else:
        limit = f"the server's limit of {settings.run_timeout_s:g} s (CALLBOARD_RUN_TIMEOUT_S)"
    return f"The task did not end within {limit}; give it more time, or less to do.", "deadline_exceeded"
