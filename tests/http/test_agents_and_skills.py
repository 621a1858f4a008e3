"""The catalogue of skills and agents, tasks that belong to one another, and what can be decided about a call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from callboard import Client
from callboard.budget import Account, Usage
from callboard.clock import new_id
from callboard.messages.event_types import TaskExecute
from callboard.messages.records import RecordAcceptance, RecordEvents
from callboard.messages.tasks import Status
from tests.tasks import make_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.http.conftest import Running

NO_TASK = "0198c0de-0000-7000-8000-000000000000"


def test_the_agents_are_those_of_the_roster(shared: Running) -> None:
    body = shared.client.get("/agent/agents").json()
    assert body["count"] == len(body["agents"]) == len(list(shared.system.roster))
    master = body["agents"][0]
    assert master["name"] == "master"
    assert {name: master[name] for name in ("skills", "model", "budget", "origin")} == {
        "skills": None, "model": None, "budget": None, "origin": "builtin",
    }  # fmt: skip


def test_a_skill_says_what_it_is_and_what_it_reaches(shared: Running) -> None:
    skill = shared.client.get("/agent/skills/weekday").json()["skill"]
    assert list(skill) == [
        "name", "description", "version", "kind", "origin", "stub", "schema", "replay",
        "permissions", "approval", "calls", "failures",
    ]  # fmt: skip
    assert (skill["kind"], skill["origin"], skill["replay"]) == ("python", "builtin", "pure")
    assert (skill["permissions"], skill["approval"]) == ([], False)


def test_the_catalogue_counts_calls_and_failures(start_server: Callable[..., Running], skills_dir: Any) -> None:
    server = start_server(skills_dir=skills_dir)
    task_id = server.execute("```python\nfrom skills import wait_for_file\nwait_for_file('/nowhere')\n```").json()[
        "taskId"
    ]
    while (task := server.system._store.reader.task(task_id)).status is not Status.RUNNING:
        pass
    spent = ((Account("skill", "web-search"), Usage(skill_calls=3, failures=1)),)
    record = RecordEvents(task_id=task_id, attempt=task.state.attempt, events=(), charges=spent)
    assert server.system._addresses["result logger"].ask(record, timeout_s=30) is True
    listed = server.client.get("/agent/skills").json()["skills"]
    found = {skill["name"]: (skill["calls"], skill["failures"]) for skill in listed}
    assert (found["web-search"], found["weekday"]) == ((3, 1), (0, 0))
    one = server.client.get("/agent/skills/web-search").json()["skill"]
    assert (one["calls"], one["failures"]) == (3, 1)
    server.client.post(f"/agent/tasks/{task_id}/cancel")


def test_what_could_not_be_loaded_stands_beside_what_could_be(
    start_server: Callable[..., Running], tmp_path: Path
) -> None:
    (tmp_path / "skills" / "pdf").mkdir(parents=True)
    (tmp_path / "skills" / "pdf" / "SKILL.md").write_text("no front matter")
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "helper.yaml").write_text("name: other\ndescription: x\nsystemPrompt: x\n")
    server = start_server(skills_dir=tmp_path / "skills", agents_dir=tmp_path / "agents")
    skills, agents = (server.client.get(f"/agent/{kind}").json() for kind in ("skills", "agents"))
    assert skills["problems"] == list(server.system.skill_problems)
    assert agents["problems"] == list(server.system.agent_problems)
    assert str(tmp_path / "skills" / "pdf" / "SKILL.md") in skills["problems"][0]
    assert str(tmp_path / "agents" / "helper.yaml") in agents["problems"][0]
    with Client(str(server.client.base_url)) as client:
        assert client.skill_list().problems == skills["problems"]
        assert client.agent_list().problems == agents["problems"]
        assert [skill.name for skill in client.skill_list().skills] == [skill["name"] for skill in skills["skills"]]
        assert client.agent_list().agents == client.agents()


def test_a_server_that_lacks_nothing_has_no_problems(shared: Running) -> None:
    assert shared.client.get("/agent/skills").json()["problems"] == []
    assert shared.client.get("/agent/agents").json()["problems"] == []


def test_the_tasks_that_a_task_has_delegated_are_listed_and_say_whose_they_are(shared: Running) -> None:
    parent = shared.result("What is 2 + 2?")["taskId"]
    now = datetime.now(UTC)
    children = [
        make_task(
            new_id(),
            "What is 1 + 1?",
            session_id=f"part-{n}",
            created_at=now,
            parent_id=parent,
            root_id=parent,
            depth=1,
        )
        for n in range(2)
    ]
    for child in children:
        event = TaskExecute(at=now, task=child.spec.task, session_id=child.session_id)
        shared.system._addresses["result logger"].ask(RecordAcceptance(task=child, event=event), timeout_s=30)
    page = shared.client.get("/agent/results", params={"parentId": parent, "limit": 1}).json()
    assert [result["taskId"] for result in page["results"]] == [children[1].task_id]
    page = shared.client.get("/agent/results", params={"parentId": parent, "cursor": page["nextCursor"]}).json()
    assert [result["taskId"] for result in page["results"]] == [children[0].task_id]
    assert page["nextCursor"] is None
    view = shared.client.get(f"/agent/tasks/{children[0].task_id}").json()
    assert (view["parentId"], view["rootId"], view["depth"]) == (parent, parent, 1)
    assert shared.client.get(f"/agent/tasks/{parent}").json()["parentId"] is None


def test_a_parent_that_no_task_can_be_is_refused(
    shared: Running, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    body = assert_problem(shared.client.get("/agent/results", params={"parentId": "a b"}), 400, "invalid_request")
    assert "parentId is 'a b'" in body["message"]
    assert shared.client.get("/agent/results", params={"parentId": NO_TASK}).json()["count"] == 0


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "arguments of another decision": (
        {"decision": "approve", "arguments": {}},
        "arguments goes with the decision edit only; leave it out.",
    ),
    "an edit without arguments": (
        {"decision": "edit"},
        "arguments is missing; the decision edit needs an object with the call's arguments by name.",
    ),
    "an edit of null": (
        {"decision": "edit", "arguments": None},
        "arguments is missing; the decision edit needs an object with the call's arguments by name.",
    ),
    "arguments by position": ({"decision": "edit", "arguments": [1]}, "arguments must be an object."),
    "a result that is approved": (
        {"decision": "approve", "result": 1},
        "result goes with the decision assume_done only; leave it out.",
    ),
    "a number that no database holds": (
        {"decision": "edit", "arguments": {"amount": 2**70}},
        "arguments.amount is an integer beyond 64 bits; send it as a string.",
    ),
    "no such decision": (
        {"decision": "maybe"},
        "decision must be 'retry', 'assume_done', 'fail', 'approve', 'reject' or 'edit'.",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_decision_that_is_none_is_refused_by_name(
    shared: Running, assert_problem: Callable[..., dict[str, Any]], kind: str
) -> None:
    body, message = WRONG[kind]
    reply = shared.client.post(f"/agent/tasks/{NO_TASK}/decide", json=body)
    assert assert_problem(reply, 400, "invalid_request")["message"] == message


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "approve", "reason": "It is my order."},
        {"decision": "reject"},
        {"decision": "edit", "arguments": {"amount": 1.5, "order": None}},
        {"decision": "edit", "arguments": {}},
    ],
)
def test_what_can_be_decided_reaches_the_task(
    shared: Running, blocked: Callable[..., str], assert_problem: Callable[..., dict[str, Any]], body: dict[str, Any]
) -> None:
    assert_problem(shared.client.post(f"/agent/tasks/{NO_TASK}/decide", json=body), 404, "task_not_found")
    assert_problem(shared.client.post(f"/agent/tasks/{blocked()}/decide", json=body), 409, "task_not_paused")
