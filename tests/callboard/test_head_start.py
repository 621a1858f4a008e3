"""What a server starts before it loads itself, and that none of it is left where the rest cannot start."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from callboard import Settings
from callboard.actors.supervision import Supervisor
from callboard.head_start import HeadStart
from callboard.system import AgentSystem
from callboard.workforce import Workforce

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
        *("sqlalchemy", "falcon", "waitress", "callboard.system", "callboard.abilities", "callboard.http"),
        "callboard.actors",
    )
    assert [name for name in loaded if name.startswith(kept)] == []


def _processes() -> set[psutil.Process]:
    """Return the processes below this one that have not ended; one that is not waited for yet has."""
    found = set[psutil.Process]()
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.status() != psutil.STATUS_ZOMBIE:
                found.add(one)
    return found


def _open_files() -> list[str]:
    found = list[str]()
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # it is closed meanwhile
            found.append(str(one.readlink()))
    return found


def _breaks(*_arguments: object, **_named: object) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        ("callboard.system", "load_key"),
        ("callboard.system", "claim"),
        (Workforce, "equip"),
        (Supervisor, "__init__"),
        (AgentSystem, "_start_actors"),
        (Workforce, "wait_until_ready"),
    ],
)
def test_nothing_is_left_of_it_where_the_system_cannot_start(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, owner: object, method: str
) -> None:
    settings = make_settings(worker_processes=2)
    before = _processes(), set(threading.enumerate())
    head_start = HeadStart(settings)
    with monkeypatch.context() as broken:
        broken.setattr(
            f"{owner}.{method}" if isinstance(owner, str) else owner,
            *((_breaks,) if isinstance(owner, str) else (method, _breaks)),
        )
        with pytest.raises(RuntimeError, match="new thread"):
            AgentSystem.start(settings, head_start=head_start)
    until = time.monotonic() + 60  # what a worker had started is killed with it, and may take a moment longer
    while _processes() - before[0]:
        assert time.monotonic() < until, _processes() - before[0]
    assert [one.name for one in set(threading.enumerate()) - before[1] if one.name == "workers"] == []
    with AgentSystem.start(settings) as system:  # neither lock is held
        assert system.execute("6*7", wait_s=60).output == 42
    assert [name for name in _open_files() if str(settings.data_dir) in name] == []
