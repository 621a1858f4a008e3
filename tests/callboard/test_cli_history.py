"""What commands see and do where there is no server: the history of the data folder, which a local `callboard run` made."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from callboard import AgentSystem, Settings
from callboard.errors import StoreUnavailable
from callboard.persistence.migrate import HEAD_REVISION
from callboard.persistence.reading import open_reader
from tests.callboard.conftest import PAY, python, serving
from tests.callboard.in_process import in_process
from tests.callboard.terminal import Terminal
from tests.template import lay_history

DELEGATES = python("from skills import delegate\ndelegate('data-analyst', 'What is 6 times 7?')")
NOBODY = {"CALLBOARD_PORT": "9"}  # nothing listens there
LOOKING = [
    ("tasks",), ("tasks", "--all"), ("tasks", "--status", "failed"), ("tasks", "--session", "one", "--search", "times"),
    ("tasks", "--agent", "data-analyst"), ("show", "LAST"), ("show", "FAMILY"), ("events", "LAST"),
    ("events", "LAST", "--after", "2"), ("events", "FAMILY", "--follow"), ("events", "FAMILY", "--follow", "--after", "4"),
    ("sessions",), ("sessions", "--limit", "1"), ("sessions", "show", "one"), ("dead-letters",),
]  # fmt: skip
CHANGING = [
    (("cancel", "LAST"), "cancel a task"), (("retry", "LAST"), "do a task again"),
    (("decide", "LAST", "approve"), "go on with a task"), (("sessions", "delete", "one"), "forget a session"),
    (("dead-letters", "redrive", "LAST"), "give a dead letter one more chance"),
]  # fmt: skip


class Made:
    """A history that was made without a server, and what its commands printed with one."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ids = {"LAST": "", "FAMILY": ""}

    def ask(self, *words: str, **settings: str) -> Any:
        return in_process(*(self.ids.get(word, word) for word in words), home=self.home, **{**NOBODY, **settings})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A history as `callboard run` makes it: some tasks, one of them with an agent's below it."""
    made = Made(tmp_path_factory.mktemp("made"))
    lay_history(Settings(data_dir=made.home / "data"))
    for words in (("What is 12 times 7?", "--session", "one"), ("Paint my zebra.", "--session", "two"), (DELEGATES,)):
        made.ask("run", *words)
    found = [line.split("\t") for line in made.ask("tasks").stdout.splitlines()]
    made.ids = {"LAST": found[-1][0], "FAMILY": found[1][0]}
    return made


def test_what_a_run_without_a_server_did_is_listed_and_shown(made: Made) -> None:
    done = made.ask("tasks")
    told = f"No server answers at http://127.0.0.1:9; this is the history in {made.home / 'data'}.\n"
    assert (done.returncode, done.stderr) == (0, told)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[5] for row in rows] == ["What is 6 times 7?", DELEGATES.replace("\n", " "), "Paint my zebra.", "What is 12 times 7?"]  # fmt: skip
    assert json.loads(made.ask("show", rows[-1][0][-12:], "--json").stdout)["output"] == 84
    log = made.ask("events", "LAST").stdout.splitlines()
    assert [line.split("\t")[1] for line in log] == ["1", "2", "3", "4", "5", "6"]
    assert "\n2  assistant\n84\n" in made.ask("sessions", "show", "one").stdout


@pytest.fixture(scope="module")
def asked(made: Made) -> dict[tuple[str, ...], tuple[Any, Any]]:
    """How each command that looks ends and what it prints, without a server and with one."""

    def all_of(**settings: str) -> list[tuple[int, str, str]]:
        done = [made.ask(*words, "--json", **settings) for words in LOOKING]
        return [(one.returncode, one.stdout, one.stderr) for one in done]

    alone = all_of()
    with serving(Settings(data_dir=made.home / "data", port=0, rate_limit_max_requests=0)) as (_, url):
        served = all_of(CALLBOARD_URL=url)
    return dict(zip(LOOKING, zip(alone, served, strict=True), strict=True))


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_a_command_that_looks_prints_the_same_with_and_without_a_server(
    asked: dict[tuple[str, ...], tuple[Any, Any]], words: tuple[str, ...]
) -> None:
    alone, served = asked[words]
    assert alone[:2] == served[:2]
    assert alone[0] == 0
    notice, _, rest = alone[2].partition("\n")
    assert "this is the history in" in notice
    assert rest == served[2]
    assert len(alone[1]) > 2 or words[0] in ("dead-letters",)


