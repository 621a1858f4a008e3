"""Cross-origin requests of browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running

ORIGIN = {"Origin": "https://app.example"}
PREFLIGHT = {
    **ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type, x-api-key, prefer, x-request-id, idempotency-key",
}


def test_a_preflight_is_answered_with_what_is_allowed(start_server: Callable[..., Running]) -> None:
    reply = start_server(api_key=("k",)).client.options("/agent/execute", headers=PREFLIGHT)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert {"x-api-key", "idempotency-key"} <= set(reply.headers["access-control-allow-headers"].split(", "))
    assert int(reply.headers["access-control-max-age"]) > 0


def test_a_preflight_is_neither_keyed_nor_limited(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("k",), rate_limit_max_requests=1)
    replies = [running.client.options("/agent/execute", headers=PREFLIGHT) for _ in range(3)]
    assert {reply.status_code for reply in replies} == {200}
    assert {reply.headers["access-control-allow-origin"] for reply in replies} == {"*"}


def test_only_configured_origins_are_allowed(start_server: Callable[..., Running]) -> None:
    running = start_server(allowed_origins=("https://app.example", "http://localhost:3000"))
    for origin, allowed in [("https://app.example", True), ("https://evil.example", False), ("null", False)]:
        for reply in (
            running.client.options("/agent/execute", headers={**PREFLIGHT, "Origin": origin}),
            running.client.get("/agent/agents", headers={"Origin": origin}),
        ):
            assert reply.headers.get("access-control-allow-origin") == (origin if allowed else None)


def test_scripts_may_read_our_headers(start_server: Callable[..., Running]) -> None:
    exposed = (
        start_server(api_key=("k",))
        .client.get("/agent/agents", headers=ORIGIN)
        .headers["access-control-expose-headers"]
    )
    names = {"X-Request-Id", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}
    assert names | {"Idempotent-Replayed"} <= set(exposed.split(", "))


def test_errors_can_be_read_across_origins_too(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("k",), rate_limit_max_requests=1)
    replies = [running.client.get("/agent/agents", headers=ORIGIN) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [401, 429]
    assert {reply.headers["access-control-allow-origin"] for reply in replies} == {"*"}


def test_a_request_that_is_not_cross_origin_gets_no_cors_headers(shared: Running) -> None:
    assert not any(name.startswith("access-control") for name in shared.client.get("/health").headers)


def test_no_credentials_are_allowed(shared: Running) -> None:
    assert "access-control-allow-credentials" not in shared.client.get("/agent/agents", headers=ORIGIN).headers
