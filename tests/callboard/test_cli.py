"""The command line as a whole: its help, its completion, its exit statuses, and what its document says of it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from callboard import Settings
from callboard.cli.decide import DECISIONS
from callboard.cli.exit import MEANINGS, Exit
from callboard.cli.greeting import _planner
from callboard.cli.main import main
from callboard.cli.tasks import STATUSES
from callboard.cli.topics import _TELLERS
from callboard.messages.events import Topic
from callboard.messages.pauses import Decision
from callboard.messages.tasks import Status
from tests.callboard.in_process import in_process
from tests.callboard.terminal import Terminal
from tests.docs.documents import ROOT, rows
from tests.docs.serving import Served, environment

DOCUMENT = ROOT / "docs" / "cli.md"


def commands(group: click.Group = main, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its words."""
    for word, command in group.commands.items():
        words = f"{name} {word}".strip()
        yield words, command
        if isinstance(command, click.Group):
            yield from commands(command, words)


ALL = dict(commands())


# --- help ---


@pytest.mark.parametrize("words", ["", *ALL])
def test_the_help_of_every_command_has_examples(words: str) -> None:
    for option in ("--help", "-h"):
        told = CliRunner().invoke(main, [*words.split(), option], prog_name="callboard")
        assert told.exit_code == 0
        examples = re.search(r"^  Examples:\n((?:    \S.*\n)+)", told.stdout, re.MULTILINE)
        assert examples, told.stdout
        assert any(f"callboard {words}".strip() in line for line in examples[1].splitlines())


def test_alone_it_prints_the_help() -> None:
    told = CliRunner().invoke(main, [], prog_name="callboard")
    assert "Usage: callboard" in told.output
    assert all(f"  {name} " in told.output for name in main.commands)


def test_the_help_tells_every_exit_status() -> None:
    told = CliRunner().invoke(main, ["--help"]).stdout
    assert [int(number) for number in re.findall(r"^  (\d+)  ", told, re.MULTILINE)] == list(Exit)
    assert set(MEANINGS) == set(Exit)


def test_the_help_loads_no_settings_no_client_and_no_server(tmp_path: Path) -> None:
    code = "import sys; import callboard.cli.main; print(*{'pydantic', 'httpx', 'rich', 'falcon', 'sqlalchemy'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_a_command_at_the_end_of_a_pipe_loads_nothing_that_draws(tmp_path: Path) -> None:
    code = "import sys; from callboard.cli.main import main; main(['tasks', '--url', '127.0.0.1:9'], standalone_mode=False)"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], env=environment(tmp_path), capture_output=True, text=True
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "No server answers" in done.stderr
    assert "httpx" in loaded
    assert not {"rich", "pygments", "sqlalchemy", "falcon", "waitress"} & loaded


def test_the_words_that_options_take_are_those_of_the_messages() -> None:
    assert set(DECISIONS) == set(Decision)
    assert list(STATUSES) == list(Status)
    assert set(_TELLERS) == set(Topic)


# --- the document ---


def test_the_document_names_every_command_and_every_option() -> None:
    text = DOCUMENT.read_text()
    documented = {
        cells[0].strip("`").removeprefix("callboard ") for cells in rows(DOCUMENT) if cells[0].startswith("`callboard ")
    }
    assert documented == {words for words, command in ALL.items() if not isinstance(command, click.Group)}
    for words, command in ALL.items():
        for option in (name for parameter in command.params for name in parameter.opts if name.startswith("--")):
            assert f"`{option}" in text, f"{words} {option}"


def test_the_document_has_the_exit_statuses_in_the_words_of_the_help() -> None:
    documented = {int(cells[0]): cells[1] for cells in rows(DOCUMENT) if cells[0].isdigit()}
    assert documented == {int(status): meaning for status, meaning in MEANINGS.items()}


# --- completion ---


def test_bash_completes_commands_and_options_once_the_script_is_sourced(tmp_path: Path) -> None:
    ask = (
        'eval "$(callboard completion bash)"; complete -p callboard; '
        "COMP_WORDS=(callboard s); COMP_CWORD=1; _callboard_completion callboard; echo ${COMPREPLY[@]}; "
        "COMP_WORDS=(callboard run --se); COMP_CWORD=2; COMPREPLY=(); _callboard_completion callboard; echo ${COMPREPLY[@]}; "
        "COMP_WORDS=(callboard tasks --status c); COMP_CWORD=3; COMPREPLY=(); _callboard_completion callboard; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", ask], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    first, *words = done.stdout.splitlines()
    assert "-F _callboard_completion callboard" in first
    assert [set(line.split()) for line in words] == [
        {"serve", "show", "sessions", "skills"}, {"--session"}, {"completed", "cancelled"},
    ]  # fmt: skip


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_one_and_says_how_to_install_it(shell: str, tmp_path: Path) -> None:
    done = in_process("completion", shell, home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip().splitlines()[-2].startswith("# To install it: ")
    if shutil.which(shell):
        (tmp_path / "script").write_text(done.stdout)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)
    if shell == "zsh":
        assert done.stdout.startswith("#compdef callboard\n")


# --- serve ---


