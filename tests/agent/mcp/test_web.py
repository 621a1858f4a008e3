"""What servers over HTTP answer that is not the protocol, or hardly; and what becomes of sessions that they forget."""

import gzip
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from callboard.agent.mcp.results import ToolFailed
from callboard.agent.skill import RetryableError
from callboard.clock import Clock
from tests.agent.mcp.conftest import HttpServer, Running, Start, until
from tests.agent.mcp.odd_web import SSE, OddWeb, Reply, result, text
from tests.at_once import LATE_S

AT_ONCE_S = 3 + LATE_S


@pytest.fixture
def web() -> Iterator[OddWeb]:
    server = OddWeb()
    yield server
    server.close()


@pytest.fixture
def running(start: Start, web: OddWeb) -> Running:
    return start({"odd": web.entry})


def called(running: Running) -> Any:
    """Call the tool, and see that the answer does not take as long as one that never comes."""
    started_s = time.monotonic()
    try:
        return running.call("odd-echo", x=1)
    finally:
        assert time.monotonic() - started_s < AT_ONCE_S


# --- answers ---

FINE = b'{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"%s"}]}}'
EVENT = b"event: message\r\ndata: " + FINE % b"a" + b"\r\n\r\n"
MENDED: dict[str, tuple[Reply, Any]] = {
    "half a surrogate pair": (Reply(body=FINE % rb"a\ud800b"), "a\ufffdb"),
    "a byte that is not UTF-8": (Reply(body=FINE % b"caf\xe9"), "caf\ufffd"),
    "a byte-order mark": (Reply(body=b"\xef\xbb\xbf" + FINE % b"a"), "a"),
    "another id": (Reply(body=(FINE % b"a").replace(b"$ID", b"999")), "a"),
    "null as id": (Reply(body=(FINE % b"a").replace(b"$ID", b"null")), "a"),
    "no version": (Reply(body=(FINE % b"a").replace(b'"jsonrpc":"2.0",', b"")), "a"),
    "a batch": (Reply(body=b"[" + FINE % b"a" + b"]"), "a"),
    "text/plain": (Reply(kind="text/plain", body=FINE % b"a"), "a"),
    "no type": (Reply(kind=None, body=FINE % b"a"), "a"),
    "a type with a charset": (Reply(kind="Application/JSON; charset=latin-1", body=FINE % "é".encode()), "é"),
    "an encoding that is none": (Reply(body=FINE % b"a", headers={"Content-Encoding": "identity"}), "a"),
    "NaN and null": (Reply(body=b'{"jsonrpc":"2.0","id":$ID,"result":{"content":null,"structuredContent":NaN}}'), "nan"),
    "status 201": (Reply(201, body=FINE % b"a"), "a"),
    "an event": (Reply(kind=SSE, body=EVENT), "a"),
    "an event with half a surrogate pair": (Reply(kind=SSE, body=b"data: " + FINE % rb"a\udc00" + b"\n\n"), "a\ufffd"),
    "an event with a byte that is not UTF-8": (Reply(kind=SSE, body=b"data: " + FINE % b"caf\xe9" + b"\n\n"), "caf\ufffd"),
    "an event with a line separator": (Reply(kind=SSE, body=b"data: " + FINE % "a\u2028b".encode() + b"\n\n"), "a\u2028b"),
    "an event in two lines": (Reply(kind=SSE, body=b"data: " + (FINE % b"a").replace(b',"result"', b'\ndata:,"result"') + b"\n\n"), "a"),
    "an event of old line ends": (Reply(kind=SSE, body=EVENT.replace(b"\r\n", b"\r")), "a"),
    "an event without its end": (Reply(kind=SSE, body=EVENT.rstrip()), "a"),
    "an event of another name": (Reply(kind=SSE, body=EVENT.replace(b"message", b"response")), "a"),
    "an event with another id": (Reply(kind=SSE, body=EVENT.replace(b"$ID", b"999")), "a"),
    "an event behind a byte-order mark": (Reply(kind=SSE, body=b"\xef\xbb\xbfdata: " + FINE % b"a" + b"\n\n"), "a"),
    "an event behind comments": (Reply(kind=SSE, body=b": ping\n\n: ping\r\n\r\nretry: 5\n\n" + EVENT), "a"),
    "an event behind an event of nothing": (Reply(kind=SSE, body=b"id: 1\ndata:\n\n" + EVENT), "a"),
    "an event behind a notification": (Reply(kind=SSE, body=b'data: {"jsonrpc":"2.0","method":"notifications/x"}\n\n' + EVENT), "a"),
}  # fmt: skip
NOISE = [
    b'data: {"jsonrpc":"2.0","method":"notifications/x","params":[]}\n\n',
    b"event: ping\ndata: 2026-01-08\n\n",
    b'data: {"type":"heartbeat"}\n\n',
    b"data: D\xe9but\n\n",
    b"data: 3\n\n",
]


