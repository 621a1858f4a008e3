"""Skills of real servers in the catalogue, the checker and the sandbox; what is kept of them; what stays secret."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from callboard.agent.cancel import CancelToken
from callboard.agent.mcp.remembered import MAX_BYTES, Listing, keep, path_of, recall
from callboard.agent.sandbox import Sandbox
from callboard.agent.sandbox_run import Script
from callboard.agent.skill import RetryableError
from callboard.errors import TaskError
from callboard.settings import Settings
from tests.agent.answers import one_by_one
from tests.agent.mcp.conftest import PLAIN, Start, context, stdio, until

LISTED_SERVER = str(Path(__file__).parent / "listed_server.py")


def listed(tmp_path: Path, *tools: dict[str, Any]) -> dict[str, Any]:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([{"inputSchema": {"type": "object", "properties": {}}, **tool} for tool in tools]))
    return {"command": sys.executable, "args": ["-S", "-E", LISTED_SERVER, str(path)]}


def test_the_tools_of_a_server_are_skills(start: Start) -> None:
    running = start({"tools": stdio(approval=["put"], replay={"work": "safe"})})
    skills = {skill.name: (skill.replay, skill.approval, skill.version) for skill in running.servers.skills}
    assert skills["tools-add"] == ("safe", False, "1.2.3")
    assert skills["tools-put"] == ("keyed", True, "1.2.3")
    assert skills["tools-fail"] == ("never", False, "1.2.3")
    assert skills["tools-work"] == ("safe", False, "1.2.3")
    assert running.servers.warnings == ()


def test_a_hostile_server_is_a_server_with_odd_descriptions(start: Start, tmp_path: Path) -> None:
    hostile = {"name": 'x"""\nimport os', "description": '"""\nimport os\x1b\u202e' + "y" * 50_000}
    argument = {"type": "object", "properties": {'"""; import os': {"type": "string", "description": '"""'}}}
    running = start({"odd": listed(tmp_path, hostile, {"name": "b", "inputSchema": argument}, {"name": "日本"})})
    assert [skill.name for skill in running.servers.skills][:2] == ["odd-x-import-os", "odd-b"]
    said = json.loads(running.call("odd-b", _import_os="x"))
    assert said == {"name": "b", "arguments": {'"""; import os': "x"}}


def test_tools_with_the_same_name_and_broken_ones_are_reported(start: Start, tmp_path: Path) -> None:
    broken = {"name": "broken", "inputSchema": {"type": "object", "properties": {"a": {"type": "nonsense"}}}}
    running = start({"odd": listed(tmp_path, {"name": "read_file"}, {"name": "readFile"}, broken)})
    assert [skill.name for skill in running.servers.skills] == ["odd-read-file"]
    same, unusable = running.servers.warnings
    assert same == (
        "The MCP server odd: its tool 'readFile' is left out: the name odd-read-file is taken by its tool 'read_file'."
    )
    assert "its tool 'broken' is left out: its schema cannot be used" in unusable


def test_code_in_the_sandbox_calls_a_tool(start: Start) -> None:
    running = start({"tools": stdio()})
    skills = {skill.python_name: skill for skill in running.servers.skills}
    stubs = "\n\n".join(["from typing import Any, Literal", *(skill.stub for skill in skills.values())]) + "\n"
    sandbox = Sandbox(Settings(workers=1), stubs=stubs, skills=skills)
    sandbox.start()
    try:
        code = "from skills import tools_add\ntools_add(3, b=4)['result'] + 1"
        sandbox.check(code)
        result = sandbox.run(
            Script(code=code),
            answer=one_by_one(lambda name, args, kwargs: skills[name].call(args, kwargs, context())),
            token=CancelToken(),
        )
        assert result.value == 8
        with pytest.raises(TaskError, match="Too many positional arguments"):
            sandbox.check("from skills import tools_add\ntools_add(3, 4)")
        with pytest.raises(TaskError, match="int"):
            sandbox.check("from skills import tools_add\ntools_add('three')")
    finally:
        sandbox.close()


# --- secrets ---


def test_a_child_gets_only_what_it_needs_of_our_environment(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_SECRET_KEY", "ours")
    monkeypatch.setenv("SOMETHING_ELSE", "ours")
    running = start({"tools": stdio(env={"TOKEN": "theirs-1234"})})
    there = set(running.call("tools-environment")["result"])
    assert {"TOKEN", "PATH"} <= there
    assert not {"CALLBOARD_SECRET_KEY", "SOMETHING_ELSE"} & there


def test_no_secret_is_in_logs_errors_and_problems(
    start: Start, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, logger="callboard")
    secret = "s3cret-token"
    running = start({"tools": stdio(env={"TOKEN": secret})})
    with pytest.raises(RuntimeError, match=r"the token is \[hidden\]"):
        running.call("tools-fail")
    until(lambda: "writes: the token is [hidden]" in caplog.text)
    assert secret not in caplog.text + repr(running.servers.skills) + "".join(running.servers.warnings)
    printed = capfd.readouterr()
    assert "the token is" not in printed.out + printed.err


def test_headers_reach_the_server_and_no_log(start: Start, caplog: pytest.LogCaptureFixture, http_server: Any) -> None:
    caplog.set_level(logging.DEBUG, logger="callboard")
    secret = "s3cret-token"
    web = http_server()
    running = start(
        {"tools": {**web.entry, "headers": {"Authorization": "Bearer ${TOKEN}"}}}, environment={"TOKEN": secret}
    )
    assert running.call("tools-header", "authorization") == f"Bearer {secret}"
    web.kill()
    with pytest.raises(RetryableError) as raised:
        running.call("tools-add", 1)
    assert secret not in caplog.text + "".join(running.servers.warnings) + str(raised.value)


# --- what is kept ---


def test_what_was_kept_is_recalled_for_the_same_server_only(tmp_path: Path) -> None:
    path, listing = path_of(tmp_path / "new", "files"), Listing(version="1", tools=({"name": "a", "inputSchema": {}},))
    keep(path, "this", listing)
    assert recall(path, "this") == listing
    assert recall(path, "another") is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["mcp-files.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', '{"format": 1, "server": "this"}', "[" * 100_000])
def test_a_spoilt_file_is_no_file(tmp_path: Path, content: str) -> None:
    path = path_of(tmp_path, "files")
    path.write_text(content)
    assert recall(path, "this") is None
    path.write_bytes(b"\xff" * 100)
    assert recall(path, "this") is None
    path.write_bytes(b" " * (MAX_BYTES + 1))
    assert recall(path, "this") is None


def test_a_file_is_written_only_when_something_has_changed(tmp_path: Path) -> None:
    path, listing = path_of(tmp_path, "files"), Listing(version="1", tools=())
    keep(path, "this", listing)
    before = path.stat().st_ino
    keep(path, "this", listing)
    assert path.stat().st_ino == before


def test_a_folder_that_cannot_be_written_is_reported_and_nothing_more(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    running = start({"tools": PLAIN})
    assert running.call("tools-add", 1) == {"result": 3}
    assert "its tools cannot be kept in" in running.servers.warnings[0]
