"""A history of a million tasks, from the first schema to this one: in bounded memory, and listed at once."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from callboard import Settings
from callboard.clock import Clock
from callboard.persistence import migrate
from callboard.persistence.engine import database_of, open_writer

ROOT = Path(__file__).parents[2]
BASE_US = 1_760_000_000_000_000

# Ten tasks a session, and one in ten in a session of its own; three events each; two failed of a hundred.
ROWS = f"""
CREATE TEMP TABLE made AS
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :tasks)
SELECT i, {BASE_US} + i * 1000000 AS at, i % 50 = 0 AS bad, printf('%08x-7000-7000-8000-%012x', i, i) AS id,
       iif(i % 10 = 0, printf('%08x-7000-7000-8000-%012x', i, i), 'session-' || (i / 100)) AS session
FROM n;
INSERT INTO tasks (id, session_id, status, attempt, priority, created_at, started_at, ended_at, execution_time_ms,
                   error_code, request_id, caller, labels, metadata, error, output, task)
SELECT id, session, iif(bad, 'failed', 'completed'), 1, 0, at, at + 900, at + 3000, 2.1, iif(bad, 'skill_failed', NULL),
       lower(hex(randomblob(12))), 'ip:192.0.2.1', '{{}}', '{{"llmCalls":0,"skillCalls":1,"totalTokens":0}}',
       iif(bad, 'division by zero', NULL), iif(bad, NULL, '' || (i * 7)), 'What is ' || i || ' times 7?'
FROM made;
INSERT INTO events (task_id, seq, topic, at, data)
SELECT id, seq, topic, at + seq, '{{"step":1,"agent":"master","planner":"offline"}}'
FROM made, (SELECT 1 AS seq, 'agent.task.execute' AS topic UNION ALL SELECT 2, 'agent.step.started'
            UNION ALL SELECT 3, 'agent.task.completed');
INSERT INTO sessions (id, created_at, updated_at, tasks, variables, conversation)
SELECT session, min(at), max(at), count(*), '[]',
       json_group_array(json_array('user', 'What is ' || i || ' times 7?')) FROM made GROUP BY session;
UPDATE totals SET total = :tasks, stored = :tasks, failed = :tasks / 50, completed = :tasks - :tasks / 50,
                  execution_ms = 2.1 * :tasks
"""
OPEN = """
import json, sys, time
from pathlib import Path
from typing import Any
import alembic.command, alembic.config  # what every migration costs, of however many tasks
from callboard import AgentSystem, ListTasks, Settings
from callboard.persistence.store import SqlStore
from callboard.messages.sessions import ListSessions

def peak_mb():
    # not getrusage, which counts what the process that started this one took
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

def timed(do):
    began = time.perf_counter()
    result = do()
    return time.perf_counter() - began, result

settings, before = Settings(data_dir=Path(sys.argv[1]), port=0), peak_mb()
figures = {"migrated_s": timed(lambda: SqlStore.open(settings).close())[0], "grown_mb": peak_mb() - before}
figures["started_s"], system = timed(lambda: AgentSystem.start(settings))
figures["tasks_s"], page = timed(lambda: system.gateway.ask(ListTasks(limit=100), timeout_s=60))
figures["sessions_s"], sessions = timed(lambda: system.gateway.ask(ListSessions(limit=100), timeout_s=60))
figures |= {"listed": [len(page.tasks), len(sessions.sessions)], "preview": sessions.sessions[0].preview}
system.stop()
print(json.dumps(figures))
"""


def lay(folder: Path, tasks: int) -> None:
    settings = Settings(data_dir=folder)
    folder.mkdir(mode=0o700)
    engine = open_writer(database_of(settings), clock=Clock())
    with engine.begin() as connection:
        migrate.upgrade(connection, "0001")
    engine.dispose()
    with closing(sqlite3.connect(folder / "callboard.db")) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
            connection.execute(f"PRAGMA {pragma}")
        for statement in ROWS.split(";"):
            connection.execute(statement, {"tasks": tasks} if ":tasks" in statement else {})
        connection.commit()


def gone_on_with(folder: Path, tasks: int) -> dict[str, Any]:
    lay(folder, tasks)
    command = [sys.executable, "-c", OPEN, str(folder)]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=900)
    figures: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    with closing(sqlite3.connect(folder / "callboard.db")) as connection:
        [found] = connection.execute(
            "SELECT (SELECT count(*) FROM turns), (SELECT max(position) FROM events)"
        ).fetchall()
    assert found == (tasks, 3 * tasks)
    assert figures["listed"] == [100, 100]
    assert figures["preview"] == f"What is {tasks - 1} times 7?"
    return figures


@pytest.mark.parametrize(
    "tasks",
    [pytest.param(1_000_000, marks=pytest.mark.nightly), pytest.param(20_000, marks=pytest.mark.slow)],
)
def test_a_long_history_is_migrated_in_bounded_memory_and_listed_at_once(tmp_path: Path, tasks: int) -> None:
    figures = gone_on_with(tmp_path / "data", tasks)
    print(tasks, figures)
    assert figures["grown_mb"] < 300
    assert figures["migrated_s"] < 5 + tasks / 2_000
    assert max(figures["started_s"], figures["tasks_s"], figures["sessions_s"]) < 5
