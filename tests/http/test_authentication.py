"""The report's suite for API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from callboard.http.principals import Principals
from callboard.principal import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running

KEYED = [
    ("POST", "/agent/execute"), ("GET", "/agent/results"), ("GET", "/agent/tasks/x"), ("GET", "/agent/tasks/x/events"),
    ("POST", "/agent/tasks/x/cancel"), ("GET", "/agent/sessions/x"), ("DELETE", "/agent/sessions/x"),
    ("GET", "/agent/skills"), ("GET", "/agent/skills/x"), ("GET", "/agent/agents"), ("GET", "/nothing"),
]  # fmt: skip


@pytest.fixture
def keyed(start_server: Callable[..., Running]) -> Running:
    return start_server(api_key=("first-key", "second-key"))


def test_without_a_key_everything_but_the_public_paths_is_refused(keyed: Running, assert_problem: Any) -> None:
    for method, path in KEYED:
        body = assert_problem(keyed.client.request(method, path), 401, "api_key_required")
        assert body["error"] == "API key required"
        assert "X-API-Key" in body["message"]


@pytest.mark.parametrize("sent", ["", "Basic QTpC", "Bearer", "first-key", "Token first-key"])
def test_a_refusal_for_want_of_a_key_says_how_to_send_one(keyed: Running, assert_problem: Any, sent: str) -> None:
    reply = keyed.client.get("/agent/agents", headers={"Authorization": sent})
    assert "Authorization: Bearer" in assert_problem(reply, 401, "api_key_required")["message"]
    assert reply.headers["www-authenticate"] == 'Bearer realm="callboard"'


@pytest.mark.parametrize("sent", ["Bearer first-key", "bearer second-key", "BEARER  first-key"])
def test_a_key_is_taken_as_a_bearers_too(keyed: Running, sent: str) -> None:
    reply = keyed.client.post("/agent/execute", json={"task": "What is 1 + 1?"}, headers={"Authorization": sent})
    assert reply.status_code == 200


@pytest.mark.parametrize("sent", ["Bearer wrong", "Bearer first-ke", "Bearer first-key second-key", "Bearer é"])
def test_a_wrong_bearer_is_refused_like_a_wrong_key(keyed: Running, assert_problem: Any, sent: str) -> None:
    reply = keyed.client.get("/agent/agents", headers={b"Authorization": sent.encode()})
    assert "Bearer token" in assert_problem(reply, 403, "api_key_invalid")["message"]


def test_two_keys_in_one_request_are_refused_and_one_key_twice_is_not(keyed: Running, assert_problem: Any) -> None:
    def get(key: str, authorization: str) -> Any:
        return keyed.client.get("/agent/agents", headers={"X-API-Key": key, "Authorization": authorization})

    for key, other in (("first-key", "second-key"), ("first-key", "wrong"), ("wrong", "first-key")):
        assert_problem(get(key, f"Bearer {other}"), 400, "invalid_request")
    assert get("first-key", "Bearer first-key").status_code == 200
    for name, scheme in (("X-API-Key", ""), ("Authorization", "Bearer ")):
        twice = [(name, f"{scheme}first-key"), (name, f"{scheme}second-key")]
        assert_problem(keyed.client.get("/agent/agents", headers=twice), 400, "invalid_request")
        assert keyed.client.get("/agent/agents", headers=[twice[0], twice[0]]).status_code == 200
    joined = {"Authorization": "Bearer first-key,junk"}
    assert_problem(keyed.client.get("/agent/agents", headers=joined), 403, "api_key_invalid")
    assert get("first-key", "Basic QTpC").status_code == 200  # a proxy's


def test_a_bearer_is_limited_as_the_same_caller_as_its_key(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("k",), rate_limit_max_requests=3)
    ways = [{"X-API-Key": "k"}, {"Authorization": "Bearer k"}] * 2
    assert [running.client.get("/agent/agents", headers=way).status_code for way in ways] == [200, 200, 200, 429]


@pytest.mark.parametrize("key", ["wrong", "first-ke", "first-keyy", "FIRST-KEY", "first-key second-key", "é", "\xff"])
def test_a_wrong_key_is_refused(keyed: Running, assert_problem: Any, key: str) -> None:
    headers = {b"X-API-Key": key.encode()}
    body = assert_problem(keyed.client.get("/agent/agents", headers=headers), 403, "api_key_invalid")
    assert body["error"] == "Invalid API key"
    assert key not in body["message"]


def test_an_empty_key_is_no_key(keyed: Running, assert_problem: Any) -> None:
    assert_problem(keyed.client.get("/agent/agents", headers={"X-API-Key": ""}), 401, "api_key_required")


@pytest.mark.parametrize("key", ["first-key", "second-key"])
def test_each_of_several_keys_is_taken(keyed: Running, key: str) -> None:
    headers = {"X-API-Key": key, "Prefer": "wait=20"}
    body = keyed.client.post("/agent/execute", json={"task": "What is 1 + 1?"}, headers=headers).json()
    assert body["status"] == "completed"


@pytest.mark.parametrize("path", ["/", "/health/live", "/openapi.json", "/docs"])
def test_the_public_paths_need_no_key(keyed: Running, path: str) -> None:
    assert keyed.client.get(path).status_code == 200


def test_without_keys_configured_none_is_asked(shared: Running) -> None:
    assert shared.client.get("/agent/agents", headers={"X-API-Key": "anything"}).status_code == 200


def test_the_key_is_only_known_by_its_hash() -> None:
    principals = Principals(["secret-key"], Limits())
    assert "secret" not in repr(vars(principals))
    assert "secret" not in repr(principals.of_key("secret-key"))


def test_a_key_beyond_ascii_is_compared_as_its_bytes() -> None:
    sent = "schlüssel".encode().decode("latin-1")  # as WSGI hands over a header in UTF-8
    assert Principals(["schlüssel"], Limits()).of_key(sent)


def test_every_key_is_compared_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    principals = Principals(["a", "b", "c"], Limits())
    monkeypatch.setattr("callboard.http.principals.hmac.compare_digest", compare)
    assert principals.of_key("a")
    assert len(compared) == 3
