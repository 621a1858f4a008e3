"""What an attempt at a task leads to: its end, a pause, another attempt; as the records that say so.

Plain data and pure functions. Called by whoever hears of an attempt's end; imported by the task pool.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from callboard.agent.job import Job, Outcome
from callboard.agent.sealing import seal, seal_session
from callboard.agent.signing import Signer
from callboard.clock import Clock
from callboard.errors import CallboardError, TaskError
from callboard.messages.event_types import TaskCompleted, TaskFailed, TaskPaused, TaskRequeued
from callboard.messages.ledger import CallRecord
from callboard.messages.pauses import Pause
from callboard.messages.records import RecordPause, RecordRequeue, RecordResult
from callboard.messages.tasks import Status
from callboard.task_spec import RetryPolicy

_SANDBOX_DIED = RetryPolicy(max_attempts=3, backoff_ms=100)
"""What is done about a sandbox's process that died, where a task has no policy of its own: it goes on in another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Makes the records of one server; any thread. `draining` says whether it is on its way down."""

    owner: str
    clock: Clock
    signer: Signer
    draining: Callable[[], bool]

    def ending(self, job: Job, outcome: Outcome, worked_ms: float) -> RecordPause | RecordRequeue | RecordResult:
        """Return what an attempt leads to."""
        if outcome.pause is not None:
            return self._pause(job, outcome, outcome.pause)
        if outcome.error is not None and outcome.error.code == "sandbox_crashed" and self.draining():
            # whoever ends the server may have ended its processes too: no fault of the task's
            return self.requeue(job, "drain", calls=outcome.reopened)
        if outcome.error is not None and (at := self._tried_again_at(job, outcome.error)) is not None:
            failures, calls = job.failures + 1, outcome.reopened
            return self.requeue(job, "retry", not_before=at, failures=failures, calls=calls, error=outcome.error)
        return self._result(job, outcome, worked_ms)

    def _tried_again_at(self, job: Job, error: TaskError) -> datetime | None:
        """Return when the task is tried again after an error, None if that is the end of it."""
        died = error.code == "sandbox_crashed"
        retry, failures = job.task.spec.retry or (_SANDBOX_DIED if died else None), job.failures + 1
        if retry is None or not error.retryable or failures >= retry.max_attempts:
            return None
        wait_ms = min(retry.backoff_ms * 2 ** (failures - 1), retry.max_backoff_ms)
        # spread over a fifth, so that tasks which failed together do not come back together
        wait_s = wait_ms / 1000 * random.uniform(0.9, 1.1)  # noqa: S311
        if job.ends_by_s is not None and self.clock.monotonic() + wait_s >= job.ends_by_s:
            return None
        return self.clock.now() + timedelta(seconds=wait_s)

    def _pause(self, job: Job, outcome: Outcome, pause: Pause) -> RecordPause:
        at = self.clock.now()
        return RecordPause(
            task_id=job.task.task_id,
            attempt=job.attempt,
            at=at,
            pause=replace(pause, since=at),
            events=(TaskPaused(at=at, pause=pause),),
            calls=outcome.calls,
            snapshot=None if outcome.snapshot is None else seal(outcome.snapshot, self.signer),
            charges=job.progress.charges(),
            owner=self.owner,
        )

    def requeue(
        self,
        job: Job,
        reason: str,
        *,
        not_before: datetime | None = None,
        failures: int | None = None,
        calls: tuple[CallRecord, ...] = (),
        error: CallboardError | None = None,
    ) -> RecordRequeue:
        """Return the record that has the task go on in another attempt."""
        event = TaskRequeued(
            at=self.clock.now(),
            reason=reason,
            attempt=job.attempt,
            error=None if error is None else error.message,
            error_code=None if error is None else error.code,
            not_before=not_before,
        )
        return RecordRequeue(
            task_id=job.task.task_id,
            attempt=job.attempt,
            at=event.at,
            events=(event,),
            failures=failures,
            not_before=not_before,
            calls=calls,
            charges=job.progress.charges(),
            owner=self.owner,
        )

    def _result(self, job: Job, outcome: Outcome, worked_ms: float) -> RecordResult:
        at = self.clock.now()
        error = outcome.error
        event = (
            TaskCompleted(at=at, output=outcome.output)
            if error is None
            else TaskFailed(at=at, error=error.message, error_code=error.code)
        )
        return RecordResult(
            task_id=job.task.task_id,
            attempt=job.attempt,
            status=Status.COMPLETED if error is None else Status.FAILED,
            at=at,
            events=(event,),
            output=outcome.output if error is None else "".join(job.progress.printed) or None,
            error=error.message if error else None,
            error_code=error.code if error else None,
            execution_time_ms=round(worked_ms, 3),
            metadata=outcome.metadata,
            session=None if outcome.session is None else seal_session(outcome.session, self.signer),
            charges=job.progress.charges(last=True),
            owner=self.owner,
        )
