"""Requests that are not HTTP as it should be, byte by byte over a socket: the same shape, and the server goes on."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.conftest import Running

TASK = b'{"task": "What is 1 + 1?"}'


@pytest.fixture(autouse=True)
def the_server_goes_on(shared: Running) -> Iterator[None]:
    """Whatever a test here sends, the next request is answered and no task came of it."""
    newest = shared.client.get("/agent/results", params={"limit": 1}).json()["results"]
    yield
    assert shared.client.get("/health/live").status_code == 200
    assert shared.client.get("/agent/results", params={"limit": 1}).json()["results"] == newest


def _post(*headers: bytes, body: bytes = TASK, version: bytes = b"1.1") -> bytes:
    lines = [b"POST /agent/execute HTTP/" + version, b"Host: localhost", b"Content-Type: application/json", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


LENGTH = b"Content-Length: %d" % len(TASK)
REFUSED = {
    "two lengths": _post(LENGTH, b"Content-Length: 5"),
    "two lengths in one line": _post(b"Content-Length: %d, 5" % len(TASK)),
    "a length and a transfer coding": _post(LENGTH, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "a transfer coding in HTTP/1.0": _post(LENGTH, b"Transfer-Encoding: chunked", version=b"1.0"),
    "a negative length": _post(b"Content-Length: -1"),
    "a length with a sign": _post(b"Content-Length: +%d" % len(TASK)),
    "a length in words": _post(b"Content-Length: ten"),
    "a length in hex": _post(b"Content-Length: 0x1a"),
    "chunks that are no chunks": _post(b"Transfer-Encoding: chunked", body=b"zz\r\nhello\r\n0\r\n\r\n"),
    "CR inside a header": _post(LENGTH, b"X-Request-Id: a\rX-Forged: b"),
    "LF inside a header": _post(LENGTH, b"X-Request-Id: a\nX-Forged: b"),
    "a header without a colon": _post(LENGTH, b"nonsense"),
    "a space before the colon": _post(LENGTH, b"X-Thing : a"),
    "a folded first header": b"GET / HTTP/1.1\r\n folded: a\r\n\r\n",
    "a folded header": _post(LENGTH, b"X-Thing: a\r\n b"),
    "no request line": b"nonsense\r\n\r\n",
    "CR inside the request line": b"GET /health\rX: y HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS to a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED.keys())
def test_malformed_http_is_refused_in_the_shape_of_every_error(
    shared: Running, assert_problem: Any, request_bytes: bytes
) -> None:
    answer = shared.raw(request_bytes)
    assert_problem(answer, 400, "malformed_request")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["connection"] == "close"
    assert "x-forged" not in answer.headers


def test_a_flood_of_headers_is_refused(shared: Running, assert_problem: Any) -> None:
    flood = b"\r\n".join(b"X-Flood-%d: %s" % (n, b"a" * 100) for n in range(1000))
    assert_problem(shared.raw(_post(LENGTH, flood)), 431, "headers_too_large")


def test_an_unknown_transfer_coding_is_refused(shared: Running, assert_problem: Any) -> None:
    assert_problem(shared.raw(_post(b"Transfer-Encoding: gzip, chunked")), 501, "not_implemented")


def test_a_declared_length_over_the_limit_is_refused_before_the_body_is_sent(
    shared: Running, assert_problem: Any
) -> None:
    answer = shared.raw(_post(b"Content-Length: 999999999999", body=b""))
    assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        pytest.param(_post(b"Content-Length: 99999999"), "413 Content Too Large", id="413"),
        pytest.param(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", "414 URI Too Long", id="414"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost\r\na: " + b"a" * 40_000, "431 Request Header Fields Too Large", id="431"
        ),
    ],
)
def test_the_reason_of_a_refusal_is_that_of_rfc_9110(shared: Running, sent: bytes, line: str) -> None:
    with socket.create_connection(("127.0.0.1", shared.server.port), timeout=10) as connection:
        connection.sendall(sent)
        assert connection.makefile("rb").readline().decode() == f"HTTP/1.1 {line}\r\n"


def test_the_reason_of_a_conflict_of_keys_is_that_of_rfc_9110(shared: Running) -> None:
    headers = {"Idempotency-Key": "reason"}
    shared.client.post("/agent/execute", json={"task": 1}, headers=headers)
    again = shared.client.post("/agent/execute", json={"task": 2}, headers=headers)
    assert (again.status_code, again.reason_phrase) == (422, "Unprocessable Content")


def test_a_body_cut_off_by_the_client_makes_no_task(shared: Running) -> None:
    assert shared.raw(_post(b"Content-Length: 1000"), half_close=True).status == 0


def test_a_chunked_body_cut_off_by_the_client_makes_no_task(shared: Running) -> None:
    cut = _post(b"Transfer-Encoding: chunked", body=b"1a\r\n" + TASK + b"\r\n")
    assert shared.raw(cut, half_close=True).status == 0


def test_a_client_that_vanishes_in_the_middle_of_its_headers_is_forgotten(shared: Running) -> None:
    with socket.create_connection(("127.0.0.1", shared.server.port)) as connection:
        connection.sendall(b"POST /agent/execute HTTP/1.1\r\nHost: localhost\r\nX-Half")


@pytest.mark.parametrize("method", [b"WEBSOCKET", b"FOO", b"CONNECT", b"SETUP", b"get"])
def test_an_unknown_method_is_refused(shared: Running, assert_problem: Any, method: bytes) -> None:
    answer = shared.raw(method + b" /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert_problem(answer, 501, "not_implemented")


def test_a_sane_request_id_is_returned_with_waitresss_own_refusals_too(shared: Running) -> None:
    answer = shared.raw(_post(b"X-Request-Id: mine-1", b"Content-Length: 999999999999"))
    assert (answer.status, answer.headers["x-request-id"]) == (413, "mine-1")


def test_an_http_1_0_request_is_answered(shared: Running) -> None:
    answer = shared.raw(b"GET /health/live HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.json()) == (200, {"status": "live"})
