"""Reading back: results by page, one task, its log, cancelling, sessions, the catalogue."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.http.conformance import DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running

NO_TASK = "0198c0de-0000-7000-8000-000000000000"


def test_results_are_newest_first_and_paged_without_gap_or_repeat(shared: Running) -> None:
    ids = [shared.result(f"What is {n} * 3?", sessionId="paging")["taskId"] for n in range(5)]
    seen: list[str] = []
    params: dict[str, Any] = {"sessionId": "paging", "limit": 2}
    while True:
        page = shared.client.get("/agent/results", params=params).json()
        assert page["success"] is True
        assert page["count"] == len(page["results"]) <= 2
        seen += [result["taskId"] for result in page["results"]]
        if page["nextCursor"] is None:
            break
        params["cursor"] = page["nextCursor"]
    assert seen == ids[::-1]


def test_results_can_be_filtered_by_status(shared: Running) -> None:
    shared.result("What is 1 * 3?", sessionId="mixed")
    failed = shared.result("Please paint the fence.", sessionId="mixed")["taskId"]
    page = shared.client.get("/agent/results", params={"sessionId": "mixed", "status": "failed"}).json()
    assert [result["taskId"] for result in page["results"]] == [failed]


def test_a_page_has_ten_results_unless_asked_otherwise(shared: Running) -> None:
    for n in range(12):
        shared.result(f"What is {n} + 1?", sessionId="dozen")
    params = {"sessionId": "dozen"}
    assert shared.client.get("/agent/results", params=params).json()["count"] == 10
    assert shared.client.get("/agent/results", params={**params, "limit": 100}).json()["count"] == 12


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1e1", "limit=%D9%A1", "status=done",
        "sessionId=%20", "sessionId=", "cursor=nonsense", "cursor=%00", "colour=red", "limit=1&limit=2",
        f"taskId={NO_TASK}&limit=5", "taskid=1", "taskId=%00",
    ],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(shared: Running, assert_problem: Any, query: str) -> None:
    body = assert_problem(shared.client.get(f"/agent/results?{query}"), 400, "invalid_request")
    assert query.partition("=")[0] in body["message"]


@pytest.mark.parametrize("task_id", [NO_TASK, "x", "%01", "%ED%A0%80", "a" * 300, "%FF"])
@pytest.mark.parametrize("path", ["/agent/results?taskId={}", "/agent/tasks/{}", "/agent/tasks/{}/events"])
def test_an_unknown_task_is_not_found(shared: Running, assert_problem: Any, path: str, task_id: str) -> None:
    known = (404, "task_not_found")
    no_text = "?" in path and task_id in ("%ED%A0%80", "%FF")  # a query is UTF-8, and what is none names nothing
    assert_problem(shared.client.get(path.format(task_id)), *((400, "invalid_request") if no_text else known))


def test_a_task_id_that_cannot_be_stored_is_not_found(shared: Running, assert_problem: Any) -> None:
    assert_problem(shared.client.get("/agent/tasks/%00"), 404, "task_not_found")


def test_cancelling_an_unknown_task_is_not_found(shared: Running, assert_problem: Any) -> None:
    assert_problem(shared.client.post(f"/agent/tasks/{NO_TASK}/cancel"), 404, "task_not_found")


def test_a_running_task_has_no_success_yet(shared: Running, blocked: Callable[..., str]) -> None:
    task_id = blocked()
    params = {"after": 1, "wait": 20}
    assert shared.client.get(f"/agent/tasks/{task_id}/events", params=params).json()["events"]
    task = shared.client.get(f"/agent/tasks/{task_id}").json()
    assert (task["success"], task["status"], task["attempt"], task["endedAt"]) == (None, "running", 1, None)
    assert task["startedAt"] >= task["createdAt"]


def test_a_running_task_can_be_cancelled_and_stays_cancelled(shared: Running, blocked: Callable[..., str]) -> None:
    task_id = blocked()
    for _ in range(2):
        reply = shared.client.post(f"/agent/tasks/{task_id}/cancel")
        assert reply.status_code == 200
        assert reply.json() == {
            "success": True, "message": "Task cancelled", "taskId": task_id, "status": "cancelled",
        }  # fmt: skip
    result = shared.client.get("/agent/results", params={"taskId": task_id}).json()["result"]
    assert (result["status"], result["success"]) == ("cancelled", False)


def test_cancelling_a_finished_task_answers_what_is_true(shared: Running) -> None:
    task_id = shared.result("What is 2 + 2?")["taskId"]
    body = shared.client.post(f"/agent/tasks/{task_id}/cancel", json={}).json()
    assert (body["success"], body["status"]) == (False, "completed")
    assert "already ended" in body["message"]


def test_cancel_takes_no_fields(shared: Running, assert_problem: Any) -> None:
    task_id = shared.result("What is 2 + 2?")["taskId"]
    body = assert_problem(
        shared.client.post(f"/agent/tasks/{task_id}/cancel", json={"force": True}), 400, "invalid_request"
    )
    assert "force" in body["message"]


def test_events_are_read_from_a_number_and_a_few_at_a_time(shared: Running) -> None:
    task_id = shared.result("What is 2 + 5?")["taskId"]
    path = f"/agent/tasks/{task_id}/events"
    everything = shared.client.get(path).json()
    assert everything["ended"] is True
    some = shared.client.get(path, params={"after": 1, "limit": 2}).json()
    assert some["events"] == everything["events"][1:3]
    assert some["nextAfter"] == 3
    assert some["ended"] is False
    none = shared.client.get(path, params={"after": 9999}).json()
    assert (none["events"], none["ended"], none["nextAfter"]) == ([], True, everything["nextAfter"])


def test_a_long_poll_is_answered_when_something_happens(shared: Running, blocked: Callable[..., str]) -> None:
    task_id = blocked()
    path = f"/agent/tasks/{task_id}/events"
    last = 0
    while "agent.skill.started" not in [e["topic"] for e in shared.client.get(path).json()["events"]]:
        last = shared.client.get(path, params={"after": last, "wait": 20}).json()["nextAfter"]
    last = shared.client.get(path).json()["nextAfter"]
    got: list[dict[str, Any]] = []
    poll = threading.Thread(
        target=lambda: got.append(shared.client.get(path, params={"after": last, "wait": 20}).json())
    )
    poll.start()
    shared.client.post(f"/agent/tasks/{task_id}/cancel")
    poll.join(20)
    assert got[0]["events"][0]["seq"] == last + 1


def test_a_long_poll_with_nothing_to_tell_ends_in_time(shared: Running, blocked: Callable[..., str]) -> None:
    page = shared.client.get(f"/agent/tasks/{blocked()}/events", params={"after": 9999, "wait": 0.2}).json()
    assert (page["events"], page["ended"]) == ([], False)


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "wait=-1", "wait=soon", "x=1"])
def test_a_query_for_events_that_makes_no_sense_is_refused(shared: Running, assert_problem: Any, query: str) -> None:
    task_id = shared.result("What is 2 + 5?")["taskId"]
    assert_problem(shared.client.get(f"/agent/tasks/{task_id}/events?{query}"), 400, "invalid_request")


def test_a_session_can_be_forgotten(shared: Running, assert_problem: Any) -> None:
    task_id = shared.result("My name is Bob.", sessionId="gone")["taskId"]
    reply = shared.client.delete("/agent/sessions/gone")
    assert (reply.status_code, reply.json()) == (
        200, {"success": True, "message": "Session deleted", "sessionId": "gone"},
    )  # fmt: skip
    assert_problem(shared.client.get("/agent/sessions/gone"), 404, "session_not_found")
    assert_problem(shared.client.delete("/agent/sessions/gone"), 404, "session_not_found")
    assert shared.client.get("/agent/results", params={"taskId": task_id}).status_code == 200


def test_a_session_at_work_cannot_be_forgotten(
    shared: Running, blocked: Callable[..., str], assert_problem: Any
) -> None:
    shared.result("My name is Eve.", sessionId="at-work")
    blocked(sessionId="at-work")
    assert_problem(shared.client.delete("/agent/sessions/at-work"), 409, "session_busy")


@pytest.mark.parametrize("session_id", ["nobody", "%20", "%00", "%F0%9F%98%80"])
def test_an_unknown_session_is_not_found(shared: Running, assert_problem: Any, session_id: str) -> None:
    assert_problem(shared.client.get(f"/agent/sessions/{session_id}"), 404, "session_not_found")


def test_the_reports_skills_are_listed(shared: Running) -> None:
    body = shared.client.get("/agent/skills").json()
    by_name = {skill["name"]: skill for skill in body["skills"]}
    assert {"summarize", "code-analysis", "web-search"} <= by_name.keys()
    assert body["count"] == len(by_name)
    assert by_name["summarize"]["schema"]["type"] == "object"
    assert "def summarize(" in by_name["summarize"]["stub"]
    assert shared.client.get("/agent/skills/summarize").json()["skill"].items() <= by_name["summarize"].items()


def test_an_unknown_skill_is_not_found(shared: Running, assert_problem: Any) -> None:
    assert_problem(shared.client.get("/agent/skills/fly"), 404, "skill_not_found")


def test_the_agents_are_listed(shared: Running) -> None:
    body = shared.client.get("/agent/agents").json()
    assert [agent["name"] for agent in body["agents"]] == [agent.name for agent in shared.system.roster]


def test_the_index_says_where_to_go(shared: Running) -> None:
    body = shared.client.get("/").json()
    assert body["name"] == "callboard"
    listed = {*body["links"].values()} - {"/docs", "/console", "/agent/tasks/{taskId}"}
    # each that can be asked for without knowing an id, and what tasks are posted to
    assert listed == {path for path in DOCUMENT["paths"] if "{" not in path and path != "/"}
    assert all(shared.client.options(path).status_code == 200 for path in body["links"].values())


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    "accept",
    [BROWSER, "text/html", "text/html, application/xhtml+xml, image/jxr, */*", "application/json;q=0.5, Text/HTML"],
)
def test_a_browser_is_led_to_the_console_also_below_a_proxys_path(shared: Running, accept: str) -> None:
    for method in ("GET", "HEAD"):
        answer = shared.client.request(method, "/", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["location"], answer.content) == (302, "console/", b"")
        assert "Accept" in answer.headers["vary"]
    assert shared.client.get("/", headers={"Accept": accept}, follow_redirects=True).text.startswith("<!doctype html>")
    assert shared.client.get("/?a=b", headers={"Accept": accept}).headers["location"] == "console/?a=b"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html", "text/html;q=0.5, */*"])
def test_a_program_gets_the_index(shared: Running, accept: str) -> None:
    answer = shared.client.get("/", headers={"Accept": accept})
    assert (answer.status_code, answer.json()["name"]) == (200, "callboard")
    assert "Accept" in answer.headers["vary"]


def test_a_browser_is_led_to_the_documents_where_the_console_is_off(start_server: Callable[..., Running]) -> None:
    running = start_server(console="off")
    answer = running.client.get("/", headers={"Accept": BROWSER})
    assert (answer.status_code, answer.headers["location"]) == (302, "docs")
