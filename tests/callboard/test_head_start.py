"""What a server starts before it loads itself, and that none of it is left where it cannot start."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench.server import environment
from chaos.server import CALLBOARD

LOADED = """
import sys
from callboard.cli.serve import serve
from callboard.settings import Settings
from callboard.logs import configure_logging
import callboard.http.listening, callboard.cli.ending
before = set(sys.modules)
import callboard.head_start
print(*sorted(set(sys.modules) - before))
"""


def test_it_loads_little_itself() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "callboard.workers.processes" in loaded
    kept = (
        "sqlalchemy",
        "falcon",
        "waitress",
        "callboard.system",
        "callboard.abilities",
        "callboard.http",
        "callboard.actors",
    )
    assert [name for name in loaded if name.startswith(kept)] == []


@pytest.mark.parametrize(
    "cannot", [{"database_url": "sqlite:////proc/none/all.db"}, {"secret_key": "x" * 20, "webhook_secret": "short"}]
)
def test_no_worker_is_left_where_the_server_cannot_start(tmp_path: Path, cannot: dict[str, str]) -> None:
    given: dict[str, str | int | float] = {"data_dir": str(tmp_path), "port": 0, "worker_processes": 2, **cannot}
    done = subprocess.run(
        [sys.executable, *CALLBOARD],
        env=environment(given),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0, done.stderr
    assert [one.pid for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == str(tmp_path)] == []
