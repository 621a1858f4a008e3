"""The work side: takes assignments, works each out in a thread, and tells how it goes.

Knows nothing of the control side but its link. The same in threads of the server and in a process of its own. Imported by
`threads.py` and `child.py`.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from structlog.contextvars import bound_contextvars

from callboard.agent.cancel import Cancelled, CancelToken, working_for
from callboard.agent.delegation import Delegated
from callboard.agent.job import Job, Outcome, Progress, Tools, UnderWay, no_note
from callboard.agent.runner import TaskRun
from callboard.agent.sealing import Unsealed
from callboard.agent.spending import Limit
from callboard.errors import TaskError, Unavailable
from callboard.messages.events import NewEvent
from callboard.messages.ledger import CallRecord, CallState
from callboard.messages.records import TooManyBelow
from callboard.workers.protocol import Assignment, Commit, Ended, Link, Recorded, Run, TimeLeft, Told

logger = logging.getLogger("callboard.worker")

_COMMIT_SLICE_S = 0.25
"""How often a run that waits for a commit looks whether its task was cancelled."""


class Work:
    """Runs under way, each in a thread of its own; a thread that is free takes the next one. Any thread calls.

    `tools` returns what there is now; a run keeps to what there was when it began.
    """

    def __init__(
        self, link: Link, tools: Callable[[], Tools], *, threads: int = 0, lost: Callable[[], bool] = lambda: False
    ) -> None:
        """Begin with so many threads; `lost` says whether the history has been lost, and nothing more may be begun."""
        self._link = link
        self._tools = tools
        self._lost = lost
        # Guards all below: whoever assigns, cancels and works does so in a thread of its own, and none reads a mailbox.
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[tuple[Job, Tools] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        with self._lock:
            for _ in range(threads):
                self._grow()

    def assign(
        self, assignment: Assignment, token: CancelToken, progress: Progress, *, under_way: UnderWay = no_note
    ) -> None:
        """Have a run begin, at once; it watches the token, fills `progress`, and notes which calls are under way."""
        job = Job(
            task=assignment.task,
            attempt=assignment.attempt,
            failures=assignment.failures,
            session=None,
            opened=assignment.session,
            deadline=assignment.deadline,
            deadline_s=assignment.deadline_s,
            ends_by_s=assignment.ends_by_s,
            lost=assignment.lost,
            token=token,
            progress=progress,
            under_way=under_way,
        )
        with self._lock:
            self._jobs.put((job, self._tools()))
            if not self._idle:
                self._grow()
            self._idle -= 1

    def _grow(self) -> None:
        """Add a thread, under the lock."""
        thread = threading.Thread(target=self._work, name=f"worker-{len(self._threads) + 1}", daemon=True)
        thread.start()
        self._threads.append(thread)
        self._idle += 1

    def close(self, until_s: float) -> bool:
        """End every thread when its run is over; False if some were not by then (`time.monotonic`)."""
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join(None if until_s == float("inf") else max(0.0, until_s - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, tools = given
            ended = Ended(run=run_of(job))
            try:
                # every line that is logged meanwhile, a skill's too, names the task and the request behind it
                with bound_contextvars(task_id=job.task.task_id, request_id=job.task.request_id):
                    ended = self._ended(job, tools)
            except BaseException:  # a worker must outlive whatever a skill's code throws, SystemExit too
                logger.exception("task %s: its worker failed", job.task.task_id)
            finally:
                del given, job, tools  # what they hold would last as long as this thread waits
                with self._lock:
                    self._idle += 1
                with contextlib.suppress(Unavailable):  # the server is stopping
                    self._link.tell_now(ended)
                del ended

    def _ended(self, job: Job, tools: Tools) -> Ended:
        started_s = time.monotonic()
        outcome, lacking = None, None
        try:
            outcome = self._outcome(job, tools)
        except Cancelled:
            pass  # whoever stopped it knows what comes of it
        except Unavailable as error:
            lacking = error
        worked_ms = (time.monotonic() - started_s) * 1000
        return Ended(run=run_of(job), outcome=outcome, lacking=lacking, worked_ms=worked_ms)

    def _outcome(self, job: Job, tools: Tools) -> Outcome:
        try:
            run = TaskRun(job, tools, _Journal(job, self._link, self._lost))
            if (left := run.purse.wall_left_s) is not None:
                self._link.tell(TimeLeft(run_of(job), left[0], _spent(left[1])))
            with working_for(job.token):
                return run.work()
        except (Cancelled, Unavailable):
            raise
        except BaseException as error:  # the task must end, and the worker go on
            logger.exception("task %s failed inside the server", job.task.task_id)
            message = f"The server could not work the task out ({type(error).__name__}); its log says why."
            return Outcome(error=TaskError("internal_error", message), metadata={"attempt": job.attempt})


def run_of(job: Job) -> Run:
    return Run(job.task.task_id, job.attempt)


def _spent(limit: Limit) -> str:
    return f"The {limit.called}'s budget of {limit.budget.wall_ms} wallMs ({limit.setting}) is spent; raise it, or ask for less."


class _Journal:
    """A run's way to the log; fulfils `Journal`. Any thread of the run."""

    def __init__(self, job: Job, link: Link, lost: Callable[[], bool]) -> None:
        self._run = run_of(job)
        self._job = job
        self._link = link
        self._lost = lost

    def tell(self, event: NewEvent) -> None:
        self._stop_if_lost()
        if (told := self._job.progress.fitting(event)) is not None:
            self._link.tell(Told(self._run, (told,)))

    def record(self, call: CallRecord, event: NewEvent | None = None) -> None:
        if call.state is CallState.STARTED:
            self._stop_if_lost()
        fitting = None if event is None else self._job.progress.fitting(event)
        self._link.tell_now(Recorded(self._run, call, fitting))

    def commit(self, events: tuple[NewEvent, ...], calls: tuple[CallRecord, ...], snapshot: Unsealed | None) -> None:
        """Wait for the commit, however long the store refuses: until the task is cancelled or its time is up.

        A run that is handed back waits for it too: a row must not be left `started` for a call that is never made.
        """
        self._committed(Commit(self._run, self._fitting(events), calls, snapshot))

    def delegate(
        self,
        events: tuple[NewEvent, ...],
        calls: tuple[CallRecord, ...],
        snapshot: Unsealed | None,
        children: tuple[Delegated, ...],
    ) -> TooManyBelow | None:
        """Do the same with the tasks of agents, all of them or none."""
        said = self._committed(Commit(self._run, self._fitting(events), calls, snapshot, children))
        return said if isinstance(said, TooManyBelow) else None

    def _committed(self, message: Commit) -> Any:
        """Return what became of it, after the commit."""
        if self._job.token.stopped:
            raise Cancelled
        reply = self._link.ask(message)
        while not self._job.token.cancelled:
            with contextlib.suppress(TimeoutError):
                if not (said := reply.get(timeout_s=_COMMIT_SLICE_S)):
                    break
                return said
        raise Cancelled

    def _stop_if_lost(self) -> None:
        """Have the run stop before its next step where the history is not this server's any more; raise `Cancelled`."""
        if self._lost():
            self._job.token.hand_back()
            raise Cancelled

    def _fitting(self, events: tuple[NewEvent, ...]) -> tuple[NewEvent, ...]:
        fitting = map(self._job.progress.fitting, events)
        return tuple(event for event in fitting if event is not None)
