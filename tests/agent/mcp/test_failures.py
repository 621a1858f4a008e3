"""Servers that die, hang, come back or are not there: their own skills go, nothing else does.

Where it does not matter who made the server it is the plain one, which starts in a thirtieth of the time; the SDK's own dies in
calls in test_remote.py, and over HTTP here.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from callboard.agent.mcp import McpConfig, McpServers
from callboard.agent.mcp.results import ToolFailed
from callboard.agent.skill import RetryableError
from callboard.clock import Clock
from callboard.errors import ConfigurationError
from tests.agent.mcp.conftest import PLAIN, Start, context, is_alive, stdio, until
from tests.at_once import LATE_S

HANGING = {"command": sys.executable, "args": ["-c", "import sys; sys.stdin.read()"]}


def test_a_server_that_dies_in_a_call_leaves_its_outcome_unknown_and_comes_back(start: Start) -> None:
    running = start({"tools": PLAIN, "other": PLAIN})
    with pytest.raises(ToolFailed, match="ended the connection; whether the call was carried out is not known"):
        running.call("tools-die")
    assert running.call("other-add", 1) == {"result": 3}
    assert running.call("tools-add", 1) == {"result": 3}
    assert running.why("tools") is None


def test_a_call_that_may_be_repeated_is_retryable_when_its_server_dies(start: Start) -> None:
    running = start({"tools": PLAIN})
    with pytest.raises(RetryableError, match="ended the connection"):
        running.call("tools-die-reading")


def test_a_server_that_was_killed_shows_in_the_probe_and_comes_back_by_it(start: Start) -> None:
    running = start({"tools": PLAIN, "other": PLAIN})
    os.kill(running.call("tools-process")["result"], signal.SIGKILL)
    until(lambda: running.why("tools") is not None)
    assert running.why("other") is None
    until(lambda: running.why("tools") is None)
    assert running.call("tools-add", 1) == {"result": 3}


def test_a_server_over_http_that_is_gone_was_surely_not_asked(start: Start, http_server: Any) -> None:
    web = http_server()
    running = start({"tools": web.entry})
    assert running.call("tools-add", 1) == {"result": 3}
    web.kill()
    with pytest.raises(RetryableError, match=r"the server cannot be reached \(ConnectError\)"):
        running.call("tools-work", 0.0)
    web.start()
    assert running.call("tools-work", 0.0) == {"result": "worked"}


@pytest.mark.parametrize("version", ["auto", "2025-11-25"])
def test_a_server_over_http_that_dies_in_a_call_leaves_its_outcome_unknown(
    start: Start, http_server: Any, version: str
) -> None:
    web = http_server()
    running = start({"tools": {**web.entry, "protocolVersion": version}})
    with pytest.raises(ToolFailed, match="whether the call was carried out is not known"):
        running.call("tools-die")
    web.kill()
    web.start()
    assert running.call("tools-add", 1) == {"result": 3}


def test_a_server_that_has_forgotten_the_session_gets_a_new_one(start: Start, http_server: Any) -> None:
    web = http_server()
    running = start({"tools": {**web.entry, "protocolVersion": "2025-11-25"}})
    web.kill()
    web.start()
    assert running.call("tools-work", 0.0) == {"result": "worked"}


def test_servers_that_hang_do_not_hold_up_the_start(start: Start) -> None:
    start({"tools": PLAIN}).servers.close()  # its tools are known from here on, however slowly it starts
    started_s = time.monotonic()
    running = start({"tools": PLAIN, "one": HANGING, "two": HANGING}, start_s=0.3)
    assert time.monotonic() - started_s < 0.3 + LATE_S
    assert running.call("tools-add", 1) == {"result": 3}
    assert (running.why("one"), running.why("tools")) == (
        "The MCP server one is still starting (0 s so far); its skills are not there yet.",
        None,
    )


def test_a_server_that_cannot_be_started_is_reported_and_the_rest_goes_on(start: Start) -> None:
    running = start(
        {"gone": {"command": "/nowhere/at-all"}, "nobody": {"url": "http://127.0.0.1:9/mcp"}, "tools": PLAIN}
    )
    assert running.servers.names == ("gone", "nobody", "tools")
    assert running.servers.troubles == {
        "gone": "The MCP server gone is not usable: its command cannot be started (No such file or directory); its skills "
        "are not there yet.",
        "nobody": "The MCP server nobody is not usable: the server cannot be reached (ConnectError); its skills are not "
        "there yet.",
        "tools": None,
    }
    assert running.call("tools-add", 1) == {"result": 3}


def test_what_answers_but_does_not_speak_the_protocol_is_said_so(start: Start, http_server: Any) -> None:
    web = http_server()
    running = start({"tools": {"url": web.entry["url"].replace("/mcp", "/other")}})
    told = (
        "The MCP server tools is not usable: what answers there does not speak MCP (HTTP status 404); look at its url; "
    )
    assert str(running.servers.troubles["tools"]).startswith(told)


def test_a_server_that_is_down_at_the_start_keeps_its_skills(start: Start, http_server: Any, tmp_path: Path) -> None:
    web = http_server()
    first = start({"tools": web.entry})
    web.kill()
    again = start({"tools": web.entry})
    assert [(s.name, s.stub, s.replay, s.version) for s in again.servers.skills] == [
        (s.name, s.stub, s.replay, s.version) for s in first.servers.skills
    ]
    assert "skills of last time are offered and will work when it is ready." in str(again.servers.troubles["tools"])
    with pytest.raises(RetryableError):
        again.call("tools-work", 0.0)
    web.start()
    until(lambda: again.why("tools") is None)
    assert again.call("tools-work", 0.0) == {"result": "worked"}
    assert (tmp_path / "data" / "mcp-tools.json").stat().st_mode & 0o777 == 0o600


def test_attempts_to_reconnect_grow_rarer(start: Start) -> None:
    now_s = [1000.0]
    running = start({"tools": {"url": "http://127.0.0.1:9/mcp"}}, clock=Clock(monotonic=lambda: now_s[0]))
    connection = running.servers._lines["tools"].connection
    waits = []
    for _ in range(9):
        waits.append(connection._again_at_s - now_s[0])
        failures = connection._failures
        now_s[0] = max(now_s[0], connection._again_at_s)
        until(lambda before=failures: running.why("tools") is not None and connection._failures > before)  # type: ignore[misc]
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_server_that_stops_answering_is_dropped_at_a_check(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callboard.agent.mcp.line._CHECK_S", 0.3)
    now_s = [1000.0]
    running = start({"tools": PLAIN}, clock=Clock(monotonic=lambda: now_s[0]))
    first = running.call("tools-process")["result"]
    os.kill(first, signal.SIGSTOP)
    now_s[0] += 60
    until(lambda: running.why("tools") is not None)
    assert running.servers._lines["tools"].connection.status is not None
    os.kill(first, signal.SIGCONT)
    until(lambda: running.why("tools") is None)
    assert running.call("tools-process")["result"] != first
    until(lambda: not is_alive(first))


def test_closing_ends_every_child_and_thread(start: Start) -> None:
    start({"one": PLAIN, "two": PLAIN}).servers.close()  # their tools are known from here on
    running = start({"one": PLAIN, "two": PLAIN, "stubborn": HANGING}, start_s=0.3)
    pids = [running.call(f"{name}-process")["result"] for name in ("one", "two")]
    assert running.servers.close()
    assert not any(is_alive(pid) for pid in pids)
    assert not [thread for thread in threading.enumerate() if thread.name == "mcp"]
    with pytest.raises((ToolFailed, RetryableError)):
        running.call("one-add", 1)


def test_closing_does_not_wait_where_everybody_ends_by_himself(
    start: Start, http_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.agent.mcp.servers._GRACE_S", 60.0)
    web = http_server()
    running = start({"tools": stdio(), "web": web.entry, "web-old": {**web.entry, "protocolVersion": "2025-11-25"}})
    assert running.servers.close(timeout_s=15)


def test_a_child_that_ignores_its_end_is_killed(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for patience in ("callboard.agent.mcp.servers._GRACE_S", "callboard.agent.mcp.child.CLOSED_S"):  # both 2 s
        monkeypatch.setattr(patience, 0.2)
    script = (
        "import os, signal, sys, time, threading\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "threading.Event().wait()\n"
    )
    running = start({"stubborn": {"command": sys.executable, "args": ["-c", script]}}, start_s=0.1)
    until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    pid = int((tmp_path / "pid").read_text())
    assert running.servers.close()
    assert not is_alive(pid)


def test_a_call_under_way_ends_when_the_servers_are_closed(start: Start) -> None:
    running = start({"tools": PLAIN})
    raised: list[BaseException] = []

    def call() -> None:
        try:
            running.skill("tools-wait").call((), {}, context())
        except (ToolFailed, RetryableError) as error:
            raised.append(error)

    worker = threading.Thread(target=call)
    worker.start()
    until(lambda: running.servers._lines["tools"].connection.busy == 1)
    running.servers.close()
    worker.join(5)
    assert isinstance(raised[0], ToolFailed)


def test_without_servers_nothing_is_started(tmp_path: Path) -> None:
    servers = McpServers(McpConfig(problems=("x",)), data_dir=tmp_path)
    servers.start()
    assert (servers.skills, servers.names, servers.problems) == ((), (), ("x",))
    assert not [thread for thread in threading.enumerate() if thread.name == "mcp"]
    assert servers.close()


def test_a_missing_package_is_said_with_the_command_that_installs_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "mcp" else ...)
    with pytest.raises(ConfigurationError, match=r"pip install -e \S+\[mcp\]"):
        start({"tools": PLAIN})


def test_children_notice_that_we_were_killed(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"tools": PLAIN}}))
    script = (
        "import signal, os, pathlib\n"
        "from callboard.agent.mcp import McpServers, load_config\n"
        "from callboard.agent.skill import SkillContext\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "servers = McpServers(load_config(folder / 'mcp.json', {}), data_dir=folder, start_s=20)\n"
        "servers.start()\n"
        "skill = {s.name: s for s in servers.skills}['tools-process']\n"
        "print(skill.call((), {}, SkillContext(task_id='t', session_id='s', effect_id='t:1'))['result'], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    until(lambda: not is_alive(int(ran.stdout)))


def test_a_server_of_the_older_protocol_is_spoken_to_in_it(start: Start) -> None:
    running = start({"old": {**PLAIN, "args": [*PLAIN["args"], "chatty"]}})
    assert running.call("old-pong") == "pong"
    assert running.skill("old-pong").version == "0.9"
    assert running.servers.protocol_version("old") == "2025-11-25"
    assert any("log lines on its standard output" in told for told in running.servers.warnings)
