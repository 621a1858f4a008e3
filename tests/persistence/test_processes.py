"""Several processes on one SQLite file, and one that is killed."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from callboard.messages.tasks import ListTasks
from callboard.persistence.store import SqlStore

if TYPE_CHECKING:
    from tests.persistence.conftest import OpenStore

ROOT = Path(__file__).parents[2]


def writer(url: str, transactions: int, prefix: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(Path(__file__).with_name("writing_process.py")), url, str(transactions), prefix]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def everything(store: SqlStore) -> set[str]:
    found: set[str] = set()
    page = store.reader.tasks(ListTasks(limit=100))
    while page.next_cursor:
        found |= {task.task_id for task in page.tasks}
        page = store.reader.tasks(ListTasks(limit=100, cursor=page.next_cursor))
    return found | {task.task_id for task in page.tasks}


def test_a_killed_process_loses_no_acknowledged_write(open_at: "OpenStore", sqlite_url: str, tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for round_number in range(3):
        with writer(sqlite_url, 0, f"r{round_number}") as process:
            assert process.stdout is not None
            acknowledged |= {process.stdout.readline().strip() for _ in range(50 + 17 * round_number)}
            os.kill(process.pid, signal.SIGKILL)
            whole_lines = process.stdout.read().split("\n")[:-1]
        acknowledged |= set(whole_lines)
    store = open_at(sqlite_url)
    stored = everything(store)
    assert acknowledged <= stored
    assert len(stored) - len(acknowledged) <= 3, "at most the one task that each process was writing"
    totals = store.reader.totals()
    assert (totals.total, totals.live) == (len(stored), len(store.reader.unfinished()))
    file = sqlite3.connect(tmp_path / "data" / "callboard.db")
    assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()
