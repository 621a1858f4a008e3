"""The store behind one interface: the history of tasks, their events, sessions and totals.

`SqlStore` keeps it in SQLite or PostgreSQL. Writing belongs to the result logger's thread; reading is safe in
any thread. Imported by whoever wires the actors, and by the actors for the `Store` interface.
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
from callboard.deliveries import DeliveryPage, ListDeliveries, WebhookDelivery
from callboard.feeds import FamilyPage, FeedPage, GetFamilyEvents, ListEvents
from callboard.messages import AttachedFile, EventPage, ListTasks, TaskPage, TaskRecord, Totals
from callboard.persistence.batch import WriteOutcome
from callboard.persistence.database_file import DatabaseFile, sqlite_path
from callboard.persistence.engine import LOCK_WAIT_MS, database_of, open_readers, open_writer
from callboard.persistence.faults import not_opened
from callboard.persistence.migrate import migrate
from callboard.persistence.reads import Reader
from callboard.persistence.retention import Pruner
from callboard.persistence.transaction import Transaction
from callboard.persistence.writes import Writer
from callboard.questions import Backlog, Ending, ListSessions, SessionPage
from callboard.records import CallRecord, KeptAnswer, Record, TaskLedger
from callboard.settings import Settings

__all__ = ["SqlStore", "Store", "WriteOutcome"]


_CLOCK = Clock()


class Store(Protocol):
    """What actors ask of a history. Every method may raise `StoreUnavailable`; writing also `StorageFull`."""

    def close(self) -> None:
        """Let go of every connection; writing afterwards raises `StoreUnavailable`."""

    def write(self, records: Sequence[Record]) -> list[WriteOutcome]:
        """Store records in one transaction; return their outcomes in order. The writer's thread only.

        A record that cannot be stored has its error as outcome and costs the others nothing; where the
        database does not take the transaction, the call raises and nothing is stored. After `StoreInDoubt` the next
        call has to bring the same records.
        """

    def prune_step(self, *, older_than: datetime | None, keep: int | None, limit: int = 200) -> int:
        """Delete at most `limit` ended tasks, oldest first, with their events; return how many.

        A task goes if it ended before `older_than` or if more than `keep` ended ones are stored.
        The writer's thread only.
        """

    def forget_answers(self, *, before: datetime) -> None:
        """Delete the answers to idempotency keys that were first given before a time. The writer's thread only."""

    def forget_usage(self, *, before: date) -> None:
        """Delete what callers have spent on the days before one. The writer's thread only."""

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
        self, now: datetime, limit: int = 100, *, without: Collection[str] = (), under_way: Collection[str] = ()
    ) -> list[WebhookDelivery]:
        """Return the deliveries that are to be tried by now, the one due longest first.

        Those to the receivers in `without`, and those whose ids are in `under_way`, are left out.
        """

    def totals(self) -> Totals:
        """Return the counts over the whole history, deleted tasks included."""

    def accepted_between(self, since: datetime, until: datetime) -> list[datetime]:
        """Return when tasks were accepted, the newest first; of very many only those."""

    def ended_between(self, since: datetime, until: datetime) -> list[Ending]:
        """Return how tasks ended, the last first; of very many only those."""

    def backlog(self) -> Backlog:
        """Return how many tasks wait and how many are worked on."""

    def check(self, *, trial: bool = False) -> None:
        """Raise what a write would raise now; with `trial` commit one, that changes nothing. The writer's thread only."""

    def ping(self) -> None:
        """Ask the database anything; raise `StoreUnavailable` if it does not answer."""


class SqlStore(Reader):
    """A `Store` in SQLite or PostgreSQL."""

    def __init__(
        self,
        writer: Engine,
        readers: Engine,
        file: DatabaseFile | None = None,
        lost: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(readers)
        self._engines = (readers, writer)  # the writer last: it empties the write-ahead log into the file
        self._transaction = Transaction(writer, file, on_renewed=readers.dispose, lost=lost)
        self._writer = Writer(writer, self._transaction, file)
        self._pruner = Pruner(writer, self._transaction)
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
                raise not_opened(error) from error
            raise

    def close(self) -> None:
        self._end_copying()
        super().close()
        self._transaction.close()
        for engine in self._engines:
            engine.dispose()

    def _shut(self) -> None:
        """Be of no use in a copy of this process, without a word to the database; in the copy."""
        super().close()
        self._transaction.shut()

    def write(self, records: Sequence[Record]) -> list[WriteOutcome]:
        return self._writer.write(records)

    def check(self, *, trial: bool = False) -> None:
        self._writer.check(trial=trial)

    def prune_step(self, *, older_than: datetime | None, keep: int | None, limit: int = 200) -> int:
        return self._pruner.step(older_than=older_than, keep=keep, limit=limit)

    def forget_answers(self, *, before: datetime) -> None:
        self._pruner.forget_answers(before=before)

    def forget_usage(self, *, before: date) -> None:
        self._pruner.forget_usage(before=before)
