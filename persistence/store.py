"""The store behind two interfaces: the history of tasks, their events, sessions and totals, as it is read and as it is written.

`SqlStore` keeps it in SQLite or PostgreSQL. There is one `Writer`, the result logger's, used in its thread; a `Reader` may be
had by anybody, in any thread. Imported by whoever wires the actors, and by the actors for the interfaces.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime
from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from callboard import inheritance
from callboard.budget import Account, Usage
from callboard.clock import Clock
from callboard.conversation import SessionRecord
from callboard.messages.deliveries import DeliveryPage, Lane, ListDeliveries, WebhookDelivery
from callboard.messages.events import EventPage, FamilyPage, FeedPage, GetFamilyEvents, ListEvents
from callboard.messages.health import Backlog, Ending, Totals
from callboard.messages.ledger import CallRecord, TaskLedger
from callboard.messages.records import Record
from callboard.messages.sessions import ListSessions, SessionPage
from callboard.messages.tasks import AttachedFile, KeptAnswer, ListTasks, TaskPage, TaskRecord
from callboard.persistence.batch import WriteOutcome
from callboard.persistence.database_file import DatabaseFile, sqlite_path
from callboard.persistence.engine import LOCK_WAIT_MS, database_of, open_readers, open_writer
from callboard.persistence.faults import not_opened
from callboard.persistence.migrate import migrate
from callboard.persistence.reads import SqlReader
from callboard.persistence.retention import Pruner
from callboard.persistence.transaction import Transaction
from callboard.persistence.writes import RecordWriter
from callboard.settings import Settings

__all__ = ["Reader", "SqlStore", "WriteOutcome", "Writer"]


_CLOCK = Clock()


class Reader(Protocol):
    """What a history is asked. Every method may raise `StoreUnavailable`; any thread."""

    def task(self, task_id: str) -> TaskRecord:
        """Return a task as it stands; raise `TaskNotFound`."""

    def tasks(self, query: ListTasks) -> TaskPage:
        """Return a page of tasks, newest first; raise `InvalidRequest` for a limit or cursor that cannot be."""

    def events(self, task_id: str, after: int = 0, limit: int = 1000) -> EventPage:
        """Return a task's events numbered above `after`, oldest first; raise `TaskNotFound`."""

    def family_events(self, query: GetFamilyEvents) -> FamilyPage:
        """Return a page of the log of a task and of those below it; raise `TaskNotFound`."""

    def feed(self, query: ListEvents) -> FeedPage:
        """Return a page of all tasks' events; a bounded number of events is looked at."""

    def session(self, session_id: str, before: int | None = None) -> SessionRecord:
        """Return a session with its newest turns, or those numbered below `before`; raise `SessionNotFound`.

        An empty one while its first task is under way.
        """

    def session_of_task(self, session_id: str) -> SessionRecord | None:
        """Return a session as its next task goes on with it: its newest turns and its variables; None where there is none."""

    def sessions(self, query: ListSessions) -> SessionPage:
        """Return a page of sessions, last used first; raise `InvalidRequest` as `tasks` does."""

    def unfinished(self) -> list[TaskRecord]:
        """Return the tasks that have not ended, oldest first."""

    def live_by_caller(self) -> dict[str, int]:
        """Return how many tasks that have not ended each caller has; those of none are under an empty one."""

    def running(self) -> list[TaskRecord]:
        """Return the tasks that some server works on, or died over."""

    def ledger(self, task_id: str) -> TaskLedger:
        """Return a task's ledger and the last snapshot of its interpreter; an empty one where there is none."""

    def call(self, task_id: str, number: int) -> CallRecord | None:
        """Return one call of a task's ledger, None where it has no such one."""

    def children(self, task_id: str) -> list[TaskRecord]:
        """Return the tasks that a task has delegated itself, oldest first."""

    def descendants_count(self, root_id: str) -> int:
        """Return how many tasks there are below the first one of a line."""

    def files(self, task_id: str) -> tuple[AttachedFile, ...]:
        """Return the files that came with a task, in their order."""

    def usage(self, accounts: Sequence[Account]) -> dict[Account, Usage]:
        """Return what has been spent on each of the accounts; nothing where there is no row."""

    def skill_usage(self) -> dict[str, Usage]:
        """Return how often each skill was called and has failed, by its name."""

    def agent_usage(self) -> dict[str, Usage]:
        """Return how many tasks each agent has ended and how many of them failed, by its name."""

    def kept_answer(self, caller: str, key: str) -> KeptAnswer | None:
        """Return what a caller's idempotency key was first answered with, if it is remembered."""

    def deliveries(self, query: ListDeliveries) -> DeliveryPage:
        """Return a page of webhooks' deliveries, newest first; raise `InvalidRequest` as `tasks` does."""

    def delivery(self, delivery_id: str) -> WebhookDelivery:
        """Return a delivery; raise `DeliveryNotFound`."""

    def due_deliveries(
        self, now: datetime, limit: int = 100, *, lanes: Sequence[Lane] = (Lane(),), under_way: Collection[str] = ()
    ) -> list[WebhookDelivery]:
        """Return the deliveries that are to be tried by now and may go in one of the lanes, the one due longest first.

        Those whose ids are in `under_way` are left out.
        """

    def totals(self) -> Totals:
        """Return the counts over the whole history, deleted tasks included."""

    def accepted_between(self, since: datetime, until: datetime) -> list[datetime]:
        """Return when tasks were accepted, the newest first; of very many only those."""

    def ended_between(self, since: datetime, until: datetime) -> list[Ending]:
        """Return how tasks ended, the last first; of very many only those."""

    def backlog(self) -> Backlog:
        """Return how many tasks wait and how many are worked on."""

    def ping(self) -> None:
        """Ask the database anything; raise `StoreUnavailable` if it does not answer, or lacks a table or a column."""


