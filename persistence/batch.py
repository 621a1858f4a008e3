"""What a batch of records does to the tasks it names, decided in Python.

A batch sees the stored state of its tasks, carries out its records in order, each seeing those before it, and
is left with rows: one for each task, event, call and session that changed. No SQL here. The writer's thread;
imported by `writes.py` (`WriteOutcome` by `store.py`, `conflict` by the history reader).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from callboard.budget import Account, Charges, Usage
from callboard.clock import new_id
from callboard.conversation import SessionRecord, SessionUpdate
from callboard.errors import IdempotencyConflict, StoreUnavailable, TaskNotFound, TaskNotPaused
from callboard.messages.deliveries import DELIVERY_LASTS, WebhookDelivery, site_of
from callboard.messages.events import MOST_POSITION, NewEvent, TaskEvent
from callboard.messages.ledger import CallRecord
from callboard.messages.records import (
    RecordAcceptance,
    RecordEvents,
    RecordPause,
    RecordRequeue,
    RecordResult,
    RecordStart,
    TooManyBelow,
)
from callboard.messages.tasks import (
    MASTER,
    NEW,
    AttachedFile,
    Idempotency,
    KeptAnswer,
    Status,
    Task,
    TaskRecord,
    TaskState,
)
from callboard.persistence import bounds, rollup
from callboard.persistence.codec import Rows
from callboard.persistence.statements import Row
from callboard.persistence.task_in_batch import TaskInBatch, ended, in_batch, is_own, is_running


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOutcome:
    """What became of one record: its `value` as records.py says, and the events it appended, numbered.

    `accepted` are the tasks that were handed to agents; their first events are among `events`.
    """

    value: Any
    events: tuple[TaskEvent, ...] = ()
    accepted: tuple[TaskRecord, ...] = ()


FALSE = WriteOutcome(value=False)
TRUE = WriteOutcome(value=True)
CallKey = tuple[str, int]
AnswerKey = tuple[str, str]


class Batch:
    """Records carried out on `tasks`; afterwards its fields say what to store.

    `whole` returns a stored task with all its fields, for the few that the writer does not hold in memory, None if it is
    not stored; `spent` what is on the accounts of those that end; `answers` holds what was kept under the idempotency keys that the
    records name; `below` is how many tasks are stored below the first task of each line that gets new ones; `position` is the
    highest one that an event was ever given.
    """

    def __init__(
        self,
        rows: Rows,
        tasks: dict[str, TaskInBatch],
        whole: Callable[[str], TaskRecord | None],
        spent: Mapping[Account, Usage],
        answers: dict[AnswerKey, KeptAnswer],
        below: dict[str, int],
        position: int,
    ) -> None:
        self.tasks = tasks
        self.event_rows: list[Row] = []
        self.calls: dict[CallKey, CallRecord] = {}
        self.snapshots: dict[str, bytes] = {}
        self.files: list[tuple[str, int, AttachedFile]] = []
        self.charges: dict[Account, Usage] = {}
        self.deliveries: list[WebhookDelivery] = []
        self.new_answers: list[tuple[Idempotency, datetime, KeptAnswer]] = []
        self.sessions: dict[str, SessionRecord] = {}
        self.bare_sessions: dict[str, SessionRecord] = {}
        self.interpreters: dict[str, SessionRecord] = {}
        self.said: dict[str, list[tuple[str, SessionUpdate]]] = {}
        self.accepted = 0
        self.ended: dict[str, TaskRecord] = {}
        self.position = position
        self._rows = rows
        self._whole = whole
        self._spent = spent
        self._answers = answers
        self._below = below

    def accept(self, message: RecordAcceptance) -> WriteOutcome:
        if message.idempotency is not None:
            kept = self._answered(message.idempotency, message.task)
            if kept is not None:
                return WriteOutcome(value=kept)
        events = self._accept(message)
        return WriteOutcome(value=TaskRecord(task=message.task), events=events)

    def start(self, message: RecordStart) -> WriteOutcome:
        held = self.tasks.get(message.task_id)
        if held is None or held.ended or message.attempt <= held.state.attempt:
            return FALSE
        state = held.state
        held.change(
            TaskState(
                status=Status.RUNNING,
                attempt=message.attempt,
                started_at=message.at,
                owner=message.owner or None,
                crashes=state.crashes,
                failures=state.failures,
            )
        )
        return TRUE

    def append(self, message: RecordEvents) -> WriteOutcome:
        held = self.tasks.get(message.task_id)
        if held is None or not is_running(held, message.attempt, message.owner):
            return FALSE
        # those of an earlier attempt at the same calls are stored already, and may have ended
        children = [child for child in message.children if child.task.task_id not in self.tasks]
        if (refused := self._too_many_below(children, message.most_below)) is not None:
            return WriteOutcome(value=refused)
        self._progress(held, message)
        events = self._append(held, message.events)
        for child in children:
            events += self._accept(child)
        accepted = tuple(TaskRecord(task=child.task) for child in children)
        return WriteOutcome(value=True, events=events, accepted=accepted)

    def pause(self, message: RecordPause) -> WriteOutcome:
        held = self.tasks.get(message.task_id)
        if held is None:
            return _unknown(message.task_id)
        if not is_running(held, message.attempt, message.owner):
            return WriteOutcome(value=self._stands(held))
        held.change(replace(held.state, status=Status.PAUSED, owner=None, pause=message.pause))
        self._progress(held, message)
        return WriteOutcome(value=self._stands(held), events=self._append(held, message.events))

    def requeue(self, message: RecordRequeue) -> WriteOutcome:
        held = self.tasks.get(message.task_id)
        if held is None:
            return _unknown(message.task_id)
        if message.attempt is None and (gone_on := _not_paused(held, message.paused_attempt)) is not None:
            return gone_on
        if not is_own(held, message.attempt, message.owner):
            return WriteOutcome(value=self._stands(held))
        state = replace(held.state, status=Status.PENDING, owner=None, pause=None, not_before=message.not_before)
        if message.crashes is not None:
            state = replace(state, crashes=message.crashes)
        if message.failures is not None:
            state = replace(state, failures=message.failures)
        held.change(state)
        for call in message.calls:
            self.calls[held.task_id, call.number] = call
        self._charge(message.charges)
        return WriteOutcome(value=self._stands(held), events=self._append(held, message.events))

    def end(self, message: RecordResult) -> WriteOutcome:
        held = self.tasks.get(message.task_id)
        if held is None:
            return _unknown(message.task_id)
        if message.only_paused and (gone_on := _not_paused(held, message.paused_attempt)) is not None:
            return gone_on
        if not is_own(held, message.attempt, message.owner):
            return WriteOutcome(value=self._stands(held))
        if not message.status.ended:
            return WriteOutcome(value=ValueError(f"A result cannot leave a task {message.status}."))
        task = self._stands(held).task
        self._charge(message.charges)
        metadata, worked_ms = self._figures(task, message)
        held.change(ended(held.state, message, bounds.metadata(metadata, message.output), worked_ms))
        record = TaskRecord(task=task, state=held.state)
        events = self._append(held, rollup.stamped(message.events, record))
        self.ended[task.task_id] = record
        self._pass_up(record)
        self._keep_session(task, message)
        if task.spec.callback_url is not None:
            self.deliveries.append(_delivery(task, message, task.spec.callback_url))
        return WriteOutcome(value=record, events=events)

    def new_rows(self) -> list[Row]:
        """Return the rows of accepted tasks, as they stand after the whole batch."""
        return [self._rows.task(held.task, held.state) for held in self.tasks.values() if held.is_new and held.task]

    def changed_rows(self) -> list[Row]:
        """Return what changes in the rows of tasks that were stored before; in the order of their ids."""
        changed = (held for held in self.tasks.values() if held.changed and not held.is_new)
        return [self._rows.changed(held.task_id, held.state) for held in changed]

    def counted(self) -> dict[str, int | float]:
        """Return what to add to the totals."""
        counts: dict[str, int | float] = {
            "more_total": self.accepted,
            "more_live": self.accepted - len(self.ended),
            "more_stored": len(self.ended),
            "more_execution_ms": 0.0,
            "more_elapsed_ms": 0.0,
            "more_completed": 0,
            "more_failed": 0,
            "more_cancelled": 0,
        }
        for record in self.ended.values():
            counts[f"more_{record.status._value_}"] += 1
            if record.status is not Status.CANCELLED:  # how long somebody let it run says nothing
                counts["more_execution_ms"] += record.state.execution_time_ms or 0.0
                counts["more_elapsed_ms"] += record.elapsed_ms or 0.0
        return counts

    def accounts(self) -> list[tuple[Account, Usage]]:
        """Return what to add to the accounts, in one order everywhere: what was spent, and the tasks that agents ended.

        PERF: counted by agent first, one `Usage` a batch; added up task by task they took 1.7 µs each.
        """
        ended, failed = Counter[str](), Counter[str]()
        for record in self.ended.values():
            ended[record.task.spec.agent or MASTER] += 1
            if record.status is Status.FAILED:
                failed[record.task.spec.agent or MASTER] += 1
        agents = [(Account("agent", name), Usage(tasks=n, failures=failed[name])) for name, n in ended.items()]
        return sorted([*self.charges.items(), *agents], key=_first)

    def _accept(self, message: RecordAcceptance) -> tuple[TaskEvent, ...]:
        task = message.task
        held = TaskInBatch(task.task_id, task.session_id, task.spec.agent, NEW, task=task, is_new=True)
        self.tasks[task.task_id] = held
        self.accepted += 1
        if task.root_id in self._below:
            self._below[task.root_id] += 1
        if message.files:
            self.files += [(task.task_id, position, file) for position, file in enumerate(message.files)]
        return self._append(held, (message.event,))

    def _too_many_below(self, children: list[RecordAcceptance], most: int | None) -> TooManyBelow | None:
        """Say whether tasks would be one too many for their line, which all of them are in."""
        root_id = children[0].task.root_id if children else None
        if most is None or root_id is None:
            return None
        there, new = self._below[root_id], len(children)
        return TooManyBelow(there=there, new=new) if there + new > most else None

    def _progress(self, held: TaskInBatch, message: RecordEvents | RecordPause) -> None:
        """Keep how far a running task has got, and what that has cost."""
        for call in message.calls:
            self.calls[held.task_id, call.number] = call
        if message.snapshot is not None:
            self.snapshots[held.task_id] = message.snapshot
        self._charge(message.charges)

    def _charge(self, charges: Charges) -> None:
        """Add to what the batch has spent, one sum an account. Invariant: called only for what is carried out."""
        for account, usage in charges:
            before = self.charges.get(account)
            self.charges[account] = usage if before is None else before + usage

    def _figures(self, task: Task, message: RecordResult) -> tuple[Mapping[str, Any], float | None]:
        """Return the metadata of a task that ends, and its milliseconds of work, over all attempts and agents."""
        if rollup.tells_all(message, task):
            return message.metadata, message.execution_time_ms
        spent, below = (
            self._spent.get(account, Usage()) + self.charges.get(account, Usage())
            for account in rollup.accounts_of(task.task_id)
        )
        return rollup.summed(message, spent, below)

    def _pass_up(self, record: TaskRecord) -> None:
        """Add what a task took to the accounts of those above it, and to what is told of those that have ended before it.

        The session of the first of them has spent it too, however that one has ended.
        Invariant: a task ends once, so nothing is added twice. Once it has ended it takes no more.
        """
        more, task, first = rollup.passed_up(record), record.task, None
        while (above := self._above(task)) is not None:
            mine = replace(more, tasks=1) if above.task_id == record.task.parent_id else more
            self._charge(tuple((account, mine) for account in rollup.accounts_of(above.task_id)))
            if above.status.ended:
                self._restate(rollup.with_more_below(above, mine))
            task = first = above.task
        if first is not None:
            self._charge(((Account("session", first.session_id), more),))

    def _above(self, task: Task) -> TaskRecord | None:
        """Return the task that gave this one, if it is still stored; that of a dead letter has gone on without it."""
        if task.parent_id is None or task.redrive_of is not None:
            return None
        held = self.tasks.get(task.parent_id)
        return self._whole(task.parent_id) if held is None else self._stands(held)

    def _restate(self, record: TaskRecord) -> None:
        """Tell something else of a task that has ended."""
        held = self.tasks.get(record.task_id)
        if held is None:  # no record of this batch names it, so its log is left alone
            held = self.tasks[record.task_id] = in_batch(record)
        held.change(record.state)
        if record.task_id in self.ended:
            self.ended[record.task_id] = record

    def _answered(self, asked: Idempotency, task: Task) -> KeptAnswer | IdempotencyConflict | None:
        """Return what the key has been answered with, or note that it is answered with the task now."""
        kept = self._answers.get((asked.caller, asked.key))
        if kept is not None:
            return kept if kept.fingerprint == asked.fingerprint else conflict(asked.key)
        answer = {"sessionId": task.session_id, "task": task.spec.task}
        kept = KeptAnswer(fingerprint=asked.fingerprint, task_id=task.task_id, answer=answer)
        self._answers[asked.caller, asked.key] = kept
        self.new_answers.append((asked, task.created_at, kept))
        return None

    def _stands(self, held: TaskInBatch) -> TaskRecord:
        """Return the task as it stands, all of it."""
        if held.task is None:
            whole = self._whole(held.task_id)
            if whole is None:
                raise TaskNotFound(f"There is no task {held.task_id}.")
            held.task = whole.task
            if held.ended:  # before this batch: what it ends has its task
                held.state = whole.state
        return TaskRecord(task=held.task, state=held.state)

    def _append(self, held: TaskInBatch, new: tuple[NewEvent, ...]) -> tuple[TaskEvent, ...]:
        """Number events from the last one on; the writer owns the rows, so numbers have no gap.

        Raises `StoreUnavailable` where a position would be too high.
        """
        task_id, seq, made = held.task_id, held.last_seq, []
        position = self.position
        for event in new:
            seq += 1
            position += 1
            data, text = bounds.event_and_json(event)
            self.event_rows.append(self._rows.event(task_id, seq, position, event, text))
            made.append(
                TaskEvent(
                    task_id=task_id,
                    seq=seq,
                    topic=event.topic,
                    at=event.at,
                    data=data,
                    position=position,
                    caller=event.caller,
                    size_bytes=bounds.size_bytes(text),
                    session_id=held.session_id,
                    agent=held.agent,
                )
            )
        if made:
            refuse_beyond(position)
        held.last_seq, self.position = seq, position
        return tuple(made)

    def _keep_session(self, task: Task, message: RecordResult) -> None:
        # Invariant: a session has a row once a task of it has ended, so one without a row and without
        # unended tasks is unknown or deleted.
        if (left := message.session) is not None:
            session_id = left.record.session_id
            self.sessions[session_id] = left.record
            if left.variables_changed:
                self.interpreters[session_id] = left.record
            if left.said:
                self.said.setdefault(session_id, []).append((task.task_id, left))
        elif (session_id := task.session_id) not in self.sessions:
            self.bare_sessions[session_id] = SessionRecord(
                session_id=session_id, created_at=task.created_at, updated_at=message.at
            )


def _first(pair: tuple[Account, Usage]) -> Account:
    return pair[0]


def refuse_beyond(position: int) -> None:
    """Raise `StoreUnavailable` where a position would be none that every reader keeps; only damage brings one there."""
    if position > MOST_POSITION:
        raise StoreUnavailable(
            f"The next event's position would be {position}, and none may be above {MOST_POSITION}; run callboard doctor."
        )


def conflict(key: str) -> IdempotencyConflict:
    """Return the refusal of a key that was used for something else."""
    return IdempotencyConflict(
        f"The Idempotency-Key {key[:64]!r} was used with another body; use a fresh key for another request."
    )


def _unknown(task_id: str) -> WriteOutcome:
    return WriteOutcome(value=TaskNotFound(f"There is no task {task_id}."))


def _not_paused(held: TaskInBatch, since: int | None) -> WriteOutcome | None:
    """Return what becomes of a record on a pause that is over, None where the task waits as the record has it."""
    if (state := held.state).status is not Status.PAUSED:
        told = f"The task {held.task_id} is {state.status}, not paused; there is nothing to decide."
    elif since not in (None, state.attempt):
        told = f"The task {held.task_id} has gone on since, and waits for something else; look at its pause again."
    else:
        return None
    return WriteOutcome(value=TaskNotPaused(told))


def _delivery(task: Task, message: RecordResult, url: str) -> WebhookDelivery:
    return WebhookDelivery(
        delivery_id=new_id(),
        task_id=task.task_id,
        url=url,
        topic=message.events[-1].topic,
        created_at=message.at,
        expires_at=message.at + DELIVERY_LASTS,
        next_at=message.at,
        site=site_of(url),
        caller=task.caller or "",
    )
