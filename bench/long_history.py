"""Make a long history quickly: real tables by the real migration, rows by one SQL statement."""

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from callboard import Settings
from callboard.persistence.store import SqlStore

SESSION_TASKS = 20
"""Tasks in one session."""

FAILED_EVERY = 10
_BASE_MS = 1_760_000_000_000

# Ids are UUIDs of version 7, one task a second; every tenth task failed.
_ROWS = f"""
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :tasks),
made AS (SELECT i, {_BASE_MS} + i * 1000 AS ms, i % {FAILED_EVERY} = 0 AS bad FROM n)
INSERT INTO tasks (id, session_id, status, attempt, priority, created_at, started_at, ended_at, execution_time_ms,
                   error_code, request_id, caller, labels, metadata, error, output, task)
SELECT printf('%08x-%04x-7%03x-%04x-%012x', ms >> 16, ms & 65535, i & 4095, 32768 | (abs(random()) & 16383),
              abs(random()) & 281474976710655),
       'session-' || (i / {SESSION_TASKS}), iif(bad, 'failed', 'completed'), 1, 0, ms * 1000, ms * 1000 + 900,
       ms * 1000 + 3000, 2.1, iif(bad, 'skill_failed', NULL), lower(hex(randomblob(12))), 'ip:192.0.2.1', '{{}}',
       '{{"llmCalls":0,"skillCalls":1,"totalTokens":0,"planner":"offline"}}',
       iif(bad, 'division by zero', NULL), iif(bad, NULL, '' || (i * 7)), 'What is ' || i || ' times 7?'
FROM made
"""
_TOTALS = f"""
UPDATE totals SET total = :tasks, stored = :tasks, failed = (:tasks + {FAILED_EVERY - 1}) / {FAILED_EVERY},
                  completed = :tasks - (:tasks + {FAILED_EVERY - 1}) / {FAILED_EVERY}, execution_ms = 2.1 * :tasks,
                  elapsed_ms = 3 * :tasks
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A data folder whose history holds `tasks` ended tasks; `ids` is a sample of them spread over all, oldest first."""

    folder: Path
    tasks: int
    ids: tuple[str, ...]
    made_in_s: float
    size_mb: float

    def any_id(self, rng: random.Random, *, newest_half: bool = False) -> str:
        """Return the id of some task that has at least a page of older ones, of any status, below it."""
        least = len(self.ids) // (2 if newest_half else 4)
        return self.ids[rng.randrange(least, len(self.ids))]

    def any_session(self, rng: random.Random) -> str:
        return f"session-{rng.randrange(self.tasks // SESSION_TASKS)}"

    @staticmethod
    def timed(call: Callable[[], None]) -> float:
        """Return how many milliseconds a call takes."""
        started = time.perf_counter_ns()
        call()
        return (time.perf_counter_ns() - started) / 1e6


def make_history(folder: Path, tasks: int) -> History:
    """Fill a fresh data folder with ended tasks."""
    started = time.perf_counter()
    SqlStore.open(Settings(data_dir=folder)).close()
    file = folder / "callboard.db"
    with closing(sqlite3.connect(file)) as connection:
        # No journal: if this fails, the folder is thrown away. The store turns its own settings on again.
        connection.execute("PRAGMA journal_mode = DELETE")
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(_ROWS, {"tasks": tasks})
        connection.execute(_TOTALS, {"tasks": tasks})
        connection.commit()
        step = max(1, tasks // 1000)
        ids = connection.execute("SELECT id FROM tasks WHERE rowid % ? = 0 ORDER BY id", (step,)).fetchall()
    took_s = time.perf_counter() - started
    size_mb = file.stat().st_size / 2**20
    return History(folder=folder, tasks=tasks, ids=tuple(i for (i,) in ids), made_in_s=took_s, size_mb=size_mb)