class Writer(Protocol):
    """What changes a history. Every method may raise `StoreUnavailable` and `StorageFull`; the result logger's thread only."""

    def write(self, records: Sequence[Record]) -> list[WriteOutcome]:
        """Store records in one transaction; return their outcomes in order.

        A record that cannot be stored has its error as outcome and costs the others nothing; where the
        database does not take the transaction, the call raises and nothing is stored. After `StoreInDoubt` the next
        call has to bring the same records.
        """

    def prune_step(self, *, older_than: datetime | None, keep: int | None, limit: int = 200) -> int:
        """Delete at most `limit` ended tasks, oldest first, with their events; return how many.

        A task goes if it ended before `older_than` or if more than `keep` ended ones are stored.

        """

    def forget_answers(self, *, before: datetime) -> None:
        """Delete the answers to idempotency keys that were first given before a time."""

    def forget_usage(self, *, before: date) -> None:
        """Delete what callers have spent on the days before one."""

    def check(self, *, trial: bool = False) -> None:
        """Raise what a write would raise now; with `trial` commit one, that changes nothing."""


class SqlWriter:
    """Writes through the one connection that does."""

    def __init__(self, engine: Engine, transaction: Transaction, file: DatabaseFile | None) -> None:
        self._records = RecordWriter(engine, transaction, file)
        self._pruner = Pruner(engine, transaction)

    def write(self, records: Sequence[Record]) -> list[WriteOutcome]:
        return self._records.write(records)

    def check(self, *, trial: bool = False) -> None:
        self._records.check(trial=trial)

    def prune_step(self, *, older_than: datetime | None, keep: int | None, limit: int = 200) -> int:
        return self._pruner.step(older_than=older_than, keep=keep, limit=limit)

    def forget_answers(self, *, before: datetime) -> None:
        self._pruner.forget_answers(before=before)

    def forget_usage(self, *, before: date) -> None:
        self._pruner.forget_usage(before=before)


class SqlStore:
    """A history in SQLite or PostgreSQL: its `reader`, and its `writer`, of which there is one."""

    def __init__(
        self,
        writer: Engine,
        readers: Engine,
        file: DatabaseFile | None = None,
        lost: Callable[[], bool] = lambda: False,
    ) -> None:
        self._engines = (readers, writer)  # the writer last: it empties the write-ahead log into the file
        self._transaction = Transaction(writer, file, on_renewed=readers.dispose, lost=lost)
        self.reader = SqlReader(readers)
        self.writer = SqlWriter(writer, self._transaction, file)
        self._end_copying = inheritance.in_copies(self._shut)

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        clock: Clock = _CLOCK,
        lock_wait_ms: int = LOCK_WAIT_MS,
        lost: Callable[[], bool] = lambda: False,
    ) -> "SqlStore":
        """Open the history that the settings name: create what is missing and migrate it.

        While `lost` says that the hold on it is another server's, nothing is written: `StoreUnavailable`.

        Raises `ConfigurationError` where it cannot be kept, or was made by a newer version.
        """
        url = database_of(settings)
        writer = open_writer(url, clock=clock, lock_wait_ms=lock_wait_ms)
        try:
            migrate(writer)
            file = DatabaseFile(sqlite_path(url)) if url.get_backend_name() == "sqlite" else None
            return cls(writer, open_readers(url, lock_wait_ms=lock_wait_ms, file=file), file, lost)
        except BaseException as error:
            writer.dispose()
            if isinstance(error, DBAPIError):
                raise not_opened(error, url) from error
            raise

    def close(self) -> None:
        """Let go of every connection; writing afterwards raises `StoreUnavailable`."""
        self._end_copying()
        self.reader.close()
        self._transaction.close()
        for engine in self._engines:
            engine.dispose()

    def _shut(self) -> None:
        """Be of no use in a copy of this process, without a word to the database; in the copy."""
        self.reader.close()
        self._transaction.shut()
