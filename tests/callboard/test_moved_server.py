"""A server whose settings are relative, and whose skills move it to another folder that is then deleted."""

import base64
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import AgentSystem, Settings, TaskRecord
from callboard.persistence.backup import back_up
from callboard.persistence.doctor import examine
from tests.agent.mcp.conftest import HERE
from tests.receiver import receiving
from tests.template import lay_history

MOVES = '''
import os
import shutil
import tempfile

from callboard import skill


@skill(replay="safe")
def moves_away() -> str:
    """Change the working directory to one that is then deleted, and what it finds programs by."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    shutil.rmtree(folder)
    os.environ["PATH"] = folder
    return "gone"
'''
RELATIVE = {
    "CALLBOARD_DATA_DIR": "data",
    "CALLBOARD_DATABASE_URL": "sqlite:///data/own.db",
    "CALLBOARD_SKILLS_DIR": "skills",
    "CALLBOARD_AGENTS_DIR": "agents",
    "CALLBOARD_MCP_CONFIG": "mcp.json",
    "CALLBOARD_WEBHOOK_ALLOW_PRIVATE": "true",
    "CALLBOARD_WORKERS": "2",
}


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentSystem]:
    """A system that was started with relative settings, and has been moved away by a skill."""
    for name in ("skills", "agents", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "skills" / "moves.py").write_text(MOVES)
    (tmp_path / "bin" / "callboard-test-python").symlink_to(sys.executable)
    shutil.copy(HERE / "plain_server.py", tmp_path / "server.py")
    entry = {"command": "callboard-test-python", "args": ["-S", "-E", "server.py"]}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"plain": entry}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for name, value in RELATIVE.items():
        monkeypatch.setenv(name, value)
    system = AgentSystem.start(lay_history(Settings.load()))
    try:
        assert run(system, "from skills import moves_away\nmoves_away()").output == "gone"
        with pytest.raises(FileNotFoundError):
            Path.cwd()
        yield system
    finally:
        system.stop()


def run(system: AgentSystem, code: str, **spec: Any) -> TaskRecord:
    return system.execute(f"```python\n{code}\n```", wait_s=20, **spec)


def test_everything_works_after_a_skill_has_changed_the_folder(moved: AgentSystem, tmp_path: Path) -> None:
    written = run(moved, 'from skills import write_file, read_file\nwrite_file("a/b.txt", "x")\nread_file("a/b.txt")')
    assert written.error is None
    assert list((tmp_path / "data" / "workspaces").glob("*/a/b.txt"))
    page = base64.b64encode(b"<html><body><p>Some text in a page.</p></body></html>").decode()
    attached = [{"name": "page.html", "data": page}]
    read = run(moved, 'from skills import read_file\nread_file("page.html")', attachments=attached)
    assert read.error is None
    assert "type check" in str(run(moved, 'x: int = "a" + 1').error)
    with receiving() as receiver:
        assert moved.execute("What is 2 + 2?", callback_url=receiver.url, wait_s=20).output == 4
        assert receiver.next()
    as_a_command = moved.settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/data/own.db"})
    assert back_up(as_a_command, tmp_path / "copy.db").tasks >= 4
    assert [found for found in examine(as_a_command) if found.level == "error"] == []


def test_an_mcp_server_of_a_relative_path_is_started_again_after_a_skill_has_changed_folder_and_path(
    moved: AgentSystem,
) -> None:
    first = run(moved, "from skills import plain_process\nplain_process()")
    os.kill(first.output["result"] if isinstance(first.output, dict) else first.output, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while (again := run(moved, "from skills import plain_process\nplain_process()")).error is not None:
        assert time.monotonic() < deadline, again.error
        threading.Event().wait(0.1)
    assert again.output != first.output
