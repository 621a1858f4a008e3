"""The master agent: the life of every task from its acceptance to its end.

One task at a time within a session, in order; sessions in parallel, as many as there are workers; higher priority
first. It hands jobs to the task pool and hears of their end from the result logger, after the commit. It takes over what
servers that died have left, cancels, decides and keeps deadlines. No task's code runs in its thread.
"""

import logging
import time
from collections.abc import Callable, Set
from datetime import datetime, timedelta
from typing import Any

from callboard.actors.decisions import decision_record
from callboard.actors.family import Family
from callboard.actors.live_tasks import Live, died_of, ended, got_further, overdue, requeued
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.places import Places
from callboard.actors.ready_tasks import Deadlines, ReadyTasks
from callboard.actors.sessions import Sessions
from callboard.actors.supervision import SupervisedActor
from callboard.actors.task_pool import TaskPool
from callboard.agent.catalogue import Catalogue
from callboard.agent.job import Job, LostProcess
from callboard.agent.spending import Accounts
from callboard.clock import Clock
from callboard.errors import SessionBusy, TaskNotFound, Unavailable
from callboard.messages.decisions import DecideTask
from callboard.messages.event_types import TaskCancelled, TaskFailed, TaskRequeued
from callboard.messages.health import Ping, Pong, Tick
from callboard.messages.pauses import PauseReason
from callboard.messages.records import RecordRequeue, RecordResult, RecordSessionDeleted
from callboard.messages.sessions import DeleteSession
from callboard.messages.tasks import (
    CancelTask,
    PauseCommitted,
    Status,
    Task,
    TaskEnded,
    TaskQueued,
    TaskRecord,
    TimeLimited,
    WorkerFreed,
    WorkerLost,
)
from callboard.pauses import reason_of
from callboard.persistence.store import Reader
from callboard.settings import Settings

logger = logging.getLogger("callboard.master")

_EVICT_EVERY_S = 30.0
_REAP_EVERY_S = 5.0

MasterAgentMessage = (
    TaskQueued
    | PauseCommitted
    | TaskEnded
    | TimeLimited
    | WorkerFreed
    | WorkerLost
    | CancelTask
    | DecideTask
    | DeleteSession
    | Tick
    | Ping
)
"""What the master agent understands."""


