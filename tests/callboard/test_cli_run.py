"""`callboard run`: at a server and in this process, in pipes and on a terminal."""

import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.provider import Reply, running
from callboard import AgentSystem
from tests.agent.documents.workbooks import xlsx
from tests.callboard.conftest import PAY, Gate, python
from tests.callboard.in_process import in_process
from tests.callboard.terminal import Terminal, piped, spawned
from tests.docs.serving import Served

SERVER_AND_LOCAL = pytest.mark.parametrize("local", [False, True], ids=["at a server", "in this process"])


def place(served: Served, *, local: bool) -> tuple[str, ...]:
    return ("--local",) if local else ("--url", served.url)


def task_of(served: Served, text: str) -> dict[str, object]:
    """Return the newest task with this text."""
    with served.client() as client:
        listed = client.get("/agent/results", params={"limit": 100}).json()["results"]
        [task_id, *_] = [task["taskId"] for task in listed if task["task"] == text]
        task: dict[str, object] = client.get(f"/agent/tasks/{task_id}").json()
    return task


# --- in pipes ---


@SERVER_AND_LOCAL
def test_a_pipe_gets_the_output_and_nothing_else(served: Served, tmp_path: Path, local: bool) -> None:
    done = piped("run", "6*7", *place(served, local=local), home=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


def test_without_a_server_it_is_worked_on_in_this_process(tmp_path: Path) -> None:
    done = in_process("run", "6*7", home=tmp_path, CALLBOARD_PORT="9")
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")
    assert (tmp_path / "data" / "callboard.db").exists()
    again = in_process("run", "6*7", home=tmp_path, CALLBOARD_PORT="0")
    assert (again.returncode, again.stdout) == (0, "42\n")


def test_a_command_in_the_process_of_the_tests_leaves_signals_logging_and_environment_as_they_were(
    tmp_path: Path,
) -> None:
    def surroundings() -> tuple[object, ...]:
        root, library = logging.getLogger(), logging.getLogger("waitress.queue")
        signals = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        return (
            *root.handlers,
            root.level,
            library.level,
            *signals,
            dict(os.environ),
            sys.stdin,
            sys.stdout,
            sys.stderr,
        )

    before = surroundings()
    assert in_process("run", "6*7", "--local", home=tmp_path).stdout == "42\n"
    assert surroundings() == before


def test_a_server_at_the_settings_address_is_asked(served: Served, tmp_path: Path) -> None:
    there = {"CALLBOARD_PORT": served.url.rpartition(":")[2]}
    assert in_process("run", "1000 + 1", home=tmp_path, **there).stdout == "1001\n"
    assert in_process("run", "1000 + 2", home=tmp_path, CALLBOARD_URL=served.url).stdout == "1002\n"
    assert not (tmp_path / "data").exists()
    assert task_of(served, "1000 + 1")["output"] == 1001


def test_a_history_that_a_server_has_is_left_alone(served: Served, tmp_path: Path) -> None:
    for words in (("--local",), ()):
        done = in_process("run", "6*7", *words, home=tmp_path, CALLBOARD_DATA_DIR=str(served.data), CALLBOARD_PORT="9")
        assert (done.returncode, done.stdout) == (78, "")
        assert "Another server is at work on the history" in done.stderr
        assert "--url" in done.stderr
        assert "Traceback" not in done.stderr


@SERVER_AND_LOCAL
def test_every_option_reaches_the_task(served: Served, tmp_path: Path, local: bool) -> None:
    (tmp_path / "numbers.csv").write_text("a,b\n1,2\n3,4\n")
    text = python("from skills import query_table, read_file\nquery_table(read_file('numbers.csv'), 'mean', 'b')")
    words = (
        "--session", f"options-{local}", "--skill", "query-table", "--skill", "read-file", "--agent", "master",
        "--file", str(tmp_path / "numbers.csv"), "--label", "order=4711", "--label", "who=alice", "--system", "Be brief.",
        "--timeout", "30", "--priority", "5", "--budget", "skillCalls=10, costUsd=0.5",
    )  # fmt: skip
    done = in_process("run", text, *words, *place(served, local=local), "--json", home=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["output"], told["sessionId"]) == (0, 3, f"options-{local}")
    if not local:
        task = task_of(served, text)
        asked = ("availableSkills", "agent", "labels", "systemPrompt", "timeoutMs", "priority")
        assert [task[name] for name in asked] == [
            ["query-table", "read-file"], "master", {"order": 4711, "who": "alice"}, "Be brief.", 30_000, 5,
        ]  # fmt: skip
        assert task["budget"] == {"skillCalls": 10, "costUsd": 0.5}


@SERVER_AND_LOCAL
def test_a_file_that_comes_along_is_asked_about(served: Served, tmp_path: Path, local: bool) -> None:
    (tmp_path / "numbers.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "book.xlsx").write_bytes(xlsx({"Days": [["day", "b"], ["Monday", 5], ["Tuesday", 7]]}))
    for name, words, expected in (
        ("numbers.csv", "average of b", "3\n"),
        ("book.xlsx", "sum of b in book.xlsx", "12\n"),
    ):
        done = in_process("run", words, "--file", str(tmp_path / name), *place(served, local=local), home=tmp_path)
        assert (done.returncode, done.stdout) == (0, expected)


def test_the_text_may_come_from_standard_input(served: Served, tmp_path: Path) -> None:
    done = piped("run", "-", "--url", served.url, home=tmp_path, given="What is 12 times 7?\n")
    assert (done.returncode, done.stdout) == (0, "84\n")


def test_a_detached_task_is_named_and_goes_on(served: Served, tmp_path: Path) -> None:
    done = in_process("run", "6*7", "--detach", "--url", served.url, home=tmp_path)
    task_id = done.stdout.strip()
    followed = in_process("events", task_id, "--follow", "--url", served.url, home=tmp_path)
    assert followed.stdout.splitlines()[-1].split("\t")[3:] == [
        "agent.task.completed",
        followed.stdout.split("\t")[-1].strip(),
    ]
    for words, status in ((("--local",), 2), ((), 69)):
        refused = in_process("run", "6*7", "--detach", *words, home=tmp_path, CALLBOARD_PORT="9")
        assert (refused.returncode, refused.stdout) == (status, "")


@SERVER_AND_LOCAL
def test_a_task_that_fails_is_1_and_says_why(served: Served, tmp_path: Path, local: bool) -> None:
    done = in_process("run", "Please paint the fence.", *place(served, local=local), home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "failed (no_skill_fits): The built-in planner" in done.stderr
    told = in_process("run", "Please paint the fence.", "--json", *place(served, local=local), home=tmp_path)
    assert (told.returncode, json.loads(told.stdout)["errorCode"], told.stderr) == (1, "no_skill_fits", "")


@SERVER_AND_LOCAL
@pytest.mark.parametrize("words", [("--session", "no such id"), ("--skill", "fly"), ("--agent", "nobody")])
def test_what_the_server_refuses_is_1(served: Served, tmp_path: Path, local: bool, words: tuple[str, ...]) -> None:
    done = in_process("run", "6*7", *words, *place(served, local=local), home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("callboard: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--label", "order"), ("--budget", "much"), ("--file", "nowhere.txt"), ("--timeout", "0"), ("--priority", "101"),
        ("--url", "x"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = in_process("run", "6*7", *words, home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words[0] in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tasks", "--limit", "abc"), "'abc' is no whole number from 1 to 1,000,000"),
        (("approvals", "--limit", "0"), "'0' is no whole number from 1 to 1,000,000"),
        (("sessions", "show", "x", "--before", "1.5"), "'1.5' is no whole number of 1 or more"),
        (("decide", "x", "approve", "--call", "one"), "'one' is no whole number of 1 or more"),
        (("run", "1 + 1", "--timeout", "inf"), "'inf' is no number of 0.001 or more"),
        (("version",), "there is no command version; it is `callboard --version`."),
        (("help",), "there is no command help; it is `callboard --help`."),
    ],
)
def test_what_cannot_be_read_is_said_in_words(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = in_process(*words, home=tmp_path)
    assert (done.returncode, said in " ".join(done.stderr.split())) == (2, True), done.stderr


@SERVER_AND_LOCAL
def test_a_task_that_waits_for_a_person_is_5_in_a_pipe_and_says_how_to_decide(
    served: Served, tmp_path: Path, skills_folder: Path, local: bool
) -> None:
    words = ("run", PAY, *place(served, local=local))
    done = in_process(*words, home=tmp_path, CALLBOARD_SKILLS_DIR=str(skills_folder))
    assert (done.returncode, done.stdout) == (5, "")
    assert "waits for  pay(500)" in done.stderr
    assert """ --arguments '{"cents": 500}'""" in done.stderr
    [way] = [line.strip() for line in done.stderr.splitlines() if re.search("decide .* approve", line)]
    if local:
        assert "Start `callboard serve`" in done.stderr
        return
    decided = in_process(*way.split()[1:], home=tmp_path)
    assert (decided.returncode, decided.stderr) == (0, "")
    followed = in_process("events", way.split()[2], "--follow", "--json", "--url", served.url, home=tmp_path)
    assert json.loads(followed.stdout.splitlines()[-1])["data"]["output"] == "paid 500"


def test_a_task_that_somebody_else_cancels_is_3(served: Served, tmp_path: Path, gate: Gate) -> None:
    with spawned("run", gate.task, "--url", served.url, home=tmp_path) as process:
        task_id = entered(served, gate)
        assert in_process("cancel", task_id, "--url", served.url, home=tmp_path).returncode == 0
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (3, "")
    assert "is cancelled" in err


def test_sigterm_cancels_the_task(served: Served, tmp_path: Path, gate: Gate) -> None:
    with spawned("run", gate.task, "--url", served.url, home=tmp_path) as process:
        task_id = entered(served, gate)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (143, "")
    assert f"the task {task_id} is cancelled" in err


def entered(served: Served, gate: Gate) -> str:
    """Wait until the task has come to its gate; return its id."""
    with served.client() as client:
        while True:
            listed = client.get("/agent/results", params={"status": "running", "limit": 100}).json()["results"]
            for task in listed:
                if task["task"] == gate.task and gate.path.with_name("gate.entered").exists():
                    return str(task["taskId"])


def test_hostile_output_is_written_out(served: Served, tmp_path: Path) -> None:
    text = python(r"'\x1b[31mred\x9b \u202e'")
    done = in_process("run", text, "--url", served.url, home=tmp_path)
    assert done.stdout == "\\x1b[31mred\\x9b \\u202e\n"
    told = in_process("run", text, "--json", "--url", served.url, home=tmp_path)
    assert "\x1b" not in told.stdout
    assert json.loads(told.stdout)["output"] == "\x1b[31mred\x9b \u202e"


# --- on a terminal ---


@SERVER_AND_LOCAL
def test_steps_and_calls_are_seen_and_then_the_output(served: Served, tmp_path: Path, local: bool) -> None:
    with Terminal("run", "What is 12 times 7?", *place(served, local=local), home=tmp_path) as terminal:
        assert terminal.end() == 0
        lines = [line for line in terminal.text.splitlines() if line.strip()]
        assert lines[0].startswith("task 0")
        assert any("step 1 master, arithmetic" in line for line in lines)
        assert any('✓ calculate("12 * 7")  → 84' in line for line in lines)
        assert any("✓ step 1" in line for line in lines)
        assert re.fullmatch(r"took [\d.]+ m?s, [\d.]+ m?s of it work", lines[-2]), lines[-2]
        assert lines[-1] == "84"
        assert "\x1b[32m✓" in terminal.raw  # green
        assert terminal.raw.rindex("\x1b[?25h") > terminal.raw.rindex("\x1b[?25l")  # the cursor is back


def test_what_is_under_way_has_a_spinner_and_the_output_may_go_to_a_file(
    served: Served, tmp_path: Path, gate: Gate
) -> None:
    words = ("run", gate.task, "--url", served.url)
    with (tmp_path / "out").open("w") as out, Terminal(*words, home=tmp_path, out=out) as terminal:
        terminal.read_until("wait_for_file(")
        for frame in "⠋⠙⠹⠸":
            terminal.read_until(f"{frame} wait_for_file(")
        gate.open()
        assert terminal.end() == 0
        assert "✓ wait_for_file(" in terminal.text
    assert (tmp_path / "out").read_text() == "found\n"


def test_a_skill_that_ends_its_process_ends_the_command_unless_that_has_worker_processes(tmp_path: Path) -> None:
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills" / "leave.py").write_text(
        "import os\nfrom callboard import skill\n\n\n"
        '@skill(replay="pure")\ndef leave() -> str:\n    """Leave."""\n    os._exit(3)\n'
    )
    words = ("run", "--local", python("from skills import leave\nleave()"))
    there = {"CALLBOARD_SKILLS_DIR": str(tmp_path / "skills"), "CALLBOARD_MAX_CRASHES": "2"}
    ended = piped(*words, home=tmp_path, **there, CALLBOARD_WORKER_PROCESSES="0")
    assert (ended.returncode, ended.stdout) == (3, "")
    there["CALLBOARD_DATA_DIR"] = str(tmp_path / "other")
    told = piped(*words, home=tmp_path, **there, CALLBOARD_WORKER_PROCESSES="1")
    assert (told.returncode, told.stdout) == (1, "")
    assert "failed (dead_letter)" in told.stderr
    assert "the last time it was a worker's process, exit 3" in told.stderr


def test_quiet_shows_no_progress(served: Served, tmp_path: Path) -> None:
    with Terminal("run", "6*7", "--quiet", "--url", served.url, home=tmp_path) as terminal:
        assert terminal.end() == 0
        assert terminal.raw == "42\r\n"


def test_no_color_is_respected(served: Served, tmp_path: Path) -> None:
    for words in (("run", "6*7"), ("tasks",), ("health",), ("skills",)):
        with Terminal(*words, "--url", served.url, home=tmp_path, NO_COLOR="1") as terminal:
            assert terminal.end() == 0
            assert "\x1b[3" not in terminal.raw


@SERVER_AND_LOCAL
def test_ctrl_c_cancels_the_task_and_says_so(
    served: Served, tmp_path: Path, skills_folder: Path, gate: Gate, local: bool
) -> None:
    words = ("run", gate.task, *place(served, local=local))
    with Terminal(*words, home=tmp_path, CALLBOARD_SKILLS_DIR=str(skills_folder)) as terminal:
        terminal.read_until("wait_for_file(")
        terminal.press_ctrl_c()
        assert terminal.end() == 130
        assert "cancelling the task" in terminal.text
        assert "is cancelled." in terminal.text
        assert "Traceback" not in terminal.text
        assert terminal.raw.rindex("\x1b[?25h") > terminal.raw.rindex("\x1b[?25l")
    if not local:
        assert task_of(served, gate.task)["status"] == "cancelled"


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path, serve: Callable[..., Served], gate: Gate) -> None:
    server = serve()
    with Terminal("run", gate.task, "--url", server.url, home=tmp_path) as terminal:
        terminal.read_until("wait_for_file(")
        server._process.send_signal(signal.SIGSTOP)  # the system takes the cancel, and answers nothing
        terminal.press_ctrl_c()
        terminal.read_until("cancelling the task")
        terminal.press_ctrl_c()
        assert terminal.end() == 130
        assert "is cancelled" not in terminal.text
        server._process.send_signal(signal.SIGCONT)


def test_a_pause_shows_the_command_that_decides_and_waits_for_it(served: Served, tmp_path: Path) -> None:
    with Terminal("run", PAY, "--url", served.url, home=tmp_path) as terminal:
        told = terminal.read_until("waiting for a decision")
        assert "waits for pay(500)" in re.sub(" +", " ", told)
        assert """ --arguments '{"cents": 500}' """ in told
        [way] = {line.strip() for line in told.splitlines() if re.search("decide .* approve", line)}
        assert way.endswith(f"--url {served.url}")
        assert in_process(*way.split()[1:], home=tmp_path).returncode == 0
        assert terminal.end() == 0
        assert terminal.text.rstrip().splitlines()[-1] == "paid 500"


@pytest.fixture
def with_model(start_server: Callable[..., tuple[AgentSystem, str]]) -> Iterator[Callable[..., str]]:
    """Return a function that starts a server whose model answers with these replies, and returns its address."""
    with ExitStack() as stack:

        def start(*script: Reply) -> str:
            provider = stack.enter_context(running(*script))
            llm = {"provider": "openai", "base_url": provider.openai_url, "model": "some", "api_key": "k"}
            return start_server(**{f"llm_{name}": value for name, value in llm.items()})[1]

        yield start


def test_agents_are_seen_while_they_work(tmp_path: Path, with_model: Callable[..., str]) -> None:
    url = with_model(
        Reply(text="```python\nfrom skills import delegate\ndelegate('code-reviewer', 'Read it.')\n```"),
        Reply(text="I have read it."),
    )
    with Terminal("run", "Review it.", "--url", url, home=tmp_path) as terminal:
        assert terminal.end() == 0, terminal.text
    lines = terminal.text.splitlines()
    assert any(line.endswith("  agent code-reviewer: Read it.") for line in lines)
    assert any(re.search(r"✓ openai/some  \d+ \+ \d+ tokens", line) for line in lines)
    assert any(re.search(r"  ✓ agent  [\d.]+ m?s, [\d.]+ m?s of it work", line) for line in lines)
    assert re.search(r"^took .* of it work, 2 model calls, [\d,]+ tokens, .*1 delegated task included$", lines[-2]), (
        lines[-2]
    )
    assert lines[-1] == "I have read it."


def test_the_models_answer_is_seen_as_it_is_written(tmp_path: Path, with_model: Callable[..., str]) -> None:
    url = with_model(Reply(text="I have \x1b[31mread " + "it, " * 200, piece_chars=500, fault="stall"))
    with Terminal("run", "Read it.", "--url", url, home=tmp_path) as terminal:
        terminal.read_until("the model is writing (plan)")
        terminal.read_until("I have \\x1b[31mread")
        assert "\x1b[31mread" not in terminal.raw
        terminal.press_ctrl_c()
        assert terminal.end() == 130


def test_a_terminal_is_told_that_it_works_on_the_task_itself(tmp_path: Path) -> None:
    with Terminal("run", "6*7", home=tmp_path, CALLBOARD_PORT="9") as terminal:
        assert terminal.end() == 0
        assert terminal.text.startswith("No server answers; this process works on the task itself")


def test_a_locale_without_these_signs_gets_others(served: Served, tmp_path: Path) -> None:
    with Terminal("run", "6*7", "--url", served.url, home=tmp_path, PYTHONIOENCODING="latin-1") as terminal:
        assert terminal.end() == 0
        assert "ok calculate" in terminal.text


def test_an_empty_task_and_a_place_named_twice_are_mistakes_in_the_command_line(tmp_path: Path) -> None:
    assert in_process("run", " ", "--local", home=tmp_path).returncode == 2
    assert in_process("run", "6*7", "--local", "--url", "http://127.0.0.1:9", home=tmp_path).returncode == 2
