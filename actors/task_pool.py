"""The task pool: the worker threads in which tasks are worked out.

The master agent decides what runs; a worker takes one job at a time, works it out and tells the result logger.
The pool outlives a crash of the master agent, which finds its running jobs here again. A thread that does not come
back (a skill that ignores its cancellation) is replaced, not waited for. When the server goes down, what is not done
in time is handed back: the next start goes on with it.
"""

import contextlib
import logging
import queue
import random
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from structlog.contextvars import bound_contextvars

from callboard.actors.admission import part_of
from callboard.actors.mailbox import Address
from callboard.agent.cancel import Cancelled, working_for
from callboard.agent.job import Job, Outcome, Tools
from callboard.agent.runner import TaskRun
from callboard.agent.spending import Limit
from callboard.errors import CallboardError, TaskError, Unavailable
from callboard.messages import Status, Topic
from callboard.records import (
    CallRecord,
    CallState,
    NewEvent,
    Record,
    RecordEvents,
    RecordPause,
    RecordRequeue,
    RecordResult,
    RecordStart,
)
from callboard.signals import TimeLimited, WorkerFreed
from callboard.task_spec import RetryPolicy

logger = logging.getLogger("callboard.worker")

_COMMIT_SLICE_S = 0.25
"""How often a worker that waits for a commit looks whether its task was cancelled."""


_PUT_OFF_S = 1.0
_MOST_PUT_OFF_S = 60.0
_MOST_PUT_OFFS = 12
"""How often a task is put off, one time after another, since the server lacks something: for about six minutes in all.

This server counts it for itself: to start a server again is somebody's own doing, and nothing that repeats itself.
"""

_MOST_COUNTED = 10_000
_SANDBOX_DIED = RetryPolicy(max_attempts=3, backoff_ms=100)
"""What is done about a sandbox's process that died, where a task has no policy of its own: it goes on in another."""


class _Journal:
    """A run's way to the result logger; used by the worker's thread."""

    def __init__(self, job: Job, owner: str, result_logger: Address, lost: Callable[[], bool]) -> None:
        self._job = job
        self._owner = owner
        self._result_logger = result_logger
        self._lost = lost

    def tell(self, event: NewEvent) -> None:
        self._stop_if_lost()
        if (told := self._job.progress.fitting(event)) is not None:
            self._result_logger.tell_soon(self._record((told,), charged=False))

    def record(self, call: CallRecord, event: NewEvent | None = None) -> None:
        if call.state is CallState.STARTED:
            self._stop_if_lost()
        # not overtaken by the events that follow: a log in another order than what happened cannot be understood
        self._result_logger.tell_next(self._record(() if event is None else self._fitting((event,)), (call,)))

    def commit(self, events: tuple[NewEvent, ...], calls: tuple[CallRecord, ...], snapshot: bytes | None) -> None:
        """Wait for the commit, however long the store refuses: until the task is cancelled or its time is up.

        A run that is handed back waits for it too: a row must not be left `started` for a call that is never made.
        """
        if self._job.token.stopped:
            raise Cancelled
        reply = self._result_logger.ask_later(self._record(self._fitting(events), calls, snapshot), urgent=True)
        while not self._job.token.cancelled:
            with contextlib.suppress(TimeoutError):
                if not reply.get(timeout_s=_COMMIT_SLICE_S):
                    break
                return
        raise Cancelled

    def _stop_if_lost(self) -> None:
        """Have the run stop before its next step where the history is not this server's any more; raise `Cancelled`."""
        if self._lost():
            self._job.token.hand_back()
            raise Cancelled

    def _fitting(self, events: tuple[NewEvent, ...]) -> tuple[NewEvent, ...]:
        fitting = map(self._job.progress.fitting, events)
        return tuple(event for event in fitting if event is not None)

    def _record(
        self,
        events: tuple[NewEvent, ...],
        calls: tuple[CallRecord, ...] = (),
        snapshot: bytes | None = None,
        *,
        charged: bool = True,
    ) -> RecordEvents:
        return RecordEvents(
            task_id=self._job.record.task_id,
            attempt=self._job.attempt,
            events=events,
            calls=calls,
            snapshot=snapshot,
            charges=self._job.progress.charges() if charged else (),
            owner=self._owner,
        )