@pytest.mark.parametrize(("reply", "value"), MENDED.values(), ids=MENDED)
def test_an_answer_that_can_be_read_is_read(web: OddWeb, running: Running, reply: Reply, value: Any) -> None:
    web.reply = lambda message: reply
    assert called(running) == value
    assert running.servers.warnings == ()


@pytest.mark.parametrize("noise", NOISE)
def test_events_that_are_no_messages_are_skipped_and_reported_once(web: OddWeb, running: Running, noise: bytes) -> None:
    web.reply = lambda message: Reply(kind=SSE, body=noise * 3 + EVENT)
    assert called(running) == "a"
    (problem,) = running.servers.warnings
    assert "it sends events that are not the protocol, such as " in problem


NEVER_READ = "the tool was called, and the server answered what is not MCP"
FAILED: dict[str, tuple[Reply, type[Exception], str]] = {
    "a page": (Reply(kind="text/html", body=b"<html>Log in</html>"), ToolFailed, rf"{NEVER_READ} \(text/html\)$"),
    "nothing": (Reply(), ToolFailed, rf"{NEVER_READ} \(application/json\): nothing at all"),
    "nothing of no type": (Reply(kind=None), ToolFailed, rf"{NEVER_READ} \(of no type\): nothing at all"),
    "text": (Reply(kind="text/plain", body=b"hello\x1b[31m"), ToolFailed, r"\(text/plain\): hello"),
    "JSON that is no message": (Reply(body=b'{"ok": true}'), ToolFailed, r'\(application/json\): \{"ok": true\}'),
    "half of a message": (Reply(body=FINE[:40]), ToolFailed, "the tool was called, and "),
    "a result that is a text": (Reply(body=b'{"jsonrpc":"2.0","id":$ID,"result":"a"}'), ToolFailed, "holds no object as its result"),
    "too much": (Reply(body=FINE % (b"x" * 8_000_001)), ToolFailed, "its answer is larger than 8,000,000 bytes"),
    "an event that is too large": (Reply(kind=SSE, body=b"data: " + FINE % (b"x" * 8_000_001) + b"\n\n"), ToolFailed, "is larger than 8,000,000 bytes"),
    "many lines that are too much": (Reply(kind=SSE, body=(b"data: " + b"x" * 1_000_000 + b"\n") * 9 + b"\n"), ToolFailed, "is larger than 8,000,000 bytes"),
    "compressed": (Reply(body=gzip.compress(FINE % b"a"), headers={"Content-Encoding": "gzip"}), ToolFailed, "compressed answers, unasked; whether"),
    "202": (Reply(202, None), ToolFailed, r"will send no answer \(HTTP status 202\); whether the call was carried out is not"),
    "204": (Reply(204, None), ToolFailed, r"will send no answer \(HTTP status 204\); whether the call was carried out is not"),
    "events without an answer": (Reply(kind=SSE, body=b": bye\n\n"), ToolFailed, "ended the connection; whether the call was carried out is not"),
    "no events": (Reply(kind=SSE), ToolFailed, "ended the connection; whether the call was carried out is not"),
    "a body that breaks off": (Reply(body=FINE[:40], length=500), ToolFailed, "the connection broke .*; whether the call was carried out"),
    "events that break off": (Reply(kind=SSE, body=EVENT[:40], length=500), ToolFailed, "whether the call was carried out is not known"),
    "no response": (Reply(0), ToolFailed, "the connection broke .*; whether the call was carried out"),
    "elsewhere": (Reply(302, headers={"Location": "http://127.0.0.1:9/login?x=1"}), ToolFailed, "Redirect to http://127.0.0.1:9/login not followed"),
    "304": (Reply(304, None), ToolFailed, NEVER_READ),
    "403": (Reply(403, "text/html", b"<html>"), ToolFailed, "the server answered with HTTP status 403; look at its headers$"),
    "405": (Reply(405, None), ToolFailed, r"what answers there does not speak MCP \(HTTP status 405\)"),
    "429": (Reply(429, "text/plain", b"slow down"), RetryableError, "HTTP status 429: slow down"),
    "429 with an error": (Reply(429, body=b'{"jsonrpc":"2.0","id":$ID,"error":{"code":1,"message":"slow down"}}'), RetryableError, "429: slow down"),
    "500": (Reply(500, "text/html", b"<html>"), ToolFailed, "HTTP status 500; whether the call was carried out is not known"),
    "503": (Reply(503, None, headers={"Retry-After": "3"}), ToolFailed, "HTTP status 503.*; whether the call was carried out is not"),
    "an error": (Reply(body=b'{"jsonrpc":"2.0","id":$ID,"error":{"code":-32000,"message":"no quota left"}}'), ToolFailed, "^no quota left$"),
    "an error as an event": (Reply(kind=SSE, body=b'data: {"jsonrpc":"2.0","id":$ID,"error":{"code":-32001,"message":"no quota left"}}\n\n'), ToolFailed, "^no quota left$"),
    "an error with a status": (Reply(500, body=b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"no quota left"}}'), ToolFailed, "^no quota left$"),
    "an error that bears the id": (Reply(400, body=b'{"jsonrpc":"2.0","id":$ID,"error":{"code":-32602,"message":"no such page"}}'), ToolFailed, "^no such page$"),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "error", "said"), FAILED.values(), ids=FAILED)
