"""What a start makes of what earlier ones have left in the data folder, and who may read what is in it."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callboard import AgentSystem, Settings
from callboard.data_folder import tidy


@pytest.fixture
def gone() -> int:
    """Return the number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_what_was_left_half_written_is_deleted_and_told_and_nothing_else(
    tmp_path: Path, gone: int, caplog: pytest.LogCaptureFixture
) -> None:
    left = [
        f".secret.key.{gone}.0123abcd",
        f".webhook.secret.{gone}.0123abcd",
        f".server.json.{gone}.0123abcd",
        f".mcp-a.b.json.{gone}.0123abcd",
    ]
    kept = [f".secret.key.{os.getpid()}.0123abcd", f".mine.{gone}.0123abcd", "secret.key", ".server.json.x.0123abcd"]
    for name in (*left, *kept):
        (tmp_path / name).write_text("half")
    tidy(tmp_path, tmp_path / "workspaces")
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
    assert "4 files were left half-written" in caplog.text
    caplog.clear()
    tidy(tmp_path, tmp_path / "workspaces")
    assert caplog.text == ""


def test_a_folder_that_cannot_be_looked_at_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tidy(tmp_path / "not there", tmp_path / "not there" / "workspaces")
    assert "cannot be tidied" in caplog.text


@pytest.fixture
def without_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_whatever_the_umask_only_the_owner_reaches_what_is_in_the_data_folder(
    make_settings: Callable[..., Settings], without_umask: None
) -> None:
    settings = make_settings()
    with AgentSystem.start(settings) as system:
        done = system.execute('```python\nfrom skills import write_file\nwrite_file("a/b.txt", "x")\n```')
        assert done.error is None
        open_to_others = [
            str(path)
            for path in (settings.data_dir, *settings.data_dir.rglob("*"))
            if stat.S_IMODE(path.stat().st_mode) & 0o077
        ]
        assert open_to_others == []
        assert (settings.data_dir / "workspaces").is_dir()


def test_workspaces_that_an_earlier_version_left_open_become_their_owners_alone(
    make_settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    settings = make_settings()
    (settings.data_dir / "workspaces").mkdir(parents=True)
    (settings.data_dir / "workspaces").chmod(0o755)
    AgentSystem.start(settings).stop()
    assert stat.S_IMODE((settings.data_dir / "workspaces").stat().st_mode) == 0o700
    assert "others could reach" in caplog.text


def test_a_command_from_a_shell_without_a_umask_makes_nothing_that_others_may_write(tmp_path: Path) -> None:
    (tmp_path / "word.py").write_text(
        'from callboard import skill\n\n\n@skill(replay="pure")\ndef word(text: str) -> str:\n    """Return it."""\n    return text\n'
    )
    ran = subprocess.run(
        [
            "sh",
            "-c",
            'umask 0; exec "$@"',
            "sh",
            sys.executable,
            "-m",
            "callboard",
            "skills",
            "add",
            str(tmp_path / "word.py"),
        ],
        env={
            **os.environ,
            "CALLBOARD_DATA_DIR": str(tmp_path / "data"),
            "CALLBOARD_SKILLS_DIR": str(tmp_path / "skills"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for path in (tmp_path / "skills", tmp_path / "skills" / "word.py"):
        assert not path.stat().st_mode & 0o022