def test_a_server_on_a_terminal_says_where_it_is_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with Terminal("serve", "--port", "0", home=tmp_path) as terminal:
        told = terminal.read_until("Ctrl-C")
        assert re.search(r"server +http://127\.0\.0\.1:\d+", told)
        assert re.search(r"console +http://127\.0\.0\.1:\d+/console", told)
        assert str(tmp_path / "data") in told
        terminal.read_until("listening")
        terminal.press_ctrl_c()
        assert terminal.end() == 0


def test_a_server_on_a_terminal_says_what_it_has_loaded_and_what_it_could_not(tmp_path: Path) -> None:
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills" / "good.py").write_text(
        'from callboard import skill\n\n@skill(replay="pure")\ndef good() -> int:\n    """Good."""\n    return 1\n'
    )
    for number in range(7):
        (tmp_path / "skills" / f"bad{number}.py").write_text("def (")
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"odd": {"command": "/nowhere/at/all"}}}')
    folders = {"CALLBOARD_SKILLS_DIR": str(tmp_path / "skills"), "CALLBOARD_MCP_CONFIG": str(tmp_path / "mcp.json")}
    with Terminal("serve", "--port", "0", home=tmp_path, **folders, LLM_PROVIDER="ollama") as terminal:
        told = terminal.read_until("/health has them all")
        terminal.read_until("listening")
        terminal.press_ctrl_c()
        assert terminal.end() == 0
    assert "planner built in, without a model" in told
    assert re.search(r"skills  \d+: \d+ built in, 1 of your own", told)
    assert re.search(r"agents  \d+ built in", told)
    assert "keys    not asked: set API_KEY to ask for one" in told
    assert "MCP     0 of 1 servers ready; not yet: odd" in told
    assert len(re.findall(r"^  problem /\S+/bad\d\.py cannot be loaded", told, re.MULTILINE)) == 5
    assert "… and 3 more: /health has them all" in told
    assert "this variable is no setting of Callboard; it is 'ollama': for Ollama write" in told


def test_a_server_without_a_terminal_says_the_same_in_its_log(served: Served) -> None:
    [line] = [line for line in served.lines if line["event"] == "loaded"]
    assert line["planner"] == "built in, without a model"
    assert re.fullmatch(r"\d+ built in, \d+ of your own", line["skills"])
    assert (line["agents"], line["mcp"], line["problems"]) == ("4 built in", "none", 0)


def test_the_model_is_named_and_no_key(make_settings: Callable[..., Settings]) -> None:
    ollama = {"llm_provider": "openai", "llm_model": "qwen", "llm_base_url": "http://me:secret@127.0.0.1:11434/v1"}
    assert _planner(make_settings(**ollama)) == "openai/qwen at 127.0.0.1:11434"
    both = {
        "llm_provider": "openai",
        "llm_model": "gpt",
        "llm_fallback_provider": "anthropic",
        "llm_fallback_model": "c",
    }
    assert _planner(make_settings(**both, llm_api_key="hidden")) == "openai/gpt; else anthropic/c"


def test_a_console_that_is_off_is_not_named(tmp_path: Path) -> None:
    with Terminal("serve", "--port", "0", home=tmp_path, CALLBOARD_CONSOLE="off") as terminal:
        assert "/console" not in terminal.read_until("Ctrl-C")
        terminal.read_until("listening")
        terminal.press_ctrl_c()
        assert terminal.end() == 0


def test_the_interface_is_printed_as_json(tmp_path: Path) -> None:
    done = in_process("openapi", home=tmp_path)
    assert done.stdout.startswith('{\n  "openapi": "3.1')


def test_a_server_that_is_open_to_all_warns_and_names_an_address_that_can_be_opened(tmp_path: Path) -> None:
    there = {"CALLBOARD_ALLOW_KEYLESS": "true"}
    with Terminal("serve", "--host", "0.0.0.0", "--port", "0", home=tmp_path, **there) as terminal:
        terminal.read_until("Ctrl-C")
        told = terminal.read_until("set API_KEY.")
        assert re.search(r"server +http://127\.0\.0\.1:\d+", told)
        terminal.press_ctrl_c()
        assert terminal.end() == 0


def test_a_server_whose_key_is_misspelt_does_not_start(tmp_path: Path) -> None:
    done = in_process("serve", "--port", "0", home=tmp_path, API_KEYS="sekret")
    assert (done.returncode, done.stdout) == (78, "")
    assert "would ask for no key: API_KEYS is no setting of Callboard and nearly API_KEY" in done.stderr
    assert "sekret" not in done.stderr


@pytest.mark.parametrize("most", ["1000", "268435455"])
def test_memory_that_no_worker_can_work_with_is_refused_at_the_start(tmp_path: Path, most: str) -> None:
    done = in_process("serve", "--port", "0", home=tmp_path, CALLBOARD_WORKER_MEMORY_BYTES=most)
    assert (done.returncode, done.stdout) == (78, "")
    assert f"CALLBOARD_WORKER_MEMORY_BYTES: {most} bytes are too few" in done.stderr
    assert "268435456 (256 MiB) or more, or 0 for no limit" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_line_that_a_server_listens_says_whether_keys_are_asked(served: Served) -> None:
    [line] = [line for line in served.lines if line["event"] == "listening"]
    assert line["keys"] == "not asked"
