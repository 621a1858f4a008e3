"""MCP servers that are ready late, as those see it who ask over HTTP: skills, agents, approvals, tasks, health."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard import AwaitTask, Status, TaskRecord
from tests.agent.mcp.changing import ANNOUNCE, Changing, tool
from tests.agent.mcp.conftest import until
from tests.http.conftest import Running

AssertProblem = Callable[..., dict[str, Any]]
AGENT = "name: helper\ndescription: Helps.\nsystemPrompt: Help.\nskills: [odd-echo, odd-nope, calculat]\n"
PATIENCE_S = 20


class World:
    """A server whose MCP server `odd` has an echo, and is ready when it is let in."""

    def __init__(self, folder: Path, start_server: Callable[..., Running]) -> None:
        self.folder = folder
        self.odd = Changing(folder / "odd", tool("echo", x="string"), gated=True)
        self._start_server = start_server

    def start(self, entries: dict[str, Any] | None = None, **settings: Any) -> Running:
        config = self.folder / "mcp.json"
        config.write_text(json.dumps({"mcpServers": {"odd": self.odd.entry, **(entries or {})}}))
        self.running = self._start_server(mcp_config=config, health_interval_s=0.05, **settings)
        assert self.running.system.wait_until_probed(PATIENCE_S)
        return self.running

    def folder_with(self, name: str, files: dict[str, str]) -> Path:
        folder = self.folder / name
        folder.mkdir()
        for file, text in files.items():
            (folder / file).write_text(text)
        return folder

    def get(self, path: str) -> dict[str, Any]:
        reply: dict[str, Any] = self.running.client.get(path).json()
        return reply

    def status(self, task_id: str) -> str:
        return str(self.get(f"/agent/tasks/{task_id}")["status"])

    def output(self, task_id: str) -> Any:
        """Return what a task answers, once it has ended."""
        ask = AwaitTask(task_id=task_id, wait_s=PATIENCE_S)
        record: TaskRecord = self.running.system.gateway.ask(ask, timeout_s=2 * PATIENCE_S)
        assert record.status is Status.COMPLETED, record.error or record.status
        return record.output

    def let_in(self) -> None:
        """Let the server in, and wait until it is ready."""
        self.odd.let_in()
        until(lambda: self.get("/health")["services"]["mcp:odd"])


@pytest.fixture
def world(tmp_path: Path, start_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("callboard.agent.mcp.servers.START_S", 0.05)  # 5 s that the start would wait in vain
    world = World(tmp_path, start_server)
    yield world
    world.odd.let_go()


def block(code: str) -> str:
    return f"```python\n{code}\n```"


ECHO = block("from skills import odd_echo\nodd_echo('a')")


def test_skills_of_a_server_that_is_late_are_there_when_it_is_ready(
    world: World, assert_problem: AssertProblem
) -> None:
    running = world.start()
    health = world.get("/health")
    assert (health["status"], health["services"]["mcp:odd"]) == ("degraded", False)
    [told] = health["problems"]
    assert told.startswith("The MCP server odd is still starting (")
    assert told.endswith(" s so far); its skills are not there yet.")
    assert told.split("(")[0] in running.system.skill_problems[0]

    one = assert_problem(running.client.get("/agent/skills/odd-echo"), 503, "skill_not_ready")
    assert one["message"].startswith("The skill 'odd-echo' is not there yet. The MCP server odd is still starting (")
    posted = running.execute("Add", availableSkills=["calculate", "odd-echo"])
    assert_problem(posted, 503, "skill_not_ready")
    assert posted.headers["Retry-After"] == "5"
    assert_problem(running.execute("Add", availableSkills=["odd-echo", "calculat"]), 400, "unknown_skill")

    world.let_in()
    health = world.get("/health")
    assert (health["status"], health["problems"], health["warnings"]) == ("healthy", [], [])
    assert running.system.skill_problems == ()
    assert world.get("/agent/skills/odd-echo")["skill"]["stub"].startswith("def odd_echo(x: str) -> Any:")
    assert running.result(ECHO, availableSkills=["odd-echo"])["output"] == 'echo {"x": "a"}'
    wrong = running.result(block("from skills import odd_echo\nodd_echo(7)"))
    assert wrong["errorCode"] == "type_check_failed"
    assert_problem(running.client.get("/agent/skills/odd-nope"), 404, "skill_not_found")


def test_a_task_that_needs_a_skill_of_a_server_that_is_late_waits_for_it(world: World) -> None:
    running = world.start()
    task_id = running.execute(ECHO).json()["taskId"]
    world.let_in()
    assert world.output(task_id) == 'echo {"x": "a"}'


def test_a_skill_whose_server_does_not_come_is_not_available_and_may_be_tried_again(world: World) -> None:
    running = world.start({"gone": {"command": "/nowhere/at-all"}})
    until(lambda: "cannot be started" in str(world.get("/health")["problems"]))
    result = running.result(block("import skills\nskills.gone_one()"))
    assert result["errorCode"] == "skill_unavailable"
    assert result["error"].startswith(
        "The skill gone-one is not available now. The MCP server gone is not usable: its com"
    )
    tried = running.result(block("from skills import gone_one"), retry={"maxAttempts": 2, "backoffMs": 10})
    assert (tried["errorCode"], tried["metadata"]["attempt"]) == ("skill_unavailable", 2)


def test_a_task_that_waits_for_a_person_finds_its_skill_again_after_a_restart(world: World) -> None:
    running = world.start(approve_skills=("odd-echo", "odd-*"))
    world.let_in()
    task_id = running.execute(ECHO, availableSkills=["odd-echo"]).json()["taskId"]
    until(lambda: world.status(task_id) == "paused")
    running.system.stop()
    # what the server had is forgotten, and it is slow today
    [kept] = running.system.settings.data_dir.glob("mcp-*.json")
    kept.unlink()
    world.odd.gate()
    again = world.start(approve_skills=("odd-echo", "odd-*"))
    assert again.system.catalogue.late("odd-echo") is not None
    edit = again.client.post(f"/agent/tasks/{task_id}/decide", json={"decision": "edit", "arguments": {"x": "b"}})
    assert (edit.status_code, edit.json()["code"]) == (503, "skill_not_ready")
    approve = again.client.post(f"/agent/tasks/{task_id}/decide", json={"decision": "approve"})
    assert approve.status_code == 200, approve.text
    world.let_in()
    assert world.output(task_id) == 'echo {"x": "a"}'


def test_a_pattern_of_approvals_holds_for_skills_that_come_later(world: World) -> None:
    running = world.start(approve_skills=("odd-echo", "odd-d*"))
    assert world.get("/health")["warnings"] == []
    world.let_in()
    assert world.get("/agent/skills/odd-echo")["skill"]["approval"] is True
    task_id = running.execute(ECHO).json()["taskId"]
    until(lambda: world.status(task_id) == "paused")
    assert "'odd-d*', and no skill is called that" in str(world.get("/health")["warnings"])


def test_an_agent_has_skills_of_a_server_that_was_late(world: World) -> None:
    running = world.start(agents_dir=world.folder_with("agents", {"helper.yaml": AGENT}))

    def helper() -> dict[str, Any]:
        agents: list[dict[str, Any]] = world.get("/agent/agents")["agents"]
        return next(agent for agent in agents if agent["name"] == "helper")

    assert helper()["skills"] == []
    assert "does without 'calculat', which" in running.system.agent_problems[0]
    world.let_in()
    assert helper()["skills"] == ["odd-echo"]
    assert "does without 'odd-nope', 'calculat', which" in running.system.agent_problems[0]
    assert running.result(ECHO, agent="helper")["output"] == 'echo {"x": "a"}'


def test_a_name_that_is_taken_stays_with_the_first(world: World) -> None:
    mine = 'from callboard import skill\n\n@skill(replay="pure")\ndef odd_echo(x: str) -> str:\n    """Say."""\n    return "mine"\n'
    world.odd.has(tool("echo"), tool("other"))
    running = world.start(skills_dir=world.folder_with("skills", {"odd_echo.py": mine}))
    world.let_in()
    assert running.result(ECHO)["output"] == "mine"
    assert "odd-other" in running.system.catalogue
    [told] = world.get("/health")["warnings"]
    assert told.startswith("mcp server odd: the skill 'odd-echo' is left out, since the name is taken by ")
    assert world.get("/health")["status"] == "healthy"


def test_a_task_keeps_to_the_skills_that_it_began_with(world: World, skills_dir: Path, tmp_path: Path) -> None:
    world.odd.has(ANNOUNCE, tool("echo", x="string"))
    running = world.start(skills_dir=skills_dir)
    world.let_in()
    go = tmp_path / "go"
    code = f"from skills import odd_announce, odd_echo, wait_for_file\nodd_announce(1)\nwait_for_file({str(go)!r})\nodd_echo('a')"
    world.odd.has(ANNOUNCE, tool("echo", y="integer"))
    task_id = running.execute(block(code)).json()["taskId"]
    until(lambda: "y: int" in running.system.catalogue.stubs(["odd-echo"]))
    assert running.result(block("from skills import odd_echo\nodd_echo(7)"))["output"] == 'echo {"y": 7}'
    assert running.result(ECHO)["errorCode"] == "type_check_failed"
    go.touch()
    assert world.output(task_id) == 'echo {"x": "a"}'


def test_a_server_of_whose_tools_none_can_be_used_is_not_called_healthy(world: World) -> None:
    world.odd.has({"name": "broken", "inputSchema": {"type": "object", "properties": {"a": {"type": "nonsense"}}}})
    world.start()
    world.odd.let_in()
    until(lambda: "0 of its 1 tools can be used" in str(world.get("/health")["problems"]))
    health = world.get("/health")
    assert (health["status"], health["services"]["mcp:odd"]) == ("degraded", False)
    assert "its tool 'broken' is left out" in health["warnings"][0]


# --- what could not be loaded ---


def broken(world: World) -> dict[str, Any]:
    """Return settings under which a skill, an agent, an entry of the MCP configuration and a server are not there."""
    (world.folder / "agents").mkdir()
    (world.folder / "agents" / "code-reviewer.yaml").write_text(AGENT.replace("helper", "code-reviewer"))
    (world.folder / "agents" / "bad.yaml").write_text("name: [")
    return {
        "entries": {"wrong": {"command": "x", "approvals": []}},
        "skills_dir": world.folder_with("skills", {"bad.py": "raise ValueError('secret words')"}),
        "agents_dir": world.folder / "agents",
    }


def test_what_could_not_be_loaded_shows_in_health(world: World) -> None:
    world.start(**broken(world))
    health = world.get("/health")
    skill, entry, odd, agent, missing = health["problems"]
    assert health["status"] == "degraded"
    assert "bad.py cannot be loaded (ValueError: secret words at line 1)" in skill
    assert "the MCP server 'wrong' is left out, approvals: there is no such field" in entry
    assert odd.startswith("The MCP server odd is still starting")
    assert "bad.yaml at line 1: this is not YAML" in agent
    assert "the agent 'code-reviewer' does without 'calculat'" in missing
    assert health["warnings"] == [
        f"{world.folder / 'agents' / 'code-reviewer.yaml'} takes the place of the built-in agent 'code-reviewer'."
    ]
    world.let_in()
    assert len(world.get("/health")["problems"]) == 4


def test_a_stranger_learns_only_how_much_could_not_be_loaded(world: World) -> None:
    running = world.start(**broken(world), api_key=("the-key",))
    for headers in ({}, {"X-API-Key": "wrong"}):
        reply = running.client.get("/health", headers=headers)
        health = reply.json()
        assert (reply.status_code, health["status"], health["services"]["mcp:odd"]) == (200, "degraded", False)
        assert health["problems"] == [
            "5 problems of skills, agents and MCP servers; ask with an API key for the details."
        ]
        assert health["warnings"] == [
            "1 warning of skills, agents and MCP servers; ask with an API key for the details."
        ]
        assert str(world.folder) not in reply.text
    known = running.client.get("/health", headers={"X-API-Key": "the-key"}).json()
    assert "secret words" in known["problems"][0]
    assert len(known["problems"]) == 5
