"""`callboard agents list`, `show` and `validate`, and whose skills and agents the lists are."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callboard import Settings
from callboard.cli.main import main
from tests.callboard.conftest import serving
from tests.template import lay_history

GOOD = """\
name: helper
description: Helps.
systemPrompt: Help.
skills: [calculate]
"""
Run = Callable[..., Result]


@pytest.fixture
def agents_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "helper.yaml").write_text(GOOD)
    return folder


@pytest.fixture
def run(agents_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `callboard` with this folder, at a port where nothing listens."""
    monkeypatch.setenv("CALLBOARD_AGENTS_DIR", str(agents_dir))
    monkeypatch.setenv("CALLBOARD_PORT", "9")
    return lambda *words: CliRunner().invoke(main, [*map(str, words)])


# --- validate ---


def findings(done: Result) -> list[tuple[str, int | None, str]]:
    """Return what JSON says of the one file that was examined."""
    [report] = json.loads(done.stdout)["reports"]
    return [(one["level"], one["line"], one["message"]) for one in report["findings"]]


def test_a_good_file_and_its_folder_are_valid(run: Run, agents_dir: Path) -> None:
    for words in ((agents_dir / "helper.yaml",), (agents_dir,), ()):
        done = run("agents", "validate", *words)
        assert (done.exit_code, done.stdout) == (0, f"ok {agents_dir / 'helper.yaml'} (helper)\n"), done.output
    told = json.loads(run("agents", "validate", "--json").stdout)
    path = str(agents_dir / "helper.yaml")
    assert told == {"valid": True, "reports": [{"path": path, "valid": True, "agents": ["helper"], "findings": []}]}


