"""The report's suite for API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from callboard.http.api_keys import ApiKeys

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


@pytest.mark.parametrize("key", ["wrong", "first-ke", "first-keyy", "FIRST-KEY", "first-key,second-key", "é", "\xff"])
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
    keys = ApiKeys(["secret-key"])
    assert "secret" not in repr(vars(keys))
    identity = keys.identity("secret-key")
    assert identity is not None
    assert "secret" not in identity


def test_a_key_beyond_ascii_is_compared_as_its_bytes() -> None:
    sent = "schlüssel".encode().decode("latin-1")  # as WSGI hands over a header in UTF-8
    assert ApiKeys(["schlüssel"]).identity(sent)


def test_every_key_is_compared_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    keys = ApiKeys(["a", "b", "c"])
    monkeypatch.setattr("callboard.http.api_keys.hmac.compare_digest", compare)
    assert keys.identity("a")
    assert len(compared) == 3
