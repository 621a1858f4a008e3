"""Places to run in: paths with any signs, users without a home, marks in front of text, and starts that cannot be.

Mostly in this process; a process of its own has only what needs an exit status or another user database.
"""

import codecs
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from callboard import AgentSystem, Settings
from callboard.agent.mcp.config import load_config
from callboard.agent.roster import Roster
from callboard.cli.ask import Where
from callboard.cli.editor import json_object
from callboard.cli.exit import Ended, Exit, starting
from callboard.cli.groups import Root
from callboard.cli.run import _as_number, run
from callboard.errors import ConfigurationError
from callboard.paths import NOWHERE
from callboard.persistence.backup import back_up
from callboard.persistence.doctor import examine
from callboard.secret_files import kept_secret
from tests.docs.serving import environment

BOM = "\ufeff"


# --- paths ---


@pytest.mark.parametrize("name", ["a%41b ?x#y;&=+ü", "~", "file:z", " ends \n"])
def test_the_data_folder_is_the_folder_named(
    start_system: Callable[..., AgentSystem], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "in" / name
    system = start_system(data_dir=folder)
    assert system.execute("6*7", wait_s=20).output == 42
    assert list((tmp_path / "in").iterdir()) == [folder]
    assert (folder / "callboard.db").exists()
    made = back_up(system.settings, folder / "copy %41?#.db")
    assert (made.path, made.tasks) == (folder / "copy %41?#.db", 1)
    assert all(finding.level == "ok" for finding in examine(system.settings))


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with no HOME and no entry in the user database."""
    for name in ("HOME", "XDG_DATA_HOME", "CALLBOARD_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)

    def unknown(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_a_user_without_a_home_folder_is_asked_for_one_where_data_is_kept(
    nobody: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings.load()  # what asks a server, or lists skills, needs no data folder
    assert settings.data_dir == NOWHERE
    for needs_one in (
        AgentSystem.start,
        lambda settings: list(examine(settings)),
        lambda s: back_up(s, tmp_path / "b"),
    ):
        with pytest.raises(ConfigurationError, match=r"CALLBOARD_DATA_DIR is not set, and this user has no home"):
            needs_one(settings)
    monkeypatch.setenv("CALLBOARD_DATA_DIR", "~/data")
    with pytest.raises(ConfigurationError, match=r"CALLBOARD_DATA_DIR: starts with ~, and this user has no home"):
        Settings.load()
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path))
    assert Settings.load().require_data_dir() == tmp_path


def test_a_home_that_is_no_full_path_counts_as_none(nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for home in ("", "here"):
        monkeypatch.setenv("HOME", home)
        assert Settings.load().data_dir == NOWHERE


_WITHOUT_A_HOME = """
import pwd

def unknown(_):
    raise KeyError

pwd.getpwuid = unknown
from callboard.cli.main import main
main()
"""


def test_a_user_without_a_home_folder_can_have_a_marked_task_run_where_a_data_folder_is_named(tmp_path: Path) -> None:
    surroundings = environment(tmp_path, CALLBOARD_DATA_DIR=str(tmp_path / "data"))
    surroundings.pop("HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_A_HOME, "run", "--local", "-"], env=surroundings, capture_output=True,
        text=True, check=False, timeout=60, input=f"{BOM}What is 2 + 2?\r\n",
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "4\n", "")


# --- a mark in front of text is not text ---


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        (f"{BOM}What is 2 + 2?", 4),
        (f"What is the sum of amount in this CSV?\n\n{BOM}amount,id\n1,2\n2,3", 3),
        (f"What is the sum of amount in this CSV: {BOM}amount,id\n1,2\n2,3", 3),
        (f'How many rows are in this JSON: {BOM}[{{"a": 1}}, {{"a": 2}}]', 2),
        (f"Run this: ```python\n{BOM}6*7\n```", 42),
        (f'How many words are in "{BOM}one two three"?', 3),
        (f"```python\nfrom skills import query_table\nquery_table('{BOM}a,b\\n1,2', 'sum', 'a')\n```", 1),
    ],
    ids=["task", "table", "after a colon", "JSON", "code", "quoted", "a skill's argument"],
)
def test_a_mark_in_a_task_is_passed_over(shared: AgentSystem, task: str, answer: object) -> None:
    assert shared.execute(task, wait_s=20).output == answer


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> object:
    """One system for the tasks above, which leave nothing behind for each other."""
    folder = tmp_path_factory.mktemp("marks")
    with AgentSystem.start(Settings(data_dir=folder, rate_limit_max_requests=0, workers=2)) as system:
        yield system


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_files_that_begin_with_a_mark_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "key").write_text("the-key\n", encoding)
    assert Where(url=None, key_file=tmp_path / "key")._key(Settings()) == "the-key"
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"one": {"command": "true"}}}', encoding)
    assert [server.name for server in load_config(tmp_path / "mcp.json", {}).servers] == ["one"]
    (tmp_path / "secret.key").write_text("x" * 64, encoding)
    assert kept_secret(tmp_path / "secret.key", str, setting="") == "x" * 64
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "a.yaml").write_text("name: a\ndescription: b\nsystemPrompt: c\n", encoding)
    roster = Roster.load(tmp_path / "agents", ())
    assert roster.get("a").description == "b"


def test_json_on_the_command_line_may_begin_with_a_mark() -> None:
    assert json_object(f'{BOM}{{"a": 1}}') == {"a": 1}


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        (f"{BOM} \r\n".encode(), 2, "the task is empty"),
        (codecs.BOM_UTF16_LE + "\n".encode("utf-16-le"), 2, "the task is empty"),
        (b"\xff\xf8What", 2, "is not UTF-8, nor UTF-16 with a byte-order mark"),
    ],
)
def test_standard_input_is_read_as_its_mark_says(given: bytes, status: int, said: str) -> None:
    done = CliRunner().invoke(run, ["-"], input=given)
    assert done.exit_code == status
    assert said in done.output


# --- labels keep their text ---


@pytest.mark.parametrize("text", ["0", "5", "-17", "1.5", "-0.25", "100000.0"])
def test_a_label_that_is_written_as_a_number_is_one(text: str) -> None:
    number = _as_number(text)
    assert not isinstance(number, str)
    assert str(number) == text


@pytest.mark.parametrize(
    "text",
    ["1.10", "01234", "-0", "1e5", "0x10", "+1", " 1", "1 ", "1_000", ".5", "5.", "true", "nan", "inf", "1,5", "٣", "",
     "99999999999999999999", "0.1000000000000000055"],
)  # fmt: skip
def test_a_label_that_is_not_stays_as_it_is(text: str) -> None:
    assert _as_number(text) == text


# --- starts that cannot be ---


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/etc/x"), "cannot start: /etc/x: Permission denied."),
        (OSError(24, "Too many open files"), "cannot start: Too many open files."),
        (FileNotFoundError(2, "No such file or directory"), "cannot start: the working directory is gone; go to another one."),
        (RuntimeError("can't start\nnew thread"), "cannot start: RuntimeError: can't start new thread. CALLBOARD_LOG_LEVEL=debug shows where."),
        (BaseException(), "cannot start: BaseException. CALLBOARD_LOG_LEVEL=debug shows where."),
    ],
)  # fmt: skip
def test_what_nobody_foresaw_at_a_start_is_a_sentence(error: BaseException, said: str) -> None:
    with pytest.raises(Ended) as caught, starting(Settings()):
        raise error
    assert (caught.value.status, caught.value.message) == (Exit.FAILED, said)
    with pytest.raises(type(error)), starting(Settings(log_level="debug")):
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ConfigurationError("x"), Ended(Exit.PAUSED)])
def test_what_is_an_end_of_its_own_passes_through_a_start(error: BaseException) -> None:
    with pytest.raises(type(error)), starting(Settings()):
        raise error


def test_an_error_of_the_system_is_a_sentence_in_every_command() -> None:
    @click.group(cls=Root)
    def root() -> None: ...

    @root.command()
    def fails() -> None:
        Path("/proc/self/mem/x").read_text()

    done = CliRunner().invoke(root, ["fails"])
    assert (done.exit_code, done.output) == (1, "callboard: /proc/self/mem/x: Not a directory.\n")


def test_a_start_that_fails_in_its_middle_lets_go_of_the_history(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoMore:
        def __init__(self, *_: object, **__: object) -> None:
            raise RuntimeError("can't start new thread")

    settings = make_settings()
    with monkeypatch.context() as patched:
        patched.setattr("callboard.wiring.TaskPool", NoMore)
        with pytest.raises(RuntimeError, match="new thread"):
            AgentSystem.start(settings)
    with AgentSystem.start(settings) as system:
        assert system.execute("6*7", wait_s=20).output == 42


@pytest.mark.parametrize(
    ("settings", "status", "said"),
    [
        ({"CALLBOARD_HOST": ".."}, 1, "cannot listen on ..:0: that is no name of a host; set CALLBOARD_HOST."),
        ({"CALLBOARD_AGENTS_DIR": "loop"}, 78, "CALLBOARD_AGENTS_DIR names {home}/loop, which is not a folder"),
        ({"CALLBOARD_DATA_DIR": os.fsdecode(b"d-\xe9")}, 78, "CALLBOARD_DATA_DIR: holds bytes that are not UTF-8"),
    ],
    ids=["host", "links in a circle", "not UTF-8"],
)
def test_a_server_that_cannot_start_says_why_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], status: int, said: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "callboard", "serve", "--port", "0"], capture_output=True, text=True, check=False,
        timeout=60, stdin=subprocess.DEVNULL,
        env={**environment(tmp_path, CALLBOARD_DATA_DIR=str(tmp_path / "data")), **settings},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (status, "")
    [line] = done.stderr.splitlines()
    assert said.format(home=tmp_path) in line


def test_a_pipe_in_the_place_of_the_history_holds_up_nobody(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    settings.data_dir.mkdir()
    os.mkfifo(settings.data_dir / "callboard.db")
    assert any("is no file" in finding.message for finding in examine(settings))
    with pytest.raises(ConfigurationError, match="it is no file"):
        AgentSystem.start(settings)


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_what_options_write_fails_as_a_sentence(option: str, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "callboard", option], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env=environment(tmp_path),
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "callboard: the output cannot be written: no space is left for it.\n")
