"""`Idempotency-Key`: however often, at once, after a crash or in another form a request is sent, it is one request."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import msgpack  # type: ignore[import-untyped]
import pytest

from callboard import AgentSystem, ListTasks, Principal, SubmitTask
from callboard.clock import Clock, new_id
from callboard.errors import IdempotencyConflict, Overloaded, ReplyTimeout, UnknownSkill
from callboard.messages.tasks import AwaitTask, GetKeptAnswer, KeepRefusal, KeptAnswer, SubmitOnce
from callboard.principal import PROCESS
from tests.docs.serving import Served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from callboard import Settings
    from tests.http.conftest import Running

SUM: dict[str, Any] = {"task": "What is 6 * 7?"}
MSGPACK = {"Content-Type": "application/msgpack", "Accept": "application/json"}


def post(client: httpx.Client, key: str, body: Any = None, **headers: str) -> httpx.Response:
    content = json.dumps(SUM if body is None else body)
    return client.post(
        "/agent/execute",
        content=content,
        headers={"Content-Type": "application/json", "Idempotency-Key": key, **headers},
    )


def replayed(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("idempotent-replayed") == "true")


def tasks_of(running: Running, session_id: str) -> int:
    return len(running.system.gateway.ask(ListTasks(session_id=session_id, limit=100), timeout_s=30).tasks)


@pytest.fixture
def key() -> str:
    """A key that no other test uses."""
    return new_id()


# --- the same request is one request --------------------------------------------------------------------------------


def test_a_repeat_is_answered_with_the_first_ones_body_and_says_so(shared: Running, key: str) -> None:
    first, again = post(shared.client, key), post(shared.client, key)
    assert (first.status_code, replayed(first)) == (200, False)
    assert (again.status_code, replayed(again)) == (200, True)
    assert again.json() == first.json()
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


def test_without_a_key_every_request_is_its_own(shared: Running) -> None:
    answers = [shared.execute(**SUM) for _ in range(2)]
    assert answers[0].json()["taskId"] != answers[1].json()["taskId"]
    assert not any(replayed(answer) for answer in answers)


def test_fifty_requests_at_once_make_one_task(shared: Running, key: str) -> None:
    body = {**SUM, "sessionId": f"fifty-{key}"}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post(shared.client, key, body), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["taskId"] for answer in answers}) == 1
    assert sum(not replayed(answer) for answer in answers) == 1
    assert tasks_of(shared, body["sessionId"]) == 1


def test_fifty_wrong_requests_at_once_have_one_answer(shared: Running, key: str) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post(shared.client, key, {"task": 12}), range(50)))
    bodies = [answer.json() for answer in answers]
    assert {answer.status_code for answer in answers} == {400}
    assert len({body.pop("requestId") for body in bodies}) == 50
    assert all(body == bodies[0] for body in bodies)


def test_json_and_msgpack_of_the_same_content_are_the_same_body(shared: Running, key: str) -> None:
    body = {"task": "What is 6 * 7?", "labels": {"ä": 1, "b": 0.5}, "priority": 3}
    first = post(shared.client, key, body)
    packed = msgpack.packb(dict(reversed(body.items())))
    again = shared.client.post("/agent/execute", content=packed, headers={**MSGPACK, "Idempotency-Key": key})
    assert again.json() == first.json()
    assert replayed(again)


def test_another_body_with_the_same_key_is_refused(
    shared: Running, key: str, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    post(shared.client, key)
    for body in ({"task": "What is 6 * 8?"}, {**SUM, "priority": 1}, {"task": 12}, {"task": "x", "agent": "nobody"}):
        assert key in assert_problem(post(shared.client, key, body), 422, "idempotency_conflict")["message"]
    assert replayed(post(shared.client, key))


def test_a_quoted_key_is_taken_as_it_stands(shared: Running, key: str) -> None:
    quoted, bare = post(shared.client, f'"{key}"'), post(shared.client, key)
    assert quoted.json()["taskId"] != bare.json()["taskId"]
    assert replayed(post(shared.client, f'"{key}"'))


@pytest.mark.parametrize("bad", ["", "k" * 256, "a\tb", "schl\xfcssel"])
def test_a_key_that_is_none_is_refused_with_the_limit(
    shared: Running, bad: str, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    answer = shared.client.post("/agent/execute", json=SUM, headers={b"Idempotency-Key": bad.encode("latin-1")})
    assert "1 to 255 printable ASCII" in assert_problem(answer, 400, "invalid_request")["message"]


def test_the_longest_key_is_taken(shared: Running, key: str) -> None:
    longest = key.ljust(255, "k")
    assert not replayed(post(shared.client, longest))
    assert replayed(post(shared.client, longest))


# --- who asks, and for how long -------------------------------------------------------------------------------------


def test_a_key_is_its_callers_own(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("one", "two"))
    mine, again, theirs = (post(running.client, "k", **{"X-API-Key": name}) for name in ("one", "one", "two"))
    assert (replayed(again), replayed(theirs)) == (True, False)
    assert mine.json()["taskId"] == again.json()["taskId"] != theirs.json()["taskId"]


def test_a_key_outlives_a_restart(start_server: Callable[..., Running]) -> None:
    first = start_server()
    answer, refused = post(first.client, "k"), post(first.client, "wrong", {"task": 12})
    first.stop()
    first.system.stop()
    second = start_server()
    again = post(second.client, "k")
    assert (again.json(), replayed(again)) == (answer.json(), True)
    refused_again = post(second.client, "wrong", {"task": 12})
    assert refused_again.status_code == 400
    assert refused_again.json() | {"requestId": ""} == refused.json() | {"requestId": ""}
    assert replayed(refused_again)


def test_an_expired_key_makes_a_new_task(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()

    def submit(system: AgentSystem) -> str:
        return str(system.gateway.ask(SubmitTask(**SUM, idempotency_key="k"), timeout_s=30).task_id)

    def later(hours: float) -> AgentSystem:
        now = Clock().now
        return AgentSystem.start(settings, clock=Clock(now=lambda: now() + timedelta(hours=hours)))

    with later(0) as system:
        first = submit(system)
        system.gateway.ask(AwaitTask(task_id=first, wait_s=60), timeout_s=65)
        kept = system._store.reader.kept_answer("", "k")
        assert kept is not None
    with later(23.9) as system:
        assert submit(system) == first
    with later(24.1) as system:
        asked = GetKeptAnswer(key="k", fingerprint=kept.fingerprint)
        deadline = time.monotonic() + 60
        while system.gateway.ask(asked, timeout_s=30) is not None:  # the logger forgets it at its first tick
            assert time.monotonic() < deadline
        assert submit(system) != first


def test_a_key_survives_a_kill_between_its_requests(tmp_path: Path) -> None:
    keys = [f"k{number}" for number in range(8)]
    first = Served(tmp_path, tmp_path / "data")
    first.wait_until_ready()
    answered: dict[str, str] = {}
    some = threading.Event()

    def keep_posting(key: str) -> None:
        with first.client() as client:
            try:
                while True:  # the same request again and again, until the server is gone
                    answered[key] = post(client, key, {**SUM, "sessionId": "killed"}).json()["taskId"]
                    if len(answered) > len(keys) // 2:
                        some.set()
            except httpx.TransportError:
                return

    with ThreadPoolExecutor(len(keys)) as pool:
        posting = [pool.submit(keep_posting, key) for key in keys]
        assert some.wait(20)
        first.kill()
        for done in posting:
            done.result(30)
    second = Served(tmp_path, tmp_path / "data")
    try:
        second.wait_until_ready()
        with second.client() as client:
            again = {key: post(client, key, {**SUM, "sessionId": "killed"}).json()["taskId"] for key in keys}
            results = client.get("/agent/results", params={"sessionId": "killed", "limit": 100}).json()
    finally:
        second.stop()
    assert {key: again[key] for key in answered} == answered
    assert results["count"] == len(keys)
    assert {result["taskId"] for result in results["results"]} == set(again.values())


# --- waiting --------------------------------------------------------------------------------------------------------


def test_a_repeat_that_waits_is_answered_with_the_same_tasks_result(shared: Running, key: str) -> None:
    accepted = post(shared.client, key)
    waited, again = (post(shared.client, key, Prefer="wait=20") for _ in range(2))
    assert (waited.json()["taskId"], waited.json()["output"]) == (accepted.json()["taskId"], 42)
    assert waited.headers["preference-applied"] == "wait=20"
    assert again.json() == waited.json()
    assert replayed(waited)


def test_a_first_request_that_waits_is_answered_with_its_result(shared: Running, key: str) -> None:
    first = post(shared.client, key, Prefer="wait=20")
    assert (first.json()["output"], replayed(first)) == (42, False)


def test_when_waiting_fails_the_committed_task_is_answered(
    shared: Running, key: str, fail_with: Callable[..., None]
) -> None:
    fail_with(shared, ReplyTimeout("no reply"), AwaitTask)
    answer = post(shared.client, key, Prefer="wait=20")
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    assert "preference-applied" not in answer.headers


def test_a_task_that_has_been_pruned_is_still_answered_as_accepted(start_server: Callable[..., Running]) -> None:
    running = start_server()
    first = post(running.client, "k", Prefer="wait=20").json()
    running.stop()
    running.system._supervisor.stop(running.system._addresses["result logger"], timeout_s=10)  # the only writer
    assert running.system._store.writer.prune_step(older_than=running.system.clock.now(), keep=None) == 1
    running.system.stop()
    again = post(start_server().client, "k", Prefer="wait=20")
    assert (again.status_code, replayed(again)) == (200, True)
    assert (again.json()["taskId"], again.json()["status"]) == (first["taskId"], "pending")


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"", "application/json", 400, "malformed_body"),
        (b"{", "application/json", 400, "malformed_body"),
        (b'{"task": 12}', "application/json", 400, "invalid_request"),
        (b'{"task": "x", "availableSkills": ["fly"]}', "application/json", 400, "unknown_skill"),
        (b'{"task": "x", "agent": "nobody"}', "application/json", 400, "unknown_agent"),
        (b'{"task": "x"}', "text/plain", 415, "unsupported_media_type"),
    ],
)
def test_an_error_is_repeated_with_its_status_and_body(
    shared: Running,
    key: str,
    content: bytes,
    kind: str,
    status: int,
    code: str,
    assert_problem: Callable[..., dict[str, Any]],
) -> None:
    headers = {"Content-Type": kind, "Idempotency-Key": key}
    first, again = (shared.client.post("/agent/execute", content=content, headers=headers) for _ in range(2))
    body, repeated = assert_problem(first, status, code), assert_problem(again, status, code)
    assert (replayed(first), replayed(again)) == (False, True)
    assert body.pop("requestId") != repeated.pop("requestId")
    assert repeated == body
    assert_problem(post(shared.client, key), 422, "idempotency_conflict")


def test_an_error_is_repeated_even_if_the_request_would_be_accepted_now(
    shared: Running, key: str, fail_with: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(shared, UnknownSkill("There is no skill."))
    assert post(shared.client, key).status_code == 400
    monkeypatch.undo()
    again = post(shared.client, key)
    assert (again.status_code, again.json()["code"], replayed(again)) == (400, "unknown_skill", True)


def test_what_says_try_again_is_not_kept(
    shared: Running, key: str, fail_with: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(shared, Overloaded("The backlog is full."))
    assert post(shared.client, key).status_code == 503
    monkeypatch.undo()
    assert (post(shared.client, key).status_code, replayed(post(shared.client, key))) == (200, True)


def test_an_error_that_cannot_be_kept_says_try_again(shared: Running, key: str, fail_with: Callable[..., None]) -> None:
    fail_with(shared, ReplyTimeout("no reply"), KeepRefusal)
    assert post(shared.client, key, {"task": 12}).status_code == 503


def test_a_wrong_api_key_leaves_the_idempotency_key_free(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("right",))
    assert post(running.client, "k", **{"X-API-Key": "wrong"}).status_code == 403
    answer = post(running.client, "k", **{"X-API-Key": "right"})
    assert (answer.status_code, replayed(answer)) == (200, False)


def test_a_full_backlog_still_answers_repeats(
    start_server: Callable[..., Running], gate: Any, skills_dir: Path
) -> None:
    running = start_server(max_backlog=1, skills_dir=skills_dir)
    first = post(running.client, "k", {"task": gate.task})
    assert running.execute("What is 1 + 1?").status_code == 503
    again = post(running.client, "k", {"task": gate.task})
    assert (again.status_code, again.json()) == (200, first.json())


def test_a_server_that_drains_still_answers_repeats(start_server: Callable[..., Running]) -> None:
    running = start_server()
    first = post(running.client, "k")
    running.system.drain()
    assert post(running.client, "k").json() == first.json()
    assert post(running.client, "new").status_code == 503


# --- from Python ----------------------------------------------------------------------------------------------------


def test_a_task_from_python_takes_a_key_too(system: AgentSystem) -> None:
    def submit(principal: Principal = PROCESS, **spec: Any) -> Any:
        return system.gateway.ask(SubmitTask(**{**SUM, **spec}), timeout_s=10, principal=principal)

    first, again = (submit(idempotency_key="k") for _ in range(2))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.task_id == first.task_id
    assert system.execute(**SUM, idempotency_key="k").task_id == first.task_id
    assert submit(Principal(id="somebody"), idempotency_key="k").task_id != first.task_id
    with pytest.raises(IdempotencyConflict):
        submit(idempotency_key="k", priority=1)
    with pytest.raises(ValueError, match="pattern"):
        submit(idempotency_key="k" * 256)


def test_a_kept_error_is_the_reply_to_a_task_of_whoever_keeps_errors(system: AgentSystem) -> None:
    wish = KeepRefusal(key="k", fingerprint="f", answer={"status": 400, "body": {}})
    kept = system.gateway.ask(wish, timeout_s=30)
    assert isinstance(kept, KeptAnswer)
    assert system.gateway.ask(SubmitOnce(**SUM, idempotency_key="k", fingerprint="f"), timeout_s=30) == kept


def test_a_repeat_gives_its_place_in_the_backlog_back(start_system: Callable[..., AgentSystem]) -> None:
    system = start_system(max_backlog=2)
    for _ in range(10):
        system.execute(**SUM, idempotency_key="k")
    assert system.execute("What is 1 + 1?").output == 2