class MasterAgent(SupervisedActor[MasterAgentMessage]):
    """Owns the order in which tasks start and the reasons for which they stop."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        settings: Settings,
        clock: Clock,
        reader: Reader,
        pool: TaskPool,
        result_logger: Address[RecordResult | RecordRequeue | RecordSessionDeleted],
        catalogue: Callable[[], Catalogue],
        accounts: Accounts,
        draining: Callable[[], bool],
    ) -> None:
        super().__init__(mailbox)
        self._draining = draining
        self._catalogue = catalogue
        self._settings = settings
        self._clock = clock
        self._reader = reader
        self._pool = pool
        self._result_logger = result_logger
        self._live: dict[str, Live] = {}
        self._family = Family(
            live=self._live,
            reader=reader,
            accounts=accounts,
            settings=settings,
            clock=clock,
            result_logger=result_logger,
            stop_work=self._stop_work,
        )
        self._sessions = Sessions()
        self._ready = ReadyTasks(settings.max_priority)
        self._deadlines = Deadlines()
        self._places = Places(settings.workers)
        self._unchecked = 0
        self._suspects: Set[str] = frozenset()
        self._evict_at_s = time.monotonic() + _EVICT_EVERY_S
        self._reap_at_s = time.monotonic() + _REAP_EVERY_S

    # --- start, and restart after a crash ---

    def setup(self) -> None:
        """Take up every task that has not ended: those of a server that died, and our own after a crash."""
        # Invariant: what was queued before this moment may be about tasks that have ended since
        self._unchecked = len(self.mailbox)
        running = self._pool.running
        # those under way first: each is the one of its session that the others wait for
        for record in sorted(
            self._reader.unfinished(), key=lambda r: r.status is Status.PENDING and r.state.attempt == 0
        ):
            job = running.get(record.task_id)
            if job is not None:
                self._adopt(record, job)
            elif record.status is Status.RUNNING:
                self._take_over(record)
            else:
                self._queue(record)
        for live in [live for live in self._live.values() if live.record.task.depth or reason_of(live.record)]:
            self._family.look_after(live.record)
        for task_id in running.keys() - self._live.keys():
            self._places.adopt(task_id, running[task_id].attempt, over=True)
        self._dispatch()
        self.wake_in(min(_EVICT_EVERY_S, _REAP_EVERY_S))

    def _adopt(self, record: TaskRecord, job: Job) -> None:
        self._sessions.queue(record.task, time.monotonic())
        self._family.add(record.task)
        self._live[record.task_id] = Live(
            record=record,
            job=job,
            started_at=record.state.started_at,
            ends_by_s=self._ends_by_s(record.task),
            deadline_s=job.deadline_s,
            ending=job.token.cancelled,
        )
        self._places.adopt(record.task_id, job.attempt, suspect=self._is_suspect(self._live[record.task_id]))
        self._watch(job.deadline_s, record.task_id)

    def _take_over(self, record: TaskRecord) -> None:
        """Go on with a task whose server died, or end it if it is what servers die of."""
        if (live := self._live.get(record.task_id)) is None:
            live = self._admit(record)
            self._sessions.queue(record.task, time.monotonic())
        live.ending = False
        self._died_under(record, record.state.attempt, further=got_further(record, self._reader.ledger(record.task_id)))

    def _died_under(self, record: TaskRecord, attempt: int, *, further: bool, lost: LostProcess | None = None) -> None:
        """Have a task go on that a server or a process (`lost`) has died under, unless it is what they die of; `further`: it had got on."""
        live, crashes = self._live[record.task_id], 1 if further else record.state.crashes + 1
        if crashes >= self._settings.max_crashes:
            live.ending, why = True, died_of(crashes, self._settings.max_crashes, lost)
            self._end(record.task_id, error=why, error_code="dead_letter")
            return
        at, told = self._clock.now(), None if lost is None else lost.told
        event = TaskRequeued(at=at, reason="takeover", attempt=attempt, crashes=crashes, error=told)
        self._result_logger.tell(requeued(record, event, attempt=attempt, charges=live.unsaid()))

    def _lost(self, message: WorkerLost) -> None:
        """Have a task go on whose process is gone: that counts as a crash only where a call was under way as it died."""
        live, attempt = self._live.get(message.task_id), message.attempt
        if live is None or live.ending or live.job is None or live.job.attempt != attempt:
            return
        live.lost = LostProcess(attempt, message.how)
        if message.crashed:
            self._died_under(live.record, attempt, further=message.further, lost=live.lost)
            return
        event = TaskRequeued(at=self._clock.now(), reason="worker", attempt=attempt, error=live.lost.told)
        self._result_logger.tell(requeued(live.record, event, attempt=attempt, charges=live.unsaid()))

    # --- messages ---

    def receive(self, message: MasterAgentMessage) -> Any:
        self._unchecked = max(0, self._unchecked - 1)
        match message:
            case TaskQueued(record=record):
                self._queue(record)
                self._dispatch()
            case PauseCommitted(record=record):
                self._queue(record)
                self._family.look_after(record)
                self._dispatch()  # as after an end
            case TimeLimited():
                self._limit_time(message)
            case TaskEnded():
                self._ended(message)
            case WorkerFreed(task_id=task_id, attempt=attempt):
                self._places.leave(task_id, attempt)
                self._dispatch()
            case WorkerLost():
                self._lost(message)
            case CancelTask():
                return self._cancel(message)
            case DecideTask():
                return self._decide(message)
            case DeleteSession(session_id=session_id):
                return self._delete_session(session_id)
            case Tick():
                self._tick()
            case Ping():
                return Pong()
            case _:
                raise self.unknown(message)
        return None

    def _queue(self, record: TaskRecord) -> None:
        """Take up a task as the store has told it: new, to be gone on with, or paused."""
        live = self._live.get(record.task_id)
        if live is None:
            if self._unchecked and self._has_ended(record.task_id):
                return
            live = self._admit(record)
            if not self._sessions.queue(record.task, time.monotonic()):
                return  # the session's next one is made ready when the one before it has ended
        elif record.state.attempt < (live.record.state.attempt if live.job is None else live.job.attempt):
            return  # told before the attempt that runs now
        else:
            live.record, live.job = record, None
        if self._sessions.is_active(record.task):
            self._make_ready(live)

    def _admit(self, record: TaskRecord) -> Live:
        live = self._live[record.task_id] = Live(record=record, ends_by_s=self._ends_by_s(record.task))
        self._family.add(record.task)
        live.deadline_s = live.ends_by_s
        if live.deadline_s is not None:
            self._watch(live.deadline_s, record.task_id)
        return live

    def _ends_by_s(self, task: Task) -> float | None:
        """Return when a task's own time is up; after a restart what has passed of it is told by the wall clock."""
        if (timeout_ms := task.spec.timeout_ms) is None:
            return None
        return self._from_now_s(task.created_at + timedelta(milliseconds=timeout_ms))

    def _from_now_s(self, moment: datetime) -> float:
        return self._clock.monotonic() + (moment - self._clock.now()).total_seconds()

    def _watch_pause(self, live: Live) -> None:
        """Have a paused task end when nobody decides in time."""
        pause = live.record.state.pause
        since = (pause and pause.since) or self._clock.now()
        until_s = self._from_now_s(since + timedelta(seconds=self._settings.decision_timeout_s))
        live.deadline_s = until_s if live.ends_by_s is None else min(until_s, live.ends_by_s)
        if reason_of(live.record) is PauseReason.SUBAGENTS:
            live.deadline_s = live.ends_by_s
        if live.deadline_s is not None:
            self._watch(live.deadline_s, live.record.task_id)

    def _has_ended(self, task_id: str) -> bool:
        try:
            return self._reader.task(task_id).status.ended
        except TaskNotFound:
            return True

    def _make_ready(self, live: Live) -> None:
        """Let a task start when a worker is free, its wait before another try is over, and nobody has to decide."""
        record = live.record
        if record.status is Status.PAUSED:
            self._watch_pause(live)
            return
        live.turn += 1
        live.deadline_s = live.ends_by_s
        not_before = record.state.not_before
        if not_before is not None and (at_s := self._from_now_s(not_before)) > self._clock.monotonic():
            self._ready.add_at(at_s, record.task, live.turn)
            self.wake_in(at_s - self._clock.monotonic())
            return
        self._ready.add(record.task, live.turn)

    def _dispatch(self) -> None:
        """Start what may start: by priority; of tasks on their last chance as many as workers keep apart: only the one at fault dies once more."""
        while self._places.free > 0 and not self._draining():
            room = self._places.suspects < self._pool.most_alone
            if (entry := self._ready.take(held=room)) is None:
                return
            live = self._live.get(entry[-2])
            if live is None or live.turn != entry[-1] or live.job is not None or live.ending:
                continue
            if (suspect := self._is_suspect(live)) and not room:
                self._ready.hold_back(entry)
            else:
                self._ready.starts(entry)
                self._start(live, suspect=suspect)

    def _is_suspect(self, live: Live) -> bool:
        return live.on_last_chance(self._settings.max_crashes - 1)

    def _start(self, live: Live, *, suspect: bool) -> None:
        task, state = live.record.task, live.record.state
        live.started_at = self._clock.now()
        now_s, most_s = self._clock.monotonic(), self._settings.run_timeout_s
        live.deadline_s = now_s + most_s if live.ends_by_s is None else min(live.ends_by_s, now_s + most_s)
        self._watch(live.deadline_s, task.task_id)
        live.job = Job(
            task=task,
            attempt=state.attempt + 1,
            failures=state.failures,
            session=self._sessions.record(task.session_id),
            deadline=live.started_at + timedelta(seconds=live.deadline_s - now_s),
            deadline_s=live.deadline_s,
            ends_by_s=live.ends_by_s,
            lost=live.lost,
        )
        self._places.take(task.task_id, live.job.attempt, suspect=suspect)
        self._pool.submit(live.job, alone=suspect)

    def _ended(self, message: TaskEnded) -> None:
        live = self._live.pop(task_id := message.record.task_id, None)
        if live is None:
            return
        self._family.has_ended(message.record)
        if live.job is not None:
            self._places.over(task_id, live.job.attempt)
            if live.job.token.cancelled and (next_s := self._places.next_s) is not None:
                self.wake_in(next_s)
        following = self._sessions.release(message.record.task, message.session, time.monotonic())
        if following is not None and (next_live := self._live.get(following.task_id)) is not None:
            self._make_ready(next_live)
        self._dispatch()

    # --- cancelling, forgetting ---

    def _cancel(self, message: CancelTask) -> TaskRecord:
        who, request_id = self.delivery.principal.caller, self.delivery.request_id
        event = TaskCancelled(at=self._clock.now(), caller=who, request_id=request_id)
        result = ended(message.task_id, self._live.get(message.task_id), event)
        later = self._result_logger.forward(self.delivery, result, urgent=True)  # once it is told, the work stops
        self._stop_work(message.task_id)
        return later

    def _decide(self, message: DecideTask) -> TaskRecord:
        live, now = self._live.get(message.task_id), self._clock.now()
        known = None if live is None or live.job is not None or reason_of(live.record) is None else live.record
        record = known or self._reader.task(message.task_id)
        written = decision_record(
            *(record, live, message, now, self.delivery),
            catalogue=self._catalogue(),
            call=self._reader.call,
        )
        until_s = self._clock.monotonic() + self._settings.ask_timeout_s
        if known is not None and live is not None and live.extend(until_s):
            self._watch(until_s, message.task_id)
        return self._result_logger.forward(self.delivery, written)

    def _limit_time(self, message: TimeLimited) -> None:
        live = self._live.get(message.task_id)
        if live is None or live.job is None or live.job.attempt != message.attempt:
            return
        live.budget_s = self._clock.monotonic() + max(0.0, message.left_s)
        live.budget_error = message.error
        if live.deadline_s is None or live.budget_s < live.deadline_s:
            live.deadline_s = live.budget_s
            self._watch(live.budget_s, message.task_id)

    def _delete_session(self, session_id: str) -> None:
        if self._sessions.busy(session_id):
            raise SessionBusy(f"A task of the session {session_id} is under way; cancel it or wait for its end first.")
        self._sessions.forget(session_id)
        return self._result_logger.forward(self.delivery, RecordSessionDeleted(session_id=session_id))

    def _stop_work(self, task_id: str) -> None:
        """Stop a running task's worker, and keep a waiting task from starting."""
        live = self._live.get(task_id)
        if live is None:
            return
        live.ending = True
        if live.job is not None:
            live.job.token.cancel()

    def _end(self, task_id: str, *, error: str, error_code: str) -> None:
        event = TaskFailed(at=self._clock.now(), error=error, error_code=error_code)
        self._result_logger.tell(ended(task_id, self._live.get(task_id), event))

    # --- time ---

    def _watch(self, deadline_s: float, task_id: str) -> None:
        if self._deadlines.add(deadline_s, task_id, self._live):
            self.wake_in(deadline_s - self._clock.monotonic())

    def _tick(self) -> None:
        self._end_overdue()
        self._ready_delayed()
        self._replace_stuck()
        now_s = time.monotonic()
        if now_s >= self._reap_at_s:
            self._reap()
            self._reap_at_s = now_s + _REAP_EVERY_S
        if now_s >= self._evict_at_s:
            self._sessions.evict(now_s - self._settings.session_idle_s)
            self._evict_at_s = now_s + min(_EVICT_EVERY_S, self._settings.session_idle_s)
        self.wake_in(min(self._evict_at_s, self._reap_at_s) - now_s)

    def _ready_delayed(self) -> None:
        """Make the tasks ready whose wait before another try is over."""
        now_s = self._clock.monotonic()
        for task_id, turn in self._ready.due(now_s):
            live = self._live.get(task_id)
            if live is not None and live.turn == turn and live.job is None:
                self._ready.add(live.record.task, turn)
        if (next_s := self._ready.next_s) is not None:
            self.wake_in(next_s - now_s)
        self._dispatch()

    def _reap(self) -> None:
        """Take over what is found `running` twice and nobody works on: the first time its end may be on its way to the store."""
        try:
            running = {record.task_id: record for record in self._reader.running()}
            lost = running.keys() - self._pool.running.keys()
            for task_id in lost & self._suspects:
                logger.error("task %s is running and nobody works on it; taking it over", task_id)
                self._take_over(running[task_id])
            self._suspects = lost
        except Unavailable as error:
            logger.warning("looking for tasks that nobody works on is put off: %s", error)

    def _end_overdue(self) -> None:
        now_s = self._clock.monotonic()
        for deadline_s, task_id in self._deadlines.passed(now_s):
            live = self._live.get(task_id)
            if live is None or live.deadline_s != deadline_s or live.ending:
                continue
            error, error_code = overdue(live, deadline_s, self._settings)
            self._end(task_id, error=error, error_code=error_code)
            self._stop_work(task_id)
        if (next_s := self._deadlines.next_s) is not None:
            self.wake_in(next_s - now_s)

    def _replace_stuck(self) -> None:
        """Stand a new worker in for each that did not let go of a task that is over."""
        for task_id, attempt in self._places.stuck():
            logger.error("task %s is over but a skill of it does not return; another worker stands in", task_id)
            self._pool.stand_in(task_id, attempt)
            self._dispatch()
        if (next_s := self._places.next_s) is not None:
            self.wake_in(next_s)