def test_what_is_not_there_is_4_without_a_server_too(made: Made) -> None:
    wrong = made.ids["LAST"][:-1] + ("0" if made.ids["LAST"][-1] != "0" else "1")
    for words in (("show", wrong), ("events", wrong)):
        done = made.ask(*words)
        assert (done.returncode, done.stdout) == (4, "")
        assert f"Did you mean {made.ids['LAST']}?" in done.stderr
    assert made.ask("sessions", "show", "nobody").returncode == 4
    assert made.ask("events", "LAST", "--follow", "--after", "x").returncode == 1


@pytest.mark.parametrize(("words", "what"), CHANGING, ids=lambda value: value if isinstance(value, str) else value[0])
def test_a_command_that_changes_something_says_that_it_takes_a_server(
    made: Made, words: tuple[str, ...], what: str
) -> None:
    done = made.ask(*words)
    assert (done.returncode, done.stdout) == (69, "")
    assert f"It takes a server to {what}" in done.stderr
    assert "start it with `callboard serve`" in done.stderr


def test_a_terminal_is_told_whose_history_it_sees(made: Made) -> None:
    with Terminal("tasks", home=made.home, **NOBODY) as terminal:
        assert terminal.end() == 0
    assert terminal.text.startswith(
        f"No server answers at http://127.0.0.1:9; this is the history in {made.home / 'data'}."
    )


def test_nothing_is_changed_by_looking(made: Made) -> None:
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (made.home / "data").iterdir() if path.is_file()}

    before = contents()
    for words in LOOKING[:4]:
        made.ask(*words)
    assert contents() == before


def test_a_task_that_waits_is_shown_with_how_to_decide_and_is_not_followed(tmp_path: Path, skills_folder: Path) -> None:
    mine = {**NOBODY, "CALLBOARD_SKILLS_DIR": str(skills_folder)}
    assert in_process("run", PAY, home=tmp_path, **mine).returncode == 5
    [row] = in_process("tasks", home=tmp_path, **mine).stdout.splitlines()
    task_id, status = row.split("\t")[:2]
    assert status == "paused"
    shown = in_process("show", task_id, home=tmp_path, **mine).stdout
    assert """ --arguments '{"cents": 500}'""" in shown
    whole = json.loads(in_process("approvals", "show", task_id, "--json", home=tmp_path, **mine).stdout)
    assert (whole["args"], whole["argsTruncated"]) == ([500], False)
    assert task_id in in_process("approvals", home=tmp_path, **mine).stdout
    followed = in_process("events", task_id, "--follow", home=tmp_path, **mine)
    assert followed.returncode == 69
    assert followed.stdout.splitlines()[-1].split("\t")[3] == "agent.task.paused"
    assert f"the task {task_id} is paused, and no server works on it; start `callboard serve`" in followed.stderr


def test_turns_have_their_numbers_and_forgotten_ones_are_told(tmp_path: Path) -> None:
    few = {**NOBODY, "CALLBOARD_CONVERSATION_TURNS": "2"}
    lay_history(Settings(data_dir=tmp_path / "data"))
    shown = []
    for task in ("1 + 1", "2 + 2"):
        in_process("run", task, "--session", "one", home=tmp_path, **few)
        shown.append(in_process("sessions", "show", "one", home=tmp_path, **few).stdout)
    assert ("\n1  user\n1 + 1\n\n2  assistant\n2\n" in shown[0], "forgotten" in shown[0]) == (True, False)
    assert (
        "\nTurns before number 3 are forgotten: CALLBOARD_CONVERSATION_TURNS says how many are kept.\n\n3  user\n"
        in shown[1]
    )


def test_where_there_is_no_history_no_server_is_69_and_nothing_is_made(tmp_path: Path) -> None:
    for words in (("tasks",), ("show", "x"), ("sessions",), ("dead-letters",), ("events", "x")):
        done = in_process(*words, home=tmp_path, **NOBODY)
        assert (done.returncode, done.stdout) == (69, "")
        assert "No server answers at http://127.0.0.1:9" in done.stderr
    assert not (tmp_path / "data").exists()


