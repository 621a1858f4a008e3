"""A server in which somebody is killed at the N-th operation: `python -m chaos.counting_server FILE`; see `order.py` for the file.

It is the ordinary `callboard serve`, in which these are points: `statement` before a statement of the writing connection,
`commit` after a commit of it has returned; and for each kind of message that crosses to its worker and back `KIND.before`,
`KIND.cut` (half of its frame is sent) and `KIND.after`, in the process that sends it (`counting_worker.py`).
"""

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.blows import workers_of
from chaos.order import SERVER, WORKER, Order

_order = Order(Path(sys.argv[1]))


def _count(point: str) -> None:
    if _order.due(point):
        me = os.getpid()
        _order.strike({SERVER: [me], WORKER: [worker.pid for worker in workers_of(me)]})


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


def count_frames() -> None:
    """Have each frame that is sent to a worker be a point, and those that a worker sends in its own process."""
    from callboard.workers import process
    from callboard.workers.codec import packed

    send = process.WorkerProcess.send

    def counted(worker: process.WorkerProcess, message: Any) -> None:
        kind = type(message).__name__
        pids = {SERVER: [os.getpid()], WORKER: [worker.pid] if worker.pid else []}
        if _order.due(f"{kind}.before"):
            _order.strike(pids)
        if _order.due(f"{kind}.cut"):
            frame = packed([message])
            worker._sent(frame[: len(frame) // 2])
            _order.strike(pids)
        send(worker, message)
        if _order.due(f"{kind}.after"):
            _order.strike(pids)

    process.WorkerProcess.send = counted  # type: ignore[method-assign]
    begins = "main(sys.argv[1:])"
    assert process._STARTS.endswith(begins)
    counts = f"from chaos.counting_worker import count; count({str(Path(sys.argv[1]).resolve())!r}); {begins}"
    process._STARTS = process._STARTS.removesuffix(begins) + counts


def main() -> None:
    connect = sqlite3.dbapi2.connect
    sqlite3.dbapi2.connect = lambda *args, **kwargs: connect(*args, **{**kwargs, "factory": CountingConnection})
    count_frames()
    from callboard.cli.main import main as callboard

    callboard(["serve"])


if __name__ == "__main__":
    main()
