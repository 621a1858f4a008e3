"""Servers that are ready late, come back with other tools, or say that theirs have changed."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from callboard.agent.mcp.results import ToolFailed
from callboard.agent.skill import RetryableError
from tests.agent.mcp.changing import ANNOUNCE, DIE, tool
from tests.agent.mcp.conftest import SOON_S, Running, Server, Start, stdio, until


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that returns what was logged of servers, from info on."""
    caplog.set_level(logging.INFO, logger="callboard.agent.mcp")
    return lambda: [str(record.msg["event"]) for record in caplog.records if isinstance(record.msg, dict)]


def names(running: Running) -> list[str]:
    return [skill.name for skill in running.servers.skills]


def changes(running: Running) -> list[list[str]]:
    """Return what grows by the names of the skills whenever they are said to have changed."""
    heard: list[list[str]] = []
    running.servers.follow(lambda: heard.append(names(running)))
    return heard


# --- late ---


def test_a_server_that_is_late_has_its_skills_when_it_is_ready(
    start: Start, server: Server, said: Callable[[], list[str]]
) -> None:
    odd = server(tool("echo"), tool("big"), gated=True)
    running = start({"odd": odd.entry}, start_s=SOON_S)
    heard = changes(running)
    assert names(running) == []
    assert list(running.servers.late) == ["odd"]
    assert (running.why("odd") or "").startswith(
        "The MCP server odd is still starting (0 s so far); its skills are not"
    )
    odd.let_in()
    until(lambda: running.why("odd") is None)
    assert names(running) == ["odd-echo", "odd-big"]
    assert heard == [["odd-echo", "odd-big"]]
    assert not running.servers.late
    assert running.call("odd-echo") == "echo {}"
    assert said() == ["the MCP server odd is ready, 2 skills"]


def test_a_server_that_is_late_has_the_skills_of_last_time_until_then(
    start: Start, server: Server, said: Callable[[], list[str]]
) -> None:
    odd = server(tool("echo"), tool("gone"))
    start({"odd": odd.entry}).servers.close()
    odd.gate()
    odd.has(tool("echo"), tool("new"))
    running = start({"odd": odd.entry}, start_s=SOON_S)
    heard = changes(running)
    assert names(running) == ["odd-echo", "odd-gone"]
    assert list(running.servers.late) == ["odd"]
    told = str(running.why("odd"))
    assert told.endswith("; its 2 skills of last time are offered and will work when it is ready.")
    odd.let_in()
    until(lambda: running.why("odd") is None)
    assert heard == [["odd-echo", "odd-new"]]
    assert said()[-1] == "the MCP server odd has other tools now: added odd-new; removed odd-gone"


def test_a_server_that_comes_up_later_has_its_skills_then(start: Start, http_server: Any) -> None:
    web = http_server()
    web.kill()
    running = start({"tools": web.entry})
    heard = changes(running)
    assert names(running) == []
    web.start()
    until(lambda: running.why("tools") is None)
    assert heard == [names(running)]
    assert running.call("tools-add", 1) == {"result": 3}


def test_a_start_may_take_as_long_as_its_entry_says_and_is_tried_again(
    start: Start, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 0.1)  # 2 s
    odd = server(tool("echo"), gated=True)
    running = start({"odd": {**odd.entry, "startTimeoutS": 0.5}})
    told = "The MCP server odd is not usable: it did not answer within 0.5 s; its skills are not there yet."
    assert running.servers.troubles["odd"] == told
    until(lambda: "; it is being tried again (0 s so far); its skills are not" in str(running.why("odd")))
    odd.let_in()
    until(lambda: running.why("odd") is None)
    assert names(running) == ["odd-echo"]


# --- coming back ---


def test_a_server_that_dies_and_comes_back_has_whatever_tools_it_then_has(
    start: Start, server: Server, said: Callable[[], list[str]]
) -> None:
    odd = server(DIE, tool("echo"), tool("other"))
    running = start({"odd": odd.entry})
    heard = changes(running)
    odd.has(DIE, tool("echo", x="string"), tool("more"))
    with pytest.raises((ToolFailed, RetryableError)):
        running.call("odd-die")
    assert names(running) == ["odd-die", "odd-echo", "odd-other"], "those of a server that is merely down stay"
    until(lambda: running.why("odd") is None)
    assert heard == [["odd-die", "odd-echo", "odd-more"]]
    assert running.call("odd-echo", "a") == 'echo {"x": "a"}'
    assert said()[-1] == ("the MCP server odd has other tools now: added odd-more; removed odd-other; changed odd-echo")


def test_a_server_that_comes_back_with_the_same_tools_changes_nothing(
    start: Start, server: Server, said: Callable[[], list[str]]
) -> None:
    odd = server(DIE, tool("echo"))
    running = start({"odd": odd.entry})
    heard = changes(running)
    odd.has(tool("echo"), DIE)
    with pytest.raises((ToolFailed, RetryableError)):
        running.call("odd-die")
    until(lambda: running.why("odd") is None)
    assert heard == []
    assert [line for line in said() if "is down" not in line] == ["the MCP server odd is ready, 2 skills"]


# --- tools/list_changed ---


def test_tools_that_are_said_to_have_changed_and_have_not_are_not_spoken_of(
    start: Start, server: Server, said: Callable[[], list[str]]
) -> None:
    odd = server(ANNOUNCE)
    running = start({"odd": odd.entry})
    heard = changes(running)
    until(lambda: odd.listings == 2)  # it says so as soon as it is initialized
    running.call("odd-announce", 1)
    until(lambda: odd.listings == 3)
    running.call("odd-announce", 0)  # what was listed is taken up by now
    assert (heard, running.servers.warnings, running.why("odd")) == ([], (), None)
    assert said() == ["the MCP server odd is ready, 1 skill"]


def test_tools_that_have_changed_are_taken_up_at_once(
    start: Start, server: Server, said: Callable[[], list[str]]
) -> None:
    odd = server(ANNOUNCE, tool("echo"))
    running = start({"odd": odd.entry})
    heard = changes(running)
    odd.has(ANNOUNCE, tool("echo", x="integer"), tool("new"))
    running.call("odd-announce", 1)
    until(lambda: bool(heard))
    assert heard[0] == ["odd-announce", "odd-echo", "odd-new"]
    assert running.skill("odd-echo").stub.startswith("def odd_echo(x: int) -> Any:")
    assert said()[1:] == ["the MCP server odd has other tools now: added odd-new; changed odd-echo"]


@pytest.mark.parametrize("version", ["auto", "2025-11-25"])
def test_the_sdks_own_servers_are_heard_too(start: Start, version: str) -> None:
    running = start({"tools": stdio(protocolVersion=version)})
    heard = changes(running)
    running.call("tools-grow")
    until(lambda: bool(heard))
    assert running.call("tools-grown") == ""


def test_a_server_that_says_so_without_end_is_asked_ever_more_rarely(start: Start, server: Server) -> None:
    odd = server(ANNOUNCE, tool("echo"))
    running = start({"odd": odd.entry})
    for _ in range(4):
        running.call("odd-announce", 1000)
    until(lambda: odd.listings >= 3)
    assert odd.listings <= 8  # of 4,000 notifications: the one at the start, and those after 0.1, 0.2, 0.4 … s
    odd.has(ANNOUNCE, tool("other"))
    running.call("odd-announce", 1)
    until(lambda: "odd-other" in names(running))