def test_anything_else_fails_the_call_at_once_and_once(
    web: OddWeb, running: Running, reply: Reply, error: type[Exception], said: str
) -> None:
    web.reply = lambda message: reply
    with pytest.raises(error, match=said):
        called(running)
    assert web.calls == [{"x": 1}]
    web.reply = lambda message: result(text("fine"))
    assert called(running) == "fine"
    assert web.seen.count("initialize") == 1


HANDSHAKES = {
    "401": (Reply(401, body=b'{"error":"no token"}'), "the server answered with HTTP status 401; look at its headers: no token"),
    "403": (Reply(403, "text/html", b"<html>"), "the server answered with HTTP status 403; look at its headers"),
    "404": (Reply(404, "text/html", b"<html>"), "what answers there does not speak MCP (HTTP status 404); look at its url"),
    "500": (Reply(500, "text/plain", b"oh"), "the server answered with HTTP status 500: oh"),
    "503": (Reply(503, "text/html", b"<html>"), "the server answered with HTTP status 503"),
    "a page": (Reply(200, "text/html", b"<html>"), "the server answered what is not MCP (text/html)"),
    "an error": (Reply(200, body=b'{"jsonrpc":"2.0","id":$ID,"error":{"code":-32000,"message":"no licence"}}'), "it refuses: no licence"),
}  # fmt: skip


@pytest.mark.parametrize(("shake", "said"), HANDSHAKES.values(), ids=HANDSHAKES)
def test_a_handshake_that_fails_says_why(start: Start, web: OddWeb, shake: Reply, said: str) -> None:
    web.shake = shake
    told = str(start({"odd": web.entry}).servers.troubles["odd"])
    assert told == f"The MCP server odd is not usable: {said}; its skills are not there yet."


