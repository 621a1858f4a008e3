"""Deleting old tasks, a few at a time.

Ended tasks go in the order in which they ended. How many there are stands in the totals, and `ix_tasks_ended`
holds them in order, so a step costs the same however long the history is. The totals go on counting them.
The writer's thread; imported by `store.py`.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine, Integer, Select, bindparam, exists, select, update
from sqlalchemy.engine.interfaces import DBAPICursor

from callboard.persistence.codec import Rows
from callboard.persistence.statements import Named, Row, Statements, plain_dialect
from callboard.persistence.tables import UtcTime, tasks, totals
from callboard.persistence.transaction import Transaction


class Pruner:
    """Deletes ended tasks with their events through the writer's connection."""

    def __init__(self, engine: Engine, transaction: Transaction) -> None:
        self._transaction = transaction
        self._sql = Statements.of(engine.dialect)
        self._rows = Rows(engine.dialect)
        sql = self._sql
        self._of_tasks = (
            *(sql.delete_events, sql.delete_calls, sql.delete_snapshots, sql.delete_deliveries),
            *(sql.delete_files, sql.delete_usage),
        )
        plain = plain_dialect(engine.dialect)
        oldest = oldest_ended(bindparam("most", type_=Integer))
        self._stored = Named(plain, select(totals.c.stored))
        self._oldest = Named(plain, oldest)
        self._older = Named(plain, oldest.where(tasks.c.ended_at < bindparam("before", type_=UtcTime)))
        fewer = {totals.c.stored: totals.c.stored - bindparam("gone", type_=Integer)}
        self._fewer = Named(plain, update(totals).values(fewer))

    def step(self, *, older_than: datetime | None, keep: int | None, limit: int) -> int:
        """Delete up to `limit` tasks that ended before `older_than` or exceed `keep`; return how many."""
        with self._transaction as cursor:
            # Both ways choose the oldest ones, so the longer list holds the shorter.
            chosen = max(self._beyond(cursor, keep, limit), self._before(cursor, older_than, limit), key=len)
            if not chosen:
                return 0
            for of_tasks in self._of_tasks:
                of_tasks.execute(cursor, chosen)
            gone = self._sql.delete_tasks.execute(cursor, chosen)
            self._fewer.execute(cursor, gone=gone)
            return gone

    def forget_answers(self, *, before: datetime) -> None:
        """Delete the answers to idempotency keys that were first given before a time."""
        with self._transaction as cursor:
            self._sql.delete_answers.execute(cursor, before=self._rows.at(before))

    def forget_usage(self, *, before: date) -> None:
        """Delete what callers have spent on the days before one."""
        with self._transaction as cursor:
            self._sql.delete_old_usage.execute(cursor, before=before.isoformat())

    def _beyond(self, cursor: DBAPICursor, keep: int | None, limit: int) -> Sequence[Row]:
        if keep is None:
            return []
        self._stored.execute(cursor)
        row = cursor.fetchone()
        excess = min(limit, row[0] - keep) if row else 0
        if excess <= 0:
            return []
        self._oldest.execute(cursor, most=excess)
        return cursor.fetchall()

    def _before(self, cursor: DBAPICursor, older_than: datetime | None, limit: int) -> Sequence[Row]:
        if older_than is None:
            return []
        self._older.execute(cursor, before=self._rows.at(older_than), most=limit)
        return cursor.fetchall()


def oldest_ended(most: Any) -> Select[Any]:
    """Select the ids of the tasks that ended first, but for those of a line that has not ended.

    Somebody above has still to hear of them, or counts them, or works on the files of the first one.
    """
    other = tasks.alias("other")
    unended = other.c.ended_at.is_(None)
    lines = (
        exists().where(other.c.id == tasks.c.parent_id, unended),
        exists().where(other.c.id == tasks.c.root_id, unended),
        exists().where(other.c.root_id == tasks.c.root_id, unended),
        exists().where(other.c.root_id == tasks.c.id, unended),
    )
    ended = select(tasks.c.id).where(tasks.c.ended_at.is_not(None), *(~line for line in lines))
    return ended.order_by(tasks.c.ended_at).limit(most)
