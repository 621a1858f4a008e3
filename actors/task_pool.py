"""The task pool: the control side of the runs that are under way.

The master agent decides what runs; the pool assigns it to a worker (`workers/`), takes what is told of it and has the result
logger store that. It outlives a crash of the master agent, which finds its running jobs here again. When the server goes
down, what is not done in time is handed back: the next start goes on with it.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from callboard.actors.admission import part_of
from callboard.actors.attempts import Attempts
from callboard.actors.mailbox import Address, ReplyThen
from callboard.agent.job import Job, Outcome
from callboard.agent.sealing import open_session, seal
from callboard.agent.signing import Signer
from callboard.clock import Clock
from callboard.errors import CallboardError, TaskError, Unavailable
from callboard.messages.records import Record, RecordEvents, RecordRequeue, RecordStart
from callboard.messages.tasks import TimeLimited, WorkerFreed, WorkerLost
from callboard.workers.protocol import Assignment, Commit, Desk, Ended, Recorded, Reply, Run, TimeLeft, Told, Workers

logger = logging.getLogger("callboard.worker")

_PUT_OFF_S = 1.0
_MOST_PUT_OFF_S = 60.0
_MOST_PUT_OFFS = 12
"""How often a task is put off, one time after another, since the server lacks something: for about six minutes in all.

