"""The master agent: the life of every task from its acceptance to its end.

One task at a time within a session, in order; sessions in parallel, as many as there are workers; higher priority
first. It hands jobs to the task pool and hears of their end from the result logger, after the commit. It cancels,
keeps deadlines, and answers those who wait for a task. No task's code runs in its thread.
"""

import heapq
import itertools
import logging
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from callboard.actors.mailbox import LATER, Address, Delivery, Mailbox
from callboard.actors.sessions import Sessions
from callboard.actors.supervision import SupervisedActor
from callboard.actors.task_pool import TaskPool
from callboard.agent.runner import Job
from callboard.clock import Clock
from callboard.errors import SessionBusy, TaskNotFound
from callboard.messages import (
    AwaitTask,
    CancelTask,
    DeleteSession,
    GetTask,
    NewEvent,
    Ping,
    Pong,
    RecordResult,
    RecordSessionDeleted,
    Status,
    TaskEnded,
    TaskQueued,
    TaskRecord,
    Tick,
    Topic,
    WorkerFreed,
)
from callboard.persistence.store import Store
from callboard.settings import Settings

logger = logging.getLogger("callboard.master")

_STUCK_AFTER_S = 5.0
_EVICT_EVERY_S = 30.0


@dataclass(slots=True, kw_only=True)
class _Live:
    """A task that has not ended, as far as the store has told."""

    record: TaskRecord
    job: Job | None = None
    started_at: datetime | None = None
    deadline: datetime | None = None
    ending: bool = False  # its end is on its way to the store: it must not start any more

    def as_it_stands(self) -> TaskRecord:
        if self.job is None:
            return self.record
        return replace(self.record, status=Status.RUNNING, attempt=self.job.attempt, started_at=self.started_at)


