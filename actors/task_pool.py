"""The task pool: the worker threads in which tasks are worked out.

The master agent decides what runs; a worker takes one job at a time, works it out and tells the result logger.
The pool outlives a crash of the master agent, which finds its running jobs here again. A thread that does not come
back (a skill that ignores its cancellation) is replaced, not waited for.
"""

import logging
import queue
import threading
from collections.abc import Mapping
from typing import Any

from structlog.contextvars import bound_contextvars

from callboard.actors.mailbox import Address
from callboard.agent.runner import Job, Outcome, TaskRun, Tools
from callboard.agent.sandbox import Cancelled
from callboard.errors import CallboardError, TaskError
from callboard.messages import (
    NewEvent,
    RecordEvents,
    RecordResult,
    RecordStart,
    SessionRecord,
    Status,
    Topic,
    WorkerFreed,
)

logger = logging.getLogger("callboard.worker")


class _Journal:
    """A run's way to the result logger; used by the worker's thread."""

    def __init__(self, job: Job, result_logger: Address, ask_timeout_s: float) -> None:
        self._job = job
        self._result_logger = result_logger
        self._ask_timeout_s = ask_timeout_s

    def tell(self, event: NewEvent) -> None:
        self._result_logger.tell_soon(self._record(event))

    def commit(self, event: NewEvent) -> None:
        if not self._result_logger.ask(self._record(event), timeout_s=self._ask_timeout_s):
            raise Cancelled

    def _record(self, event: NewEvent) -> RecordEvents:
        return RecordEvents(task_id=self._job.record.task_id, attempt=self._job.attempt, events=(event,))


class TaskPool:
    """A fixed number of worker threads over one queue of jobs.

    `submit`, `grow` and `running` are called by the master agent's thread, `close` by the wiring.
    """

    def __init__(
        self, size: int, *, tools: Tools, result_logger: Address, master_agent: Address, ask_timeout_s: float
    ) -> None:
        self._tools = tools
        self._result_logger = result_logger
        self._master_agent = master_agent
        self._ask_timeout_s = ask_timeout_s
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        # Guards `_threads` and `_running`, which a restarted master agent reads while workers change them; an actor
        # can't own them, because the one that would is the one that may have crashed.
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._running: dict[str, Job] = {}
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

    def close(self, timeout_s: float) -> bool:
        """Let running jobs finish and end the workers; False if some were still busy when the time was up."""
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        share_s = timeout_s
        for thread in threads:
            started_s = self._tools.clock.monotonic()
            thread.join(max(0.0, share_s))
            share_s -= self._tools.clock.monotonic() - started_s
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
        clock = self._tools.clock
        started_s = clock.monotonic()
        self._result_logger.tell_soon(RecordStart(task_id=job.record.task_id, attempt=job.attempt, at=clock.now()))
        try:
            outcome = self._outcome(job)
        except Cancelled:
            return  # whoever cancelled it has recorded its end
        if job.token.cancelled:
            return
        self._result_logger.tell(self._result(job, outcome, (clock.monotonic() - started_s) * 1000))

    def _outcome(self, job: Job) -> Outcome:
        journal = _Journal(job, self._result_logger, self._ask_timeout_s)
        try:
            return TaskRun(job, self._tools, journal).work()
        except Cancelled:
            raise
        except BaseException as error:  # the task must end, and the worker go on
            logger.exception("task %s failed inside the server", job.record.task_id)
            now = self._tools.clock.now()
            message = f"The server could not work the task out ({type(error).__name__}); its log says why."
            return Outcome(
                error=TaskError("internal_error", message),
                metadata={"attempt": job.attempt},
                session=job.session or SessionRecord(session_id=job.record.session_id, created_at=now, updated_at=now),
            )

    def _result(self, job: Job, outcome: Outcome, execution_time_ms: float) -> RecordResult:
        at = self._tools.clock.now()
        error = outcome.error
        data: dict[str, Any] = {"executionTime": round(execution_time_ms, 3)}
        if error is None:
            data["output"] = outcome.output
        else:
            data |= {"error": error.message, "errorCode": error.code}
        topic = Topic.TASK_COMPLETED if error is None else Topic.TASK_FAILED
        return RecordResult(
            task_id=job.record.task_id,
            attempt=job.attempt,
            status=Status.COMPLETED if error is None else Status.FAILED,
            at=at,
            events=(NewEvent(topic=topic, at=at, data=data),),
            output=outcome.output,
            error=error.message if error else None,
            error_code=error.code if error else None,
            execution_time_ms=round(execution_time_ms, 3),
            metadata=outcome.metadata,
            session=outcome.session,
        )
