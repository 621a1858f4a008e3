"""The writer: batches of records in, one transaction each, outcomes out.

One thread writes: the result logger's. What decides a record's fate (status, attempt, last number) is read from
the database within the transaction, so it is right however many processes write to it; the writer keeps only
the fields of live tasks that never change. Imported by `store.py`.

PERF: a whole task (acceptance, start, nine events, result, session; five batches) takes 75 µs of CPU with 64 tasks at
each stage of a batch, 115 µs with 8 and 290 µs alone, of which 35, 47 and 104 µs are Python; the rest is SQLite and the
kernel, without the interpreter lock. An empty commit takes 60 µs here.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple, assert_never

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPICursor

from callboard.budget import Account, Usage
from callboard.errors import (
    DeadLetterNotFound,
    DelegationRefused,
    DeliveryNotFound,
    SessionBusy,
    SessionNotFound,
    StoreUnavailable,
    Unavailable,
)
from callboard.messages.deliveries import WebhookDelivery
from callboard.messages.pauses import Pause
from callboard.messages.records import (
    Record,
    RecordAcceptance,
    RecordDelivery,
    RecordEvents,
    RecordPause,
    RecordRedrive,
    RecordRefusal,
    RecordRequeue,
    RecordResult,
    RecordSessionDeleted,
    RecordStart,
)
from callboard.messages.tasks import Idempotency, KeptAnswer, Task, TaskRecord, TaskState
from callboard.persistence import rollup
from callboard.persistence.batch import AnswerKey, Batch, WriteOutcome, conflict, refuse_beyond
from callboard.persistence.codec import STATUSES, UNENDED, Rows, raw_decoder, raw_task_decoder, usage_from_row
from callboard.persistence.database_file import DatabaseFile
from callboard.persistence.faults import unavailable
from callboard.persistence.shape import lost_by
from callboard.persistence.statements import Row, Statements
from callboard.persistence.tables import tasks, totals
from callboard.persistence.task_in_batch import TaskInBatch
from callboard.persistence.transaction import Transaction

MOST_LIVE = 20_000
"""Records held of live tasks; one that is not held is read when its task ends."""


class _Doubt(NamedTuple):
    """A batch whose commit may or may not have taken effect, and its outcomes if it has."""

    number: str
    records: list[Record]
    outcomes: list[WriteOutcome]
    done: list[Batch]


class RecordWriter:
    """Writes records through one connection. Not safe in two threads at once."""

    def __init__(self, engine: Engine, transaction: Transaction, file: DatabaseFile | None = None) -> None:
        self._transaction = transaction
        self._file = file
        self._dialect = engine.dialect.name
        self._sql = Statements.of(engine.dialect)
        self._rows = Rows(engine.dialect)
        self._decode = raw_task_decoder(engine.dialect)
        self._as_time = raw_decoder(tasks.c.started_at.type, engine.dialect)
        self._as_json = raw_decoder(tasks.c.pause.type, engine.dialect)
        self._doubt: _Doubt | None = None
        self._live: dict[str, Task] = {}  # of committed tasks; nothing here decides anything

    def write(self, records: Sequence[Record]) -> list[WriteOutcome]:
        """Carry out records in one transaction and return their outcomes in order.

        A record that cannot be stored gets its error as its outcome, and the others are stored. Raises
        `StoreUnavailable` or `StorageFull`, with nothing stored, when the database does not take the transaction, and
        `StoreInDoubt` when it may have: the next call then has to bring the same records.
        """
        if not records:
            return []
        if self._doubt is not None:
            doubt = self._doubt
            if self._transaction.took_effect(doubt.number):
                assert list(records) == doubt.records
                self._doubt = None
                return self._finish(doubt.outcomes, doubt.done)
            self._doubt = None
        try:
            return self._write(records)
        except StoreUnavailable:
            if self._doubt is not None or not self._transaction.lost_connection:
                raise
            return self._write(records)  # nothing was stored, and a fresh connection may do

    def _write(self, records: Sequence[Record]) -> list[WriteOutcome]:
        done: list[Batch] = []
        outcomes: list[WriteOutcome] = []
        try:
            with self._transaction as cursor:
                outcomes = self._carry_out(cursor, records, done)
        except Unavailable:
            self._note_doubt(records, outcomes, done)
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not cost the other records
            if len(records) == 1:
                return [WriteOutcome(value=error)]
            return self._write_each(records)
        return self._finish(outcomes, done)

    def _write_each(self, records: Sequence[Record]) -> list[WriteOutcome]:
        done: list[Batch] = []
        outcomes: list[WriteOutcome] = []
        try:
            with self._transaction as cursor:
                outcomes = [self._alone(cursor, record, done) for record in records]
        except Unavailable:
            self._note_doubt(records, outcomes, done)
            raise
        return self._finish(outcomes, done)

    def _note_doubt(self, records: Sequence[Record], outcomes: list[WriteOutcome], done: list[Batch]) -> None:
        if (number := self._transaction.doubtful) is not None:
            self._doubt = _Doubt(number, list(records), outcomes, done)

    def _finish(self, outcomes: list[WriteOutcome], done: list[Batch]) -> list[WriteOutcome]:
        for batch in done:
            self._remember(batch)
        return outcomes

    def check(self, *, trial: bool) -> None:
        """Raise what a write would raise now, to whichever table; with `trial` commit one that changes nothing.

        A full disk often has room for that one and not for a task, so a trial asks for some room too.
        """
        with self._transaction as cursor:
            if (lost := lost_by(cursor, self._dialect)) is not None:
                raise StoreUnavailable(lost)
            refuse_beyond(max(self._highest(cursor)) + 1)
            if not trial:
                return
            if self._file is not None:
                self._file.check_room()
            self._sql.add_totals.execute(cursor, **_NOTHING)

    def _alone(self, cursor: DBAPICursor, record: Record, done: list[Batch]) -> WriteOutcome:
        """Carry out one record so that its failure undoes nothing else."""
        cursor.execute("SAVEPOINT one_record")
        try:
            outcome = self._carry_out(cursor, [record], done)[0]
        except Unavailable:
            raise
        except Exception as error:
            if unavailable(error):
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT one_record")
            if (fault := self._transaction.lack(error)) is not None:
                raise fault from error
            outcome = WriteOutcome(value=error)
        cursor.execute("RELEASE SAVEPOINT one_record")
        return outcome

    def _carry_out(self, cursor: DBAPICursor, records: Sequence[Record], done: list[Batch]) -> list[WriteOutcome]:
        """Carry out records in order; what is not part of a batch must see in the database what came before it."""
        outcomes: list[WriteOutcome] = []
        for alone, some in groupby(records, _stands_alone):
            if alone:
                outcomes += [self._carry_out_alone(cursor, record, done) for record in some]
            else:
                outcomes += self._carry_out_batch(cursor, list(some), done)
        return outcomes

    def _carry_out_alone(self, cursor: DBAPICursor, record: Record, done: list[Batch]) -> WriteOutcome:
        match record:
            case RecordSessionDeleted(session_id=session_id):
                return self._delete_session(cursor, session_id)
            case RecordRefusal():
                return self._keep_refusal(cursor, record)
            case RecordRedrive():
                return self._redrive(cursor, record, done)
            case RecordDelivery(delivery=delivery):
                return self._keep_delivery(cursor, delivery)
            case RecordEvents() | RecordStart() | RecordResult() | RecordAcceptance() | RecordRequeue() | RecordPause():
                raise AssertionError("it is part of a batch")
            case _:
                assert_never(record)

    def _carry_out_batch(self, cursor: DBAPICursor, records: list[Record], done: list[Batch]) -> list[WriteOutcome]:
        tasks = self._tasks(cursor, records)
        counted, stored = self._highest(cursor)  # on PostgreSQL after the locks of the tasks, or it may be stale
        batch = Batch(
            self._rows,
            tasks,
            lambda task_id: self._whole(cursor, task_id),
            self._spent(cursor, records),
            self._kept_answers(cursor, records),
            self._below(cursor, {c.task.root_id for r in records if type(r) is RecordEvents for c in r.children}),
            max(counted, stored),
        )
        outcomes = [_decide(batch, record) for record in records]
        self._store(cursor, batch, counted)
        done.append(batch)
        return outcomes

    def _tasks(self, cursor: DBAPICursor, records: list[Record]) -> dict[str, TaskInBatch]:
        """Read, and on PostgreSQL lock, what decides the fate of records on tasks that are not new."""
        accepted = {r.task.task_id for r in records if type(r) is RecordAcceptance}
        named = dict.fromkeys([r.task_id for r in records if type(r) is not RecordAcceptance])  # type: ignore[union-attr]
        roots = set()
        for r in records:
            if type(r) is RecordEvents and r.children:  # which may be stored already
                named.update(dict.fromkeys([child.task.task_id for child in r.children]))
                roots |= {child.task.root_id for child in r.children if child.task.root_id}
        wanted = [task_id for task_id in named if task_id not in accepted] if accepted else list(named)
        if not wanted:
            return {}
        if self._sql.lock_tasks:  # the first task of a line too: what is below it is counted
            self._sql.lock_tasks.fetch(cursor, sorted({*wanted, *roots}))
        found = {}
        for row in self._sql.task_states.fetch(cursor, wanted):
            task_id, status, attempt, started_at, owner, crashes, failures, not_before, pause, *more = row
            last_seq, session_id, agent = more
            state = TaskState(
                status=STATUSES[status],
                attempt=attempt,
                started_at=None if started_at is None else self._as_time(started_at),
                owner=owner,
                crashes=crashes,
                failures=failures,
                not_before=None if not_before is None else self._as_time(not_before),
                pause=None if pause is None else Pause.read(self._as_json(pause)),
            )
            task = self._live.get(task_id) if status in UNENDED else None
            found[task_id] = TaskInBatch(task_id, session_id, agent, state, last_seq, task)
        return found

    def _kept_answers(self, cursor: DBAPICursor, records: list[Record]) -> dict[AnswerKey, KeptAnswer]:
        """Read what was kept under the idempotency keys of new tasks."""
        found: dict[AnswerKey, KeptAnswer] = {}
        for record in records:
            if type(record) is RecordAcceptance and (asked := record.idempotency) is not None:
                kept = self._kept(cursor, asked)
                if kept is not None:
                    found[asked.caller, asked.key] = kept
        return found

    def _below(self, cursor: DBAPICursor, roots: set[str | None]) -> dict[str, int]:
        """Count the tasks that are stored below the first tasks of lines."""
        wanted = sorted(root_id for root_id in roots if root_id is not None)
        return {**dict.fromkeys(wanted, 0), **dict(self._sql.below.fetch(cursor, wanted))}

    def _kept(self, cursor: DBAPICursor, asked: Idempotency) -> KeptAnswer | None:
        self._sql.kept_answer.execute(cursor, caller=asked.caller, key=asked.key)
        row = cursor.fetchone()
        if row is None:
            return None
        return KeptAnswer(fingerprint=row[0], task_id=row[1], answer=self._as_json(row[2]))

    def _highest(self, cursor: DBAPICursor) -> tuple[int, int]:
        """Return the highest position that the totals know of, and that of the events which are stored.

        # Invariant: the higher one is the highest ever given. Retention deletes events of ended tasks only, and the
        # totals were brought up to date in the transaction of the end.
        """
        self._sql.highest.execute(cursor)
        row = cursor.fetchone()
        return (row[0], row[1] or 0) if row else (0, 0)

    def _whole(self, cursor: DBAPICursor, task_id: str) -> TaskRecord | None:
        rows = self._sql.full_tasks.fetch(cursor, [task_id])
        return self._decode(rows[0]) if rows else None

    def _spent(self, cursor: DBAPICursor, records: list[Record]) -> dict[Account, Usage]:
        """Read what is on the accounts of tasks whose ends do not tell all of them."""
        ends = [r for r in records if type(r) is RecordResult]
        wanted = [r.task_id for r in ends if not rollup.tells_all(r, self._live.get(r.task_id))]
        return dict(map(usage_from_row, self._sql.spent_by_tasks.fetch(cursor, wanted)))

    def _store(self, cursor: DBAPICursor, batch: Batch, counted: int) -> None:
        sql, rows = self._sql, self._rows
        if batch.accepted:
            sql.insert_tasks.execute(cursor, batch.new_rows())
        if batch.event_rows:
            sql.insert_events.execute(cursor, batch.event_rows)
        if changed := batch.changed_rows():
            sql.update_tasks.execute(cursor, changed)
        if batch.calls:
            sql.keep_calls.execute(cursor, [rows.call(key[0], call) for key, call in sorted(batch.calls.items())])
        if batch.snapshots:
            sql.keep_snapshots.execute(cursor, sorted(batch.snapshots.items()))
        if batch.files:
            sql.insert_files.execute(cursor, [rows.file(*file) for file in batch.files])
        if over := [(r.task_id,) for r in batch.ended.values() if r.error_code != "dead_letter"]:
            sql.delete_snapshots.execute(cursor, over)
        if batch.deliveries:
            sql.keep_deliveries.execute(cursor, [rows.delivery(delivery) for delivery in batch.deliveries])
        if batch.new_answers:
            sql.insert_answers.execute(cursor, [rows.answer(*new) for new in batch.new_answers])
        if batch.bare_sessions:
            sql.found_sessions.execute(cursor, [rows.session(s) for _, s in sorted(batch.bare_sessions.items())])
        if batch.sessions:
            sql.keep_sessions.execute(cursor, [rows.session(s) for _, s in sorted(batch.sessions.items())])
        if batch.interpreters:
            sql.keep_interpreters.execute(cursor, [rows.interpreter(s) for _, s in sorted(batch.interpreters.items())])
        if batch.said:
            self._append_turns(cursor, batch)
        if accounts := batch.accounts():  # in one order everywhere, like the locks of tasks: accounts are shared
            sql.add_usage.execute(cursor, [rows.spent(*spent) for spent in accounts])
        if batch.accepted or batch.ended:
            # Last, because on PostgreSQL every writer waits for this one row until the commit.
            sql.add_totals.execute(cursor, more_position=batch.position - counted, **batch.counted())

    def _append_turns(self, cursor: DBAPICursor, batch: Batch) -> None:
        """Add what was said to the conversations, and delete the oldest turns of those that have too many.

        # Invariant: the sessions' rows were written before, and on PostgreSQL that has locked them.
        """
        new: list[Row] = []
        over: list[tuple[str, int]] = []
        for session_id, number in self._sql.last_turns.fetch(cursor, sorted(batch.said)):
            last = number
            for task_id, left in batch.said[session_id]:
                for turn in left.said:
                    last += 1
                    new.append(self._rows.turn(session_id, last, task_id, turn))
            if last > left.most_turns:
                over.append((session_id, last - left.most_turns))
        self._sql.insert_turns.execute(cursor, new)
        for session_id, last in over:
            self._sql.delete_old_turns.execute(cursor, session_id=session_id, last=last)

    def _delete_session(self, cursor: DBAPICursor, session_id: str) -> WriteOutcome:
        self._sql.session_is_busy.execute(cursor, session_id=session_id)
        if cursor.fetchone():
            return WriteOutcome(
                value=SessionBusy(f"A task of session {session_id} has not ended; wait for it or cancel it.")
            )
        self._sql.files_are_in_use.execute(cursor, session_id=session_id)
        if row := cursor.fetchone():
            told = f"The task {row[0]}, a part of one of session {session_id}, works on its files; wait for it or cancel it."
            return WriteOutcome(value=SessionBusy(told))
        self._sql.delete_session.execute(cursor, session_id=session_id)
        if cursor.rowcount == 0:
            return WriteOutcome(value=SessionNotFound(f"There is no session {session_id}."))
        for statement in (self._sql.delete_turns, self._sql.delete_interpreter, self._sql.delete_session_usage):
            statement.execute(cursor, session_id=session_id)
        return WriteOutcome(value=None)

    def _keep_refusal(self, cursor: DBAPICursor, record: RecordRefusal) -> WriteOutcome:
        asked = record.idempotency
        kept = self._kept(cursor, asked)
        if kept is not None:
            return WriteOutcome(value=kept if kept.fingerprint == asked.fingerprint else conflict(asked.key))
        kept = KeptAnswer(fingerprint=asked.fingerprint, task_id=None, answer=record.answer)
        self._sql.insert_answers.execute(cursor, [self._rows.answer(asked, record.at, kept)])
        return WriteOutcome(value=kept)

    def _redrive(self, cursor: DBAPICursor, record: RecordRedrive, done: list[Batch]) -> WriteOutcome:
        root_id = record.task.root_id
        if self._sql.lock_tasks:
            self._sql.lock_tasks.fetch(cursor, sorted({record.dead_id, root_id or record.dead_id}))
        self._sql.dead_letter.execute(cursor, dead_id=record.dead_id)
        row = cursor.fetchone()
        if row is None:
            return WriteOutcome(value=DeadLetterNotFound(f"There is no dead letter {record.dead_id}."))
        if row[0] is not None:
            return WriteOutcome(value=self._whole(cursor, row[0]))
        there, most = self._below(cursor, {root_id}).get(root_id or "", 0), record.most_below
        if most is not None and root_id is not None and there >= most:
            return WriteOutcome(value=_no_room(record.dead_id, there, most))
        new_id = record.task.task_id
        accepted = self._carry_out_batch(cursor, [RecordAcceptance(task=record.task, event=record.event)], done)
        sql = self._sql
        for statement in (sql.copy_calls, sql.copy_snapshot, sql.copy_files, sql.copy_usage, sql.mark_redriven):
            statement.execute(cursor, new_id=new_id, dead_id=record.dead_id)
        return accepted[0]

    def _keep_delivery(self, cursor: DBAPICursor, delivery: WebhookDelivery) -> WriteOutcome:
        self._sql.has_delivery.execute(cursor, delivery_id=delivery.delivery_id)
        if cursor.fetchone() is None:
            return WriteOutcome(value=DeliveryNotFound(f"There is no delivery {delivery.delivery_id}."))
        self._sql.keep_deliveries.execute(cursor, [self._rows.delivery(delivery)])
        return WriteOutcome(value=delivery)

    def _remember(self, batch: Batch) -> None:
        """Hold the new tasks and let go of the ended ones, after the commit."""
        for held in batch.tasks.values():
            if held.ended:
                self._live.pop(held.task_id, None)
            elif held.is_new and held.task is not None:
                self._live[held.task_id] = held.task
        while len(self._live) > MOST_LIVE:
            self._live.pop(next(iter(self._live)))


_NOTHING = {f"more_{column.name}": 0 for column in totals.c if column.name != "id"}
_ALONE = (RecordSessionDeleted, RecordRefusal, RecordRedrive, RecordDelivery)


def _no_room(dead_id: str, there: int, most: int) -> DelegationRefused:
    tasks_there = "1 task" if there == 1 else f"{there} tasks"
    return DelegationRefused(
        f"The dead letter {dead_id} was delegated, and with {tasks_there} its line has the limit of {most} "
        "(CALLBOARD_MAX_SUBAGENTS); raise that, or retry the task: that makes one which stands by itself."
    )


def _stands_alone(record: Record) -> bool:
    return isinstance(record, _ALONE)


def _decide(batch: Batch, record: Record) -> WriteOutcome:
    match record:
        case RecordEvents():
            return batch.append(record)
        case RecordStart():
            return batch.start(record)
        case RecordResult():
            return batch.end(record)
        case RecordAcceptance():
            return batch.accept(record)
        case RecordRequeue():
            return batch.requeue(record)
        case RecordPause():
            return batch.pause(record)
        case RecordSessionDeleted() | RecordRefusal() | RecordRedrive() | RecordDelivery():
            raise AssertionError("it stands alone")
        case _:
            assert_never(record)
