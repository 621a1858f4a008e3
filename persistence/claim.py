"""One server's hold on a history: a second one that worked on the same tasks would run them twice.

SQLite: locks on the database's file (`file_claim.py`). PostgreSQL: an advisory lock of a connection (`postgresql_claim.py`).
Either ends with the process, however that ends. Taken and let go of by the wiring.
"""

from collections.abc import Callable
from typing import Protocol

from callboard.persistence.database_file import sqlite_path
from callboard.persistence.engine import database_of
from callboard.persistence.file_claim import FileClaim, holder_of, is_held
from callboard.persistence.postgresql_claim import PostgresqlClaim, holder
from callboard.settings import Settings


class Claim(Protocol):
    """The hold on a history; all of it in any thread."""

    @property
    def lost(self) -> bool:
        """Whether the hold is not on the history any more, at once; no work may go on then."""

    def renew(self) -> None:
        """Make sure of the hold, and take it again if it got lost; raise `StoreUnavailable` if it cannot be had."""

    def watch(self, on_loss: Callable[[], None]) -> None:
        """Have `on_loss` called in some thread when the hold is lost to another server, where that can be noticed; once."""

    def let_go(self) -> None:
        """End the hold."""


def claim(settings: Settings) -> Claim:
    """Take the history that the settings name for this server alone.

    Raises `ConfigurationError` if another server, in this process or any other, has it: which, and how to end it.
    """
    url = database_of(settings)
    return PostgresqlClaim(url) if url.get_backend_name() == "postgresql" else FileClaim(sqlite_path(url))


def is_claimed(settings: Settings) -> bool:
    """Say whether some server has the history, without taking it."""
    url = database_of(settings)
    return holder(url) is not None if url.get_backend_name() == "postgresql" else is_held(sqlite_path(url))


def claimed_by(settings: Settings) -> str:
    """Return which process has the history, as the end of a sentence that says how it is ended."""
    url = database_of(settings)
    if url.get_backend_name() == "postgresql":
        return str(holder(url) or "it has ended meanwhile")
    return holder_of(sqlite_path(url))