class TaskPool:
    """A fixed number of worker threads over one queue of jobs.

    `submit`, `grow` and `running` are called by the master agent's thread, `close` by the wiring. `tools` returns what there
    is now; an attempt keeps to what there was when it began.
    """

    def __init__(
        self,
        size: int,
        *,
        tools: Callable[[], Tools],
        owner: str,
        result_logger: Address,
        master_agent: Address,
        draining: Callable[[], bool],
        lost: Callable[[], bool],
    ) -> None:
        self._tools = tools
        self._clock = tools().clock
        self._owner = owner
        self._result_logger = result_logger
        self._master_agent = master_agent
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        # Guards `_threads` and `_running`, which a restarted master agent reads while workers change them; an actor
        # can't own them, because the one that would is the one that may have crashed.
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._running: dict[str, Job] = {}
        self._draining = draining
        self._put_offs: dict[str, int] = {}  # by task, one after another; under the lock too
        self._lost = lost
        for _ in range(size):
            self.grow()

    def submit(self, job: Job) -> None:
        """Hand a job to the next free worker."""
        with self._lock:
            self._running[job.record.task_id] = job
        self._jobs.put(job)

    def grow(self) -> None:
        """Add a worker."""
        with self._lock:
            thread = threading.Thread(target=self._work, name=f"worker-{len(self._threads) + 1}", daemon=True)
            self._threads.append(thread)
        thread.start()

    def shrink(self) -> None:
        """Have the next free worker end."""
        self._jobs.put(None)

    @property
    def running(self) -> Mapping[str, Job]:
        """The jobs that workers hold or are about to take, by task id."""
        with self._lock:
            return dict(self._running)

    def hand_back(self) -> None:
        """Have every job that is not done stop where the next start can go on; any thread."""
        for job in self.running.values():
            job.token.hand_back()

    def close(self, timeout_s: float, *, hand_back_after_s: float) -> bool:
        """Let running jobs finish, hand back those that have not in time, and end the workers.

        False if some were still busy when the time was up.
        """
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        until_s = self._clock.monotonic() + timeout_s
        if not self._join(threads, until_s - timeout_s + hand_back_after_s):
            self.hand_back()
        if self._join(threads, until_s):
            return True
        for job in self.running.values():  # inside a skill that does not return: no crash, though it is left behind
            if not job.token.cancelled:
                self._result_logger.tell(self._requeue(job, "drain"))
        return False

    def _join(self, threads: list[threading.Thread], until_s: float) -> bool:
        for thread in threads:
            thread.join(max(0.0, until_s - self._clock.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                # every line that is logged meanwhile, a skill's too, names the task and the request behind it
                with bound_contextvars(task_id=job.record.task_id, request_id=job.record.request_id):
                    self._do(job)
            except BaseException:  # a worker must outlive whatever a skill's code throws, SystemExit too
                logger.exception("task %s: its worker failed", job.record.task_id)
            finally:
                if job.progress.purse is not None:
                    job.progress.purse.close()
                with self._lock:
                    if self._running.get(job.record.task_id) is job:
                        del self._running[job.record.task_id]
                self._tell_freed(job)

    def _tell_freed(self, job: Job) -> None:
        try:
            self._master_agent.tell_soon(WorkerFreed(task_id=job.record.task_id, attempt=job.attempt))
        except CallboardError:
            logger.debug("the master agent is gone; the server is stopping")

    def _do(self, job: Job) -> None:
        clock = self._clock
        started_s = clock.monotonic()
        start = RecordStart(task_id=job.record.task_id, attempt=job.attempt, at=clock.now(), owner=self._owner)
        self._result_logger.tell_soon(start)
        try:
            outcome = self._outcome(job)
        except Cancelled:
            if job.token.handed_back and not job.token.cancelled:
                self._result_logger.tell(self._requeue(job, "drain"))
            return  # otherwise whoever cancelled it has recorded its end
        except Unavailable as error:
            put_off = self._put_off(job, error)
            if isinstance(put_off, RecordRequeue):
                self._result_logger.tell(put_off)
                return
            outcome = put_off
        else:
            with self._lock:
                self._put_offs.pop(job.record.task_id, None)
        if not job.token.cancelled:
            self._result_logger.tell(self._ending(job, outcome, (clock.monotonic() - started_s) * 1000))

    def _put_off(self, job: Job, error: Unavailable) -> RecordRequeue | Outcome:
        """Have the task tried again when the server may have what it lacked, later each time; fail it after the last."""
        with self._lock:
            times = self._put_offs.pop(job.record.task_id, 0) + 1
            if times <= _MOST_PUT_OFFS:
                self._put_offs[job.record.task_id] = times
            if len(self._put_offs) > _MOST_COUNTED:  # tasks that were cancelled while they were put off
                del self._put_offs[next(iter(self._put_offs))]
        if times > _MOST_PUT_OFFS:
            told = f"The server lacks what the task needs, also after {_MOST_PUT_OFFS} tries: {error}"
            return self._failed(job, TaskError("server_unavailable", told, retryable=True))
        logger.warning("task %s is put off: %s", job.record.task_id, error)
        wait_s = min(_PUT_OFF_S * 2 ** (times - 1), _MOST_PUT_OFF_S)
        at = self._clock.now() + timedelta(seconds=wait_s)
        return self._requeue(job, "retry", not_before=at, error=error.message, errorCode=error.code)

    def _outcome(self, job: Job) -> Outcome:
        try:
            run = TaskRun(job, self._tools(), _Journal(job, self._owner, self._result_logger, self._lost))
            if (left := run.purse.wall_left_s) is not None:
                self._limit_time(job, *left)
            with working_for(job.token):
                return run.work()
        except (Cancelled, Unavailable):
            raise
        except BaseException as error:  # the task must end, and the worker go on
            logger.exception("task %s failed inside the server", job.record.task_id)
            message = f"The server could not work the task out ({type(error).__name__}); its log says why."
            return self._failed(job, TaskError("internal_error", message))

    @staticmethod
    def _failed(job: Job, error: TaskError) -> Outcome:
        """Return the end of an attempt that has come to nothing."""
        return Outcome(error=error, metadata={"attempt": job.attempt})

    def _limit_time(self, job: Job, left_s: float, limit: Limit) -> None:
        error = f"The {limit.called}'s budget of {limit.budget.wall_ms} wallMs ({limit.setting}) is spent; raise it, or ask for less."
        self._master_agent.tell(
            TimeLimited(task_id=job.record.task_id, attempt=job.attempt, left_s=left_s, error=error)
        )

    def _ending(self, job: Job, outcome: Outcome, execution_time_ms: float) -> Record:
        """Return what an attempt leads to: a pause, another attempt, or the task's end."""
        if outcome.pause is not None:
            return self._pause(job, outcome, outcome.pause)
        if outcome.error is not None and outcome.error.code == "sandbox_crashed" and self._draining():
            # whoever ends the server may have ended its processes too: no fault of the task's
            return self._requeue(job, "drain", calls=outcome.reopened)
        if outcome.error is not None and (at := self._tried_again_at(job, outcome.error)) is not None:
            told = {"error": outcome.error.message, "errorCode": outcome.error.code}
            failures, calls = job.record.failures + 1, outcome.reopened
            return self._requeue(job, "retry", not_before=at, failures=failures, calls=calls, **told)
        return self._result(job, outcome, execution_time_ms)

    def _tried_again_at(self, job: Job, error: TaskError) -> datetime | None:
        """Return when the task is tried again after an error, None if that is the end of it."""
        died = error.code == "sandbox_crashed"
        retry, failures = job.record.retry or (_SANDBOX_DIED if died else None), job.record.failures + 1
        if retry is None or not error.retryable or failures >= retry.max_attempts:
            return None
        wait_ms = min(retry.backoff_ms * 2 ** (failures - 1), retry.max_backoff_ms)
        # spread over a fifth, so that tasks which failed together do not come back together
        wait_s = wait_ms / 1000 * random.uniform(0.9, 1.1)  # noqa: S311
        if job.ends_by_s is not None and self._clock.monotonic() + wait_s >= job.ends_by_s:
            return None
        return self._clock.now() + timedelta(seconds=wait_s)

    def _pause(self, job: Job, outcome: Outcome, pause: Mapping[str, Any]) -> RecordPause:
        at = self._clock.now()
        children = tuple(part_of(job.record, child, at) for child in outcome.children)
        return RecordPause(
            task_id=job.record.task_id,
            attempt=job.attempt,
            at=at,
            pause={**pause, "since": at.isoformat()},
            events=(NewEvent(topic=Topic.TASK_PAUSED, at=at, data=pause),),
            calls=outcome.calls,
            snapshot=outcome.snapshot,
            children=children,
            charges=job.progress.charges(),
            owner=self._owner,
        )

    def _requeue(
        self,
        job: Job,
        reason: str,
        *,
        not_before: datetime | None = None,
        failures: int | None = None,
        calls: tuple[CallRecord, ...] = (),
        **told: Any,
    ) -> RecordRequeue:
        at = self._clock.now()
        data: dict[str, Any] = {"reason": reason, "attempt": job.attempt, **told}
        if not_before is not None:
            data["notBefore"] = not_before.isoformat()
        return RecordRequeue(
            task_id=job.record.task_id,
            attempt=job.attempt,
            at=at,
            events=(NewEvent(topic=Topic.TASK_REQUEUED, at=at, data=data),),
            failures=failures,
            not_before=not_before,
            calls=calls,
            charges=job.progress.charges(),
            owner=self._owner,
        )

    def _result(self, job: Job, outcome: Outcome, execution_time_ms: float) -> RecordResult:
        at = self._clock.now()
        error = outcome.error
        data: dict[str, Any]
        if error is None:
            data = {"output": outcome.output}
        else:
            data = {"error": error.message, "errorCode": error.code}
        topic = Topic.TASK_COMPLETED if error is None else Topic.TASK_FAILED
        return RecordResult(
            task_id=job.record.task_id,
            attempt=job.attempt,
            status=Status.COMPLETED if error is None else Status.FAILED,
            at=at,
            events=(NewEvent(topic=topic, at=at, data=data),),
            output=outcome.output if error is None else "".join(job.progress.printed) or None,
            error=error.message if error else None,
            error_code=error.code if error else None,
            execution_time_ms=round(execution_time_ms, 3),
            metadata=outcome.metadata,
            session=outcome.session,
            charges=job.progress.charges(last=True),
            owner=self._owner,
        )