This server counts it for itself: to start a server again is somebody's own doing, and nothing that repeats itself.
"""

_MOST_COUNTED = 10_000
_MOST_LOSSES = 10
"""How often a task's process may go, one time after another, before that counts as the task's own doing."""


class TaskPool:
    """The runs under way, and the workers that they are assigned to; fulfils `Desk`.

    `submit`, `most_alone`, `stand_in` and `running` are called by the master agent's thread, `close` by the wiring, what `Desk` has by any thread.
    `workers` makes the workers of this desk; `over` is told of each attempt that is over.
    """

    def __init__(
        self,
        workers: Callable[[Desk], Workers],
        *,
        owner: str,
        clock: Clock,
        signer: Signer,
        most_below: int,
        result_logger: Address[Record],
        master_agent: Address[TimeLimited | WorkerFreed | WorkerLost],
        draining: Callable[[], bool],
        over: Callable[[Job], None],
    ) -> None:
        self._owner = owner
        self._clock = clock
        self._signer = signer
        self._most_below = most_below
        self._attempts = Attempts(owner=owner, clock=clock, signer=signer, draining=draining)
        self._result_logger = result_logger
        self._master_agent = master_agent
        self._over = over
        # Guards what is below, which a restarted master agent reads while workers change them; an actor can't own them,
        # because the one that would is the one that may have crashed.
        self._lock = threading.Lock()
        self._running: dict[Run, Job] = {}
        self._further: set[Run] = set()  # those that have finished a call
        self._losses: dict[str, int] = {}  # by task, one after another
        self._put_offs: dict[str, int] = {}  # likewise
        self._workers = workers(self)

    # --- what the master agent asks for ---

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """Have a job worked on, `alone` in its process where there are such."""
        assignment = Assignment(
            task=job.task,
            attempt=job.attempt,
            failures=job.failures,
            session=None if job.session is None else open_session(job.session, self._signer),
            deadline=job.deadline,
            deadline_s=job.deadline_s,
            ends_by_s=job.ends_by_s,
            lost=job.lost,
        )
        with self._lock:
            self._running[assignment.run] = job
        at, task_id = self._clock.now(), job.task.task_id
        self._result_logger.tell_soon(RecordStart(task_id=task_id, attempt=job.attempt, at=at, owner=self._owner))
        try:
            self._workers.assign(assignment, job.token, job.progress, alone=alone)
        except BaseException:  # nobody works on it, so whoever looks is to find that out
            self._gone(assignment.run)
            raise

    @property
    def most_alone(self) -> int:
        """How many jobs can be worked on `alone` at once, so that none of them dies with another."""
        return self._workers.most_alone

    def stand_in(self, task_id: str, attempt: int) -> None:
        """Have another worker stand in for one that does not let go of an attempt which is over."""
        self._workers.stand_in(Run(task_id, attempt))

    @property
    def running(self) -> Mapping[str, Job]:
        """The jobs that workers hold or are about to take, by task id."""
        with self._lock:
            return {run.task_id: job for run, job in self._running.items()}

    def hand_back(self) -> None:
        """Have every job that is not done stop where the next start can go on; any thread."""
        for job in self.running.values():
            job.token.hand_back()

    def probe(self) -> None:
        """Have the sandbox of a worker tried; raise why it does not work."""
        self._workers.probe()

    def close(self, timeout_s: float, *, hand_back_after_s: float) -> bool:
        """Let running jobs finish, hand back those that have not in time, and end the workers.

        False if some were still busy when the time was up.
        """
        until_s = self._clock.monotonic() + timeout_s
        if self._workers.close(until_s - timeout_s + hand_back_after_s):
            return True
        self.hand_back()
        if self._workers.close(until_s):
            return True
        for job in self.running.values():  # inside a skill that does not return: no crash, though it is left behind
            if not job.token.cancelled:
                self._result_logger.tell(self._attempts.requeue(job, "drain"))
        self._workers.kill()
        return False

    # --- what workers say ---

    def take(self, message: Told | Recorded | TimeLeft | Ended) -> None:
        job = self._job(message.run)
        if job is None:
            return
        match message:
            case Told(events=events):
                self._result_logger.tell_soon(self._record(job, events=events))
            case Recorded(call=call, event=event):
                # not overtaken by the events that follow: a log in another order than what happened cannot be understood
                events = () if event is None else (event,)
                if call.ended_at is not None:
                    with self._lock:
                        self._further.add(message.run)
                self._result_logger.tell_next(
                    self._record(job, events=events, calls=(call,), charges=job.progress.charges())
                )
            case TimeLeft(run=run, left_s=left_s, error=error):
                limited = TimeLimited(task_id=run.task_id, attempt=run.attempt, left_s=left_s, error=error)
                self._master_agent.tell(limited)
            case Ended():
                self._ended(job, message)

    def commit(self, message: Commit, then: Callable[[Any, BaseException | None], None] | None = None) -> Reply:
        job = self._job(message.run)
        if job is None:
            raise Unavailable("The run is over.")
        what: dict[str, Any] = {"events": message.events, "calls": message.calls}
        if message.snapshot is not None:
            what["snapshot"] = seal(message.snapshot, self._signer)
        if message.children is None:
            what["charges"] = job.progress.charges()
        else:  # what was spent goes with the next record: this one may be refused
            at = self._clock.now()
            what["children"] = tuple(part_of(job.task, child, at) for child in message.children)
            what["most_below"] = self._most_below
        record = self._record(job, **what)
        return self._result_logger.ask_later(record, urgent=True, reply=None if then is None else ReplyThen(then))

    def lost(self, run: Run, *, crashed: bool, how: str) -> None:
        with self._lock:
            further = run in self._further
            times = self._losses.pop(run.task_id, 0) + 1
            if len(self._losses) < _MOST_COUNTED:
                self._losses[run.task_id] = 0 if further else times
        crashed = crashed or (times > _MOST_LOSSES and not further)
        job = self._gone(run)
        if job is not None and not job.token.cancelled:
            lost = WorkerLost(task_id=run.task_id, attempt=run.attempt, crashed=crashed, further=further, how=how)
            # the master agent may have been stopped: the next start goes on with it, as with a drain
            if not self._say(lost):
                with contextlib.suppress(Unavailable):
                    self._result_logger.tell(self._attempts.requeue(job, "drain"))
        self._say(WorkerFreed(task_id=run.task_id, attempt=run.attempt))

    # --- the rest ---

    def _job(self, run: Run) -> Job | None:
        with self._lock:
            return self._running.get(run)

    def _gone(self, run: Run) -> Job | None:
        with self._lock:
            job = self._running.pop(run, None)
            self._further.discard(run)
        if job is not None:
            self._over(job)
        return job

    def _record(self, job: Job, **what: Any) -> RecordEvents:
        return RecordEvents(task_id=job.task.task_id, attempt=job.attempt, owner=self._owner, **what)

    def _ended(self, job: Job, message: Ended) -> None:
        try:
            if (record := self._end(job, message)) is not None:
                self._result_logger.tell(record)
        except CallboardError as error:
            logger.debug("the end of task %s is not stored, the server is stopping: %s", job.task.task_id, error)
        except BaseException:
            logger.exception("task %s: what it came to cannot be stored", job.task.task_id)
        finally:
            self._gone(message.run)
            self._say(WorkerFreed(task_id=job.task.task_id, attempt=job.attempt))

    def _end(self, job: Job, message: Ended) -> Record | None:
        """Return what is to be stored of an attempt that is over, if that is not somebody else's to say."""
        outcome = message.outcome
        if message.lacking is not None:
            put_off = self._put_off(job, message.lacking)
            if isinstance(put_off, RecordRequeue):
                return put_off
            outcome = put_off
        else:
            with self._lock:
                self._put_offs.pop(job.task.task_id, None)
                self._losses.pop(job.task.task_id, None)
        if job.token.cancelled:
            return None  # whoever cancelled it has recorded its end
        if outcome is None:
            return self._attempts.requeue(job, job.token.why) if job.token.handed_back else None
        return self._attempts.ending(job, outcome, message.worked_ms)

    def _put_off(self, job: Job, error: CallboardError) -> RecordRequeue | Outcome:
        """Have the task tried again when the server may have what it lacked, later each time; fail it after the last."""
        with self._lock:
            times = self._put_offs.pop(job.task.task_id, 0) + 1
            if times <= _MOST_PUT_OFFS:
                self._put_offs[job.task.task_id] = times
            if len(self._put_offs) > _MOST_COUNTED:  # tasks that were cancelled while they were put off
                del self._put_offs[next(iter(self._put_offs))]
        if times > _MOST_PUT_OFFS:
            told = f"The server lacks what the task needs, also after {_MOST_PUT_OFFS} tries: {error}"
            failed = TaskError("server_unavailable", told, retryable=True)
            return Outcome(error=failed, metadata={"attempt": job.attempt})
        logger.warning("task %s is put off: %s", job.task.task_id, error)
        wait_s = min(_PUT_OFF_S * 2 ** (times - 1), _MOST_PUT_OFF_S)
        at = self._clock.now() + timedelta(seconds=wait_s)
        return self._attempts.requeue(job, "retry", not_before=at, error=error)

    def _say(self, message: WorkerFreed | WorkerLost) -> bool:
        """Tell the master agent; False where the server is stopping and there is none."""
        try:
            self._master_agent.tell_soon(message)
        except Unavailable:
            return False
        return True
