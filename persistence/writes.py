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

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPICursor

from callboard.errors import SessionBusy, SessionNotFound, Unavailable
from callboard.messages import (
    Record,
    RecordAcceptance,
    RecordEvents,
    RecordResult,
    RecordSessionDeleted,
    RecordStart,
    TaskRecord,
)
from callboard.persistence.batch import Batch, TaskState, WriteOutcome
from callboard.persistence.codec import STATUSES, UNENDED, Rows, raw_decoder, raw_task_decoder
from callboard.persistence.faults import unavailable
from callboard.persistence.statements import Statements
from callboard.persistence.tables import tasks
from callboard.persistence.transaction import Transaction

MOST_LIVE = 20_000
"""Records held of live tasks; one that is not held is read when its task ends."""


class Writer:
    """Writes records through one connection. Not safe in two threads at once."""

    def __init__(self, engine: Engine, transaction: Transaction) -> None:
        self._transaction = transaction
        self._sql = Statements(engine.dialect)
        self._rows = Rows(engine.dialect)
        self._decode = raw_task_decoder(engine.dialect)
        self._as_time = raw_decoder(tasks.c.started_at.type, engine.dialect)
        # Invariant: holds fields that never change, of committed tasks; nothing here decides anything.
        self._live: dict[str, TaskRecord] = {}

    def write(self, records: Sequence[Record]) -> list[WriteOutcome]:
        """Carry out records in one transaction and return their outcomes in order.

        A record that cannot be stored gets its error as its outcome, and the others are stored. Raises
        `StoreUnavailable` or `StorageFull`, with nothing stored, when the database does not take the transaction.
        """
        if not records:
            return []
        done: list[Batch] = []
        try:
            with self._transaction as cursor:
                outcomes = self._carry_out(cursor, records, done)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not cost the other records
            if len(records) == 1:
                return [WriteOutcome(value=error)]
            done = []
            with self._transaction as cursor:
                outcomes = [self._alone(cursor, record, done) for record in records]
        for batch in done:
            self._remember(batch)
        return outcomes

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
            outcome = WriteOutcome(value=error)
        cursor.execute("RELEASE SAVEPOINT one_record")
        return outcome

    def _carry_out(self, cursor: DBAPICursor, records: Sequence[Record], done: list[Batch]) -> list[WriteOutcome]:
        """Carry out records in order; a deleted session must see in the database what came before it."""
        outcomes: list[WriteOutcome] = []
        for is_deletion, some in groupby(records, _is_deletion):
            if is_deletion:
                outcomes += [self._delete_session(cursor, record.session_id) for record in some]  # type: ignore[union-attr]
            else:
                outcomes += self._carry_out_batch(cursor, list(some), done)
        return outcomes

    def _carry_out_batch(self, cursor: DBAPICursor, records: list[Record], done: list[Batch]) -> list[WriteOutcome]:
        batch = Batch(self._rows, self._states(cursor, records), lambda task_id: self._whole(cursor, task_id))
        outcomes = [_decide(batch, record) for record in records]
        self._store(cursor, batch)
        done.append(batch)
        return outcomes

    def _states(self, cursor: DBAPICursor, records: list[Record]) -> dict[str, TaskState]:
        """Read, and on PostgreSQL lock, what decides the fate of records on tasks that are not new."""
        accepted = {r.record.task_id for r in records if type(r) is RecordAcceptance}
        named = dict.fromkeys([r.task_id for r in records if type(r) is not RecordAcceptance])  # type: ignore[union-attr]
        wanted = [task_id for task_id in named if task_id not in accepted] if accepted else list(named)
        if not wanted:
            return {}
        if self._sql.lock_tasks:
            self._sql.lock_tasks.fetch(cursor, sorted(wanted))
        states = {}
        for task_id, status, attempt, started_at, last_seq in self._sql.task_states.fetch(cursor, wanted):
            live = status in UNENDED
            record = self._live.get(task_id) if live else None
            began = None if started_at is None else self._as_time(started_at)
            states[task_id] = TaskState(task_id, STATUSES[status], attempt, began, last_seq, record, ended=not live)
        return states

    def _whole(self, cursor: DBAPICursor, task_id: str) -> TaskRecord:
        return self._decode(self._sql.full_tasks.fetch(cursor, [task_id])[0])

    def _store(self, cursor: DBAPICursor, batch: Batch) -> None:
        sql, rows = self._sql, self._rows
        if batch.accepted:
            sql.insert_tasks.execute(cursor, batch.new_rows())
        if batch.event_rows:
            sql.insert_events.execute(cursor, batch.event_rows)
        if changed := batch.changed_rows():
            sql.update_tasks.execute(cursor, changed)
        if batch.bare_sessions:
            sql.found_sessions.execute(cursor, [rows.session(s) for _, s in sorted(batch.bare_sessions.items())])
        if batch.sessions:
            sql.keep_sessions.execute(cursor, [rows.session(s) for _, s in sorted(batch.sessions.items())])
        if batch.accepted or batch.ended:
            # Last, because on PostgreSQL every writer waits for this one row until the commit.
            sql.add_totals.execute(cursor, **batch.counted())

    def _delete_session(self, cursor: DBAPICursor, session_id: str) -> WriteOutcome:
        self._sql.session_is_busy.execute(cursor, session_id=session_id)
        if cursor.fetchone():
            return WriteOutcome(
                value=SessionBusy(f"A task of session {session_id} has not ended; wait for it or cancel it.")
            )
        self._sql.delete_session.execute(cursor, session_id=session_id)
        if cursor.rowcount == 0:
            return WriteOutcome(value=SessionNotFound(f"There is no session {session_id}."))
        return WriteOutcome(value=None)

    def _remember(self, batch: Batch) -> None:
        """Hold the new tasks and let go of the ended ones, after the commit."""
        for state in batch.states.values():
            if state.ended:
                self._live.pop(state.task_id, None)
            elif state.is_new and state.record is not None:
                self._live[state.task_id] = state.record
        while len(self._live) > MOST_LIVE:
            self._live.pop(next(iter(self._live)))


def _is_deletion(record: Record) -> bool:
    return type(record) is RecordSessionDeleted


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
        case _:
            raise TypeError(f"{type(record).__name__} is not a record that the store writes.")