@dataclass(slots=True, kw_only=True)
class _Held:
    """A worker that has not let go of a task that is over; `replaced` once another worker stands in for it."""

    since_s: float
    replaced: bool = False


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
    ) -> None:
        super().__init__(mailbox)
        self._settings = settings
        self._clock = clock
        self._store = store
        self._pool = pool
        self._result_logger = result_logger
        self._history_reader = history_reader
        self._live: dict[str, _Live] = {}
        self._waiting: dict[str, list[tuple[float, Delivery]]] = defaultdict(list)
        self._sessions = Sessions()
        self._ready: list[tuple[int, int, TaskRecord]] = []
        self._arrivals = itertools.count()
        self._deadlines: list[tuple[datetime, str]] = []
        self._running: dict[str, _Held | None] = {}
        self._free = settings.workers
        self._unchecked = 0
        self._evict_at_s = time.monotonic() + _EVICT_EVERY_S

    # --- start, and restart after a crash ---

    def setup(self) -> None:
        """Take up every task that has not ended: those of a server that died, and our own after a crash."""
        # Invariant: what was queued before this moment may be about tasks that have ended since
        self._unchecked = len(self.mailbox)
        running = self._pool.running
        self._free = max(0, self._settings.workers - len(running))
        for record in self._store.unfinished():
            job = running.get(record.task_id)
            if job is not None:
                self._adopt(record, job)
            elif record.status is Status.RUNNING and (skill := self._unrepeatable(record)) is not None:
                self._end_unknown(record, skill)
            else:
                self._queue(record)
        for task_id in running.keys() - self._live.keys():
            self._running[task_id] = _Held(since_s=time.monotonic())
        self._dispatch()
        self.wake_in(_EVICT_EVERY_S)

    def _adopt(self, record: TaskRecord, job: Job) -> None:
        self._sessions.queue(record, time.monotonic())
        self._live[record.task_id] = _Live(
            record=record, job=job, started_at=record.started_at, deadline=job.deadline, ending=job.token.cancelled
        )
        self._running[record.task_id] = None
        self._watch(job.deadline, record.task_id)

    def _unrepeatable(self, record: TaskRecord) -> str | None:
        """Return the skill, if any, that a dead server had called and that must not be called twice."""
        after, called = 0, None
        while True:
            page = self._store.events(record.task_id, after)
            for event in page.events:
                if event.topic is Topic.SKILL_STARTED and event.data.get("replay") in ("keyed", "never"):
                    called = str(event.data.get("skill"))
                after = event.seq
            if not page.events:
                return called

    def _end_unknown(self, record: TaskRecord, skill: str) -> None:
        self._live[record.task_id] = _Live(record=record)
        self._end(
            record.task_id,
            Status.FAILED,
            error=f"The server died after the skill {skill} was called, and a call of it must not be repeated; "
            "find out what it did, then post the task again if it should be done.",
            error_code="outcome_unknown",
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
            case TaskEnded():
                self._ended(message)
            case WorkerFreed(task_id=task_id):
                self._freed(task_id)
            case AwaitTask():
                return self._await(message)
            case CancelTask():
                return self._cancel(message)
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
        if record.task_id in self._live or (self._unchecked and self._has_ended(record.task_id)):
            return
        deadline = None
        if record.timeout_ms is not None:
            deadline = record.created_at + timedelta(milliseconds=record.timeout_ms)
            self._watch(deadline, record.task_id)
        self._live[record.task_id] = _Live(record=record, deadline=deadline)
        if self._sessions.queue(record, time.monotonic()):
            self._make_ready(record)

    def _has_ended(self, task_id: str) -> bool:
        try:
            return self._store.task(task_id).status.ended
        except TaskNotFound:
            return True

    def _make_ready(self, record: TaskRecord) -> None:
        heapq.heappush(self._ready, (-record.priority, next(self._arrivals), record))

    def _dispatch(self) -> None:
        while self._free > 0 and self._ready:
            _, _, record = heapq.heappop(self._ready)
            live = self._live.get(record.task_id)
            if live is not None and live.job is None and not live.ending:
                self._start(live)

    def _start(self, live: _Live) -> None:
        record = live.record
        live.started_at = self._clock.now()
        until = live.started_at + timedelta(seconds=self._settings.run_timeout_s)
        live.deadline = min(live.deadline, until) if live.deadline else until
        self._watch(live.deadline, record.task_id)
        session = self._sessions.record(record.session_id)
        live.job = Job(record=record, attempt=record.attempt + 1, session=session, deadline=live.deadline)
        self._free -= 1
        self._running[record.task_id] = None
        self._pool.submit(live.job)

    def _ended(self, message: TaskEnded) -> None:
        task_id = message.record.task_id
        live = self._live.pop(task_id, None)
        if live is None:
            return
        for _, delivery in self._waiting.pop(task_id, ()):
            delivery.answer(message.record)
        if task_id in self._running:
            self._running[task_id] = _Held(since_s=time.monotonic())
            if live.job is not None and live.job.token.cancelled:
                self.wake_in(_STUCK_AFTER_S)
        following = self._sessions.release(message.record, message.session, time.monotonic())
        if following is not None:
            self._make_ready(following)
            self._dispatch()

    def _freed(self, task_id: str) -> None:
        held = self._running.pop(task_id, None)
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
        self._waiting[message.task_id].append((time.monotonic() + message.wait_s, self.hold()))
        self.wake_in(message.wait_s)
        return LATER

    def _cancel(self, message: CancelTask) -> Any:
        data = {} if message.request_id is None else {"requestId": message.request_id}
        result = self._result(message.task_id, Status.CANCELLED, Topic.TASK_CANCELLED, data)
        forwarded = self._result_logger.forward(self.delivery, result)
        self._stop_work(message.task_id, "cancelled")
        return forwarded

    def _delete_session(self, session_id: str) -> Any:
        if self._sessions.busy(session_id):
            raise SessionBusy(f"A task of the session {session_id} is under way; cancel it or wait for its end first.")
        self._sessions.forget(session_id)
        return self._result_logger.forward(self.delivery, RecordSessionDeleted(session_id=session_id))

    def _stop_work(self, task_id: str, reason: str) -> None:
        """Stop a running task's worker, and keep a waiting task from starting."""
        live = self._live.get(task_id)
        if live is None:
            return
        live.ending = True
        if live.job is not None:
            live.job.token.cancel(reason)

    def _end(self, task_id: str, status: Status, *, error: str, error_code: str) -> None:
        data = {"error": error, "errorCode": error_code}
        self._result_logger.tell(self._result(task_id, status, Topic.TASK_FAILED, data, error, error_code))

    def _result(
        self,
        task_id: str,
        status: Status,
        topic: Topic,
        data: dict[str, Any],
        error: str | None = None,
        error_code: str | None = None,
    ) -> RecordResult:
        now = self._clock.now()
        live = self._live.get(task_id)
        started = live.started_at if live else None
        attempt = live.job.attempt if live and live.job else live.record.attempt if live else 0
        return RecordResult(
            task_id=task_id,
            attempt=None,
            status=status,
            at=now,
            events=(NewEvent(topic=topic, at=now, data=data),),
            error=error,
            error_code=error_code,
            execution_time_ms=round((now - started).total_seconds() * 1000, 3) if started else None,
            metadata={"attempt": attempt} if attempt else {},
        )

    # --- time ---

    def _watch(self, deadline: datetime, task_id: str) -> None:
        if len(self._deadlines) > 1000 + 2 * len(self._live):  # most are of tasks that ended long before
            self._deadlines = [entry for entry in self._deadlines if entry[1] in self._live]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (deadline, task_id))
        if self._deadlines[0][1] == task_id:
            self.wake_in((deadline - self._clock.now()).total_seconds())

    def _tick(self) -> None:
        self._end_overdue()
        self._answer_expired()
        self._replace_stuck()
        now_s = time.monotonic()
        if now_s >= self._evict_at_s:
            self._sessions.evict(now_s - self._settings.session_idle_s)
            self._evict_at_s = now_s + min(_EVICT_EVERY_S, self._settings.session_idle_s)
        self.wake_in(self._evict_at_s - now_s)

    def _end_overdue(self) -> None:
        now = self._clock.now()
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, task_id = heapq.heappop(self._deadlines)
            live = self._live.get(task_id)
            if live is None or live.deadline != deadline or live.ending:
                continue
            limit = (
                f"its timeoutMs of {live.record.timeout_ms}"
                if live.record.timeout_ms is not None
                and deadline == live.record.created_at + timedelta(milliseconds=live.record.timeout_ms)
                else f"the server's limit of {self._settings.run_timeout_s:g} s (CALLBOARD_RUN_TIMEOUT_S)"
            )
            message = f"The task did not end within {limit}; give it more time, or less to do."
            self._end(task_id, Status.FAILED, error=message, error_code="deadline_exceeded")
            self._stop_work(task_id, "deadline")
        if self._deadlines:
            self.wake_in((self._deadlines[0][0] - now).total_seconds())

    def _answer_expired(self) -> None:
        now_s = time.monotonic()
        for task_id, waiting in tuple(self._waiting.items()):
            live = self._live[task_id]
            kept = []
            for due_s, delivery in waiting:
                if due_s <= now_s:
                    delivery.answer(live.as_it_stands())
                else:
                    kept.append((due_s, delivery))
                    self.wake_in(due_s - now_s)
            if kept:
                self._waiting[task_id] = kept
            else:
                del self._waiting[task_id]

    def _replace_stuck(self) -> None:
        """Stand a new worker in for each that did not let go of a task that is over."""
        now_s = time.monotonic()
        for task_id, held in tuple(self._running.items()):
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
