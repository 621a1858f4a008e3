"""What a console lists: the history by agent and words, sessions, agents with their counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.http.test_openapi import described

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running


def listed(running: Running, **params: Any) -> list[str]:
    page = running.client.get("/agent/results", params=params)
    assert page.status_code == 200, page.text
    return [result["taskId"] for result in page.json()["results"]]


def test_the_history_is_searched_for_words_and_by_agent(shared: Running) -> None:
    one = shared.result("What is 31337 + 1?")["taskId"]
    other = shared.result("```python\n'The QUICK 31337'\n```", agent="code-reviewer")["taskId"]
    assert listed(shared, q="31337") == [other, one]
    assert listed(shared, q="quick 31337") == [other]
    assert listed(shared, q="31337", agent="master") == [one]
    assert listed(shared, agent="code-reviewer", q="31337") == [other]
    assert listed(shared, q=one) == [one]
    assert listed(shared, q="%31337") == []


def test_filters_that_cannot_be_are_refused(shared: Running, assert_problem: Callable[..., dict[str, Any]]) -> None:
    for params in ({"q": "x" * 201}, {"q": "a\0b"}, {"agent": "a\0b"}, {"taskId": "a", "q": "b"}):
        assert_problem(shared.client.get("/agent/results", params=params), 400, "invalid_request")
    assert listed(shared, agent="no such agent") == []


def test_sessions_are_listed_with_how_they_were_last_asked(start_server: Callable[..., Running]) -> None:
    running = start_server()
    for session, task in (("a", "What is 1 + 1?"), ("b", "What is 2 + 2?"), ("a", "What is 3 + 3?")):
        running.result(task, sessionId=session)
    reply = running.client.get("/agent/sessions")
    described("GET", "/agent/sessions", 200).validate(reply.json())
    page = reply.json()
    assert (page["success"], page["count"], page["nextCursor"]) == (True, 2, None)
    assert [(s["sessionId"], s["tasks"], s["preview"]) for s in page["sessions"]] == [
        ("a", 2, "What is 3 + 3?"),
        ("b", 1, "What is 2 + 2?"),
    ]
    first = running.client.get("/agent/sessions", params={"limit": 1}).json()
    second = running.client.get("/agent/sessions", params={"cursor": first["nextCursor"]}).json()
    assert [s["sessionId"] for s in (*first["sessions"], *second["sessions"])] == ["a", "b"]


def test_a_session_is_listed_from_the_end_of_its_first_task_on(
    shared: Running, blocked: Callable[..., str], assert_problem: Callable[..., dict[str, Any]]
) -> None:
    task_id = blocked(sessionId="begun")

    def names() -> list[str]:
        return [s["sessionId"] for s in shared.client.get("/agent/sessions?limit=100").json()["sessions"]]

    assert "begun" not in names()
    shared.client.post(f"/agent/tasks/{task_id}/cancel")
    assert names()[0] == "begun"
    assert_problem(shared.client.get("/agent/sessions?cursor=x"), 400, "invalid_request")


@pytest.mark.parametrize("cursor", ["", "zzz", "1:", "1:%20", "%ff", "2:1", "3:a"])
@pytest.mark.parametrize("path", ["results", "skills", "agents", "sessions", "deliveries", "dead-letters"])
def test_what_is_no_cursor_is_refused_by_every_list(
    shared: Running, assert_problem: Any, path: str, cursor: str
) -> None:
    body = assert_problem(shared.client.get(f"/agent/{path}?cursor={cursor}"), 400, "invalid_request")
    assert "cursor" in body["message"] or "UTF-8" in body["message"]


@pytest.mark.parametrize("query", ["q=%ff", "agent=%C3", "%ff=1", "q=%ED%A0%80", "limit=1&q=a%80"])
@pytest.mark.parametrize("path", ["results", "events", "skills", "statistics", "tasks/x"])
def test_a_query_that_is_no_utf_8_is_refused(shared: Running, assert_problem: Any, path: str, query: str) -> None:
    body = assert_problem(shared.client.get(f"/agent/{path}?{query}"), 400, "invalid_request")
    assert "UTF-8" in body["message"]
    assert_problem(shared.client.get("/agent/sessions?limit=0"), 400, "invalid_request")


def test_agents_say_how_many_tasks_they_have_ended_and_how_many_failed(start_server: Callable[..., Running]) -> None:
    running = start_server(max_rounds=5)

    def counts() -> dict[str, tuple[int, int]]:
        reply = running.client.get("/agent/agents").json()
        described("GET", "/agent/agents", 200).validate(reply)
        assert {agent["name"]: agent["maxRounds"] for agent in reply["agents"]}["master"] == 5
        return {agent["name"]: (agent["tasks"], agent["failures"]) for agent in reply["agents"] if agent["tasks"]}

    assert counts() == {}
    running.result("What is 1 + 1?")
    running.result("Please paint the fence.")
    running.result("```python\n1 + 1\n```", agent="code-reviewer")
    assert counts() == {"master": (2, 1), "code-reviewer": (1, 0)}
    running.stop()
    running.system.stop()
    running = start_server(max_rounds=5)
    assert counts() == {"master": (2, 1), "code-reviewer": (1, 0)}