def test_the_history_is_read_while_another_process_works_on_it_and_a_second_run_is_told(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings()
    with AgentSystem.start(lay_history(settings)) as system:
        task_id = system.execute("6*7", wait_s=20).task_id
        assert in_process("tasks", home=tmp_path, **NOBODY).stdout.startswith(task_id)
        done = in_process("run", "1 + 1", home=tmp_path, **NOBODY)
        assert (done.returncode, done.stdout) == (78, "")
        assert "or another `callboard run`, or a program" in done.stderr
        assert "Wait until it has ended" in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", "was made by an earlier version; `callboard serve` brings it up"),
        ("UPDATE alembic_version SET version_num = '9999'; UPDATE schema SET oldest = '9998'", f"knows up to {HEAD_REVISION}). Upgrade"),
        ("DROP TABLE alembic_version", "lacks the table alembic_version"),
        ("DROP TABLE alembic_version; DROP TABLE tasks", "has no tables of Callboard"),
    ],
)  # fmt: skip
def test_a_history_of_another_version_is_named(tmp_path: Path, change: str, said: str) -> None:
    lay_history(Settings(data_dir=tmp_path / "data"))
    with sqlite3.connect(tmp_path / "data" / "callboard.db") as connection:
        connection.executescript(change)
    connection.close()
    done = in_process("tasks", home=tmp_path, **NOBODY)
    assert (done.returncode, done.stdout) == (78, "")
    assert said in done.stderr


@pytest.mark.parametrize("words", [["tasks"], ["events", "019b"], ["show", "019b"], ["sessions"], ["approvals"]])
@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("DROP TABLE events", "the table events"),
        ("DROP TABLE tasks", "the table tasks"),
        ("ALTER TABLE tasks DROP COLUMN owner", "the column tasks.owner"),
    ],
)
def test_a_history_that_lacks_something_is_told_in_a_sentence(
    tmp_path: Path, words: list[str], change: str, missing: str
) -> None:
    lay_history(Settings(data_dir=tmp_path / "data"))
    with closing(sqlite3.connect(tmp_path / "data" / "callboard.db")) as connection:
        connection.executescript(change)
    done = in_process(*words, home=tmp_path, **NOBODY)
    assert (done.returncode, done.stdout) == (78, "")
    assert f"lacks {missing}" in done.stderr
    assert "go back to a backup" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_whatever_the_database_says_is_told_in_a_sentence(tmp_path: Path) -> None:
    reader = open_reader(lay_history(Settings(data_dir=tmp_path / "data")))
    assert reader is not None
    with (
        closing(reader),
        pytest.raises(StoreUnavailable, match=r"cannot be read: no such function: nosuch; `callboard doctor`"),
    ):
        reader._all(select(func.nosuch()))


def test_where_nothing_is_found_a_pipe_is_told_where_was_looked_too(tmp_path: Path) -> None:
    lay_history(Settings(data_dir=tmp_path / "data"))
    for words in (["approvals"], ["tasks", "list"], ["sessions"], ["dead-letters"]):
        done = in_process(*words, home=tmp_path, **NOBODY)
        assert (done.returncode, done.stdout) == (0, "")
        looked, nothing = done.stderr.splitlines()
        assert looked == f"No server answers at http://127.0.0.1:9; this is the history in {tmp_path / 'data'}."
        assert nothing.startswith(("No ", "There are no "))


def test_the_words_of_other_commands_behind_tasks_are_understood(tmp_path: Path) -> None:
    lay_history(Settings(data_dir=tmp_path / "data"))
    assert in_process("tasks", "list", "--json", home=tmp_path, **NOBODY).stdout == "[]\n"
    assert "it is `callboard show`, without `tasks`." in in_process("tasks", "show", "x", home=tmp_path).stderr
    listed = in_process("events", "list", home=tmp_path, **NOBODY)
    assert listed.returncode == 2
    assert "There is no list of all events; name a task, or --follow the events of all." in listed.stderr


def test_a_long_text_is_cut_in_a_line_and_whole_in_json(tmp_path: Path) -> None:
    settings = lay_history(Settings(data_dir=tmp_path / "data"))
    text = "word " * 700 + "end"
    with AgentSystem.start(settings) as system:
        system.execute(text, wait_s=20)
    [line] = in_process("tasks", home=tmp_path, **NOBODY).stdout.splitlines()
    assert line.split("\t")[5] == text[:199] + "…"
    [task] = json.loads(in_process("tasks", "--json", home=tmp_path, **NOBODY).stdout)
    assert task["task"] == text


def test_a_file_that_is_no_database_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "data" / "callboard.db"
    file.parent.mkdir()
    file.write_text("no database " * 100)
    for words in (["serve", "--port", "0"], ["tasks"], ["run", "--local", "1 + 1"]):
        done = in_process(*words, home=tmp_path, **NOBODY)
        assert (done.returncode, done.stdout) == (78, "")
        assert f"{file}: file is not a database. Go back to a backup, with no server at work" in done.stderr
