"""The master agent: the life of every task from its acceptance to its end.

One task at a time within a session, in order; sessions in parallel, as many as there are workers; higher priority
first. It hands jobs to the task pool and hears of their end from the result logger, after the commit. It takes over what
servers that died have left, cancels, decides, keeps deadlines, and answers those who wait. No task's code runs in its thread.
"""

import logging
import time
from collections.abc import Callable, Set
from datetime import datetime, timedelta
from typing import Any

from callboard.actors.decisions import decision_record
from callboard.actors.family import Family
from callboard.actors.live_tasks import Held, Live, ended, got_further, overdue, requeued
from callboard.actors.mailbox import LATER, Address, Mailbox
from callboard.actors.ready_tasks import Deadlines, ReadyTasks
from callboard.actors.sessions import Sessions
from callboard.actors.supervision import SupervisedActor
from callboard.actors.task_pool import TaskPool
from callboard.actors.waiters import Waiters
from callboard.agent.catalogue import Catalogue
from callboard.agent.job import Job
from callboard.agent.spending import Accounts
from callboard.clock import Clock
from callboard.errors import SessionBusy, TaskNotFound, Unavailable
from callboard.messages import (
    AwaitTask,
    CancelTask,
    DecideTask,
    DeleteSession,
    GetTask,
    PauseReason,
    Ping,
    Pong,
    Status,
    TaskRecord,
)
from callboard.pauses import reason_of
from callboard.persistence.store import Store
from callboard.records import RecordSessionDeleted
from callboard.settings import Settings
from callboard.signals import TaskEnded, TaskPaused, TaskQueued, Tick, TimeLimited, WorkerFreed

logger = logging.getLogger("callboard.master")

_STUCK_AFTER_S = 5.0
_EVICT_EVERY_S = 30.0
_REAP_EVERY_S = 5.0


