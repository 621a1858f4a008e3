"""The report's suite for rate limiting, and what it leaves open: who is limited, and what the headers say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.at_once import LATE_S

if TYPE_CHECKING:
    from collections.abc import Callable

from tests.http.conftest import Running

PATH = "/agent/agents"


def test_requests_beyond_the_limit_are_refused(start_server: Callable[..., Running], assert_problem: Any) -> None:
    running = start_server(rate_limit_max_requests=3)
    replies = [running.client.get(PATH) for _ in range(5)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429, 429]
    body = assert_problem(replies[3], 429, "rate_limited")
    assert body["error"] == "Too many requests"
    assert 1 <= body["retryAfter"] <= 60
    assert replies[3].headers["retry-after"] == str(body["retryAfter"])


def test_a_refused_task_is_not_accepted(start_server: Callable[..., Running]) -> None:
    running = start_server(rate_limit_max_requests=2)
    assert running.execute("What is 1 + 1?").status_code == 200
    assert running.client.get("/agent/results").json()["count"] == 1
    assert running.execute("What is 1 + 1?").status_code == 429
    assert running.system.health().totals.total <= 1


def test_the_headers_count_down(start_server: Callable[..., Running]) -> None:
    running = start_server(rate_limit_max_requests=3, rate_limit_window_ms=30_000)
    before = time.time()
    for remaining in (2, 1, 0, 0):
        headers = running.client.get(PATH).headers
        assert headers["x-ratelimit-limit"] == "3"
        assert headers["x-ratelimit-remaining"] == str(remaining)
        assert before <= int(headers["x-ratelimit-reset"]) <= time.time() + 31
        assert headers["ratelimit-policy"] == '"default";q=3;w=30'
        name, left, resets = headers["ratelimit"].split(";")
        assert (name, left) == ('"default"', f"r={remaining}")
        assert 0 <= int(resets.removeprefix("t=")) <= 30


def test_the_window_slides(start_server: Callable[..., Running]) -> None:
    # within the window a busy machine has to answer three requests
    running = start_server(rate_limit_max_requests=2, rate_limit_window_ms=3000)
    assert [running.client.get(PATH).status_code for _ in range(3)] == [200, 200, 429]
    started = time.monotonic()
    while running.client.get(PATH).status_code != 200:
        assert time.monotonic() - started < 3 + LATE_S
    assert time.monotonic() - started > 0.1


def test_every_route_but_the_public_ones_is_limited(start_server: Callable[..., Running]) -> None:
    running = start_server(rate_limit_max_requests=1)
    assert running.client.get("/no/such/path").status_code == 404
    for path in ("/agent/results", "/agent/skills", "/agent/tasks/x", "/no/such/path"):
        assert running.client.get(path).status_code == 429
    for path in ("/", "/health", "/openapi.json", "/docs"):
        reply = running.client.get(path)
        assert reply.status_code in (200, 503)
        assert "x-ratelimit-limit" not in reply.headers


def test_without_a_limit_nothing_is_refused_or_counted(shared: Running) -> None:
    assert shared.system.settings.rate_limit_max_requests == 0
    assert "x-ratelimit-limit" not in shared.client.get(PATH).headers


def test_a_forged_forwarding_header_does_not_dodge_the_limit(start_server: Callable[..., Running]) -> None:
    running = start_server(rate_limit_max_requests=2)
    names = ("X-Forwarded-For", "X_Forwarded_For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP")
    replies = [running.client.get(PATH, headers=dict.fromkeys(names, f"10.0.0.{n}")).status_code for n in range(4)]
    assert replies == [200, 200, 429, 429]


def test_behind_a_trusted_proxy_each_client_has_its_own_window(start_server: Callable[..., Running]) -> None:
    running = start_server(rate_limit_max_requests=1, trusted_proxies=("127.0.0.1",))

    def ask(forwarded: str) -> int:
        return running.client.get(PATH, headers={"X-Forwarded-For": forwarded}).status_code

    assert [ask("10.0.0.1"), ask("10.0.0.2"), ask("10.0.0.1")] == [200, 200, 429]
    # What a client wrote itself stands left of what the proxy appended, and counts for nothing.
    assert [ask("1.1.1.1, 10.0.0.3"), ask("2.2.2.2, 10.0.0.3")] == [200, 429]


def test_wrong_keys_are_limited_by_address(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("right",), rate_limit_max_requests=3)
    guesses = [running.client.get(PATH, headers={"X-API-Key": f"guess-{n}"}).status_code for n in range(5)]
    assert guesses == [403, 403, 403, 429, 429]
    assert running.client.get(PATH).status_code == 429
    assert running.client.get(PATH, headers={"X-API-Key": "right"}).status_code == 200


def test_each_key_has_its_own_window(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("one", "two"), rate_limit_max_requests=1)

    def ask(key: str) -> int:
        return running.client.get(PATH, headers={"X-API-Key": key}).status_code

    assert [ask("one"), ask("two"), ask("one"), ask("two")] == [200, 200, 429, 429]
