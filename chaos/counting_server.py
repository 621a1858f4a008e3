"""A server that kills itself at the N-th operation of its writing connection: `python -m chaos.counting_server FILE`.

While FILE is missing it is the ordinary `callboard serve`. Once FILE is there and says `statement N` or `commit N`, a
SIGKILL comes before the N-th statement from then on, or right after the N-th commit has returned.
"""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ORDER = Path(sys.argv[1])
_seen = {"statement": 0, "commit": 0}
_order: list[tuple[str, int]] = []


def _ordered() -> tuple[str, int]:
    if not _order:
        try:
            kind, number = ORDER.read_text().split()
        except (FileNotFoundError, ValueError):  # not there, or not yet whole
            return "", 0
        _order.append((kind, int(number)))
    return _order[0]


def _count(kind: str) -> None:
    wanted, number = _ordered()
    if wanted != kind:
        return
    _seen[kind] += 1
    if _seen[kind] == number:
        os.kill(os.getpid(), signal.SIGKILL)


class CountingCursor(sqlite3.Cursor):
    """Counts what the writing connection executes; one call of `executemany` counts once."""

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        connection = self.connection
        assert isinstance(connection, CountingConnection)
        connection.writes |= sql.startswith("BEGIN IMMEDIATE")
        if connection.writes:
            _count("statement")
        return super().execute(sql, *arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        _count("statement")
        return super().executemany(*arguments)


class CountingConnection(sqlite3.Connection):
    """Knows from its first BEGIN IMMEDIATE whether it is the one that writes."""

    writes = False

    def cursor(self, factory: Callable[..., Any] = CountingCursor) -> Any:
        return super().cursor(factory)

    def commit(self) -> None:
        super().commit()
        if self.writes:
            _count("commit")


def main() -> None:
    connect = sqlite3.dbapi2.connect
    sqlite3.dbapi2.connect = lambda *args, **kwargs: connect(*args, **{**kwargs, "factory": CountingConnection})
    from callboard.cli.main import main as callboard

    callboard(["serve"])


if __name__ == "__main__":
    main()