def test_a_notification_that_is_never_answered_holds_up_nothing(
    start: Start, web: OddWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.agent.mcp.web._SIDE_S", 0.2)
    over = threading.Event()
    web.notified = over.wait  # type: ignore[assignment]  # what it returns is of no interest
    try:
        assert called(start({"odd": web.entry})) == "fine"
    finally:
        over.set()


# --- sessions ---

REFUSALS = {
    "404": Reply(404, "text/plain", b"Session not found"),
    "404 of a page": Reply(404, "text/html", b"<html>"),
    "404 with an error": Reply(404, body=b'{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}'),
    "404 with the id": Reply(404, body=b'{"jsonrpc":"2.0","id":$ID,"error":{"code":-32601,"message":"Not found"}}'),
    "400 with an error": Reply(400, body=b'{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}'),
    "400 with the id": Reply(400, body=b'{"jsonrpc":"2.0","id":$ID,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}'),
    "400 of text": Reply(400, "text/plain", b"Bad Request: No valid session ID provided"),
    "400 of nothing": Reply(400, None),
    "400 of other JSON": Reply(400, body=b'{"error":"unknown session"}'),
    "401": Reply(401, "text/plain", b"who are you"),
    "410": Reply(410, None),
}  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_server_that_does_not_know_the_session_is_met_anew(web: OddWeb, running: Running, refusal: Reply) -> None:
    web.refusal = refusal
    assert called(running) == "fine"
    web.forget()
    assert called(running) == "fine"
    assert web.calls == [{"x": 1}, {"x": 1}]
    assert running.why("odd") is None


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_check_of_a_session_that_is_not_known_begins_another(start: Start, web: OddWeb, refusal: Reply) -> None:
    web.refusal = refusal
    now_s = [1000.0]
    running = start({"odd": web.entry}, clock=Clock(monotonic=lambda: now_s[0]))
    web.forget()
    now_s[0] += 60
    seen = {running.why("odd")}  # which has it asked, in a session that is gone
    while web.seen.count("initialize") < 2:
        seen.add(running.why("odd"))
    assert called(running) == "fine"
    assert {*seen, running.why("odd")} == {None}


def test_a_call_that_is_refused_in_a_new_session_as_well_has_failed(web: OddWeb, running: Running) -> None:
    web.reply = lambda message: Reply(400, "text/plain", b"no such page")
    with pytest.raises(ToolFailed, match=r"refused in a session that has just begun: .*HTTP status 400: no such page"):
        called(running)
    assert web.seen.count("initialize") == 2


def test_a_call_under_way_goes_on_while_another_finds_the_session_unknown(web: OddWeb, running: Running) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slowly(message: Any) -> Reply:
        asked.set()
        go_on.wait(20)
        return result(text("slow"))

    web.reply = slowly
    answers: list[Any] = []
    worker = threading.Thread(target=lambda: answers.append(running.call("odd-echo", x=2)))
    worker.start()
    assert asked.wait(20)
    web.reply = lambda message: result(text("fine"))
    web.forget()
    assert called(running) == "fine"
    go_on.set()
    worker.join()
    assert answers == ["slow"]


def test_an_error_is_no_lost_session_because_the_stream_of_changes_is_refused(web: OddWeb, running: Running) -> None:
    error = b'{"jsonrpc":"2.0","id":$ID,"error":{"code":1,"message":"no quota left"}}'
    web.reply = lambda message: Reply(body=error)
    with pytest.raises(ToolFailed, match=r"^no quota left$"):  # whose GET was answered 404
        called(running)
    assert (web.calls, web.seen.count("initialize")) == ([{"x": 1}], 1)


@pytest.mark.parametrize("version", ["auto", "2025-11-25"])
def test_a_restarted_server_of_the_official_sdk_costs_nothing(start: Start, http_server: Any, version: str) -> None:
    web: HttpServer = http_server()
    now_s = [1000.0]
    entry = {**web.entry, "protocolVersion": version}
    running = start({"tools": entry}, clock=Clock(monotonic=lambda: now_s[0]))
    for _ in range(2):
        web.kill()
        web.start()
        assert running.call("tools-work", 0.0) == {"result": "worked"}
    web.kill()
    with pytest.raises(RetryableError, match="the server cannot be reached"):
        running.call("tools-work", 0.0)
    web.start()
    assert running.call("tools-work", 0.0) == {"result": "worked"}
    web.kill()
    web.start()
    now_s[0] += 60
    assert running.why("tools") is None  # has it asked, in a session that is gone
    until(lambda: running.servers._lines["tools"].connection.heard_s == now_s[0])
    assert running.why("tools") is None
    assert running.call("tools-work", 0.0) == {"result": "worked"}