@pytest.mark.parametrize(
    ("text", "level", "line", "message"),
    [
        (GOOD.replace("calculate", "calculate, fly"), "error", 4, "it would do without 'fly', which no skill here is called"),
        (GOOD.replace("name: helper", "name: other"), "error", 1, "the name is 'other' and the file's is 'helper'"),
        (GOOD.replace("description", "descripton"), "error", 2, "the key 'descripton' is not known"),
        ("name: [\n", "error", 2, "this is not YAML"),
        (GOOD + "model: some-model\n", "note", 5, "its model is asked where CALLBOARD_LLM_PROVIDER names a provider"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(
    run: Run, agents_dir: Path, text: str, level: str, line: int, message: str
) -> None:
    (agents_dir / "helper.yaml").write_text(text)
    done = run("agents", "validate", agents_dir / "helper.yaml", "--json")
    [(found, at, told)] = findings(done)
    assert (done.exit_code, found, at) == (1 if level == "error" else 0, level, line)
    assert told.startswith(message)
    shown = run("agents", "validate", agents_dir).stdout.splitlines()
    assert shown[0].split()[0] == ("broken" if level == "error" else "ok")
    assert shown[1].startswith(f"  {level:5} helper.yaml:{line} {message}")


def test_names_that_are_taken(run: Run, agents_dir: Path) -> None:
    (agents_dir / "helper.yml").write_text(GOOD)
    (agents_dir / "code-reviewer.yaml").write_text(GOOD.replace("helper", "code-reviewer"))
    (agents_dir / "master.yaml").write_text(GOOD.replace("helper", "master"))
    done = run("agents", "validate")
    assert done.exit_code == 1
    assert "note  code-reviewer.yaml it takes the place of the built-in agent 'code-reviewer'" in done.stdout
    assert f"error helper.yml the name 'helper' is taken by {agents_dir / 'helper.yaml'}" in done.stdout
    assert "error master.yaml the name 'master' is the server's own agent" in done.stdout


def test_a_skill_of_an_mcp_server_is_for_that_to_tell(
    run: Run, agents_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"mcpServers": {"files": {"command": "false"}, "bad": {"command": 3}}}
    (tmp_path / "mcp.json").write_text(json.dumps(config))
    monkeypatch.setenv("CALLBOARD_MCP_CONFIG", str(tmp_path / "mcp.json"))
    (agents_dir / "helper.yaml").write_text(GOOD.replace("calculate", "files-read, delegate, other-read"))
    done = run("agents", "validate", "--json")
    assert [(level, message[:35]) for level, _, message in findings(done)] == [
        ("note", "whether there is 'files-read' only "),
        ("error", "it would do without 'other-read', w"),
    ]
    assert "files-read, delegate" in run("agents", "show", "helper").stdout
    assert "the MCP server 'bad' is left out" in run("skills", "list").stderr


@pytest.mark.parametrize(
    ("path", "text", "level", "message"),
    [
        ("team/writer.yaml", GOOD.replace("helper", "writer"), "error", "it lies in a folder below, and agents are read right in"),
        ("writer.json", '{"name": "writer", "systemPrompt": "Write."}', "error", "it does not end in .yaml; JSON is YAML too, so call"),
        ("writer.md", "---\nname: writer\ndescription: Writes.\n---\nWrite.\n", "error", "agents are YAML files; put its text under"),
        ("_writer.yaml", GOOD, "note", "its name begins with _, so it is not loaded"),
        ("README.md", "# Ours\n", "note", "it is no YAML file, and not read"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_said(run: Run, agents_dir: Path, path: str, text: str, level: str, message: str) -> None:
    (agents_dir / path).parent.mkdir(exist_ok=True)
    (agents_dir / path).write_text(text)
    done = run("agents", "validate", agents_dir)
    assert done.exit_code == (1 if level == "error" else 0)
    assert f"{'broken' if level == 'error' else 'skipped'} {agents_dir / path}" in done.stdout.splitlines()
    assert f"  {level:5} {Path(path).name} {message}" in done.stdout
    assert (message in run("agents", "list").stderr) == (level == "error")
    alone = run("agents", "validate", agents_dir / path)
    assert alone.exit_code == (0 if "/" in path else 1)  # moved into its folder it is an agent like any other


def test_a_pipe_holds_nothing_up_and_capitals_are_letters(run: Run, agents_dir: Path) -> None:
    os.mkfifo(agents_dir / "pipe.yaml")
    (agents_dir / "helper.yaml").rename(agents_dir / "helper.YAML")
    done = run("agents", "validate")
    assert done.exit_code == 1
    assert f"ok {agents_dir / 'helper.YAML'} (helper)" in done.stdout
    assert "error pipe.yaml it is no file; remove it and restart" in done.stdout


def test_where_there_is_no_agent(run: Run, agents_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (agents_dir / "helper.yaml").unlink()
    (agents_dir / "README.md").write_text("x")
    for path, told in ((agents_dir, "There is no agent in"), (agents_dir / "gone.yaml", "There is nothing at")):
        done = run("agents", "validate", path)
        assert (done.exit_code, told in done.stderr) == (4, True)
    monkeypatch.delenv("CALLBOARD_AGENTS_DIR")
    done = run("agents", "validate")
    assert (done.exit_code, "CALLBOARD_AGENTS_DIR is not set" in done.stderr) == (78, True)


# --- list and show, here ---


def test_without_a_server_they_are_those_that_one_would_load(run: Run, agents_dir: Path) -> None:
    (agents_dir / "broken.yaml").write_text("name: [\n")
    done = run("agents")
    assert done.exit_code == 0
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in done.stdout.splitlines()}
    assert list(rows) == ["master", "code-reviewer", "data-analyst", "security-auditor", "helper"]
    assert rows["helper"] == ["0", "0", "-", "Helps."]
    said, problem = done.stderr.splitlines()
    assert said == "No server answers. The agents that a server with these settings would load."
    assert problem.startswith(f"problem {agents_dir / 'broken.yaml'} at line 2: this is not YAML")
    listed = run("agents", "list", "--local", "--json")
    assert [agent["name"] for agent in json.loads(listed.stdout)] == list(rows)
    assert listed.stderr.splitlines()[0] == "The agents that a server with these settings would load."


def test_one_is_shown_with_what_it_may_do(run: Run, agents_dir: Path) -> None:
    (agents_dir / "helper.yaml").write_text(GOOD + "budget:\n  modelCalls: 3\nmaxRounds: 2\n")
    done = run("agents", "show", "helper")
    shown = {line[:12].strip(): line[13:] for line in done.stdout.splitlines()}
    assert (done.exit_code, shown["skills"], shown["budget"], shown["max rounds"]) == (
        0,
        "calculate",
        "modelCalls 3",
        "2",
    )
    assert shown["origin"] == str(agents_dir / "helper.yaml")
    assert json.loads(run("agents", "show", "helper", "--json").stdout)["maxRounds"] == 2
    done = run("agents", "show", "nobody")
    assert (done.exit_code, done.stdout) == (4, "")
    assert "There is no agent 'nobody'; the known ones are: code-reviewer" in done.stderr


# --- at a server ---


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server with an agent and a skill of its own, and one broken file of each."""
    folder = tmp_path_factory.mktemp("of a server")
    for path, text in {
        "agents/theirs.yaml": GOOD.replace("helper", "theirs"),
        "agents/bad.yaml": "[",
        "skills/pdf/SKILL.md": "---\nname: pdf\ndescription: Reads.\n---\nDo it.\n",
        "skills/pdf.zip": "PK",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    settings = Settings(
        data_dir=folder / "data", port=0, agents_dir=folder / "agents", skills_dir=folder / "skills", log_level="error"
    )
    with serving(lay_history(settings)) as (_, url):
        yield url


@pytest.mark.parametrize("way", ["--url", "CALLBOARD_URL", "CALLBOARD_PORT"])
def test_of_a_server_that_is_named_or_answers_they_are_what_it_has(
    run: Run, server: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--url", server] if way == "--url" else []
    if not words:
        monkeypatch.setenv(way, server.rpartition(":")[2] if way == "CALLBOARD_PORT" else server)
    agents, skills = run("agents", *words), run("skills", *words)
    assert (agents.exit_code, skills.exit_code) == (0, 0)
    assert agents.stdout.splitlines()[-1].split("\t")[0] == "theirs"
    assert "bad.yaml" in agents.stderr
    [pdf] = [line.split("\t") for line in skills.stdout.splitlines() if line.startswith("pdf\t")]
    assert pdf[1:4] + pdf[6:] == ["folder", "pure", "no", "0", "0"]
    assert "pdf.zip is not loaded" in skills.stderr
    assert f"The skills of the server at {server}." in skills.stderr
    told = json.loads(run("skills", "list", "--json", *words).stdout)
    assert (told["server"], len(told["problems"])) == (server, 1)
    assert run("agents", "show", "theirs", *words).exit_code == 0
    assert run("skills", "show", "pdf", *words).exit_code == 0


def test_local_is_local_whatever_server_there_is(run: Run, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_URL", server)
    done = run("agents", "--local")
    assert (done.exit_code, done.stdout.splitlines()[-1].split("\t")[0]) == (0, "helper")
    assert json.loads(run("skills", "list", "--local", "--json").stdout)["server"] is None


def test_a_server_that_is_named_and_does_not_answer_is_an_error(run: Run) -> None:
    for kind in ("agents", "skills"):
        assert run(kind, "list", "--url", "http://127.0.0.1:9").exit_code == 69
