"""The security headers are on every answer, whoever gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running

EXPECTED = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "x-xss-protection": "0",
    "referrer-policy": "strict-origin-when-cross-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
REQUESTS = {
    "an answer": b"GET /agent/agents HTTP/1.1",
    "health": b"GET /health HTTP/1.1",
    "the index": b"GET / HTTP/1.1",
    "the document": b"GET /openapi.json HTTP/1.1",
    "the page": b"GET /docs HTTP/1.1",
    "HEAD": b"HEAD /health HTTP/1.1",
    "OPTIONS": b"OPTIONS /agent/execute HTTP/1.1",
    "400": b"GET /agent/results?x=1 HTTP/1.1",
    "404 of a route": b"GET /nothing HTTP/1.1",
    "404 of a task": b"GET /agent/tasks/x HTTP/1.1",
    "405": b"PUT /health HTTP/1.1",
    "406": b"GET /health HTTP/1.1\r\nAccept: text/html",
    "413 of waitress": b"POST /agent/execute HTTP/1.1\r\nContent-Length: 99999999",
    "431 of waitress": b"GET / HTTP/1.1\r\nX-A: " + b"a" * 40_000,
    "400 of waitress": b"nonsense",
    "a refused method": b"WEBSOCKET / HTTP/1.1",
}


def _headers(running: Running, request: bytes) -> dict[str, str]:
    return running.raw(request + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n").headers


@pytest.mark.parametrize("request_bytes", REQUESTS.values(), ids=REQUESTS.keys())
def test_every_kind_of_answer_has_them(shared: Running, request_bytes: bytes) -> None:
    headers = _headers(shared, request_bytes)
    assert {name: headers.get(name) for name in EXPECTED} == EXPECTED
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert ("style-src" in policy) == (request_bytes == REQUESTS["the page"])
    assert "strict-transport-security" not in headers
    assert "server" not in headers


def test_refusals_at_the_door_have_them(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("k",), rate_limit_max_requests=1)
    for status in (401, 429):
        reply = running.client.get("/agent/agents")
        assert reply.status_code == status
        assert {name: reply.headers.get(name) for name in EXPECTED} == EXPECTED


def test_hsts_is_sent_in_production_only(start_server: Callable[..., Running]) -> None:
    running = start_server(env="production")
    for request in (REQUESTS["an answer"], REQUESTS["404 of a route"], REQUESTS["400 of waitress"]):
        assert "max-age=" in _headers(running, request)["strict-transport-security"]