class MasterAgent(SupervisedActor):
    """Owns the order in which tasks start and the reasons for which they stop."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        settings: Settings,
        clock: Clock,
        store: Store,
        pool: TaskPool,
        result_logger: Address,
        history_reader: Address,
        catalogue: Callable[[], Catalogue],
        accounts: Accounts,
        draining: Callable[[], bool],
    ) -> None:
        super().__init__(mailbox)
        self._draining = draining
        self._catalogue = catalogue
        self._settings = settings
        self._clock = clock
        self._store = store
        self._pool = pool
        self._result_logger = result_logger
        self._history_reader = history_reader
        self._live: dict[str, Live] = {}
        self._family = Family(
            live=self._live,
            store=store,
            accounts=accounts,
            settings=settings,
            clock=clock,
            result_logger=result_logger,
            stop_work=self._stop_work,
        )
        self._waiters = Waiters()
        self._sessions = Sessions()
        self._ready = ReadyTasks()
        self._deadlines = Deadlines()
        self._running: dict[tuple[str, int], Held | None] = {}
        self._free = settings.workers
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
        self._free = max(0, self._settings.workers - len(running))
        # those under way first: each is the one of its session that the others wait for
        for record in sorted(self._store.unfinished(), key=lambda r: r.status is Status.PENDING and r.attempt == 0):
            job = running.get(record.task_id)
            if job is not None:
                self._adopt(record, job)
            elif record.status is Status.RUNNING:
                self._take_over(record)
            else:
                self._queue(record)
        for live in [live for live in self._live.values() if live.record.depth or reason_of(live.record)]:
            self._family.look_after(live.record)
        for task_id in running.keys() - self._live.keys():
            self._running[task_id, running[task_id].attempt] = Held(since_s=time.monotonic())
        self._dispatch()
        self.wake_in(min(_EVICT_EVERY_S, _REAP_EVERY_S))

    def _adopt(self, record: TaskRecord, job: Job) -> None:
        self._sessions.queue(record, time.monotonic())
        self._family.add(record)
        self._live[record.task_id] = Live(
            record=record,
            job=job,
            started_at=record.started_at,
            ends_by_s=self._ends_by_s(record),
            deadline_s=job.deadline_s,
            ending=job.token.cancelled,
        )
        self._running[record.task_id, job.attempt] = None
        self._watch(job.deadline_s, record.task_id)

    def _take_over(self, record: TaskRecord) -> None:
        """Go on with a task whose server died, or end it if it is what servers die of."""
        live = self._live.get(record.task_id)
        if live is None:
            live = self._admit(record)
            self._sessions.queue(record, time.monotonic())
        live.ending = False
        crashes = 1 if got_further(record, self._store.ledger(record.task_id)) else record.crashes + 1
        if crashes >= self._settings.max_crashes:
            live.ending = True
            error = (
                f"The server died {crashes} times while it worked on the task, the limit is "
                f"{self._settings.max_crashes} (CALLBOARD_MAX_CRASHES); find out why, then redrive the dead letter."
            )
            self._end(record.task_id, error=error, error_code="dead_letter")
            return
        self._result_logger.tell(
            requeued(record, "takeover", self._clock.now(), attempt=record.attempt, crashes=crashes)
        )

    # --- messages ---

    def receive(self, message: Any) -> Any:
        self._unchecked = max(0, self._unchecked - 1)
        match message:
            case TaskQueued(record=record, wait_s=wait_s):
                self._queue(record)
                self._dispatch()
                if self.delivery.reply is not None:
                    return self._await(AwaitTask(task_id=record.task_id, wait_s=wait_s))
            case TaskPaused(record=record):
                self._queue(record)
                self._family.look_after(record)
                self._dispatch()  # as after an end
            case TimeLimited():
                self._limit_time(message)
            case TaskEnded():
                self._ended(message)
            case WorkerFreed(task_id=task_id, attempt=attempt):
                self._freed(task_id, attempt)
            case AwaitTask():
                return self._await(message)
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
                return super().receive(message)
        return None

    def _queue(self, record: TaskRecord) -> None:
        """Take up a task as the store has told it: new, to be gone on with, or paused."""
        live = self._live.get(record.task_id)
        if live is None:
            if self._unchecked and self._has_ended(record.task_id):
                return
            live = self._admit(record)
            if not self._sessions.queue(record, time.monotonic()):
                return  # the session's next one is made ready when the one before it has ended
        elif record.attempt < (live.record.attempt if live.job is None else live.job.attempt):
            return  # told before the attempt that runs now
        else:
            live.record, live.job = record, None
        if self._sessions.is_active(record):
            self._make_ready(live)

    def _admit(self, record: TaskRecord) -> Live:
        live = self._live[record.task_id] = Live(record=record, ends_by_s=self._ends_by_s(record))
        self._family.add(record)
        live.deadline_s = live.ends_by_s
        if live.deadline_s is not None:
            self._watch(live.deadline_s, record.task_id)
        return live

    def _ends_by_s(self, record: TaskRecord) -> float | None:
        """Return when a task's own time is up; after a restart what has passed of it is told by the wall clock."""
        if record.timeout_ms is None:
            return None
        return self._from_now_s(record.created_at + timedelta(milliseconds=record.timeout_ms))

    def _from_now_s(self, moment: datetime) -> float:
        return self._clock.monotonic() + (moment - self._clock.now()).total_seconds()

    def _watch_pause(self, live: Live) -> None:
        """Have a paused task end when nobody decides in time."""
        since = datetime.fromisoformat(str((live.record.pause or {}).get("since", self._clock.now().isoformat())))
        until_s = self._from_now_s(since + timedelta(seconds=self._settings.decision_timeout_s))
        live.deadline_s = until_s if live.ends_by_s is None else min(until_s, live.ends_by_s)
        if reason_of(live.record) is PauseReason.SUBAGENTS:
            live.deadline_s = live.ends_by_s
        if live.deadline_s is not None:
            self._watch(live.deadline_s, live.record.task_id)

    def _has_ended(self, task_id: str) -> bool:
        try:
            return self._store.task(task_id).status.ended
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
        if record.not_before is not None and (at_s := self._from_now_s(record.not_before)) > self._clock.monotonic():
            self._ready.add_at(at_s, record, live.turn)
            self.wake_in(at_s - self._clock.monotonic())
            return
        self._ready.add(record, live.turn)

    def _dispatch(self) -> None:
        """Start what may start: by priority, and of the tasks on their last chance one at a time.

        When a server has died again and again, one of the tasks that ran is at fault and the others are bystanders; run
        one by one, only the one at fault dies once more.
        """
        put_back, last = [], self._settings.max_crashes - 1
        while self._free > 0 and self._ready and not self._draining():
            entry = self._ready.take()
            live = self._live.get(entry[3])
            if live is None or live.turn != entry[4] or live.job is not None or live.ending:
                continue
            if live.on_last_chance(last) and any(
                o.job is not None and o.on_last_chance(last) for o in self._live.values()
            ):
                put_back.append(entry)
                continue
            self._start(live)
        for entry in put_back:
            self._ready.put_back(entry)

    def _start(self, live: Live) -> None:
        record = live.record
        live.started_at = self._clock.now()
        now_s, most_s = self._clock.monotonic(), self._settings.run_timeout_s
        live.deadline_s = now_s + most_s if live.ends_by_s is None else min(live.ends_by_s, now_s + most_s)
        self._watch(live.deadline_s, record.task_id)
        live.job = Job(
            record=record,
            attempt=record.attempt + 1,
            session=self._sessions.record(record.session_id),
            deadline=live.started_at + timedelta(seconds=live.deadline_s - now_s),
            deadline_s=live.deadline_s,
            ends_by_s=live.ends_by_s,
        )
        self._free -= 1
        self._running[record.task_id, live.job.attempt] = None
        self._pool.submit(live.job)

    def _ended(self, message: TaskEnded) -> None:
        task_id = message.record.task_id
        live = self._live.pop(task_id, None)
        if live is None:
            return
        self._waiters.answer(task_id, message.record)
        self._family.has_ended(message.record)
        if live.job is not None and (key := (task_id, live.job.attempt)) in self._running:
            self._running[key] = Held(since_s=time.monotonic())
            if live.job.token.cancelled:
                self.wake_in(_STUCK_AFTER_S)
        following = self._sessions.release(message.record, message.session, time.monotonic())
        if following is not None and (next_live := self._live.get(following.task_id)) is not None:
            self._make_ready(next_live)
        self._dispatch()  # its worker may have been free before this: another one on its last chance has waited for it

    def _freed(self, task_id: str, attempt: int) -> None:
        if (task_id, attempt) not in self._running:
            return  # it was free already when this instance looked at the pool
        held = self._running.pop((task_id, attempt))
        if held is not None and held.replaced:
            self._pool.shrink()
            return
        self._free = min(self._settings.workers, self._free + 1)
        self._dispatch()

    # --- waiting, cancelling, forgetting ---

    def _await(self, message: AwaitTask) -> Any:
        live = self._live.get(message.task_id)
        if live is None:
            return self._history_reader.forward(self.delivery, GetTask(task_id=message.task_id))
        if message.wait_s <= 0:
            return live.as_it_stands()
        self._waiters.add(message.task_id, self.hold(), message.wait_s)
        self.wake_in(message.wait_s)
        return LATER

    def _cancel(self, message: CancelTask) -> Any:
        told = {} if message.request_id is None else {"requestId": message.request_id}
        live = self._live.get(message.task_id)
        result = ended(message.task_id, live, self._clock.now(), status=Status.CANCELLED, told=told)
        self._result_logger.pass_on(self.delivery, result)  # never refused as full: once it is told, the work stops
        self._stop_work(message.task_id)
        return LATER

    def _decide(self, message: DecideTask) -> Any:
        live, now = self._live.get(message.task_id), self._clock.now()
        known = None if live is None or live.job is not None or reason_of(live.record) is None else live.record
        record = known or self._store.task(message.task_id)
        written = decision_record(record, live, message, now, catalogue=self._catalogue(), call=self._store.call)
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

    def _delete_session(self, session_id: str) -> Any:
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
        live, now = self._live.get(task_id), self._clock.now()
        self._result_logger.tell(ended(task_id, live, now, status=Status.FAILED, error=error, error_code=error_code))

    # --- time ---

    def _watch(self, deadline_s: float, task_id: str) -> None:
        if self._deadlines.add(deadline_s, task_id, self._live):
            self.wake_in(deadline_s - self._clock.monotonic())

    def _tick(self) -> None:
        self._end_overdue()
        self._ready_delayed()
        if (next_s := self._waiters.expire(lambda task_id: self._live[task_id].as_it_stands())) is not None:
            self.wake_in(next_s)
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
                self._ready.add(live.record, turn)
        if (next_s := self._ready.next_s) is not None:
            self.wake_in(next_s - now_s)
        self._dispatch()

    def _reap(self) -> None:
        """Take over what is `running` in the store and nobody works on: no task stays so without a living owner.

        Only what is found so twice: its end may be on its way to the store.
        """
        try:
            running = {record.task_id: record for record in self._store.running()}
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
        now_s = time.monotonic()
        for (task_id, _), held in tuple(self._running.items()):
            if held is None or held.replaced:
                continue
            if now_s - held.since_s < _STUCK_AFTER_S:
                self.wake_in(_STUCK_AFTER_S - (now_s - held.since_s))
                continue
            logger.error("task %s is over but a skill of it does not return; another worker stands in", task_id)
            held.replaced = True
            self._pool.grow()
            self._free += 1
            self._dispatch()
