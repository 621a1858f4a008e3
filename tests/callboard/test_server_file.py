"""The file in which a server tells its address: who finds it, when it is left over, and when it is not believed."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from callboard.cli import server_file
from callboard.cli.ask import Where, seen_from_here
from callboard.cli.server_file import ServerFile, announced, read
from callboard.errors import ConfigurationError
from tests.callboard.in_process import in_process
from tests.docs.serving import Served

URL = "http://127.0.0.1:3100"


# --- a real server and real commands ---


def test_commands_find_the_server_of_the_data_folder_whatever_its_port(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    server = serve()
    path = server.data / "server.json"
    told = json.loads(path.read_text())
    assert (told["url"], told["pid"]) == (server.url, server._process.pid)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    mine = {"CALLBOARD_DATA_DIR": str(server.data)}
    assert in_process("run", "6*7", "--session", "found", home=tmp_path, **mine).stdout == "42\n"
    assert in_process("tasks", home=tmp_path, **mine).stdout.split("\t")[3] == "found"
    assert f"server       {server.url}" in in_process("health", home=tmp_path, **mine).stdout
    for nothing_there in ({"CALLBOARD_PORT": "9"}, {"CALLBOARD_URL": "127.0.0.1:9"}):  # what is set goes first
        assert in_process("health", home=tmp_path, **mine, **nothing_there).returncode == 69
    taken = in_process("run", "6*7", "--local", home=tmp_path, **mine)
    assert (taken.returncode, taken.stdout) == (78, "")
    assert f"have it do the task with --url {server.url}" in taken.stderr
    assert server.stop() == 0
    assert not path.exists()


def test_a_server_that_was_killed_is_said_not_to_run_and_its_history_is_read(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    server = serve()
    server.result("6*7")
    server.kill()
    mine = {"CALLBOARD_DATA_DIR": str(server.data)}
    done = in_process("health", home=tmp_path, **mine)
    assert done.returncode == 69
    assert f"The server that was at {server.url} is not running." in done.stderr
    assert in_process("tasks", home=tmp_path, **mine).stdout.split("\t")[5] == "6*7"
    assert in_process("run", "1 + 1", home=tmp_path, **mine).stdout == "2\n"
    again = serve()
    assert in_process("health", home=tmp_path, **mine).stdout.split()[1] == again.url


# --- the file itself ---


def test_it_is_there_while_the_server_is_and_known_as_left_over_afterwards(tmp_path: Path) -> None:
    with announced(tmp_path, URL) as fault:
        assert fault is None
        found = read(tmp_path)
        assert found == ServerFile(url=URL, pid=os.getpid(), started=found.started if found else "", alive=True)
        assert [path.name for path in tmp_path.iterdir()] == ["server.json"]
        left = (tmp_path / "server.json").read_bytes()
    assert read(tmp_path) is None
    (tmp_path / "server.json").write_bytes(left)  # as a server leaves it that is killed
    found = read(tmp_path)
    assert found is not None
    assert (found.url, found.alive) == (URL, False)


def test_a_server_takes_away_its_own_file_only(tmp_path: Path) -> None:
    with announced(tmp_path, URL):
        with announced(tmp_path, "http://127.0.0.1:3200"):  # another one on the same folder, with another database
            pass
        assert read(tmp_path) is None
    with announced(tmp_path, URL):
        (tmp_path / "server.json").unlink()
        (tmp_path / "server.json").write_text("somebody's")
    assert (tmp_path / "server.json").read_text() == "somebody's"


def test_a_folder_that_cannot_be_written_keeps_no_server_from_serving(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with announced(tmp_path / "file", URL) as fault:
        assert isinstance(fault, OSError)
    with announced(tmp_path / "nowhere", URL) as fault:
        assert isinstance(fault, OSError)


def changed(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """Change a file that a living server holds, as somebody else might; it must not be believed."""
    with announced(tmp_path, URL):
        change(tmp_path / "server.json")
        with pytest.raises(ConfigurationError, match=r"is not believed: .*; delete it, or name the server with --url"):
            read(tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o602])
def test_a_file_that_others_may_reach_is_not_believed(tmp_path: Path, mode: int) -> None:
    changed(tmp_path, lambda path: path.chmod(mode))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_not_believed_unless_root_looks_into_that_users_folder(tmp_path: Path) -> None:
    changed(tmp_path, lambda path: os.chown(path, 12345, 12345))
    with announced(tmp_path, URL):
        os.chown(tmp_path, 12345, 12345)
        os.chown(tmp_path / "server.json", 12345, 12345)
        assert read(tmp_path) is not None


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", '{"url": 5, "pid": 1, "started": ""}', '{"url": "ftp://x", "pid": 1, "started": ""}']
    + [json.dumps({"url": url, "pid": 1, "started": "now"}) for url in
       ("https://127.0.0.1:1", "http://192.0.2.7:3000", "http://localhost:3000", "http://[2001:db8::1]:3000")],
)  # fmt: skip
def test_what_no_server_of_this_machine_writes_is_not_believed(tmp_path: Path, text: str) -> None:
    changed(tmp_path, lambda path: path.write_text(text))


def test_a_link_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("{}")
    (tmp_path / "server.json").symlink_to("other")
    with pytest.raises(ConfigurationError, match="it is a link"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "\0" * 100])
def test_what_a_power_cut_has_left_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert read(tmp_path) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:3000"), ("::", "http://[::1]:3000"), ("::1", "http://[::1]:3000"),
        ("127.0.0.2", "http://127.0.0.2:3000"),
    ],
)  # fmt: skip
def test_an_address_is_told_as_it_can_be_opened_here(
    host: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen_from_here(host, 3000) == url
    monkeypatch.setattr(server_file, "_is_here", lambda _host: True)  # a machine may be without IPv6
    with announced(tmp_path, url):
        found = read(tmp_path)
        assert found is not None
        assert found.url == url


def test_of_what_names_a_server_the_first_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CALLBOARD_URL", "CALLBOARD_HOST", "CALLBOARD_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path))
    where = Where(url=None, key_file=None)
    assert (where.found().url, where.found().certain) == ("http://127.0.0.1:3000", False)
    with announced(tmp_path, URL):
        assert (where.found().url, where.found().certain) == (URL, True)
        monkeypatch.setenv("CALLBOARD_PORT", "0")  # any free one: it names none
        assert where.found().url == URL
        monkeypatch.setenv("CALLBOARD_PORT", "3300")
        assert (where.found().url, where.found().certain) == ("http://127.0.0.1:3300", False)
        monkeypatch.setenv("CALLBOARD_URL", "127.0.0.1:3400")
        assert (where.found().url, where.found().certain) == ("127.0.0.1:3400", True)
        assert Where(url="127.0.0.1:3500", key_file=None).found().url == "127.0.0.1:3500"
