"""Clients that go in the middle of anything: nothing is logged of it but the line of a request, and never a traceback."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from callboard.http.access_log import SparingLine
from callboard.limits import REFUSAL_LINES
from callboard.logs import QUIET

if TYPE_CHECKING:
    from tests.http.conftest import Running

GET = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /agent/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SENT = {
    "nothing": b"",
    "a letter": b"G",
    "half a head": GET[:-9],
    "no request": b"nonsense\r\n\r\n",
    "no request line's end": b"\0nonsense",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a bad host": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "a request": GET,
    "several requests": GET * 3,
    "a request and nonsense": GET + b"nonsense\r\n\r\n",
    "half a body": POST + b"Content-Length: 100\r\n\r\n{",
    "half a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "chunks that are none": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "no body yet": POST + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    "a body that is refused": POST + b"Content-Length: 99999999\r\n\r\n" + b"a" * 50_000,
    "a stream": b"GET /agent/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
}


def leave(running: Running, sent: bytes, *, how: str) -> None:
    """Send, and go: by a reset at once, by one while the answer comes or is lingered over, or by closing."""
    with socket.create_connection(("127.0.0.1", running.server.port), timeout=10) as connection:
        connection.sendall(sent)
        if how == "half-closed, reset":
            connection.shutdown(socket.SHUT_WR)
        if how == "reset at the answer" and (sent.endswith(b"\r\n\r\n") or sent[:1] in (b"\x16", b"\0")):
            assert connection.recv(1) == b"H"
        if how != "closed":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("how", ["reset", "reset at the answer", "half-closed, reset", "closed"])
def test_a_client_that_goes_leaves_no_traceback_and_one_line_a_request_at_most(
    shared: Running, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    capsys.readouterr()
    channels = shared.server._waitress.active_channels
    before = set(channels.values())
    for sent in SENT.values():
        for _ in range(8):
            leave(shared, sent, how=how)
    while set(channels.values()) - before:
        pass
    assert [record.getMessage() for record in caplog.records] == []
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["event"] for line in lines} <= {"request"}
    assert len(lines) <= 8 * (len(SENT) + 3)  # "several requests" are three, "a request and nonsense" is two


def test_waitress_does_not_tell_of_a_client_that_has_gone() -> None:
    assert QUIET["waitress"] > 20  # its level for that is info


def test_a_flood_of_what_is_no_http_does_not_fill_the_log() -> None:
    now_s = [1000.0]
    lines: list[dict[str, Any]] = []
    line = SparingLine(lines.append, lambda: now_s[0])
    for n in range(REFUSAL_LINES + 250):
        line({"n": n})
    assert lines == [{"n": n} for n in range(REFUSAL_LINES)]
    now_s[0] += 60
    line({"n": -1})
    line({"n": -2})
    assert lines[REFUSAL_LINES:] == [{"n": -1, "unlogged": 250}, {"n": -2}]
