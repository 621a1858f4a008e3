"""HTTP as RFC 9110 and 9112 have it, byte by byte: what is answered, what is refused and how, and what is waited for."""

from __future__ import annotations

import select
import socket
from contextlib import closing
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

import pytest

from callboard import limits
from callboard.http.chunks import Chunks
from callboard.http.request_head import Fault

if TYPE_CHECKING:
    from tests.http.conftest import Running

HOST = b"Host: example.com\r\n"  # which CALLBOARD_ALLOWED_HOSTS of the shared server names
TASK = b'{"task": "What is 1 + 1?"}'


def request(line: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    return b"".join(part + b"\r\n" for part in (line, *lines)) + b"\r\n" + body


def get(*lines: bytes, path: bytes = b"/", body: bytes = b"") -> bytes:
    return request(b"GET " + path + b" HTTP/1.1", b"Host: example.com", *lines, body=body)


def post(*lines: bytes, body: bytes = TASK) -> bytes:
    """A task, whose body has to be framed by `lines`."""
    head = (b"POST /agent/execute HTTP/1.1", b"Host: localhost", b"Content-Type: application/json")
    return request(*head, *lines, body=body)


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def open_to(running: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.server.port), timeout=10)


def answer_of(connection: socket.socket) -> HTTPResponse:
    """Read one answer to its end, as a client does: by what its head says."""
    with closing(HTTPResponse(connection)) as answer:
        answer.begin()
        answer.read()
        return answer


def status_of(running: Running, sent: bytes) -> int:
    """Return the first final status; what comes before it is of no interest."""
    with open_to(running) as connection:
        connection.sendall(sent)
        return answer_of(connection).status


# --- the cases of h1spec, a public suite for HTTP/1.1 servers ---

PREFIX = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r"
WAITED_FOR = [
    b"G", b"GET ", b"GET /hello", b"GET /hello ", b"GET /hello HTTP", b"GET /hello HTTP/1.1", b"GET /hello HTTP/1.1\r",
    b"GET /hello HTTP/1.1\r\n", PREFIX[:24], PREFIX[:26], PREFIX[:27], PREFIX[:36], PREFIX[:37], PREFIX[:38], PREFIX,
]  # fmt: skip
OK, REFUSED = range(200, 300), range(400, 500)
H1SPEC = {
    "no version": (b"GET / \r\n\r\n", range(400, 600)),
    "an expectation without a body": (get(b"Expect: 100-continue"), OK),
    "a plain request": (get(), OK),
    "names in any case, a tab, an empty value": (b"GET / HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n", OK),
    "a name that is none": (get(b"X-Invalid[]: test"), REFUSED),
    "no host": (b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", REFUSED),
    "two hosts": (get(b"Host: example.org"), REFUSED),
    "a very negative length": (get(b"Content-Length: -123456789123456789123456789"), REFUSED),
    "a negative length": (get(b"Content-Length: -1234"), REFUSED),
    "a length in letters": (get(b"Content-Length: abc"), REFUSED),
    "an empty header": (get(b"X-Empty-Header: "), OK),
    "a control character": (get(b"X-Bad-Control-Char: test\x07"), REFUSED),
    "another version": (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", range(400, 600)),
    "something in front": (b"Extra lineGET / HTTP/1.1\r\n" + HOST + b"\r\n", range(400, 600)),
    "a bare CR": (b"GET / HTTP/1.1\r\n" + HOST + b"\r\rSome-Header: Test\r\n\r\n", REFUSED),
    "a length and chunks": (get(b"Transfer-Encoding: chunked", b"Content-Length: 5"), REFUSED),
}
"""With `CALLBOARD_ALLOWED_HOSTS=example.com`, or with a key, which takes any name. `POST /` wants a server that echoes: 405."""


@pytest.mark.parametrize(("sent", "statuses"), H1SPEC.values(), ids=H1SPEC.keys())
def test_what_h1spec_sends_is_answered_as_it_expects(shared: Running, sent: bytes, statuses: range) -> None:
    assert status_of(shared, sent) in statuses


def test_the_beginning_of_a_request_is_waited_on(shared: Running) -> None:
    connections = [open_to(shared) for _ in WAITED_FOR]
    try:
        for connection, begun in zip(connections, WAITED_FOR, strict=True):
            connection.sendall(begun)
        assert status_of(shared, get()) == 200  # the loop has come by, and by those before it
        assert status_of(shared, get(body=b"")) == 200
        assert select.select(connections, [], [], 0)[0] == []
        connections[-1].sendall(b"\n")
        assert answer_of(connections[-1]).status == 404  # what was waited for
    finally:
        for connection in connections:
            connection.close()


# --- what is refused ---


def line(text: bytes) -> bytes:
    return text + b"\r\nHost: localhost\r\n\r\n"


def host(*values: bytes) -> bytes:
    return request(b"GET /health/live HTTP/1.1", *(b"Host: " + value for value in values))


MALFORMED = {
    "no version at all": line(b"GET /"),
    "a version in lower case": line(b"GET / http/1.1"),
    "two digits behind the dot": line(b"GET / HTTP/1.10"),
    "two digits in front of it": line(b"GET / HTTP/01.1"),
    "no minor version": line(b"GET / HTTP/1"),
    "something behind the version": line(b"GET / HTTP/1.1 x"),
    "a blank behind the version": line(b"GET / HTTP/1.1 "),
    "two blanks": line(b"GET  / HTTP/1.1"),
    "a tab between": line(b"GET\t/ HTTP/1.1"),
    "a blank in the target": line(b"GET /a b HTTP/1.1"),
    "a control character in the target": line(b"GET /\x01 HTTP/1.1"),
    "NUL in the target": line(b"GET /\0 HTTP/1.1"),
    "DEL in the target": line(b"GET /\x7f HTTP/1.1"),
    "a target beyond ASCII": line("GET /ä HTTP/1.1".encode()),
    "a fragment": line(b"GET /#top HTTP/1.1"),
    "a fragment of the query": line(b"GET /?a=b#top HTTP/1.1"),
    "a backslash": line(b"GET /a\\b HTTP/1.1"),
    "a backslash in the query": line(b"GET /?a=\\ HTTP/1.1"),
    "a quote": line(b'GET /?a="b" HTTP/1.1'),
    "a percent sign that encodes nothing": line(b"GET /health/live?a=%zz HTTP/1.1"),
    "half an encoding": line(b"GET /health/live% HTTP/1.1"),
    "a target without a slash": line(b"GET agent/skills HTTP/1.1"),
    "a name as target": line(b"GET localhost HTTP/1.1"),
    "a host and port as target": line(b"GET localhost:80 HTTP/1.1"),
    "a query as target": line(b"GET ?a=b HTTP/1.1"),
    "a star without OPTIONS": line(b"GET * HTTP/1.1"),
    "another scheme": line(b"GET ftp://localhost/ HTTP/1.1"),
    "a scheme without a host": line(b"GET http:///health/live HTTP/1.1"),
    "a scheme with a port alone": line(b"GET http://:80/health/live HTTP/1.1"),
    "a user in the target": line(b"GET http://me@localhost/health/live HTTP/1.1"),
    "a user and password in the target": line(b"GET http://me:x@localhost/health/live HTTP/1.1"),
    "a port of the target beyond all": line(b"GET http://localhost:70000/health/live HTTP/1.1"),
    "a fragment of a whole address": line(b"GET http://localhost/health/live#a HTTP/1.1"),
    "a whole address without a Host": b"GET http://localhost/health/live HTTP/1.1\r\n\r\n",
    "a whole address with a bad Host": b"GET http://localhost/health/live HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a blank in front": b" GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a LF in front": b"\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a vertical tab in front": b"\x0bGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a byte-order mark in front": b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a CR in front": b"\rGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a colon in front": b":GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    # hosts
    "no Host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "no Host in a later version": b"GET /health/live HTTP/1.2\r\n\r\n",
    "two Hosts": host(b"localhost", b"example.com"),
    "twice the same Host": host(b"localhost", b"localhost"),
    "two Hosts in one": host(b"localhost, example.com"),
    "two Hosts in one without a blank": host(b"localhost,example.com"),
    "two Hosts, one empty": host(b"", b"localhost"),
    "a user in the Host": host(b"me@localhost"),
    "a user and password in the Host": host(b"me:x@localhost"),
    "a blank in the Host": host(b"local host"),
    "a tab in the Host": host(b"local\thost"),
    "a path in the Host": host(b"localhost/health"),
    "a scheme in the Host": host(b"http://localhost"),
    "a query in the Host": host(b"localhost?a"),
    "a fragment in the Host": host(b"localhost#a"),
    "a backslash in the Host": host(b"localhost\\a"),
    "a port in letters": host(b"localhost:http"),
    "a port beyond all": host(b"localhost:65536"),
    "a port of many digits": host(b"localhost:0000080"),
    "port 0": host(b"localhost:0"),
    "a negative port": host(b"localhost:-1"),
    "two ports": host(b"localhost:80:80"),
    "a port alone": host(b":80"),
    "IPv6 without brackets": host(b"::1"),
    "IPv6 with half its brackets": host(b"[::1"),
    "no IPv6 in brackets": host(b"[localhost]"),
    "too much IPv6": host(b"[1:2:3:4:5:6:7:8:9]"),
    "something behind the brackets": host(b"[::1]a"),
    "a Host beyond ASCII": host("bücher.example".encode()),
    "a bad encoding in the Host": host(b"a%zz"),
    "a Host of 300 characters": host(b"a" * 300),
    "a bad Host in HTTP/1.0": b"GET /health/live HTTP/1.0\r\nHost: a b\r\n\r\n",
    # headers
    "a folded header": get(b"X-Thing: a", b" b"),
    "a folded header with a tab": get(b"X-Thing: a", b"\tb"),
    "a header that is only folded": request(b"GET / HTTP/1.1", b" Host: localhost"),
    "a blank before the colon": get(b"X-Thing : a"),
    "a tab before the colon": get(b"X-Thing\t: a"),
    "an empty name": get(b": a"),
    "a name with a blank": get(b"X Thing: a"),
    "a name with a bracket": get(b"X-(Thing): a"),
    "a name beyond ASCII": get("X-Täg: a".encode()),
    "a name with NUL": get(b"X-\0: a"),
    "no colon": get(b"X-Thing"),
    "NUL in a value": get(b"X-Thing: a\0b"),
    "DEL in a value": get(b"X-Thing: a\x7fb"),
    "ESC in a value": get(b"X-Thing: a\x1bb"),
    "CR in a value": get(b"X-Thing: a\rb"),
    "LF in a value": get(b"X-Thing: a\nb"),
    "CR at the end of a value": get(b"X-Thing: a\r"),
    "LF between the headers": b"GET / HTTP/1.1\nHost: localhost\r\n\r\n",
    # lengths and codings
    "the same length twice": post(b"Content-Length: 26", b"Content-Length: 26"),
    "two lengths": post(b"Content-Length: 26", b"Content-Length: 5"),
    "a list of lengths": post(b"Content-Length: 26, 26"),
    "a length with a plus": post(b"Content-Length: +26"),
    "a length in hex": post(b"Content-Length: 0x1a"),
    "a length with a fraction": post(b"Content-Length: 26.0"),
    "a length with an underscore": post(b"Content-Length: 2_6"),
    "a length in other digits": post("Content-Length: ٢٦".encode()),
    "a length with a blank": post(b"Content-Length: 2 6"),
    "an empty length": post(b"Content-Length:"),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "chunked in two headers": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "identity": post(b"Transfer-Encoding: identity"),
    "a coding like chunked": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "chunked with a parameter": post(b"Transfer-Encoding: chunked;a=b", body=b"0\r\n\r\n"),
    "chunked in quotes": post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "chunked not as the last": post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "a coding other than chunked": post(b"Transfer-Encoding: gzip"),
    "an empty coding": post(b"Transfer-Encoding:"),
    "chunked behind a vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "chunks in HTTP/1.0": request(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks and a length of 0": post(b"Transfer-Encoding: chunked", b"Content-Length: 0", body=b"0\r\n\r\n"),
    # chunks
    "a blank in front of the size": chunked(b" 1a\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "a blank behind the size": chunked(b"1a \r\n" + TASK + b"\r\n0\r\n\r\n"),
    "a size with a plus": chunked(b"+1a\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "a negative size": chunked(b"-1\r\n"),
    "a size with 0x": chunked(b"0x1a\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "a size with an underscore": chunked(b"1_a\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "no size": chunked(b"\r\n1a\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "a size of 17 digits": chunked(b"0000000000000001a\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "LF alone behind the size": chunked(b"1a\n" + TASK + b"\r\n0\r\n\r\n"),
    "LF in front of the end of the size": chunked(b"1a\n\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "an extension that is none": chunked(b"1a;=\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "LF in an extension": chunked(b"1a;a\nb\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "no end behind a chunk": chunked(b"1a\r\n" + TASK + b"0\r\n\r\n"),
    "LF alone behind a chunk": chunked(b"1a\r\n" + TASK + b"\n0\r\n\r\n"),
    "a chunk that is longer than it says": chunked(b"5\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "a trailer that is none": chunked(b"1a\r\n" + TASK + b"\r\n0\r\nnonsense\r\n\r\n"),
    "a folded trailer": chunked(b"1a\r\n" + TASK + b"\r\n0\r\nA: b\r\n c\r\n\r\n"),
    "LF alone behind the trailers": chunked(b"1a\r\n" + TASK + b"\r\n0\r\n\n"),
}  # fmt: skip
LONG = limits.CHUNK_EXTRA_BYTES
OTHERWISE = {
    "HTTP/2.0": (line(b"GET / HTTP/2.0"), 505, "http_version_not_supported"),
    "HTTP/0.9": (line(b"GET / HTTP/0.9"), 505, "http_version_not_supported"),
    "HTTP/9.9": (line(b"GET / HTTP/9.9"), 505, "http_version_not_supported"),
    "HTTP/2 as a client begins it": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version_not_supported"),
    "CONNECT": (line(b"CONNECT localhost:443 HTTP/1.1"), 501, "not_implemented"),
    "CONNECT with a path": (line(b"CONNECT /health HTTP/1.1"), 501, "not_implemented"),
    "a method that nobody knows": (line(b"BREW / HTTP/1.1"), 501, "not_implemented"),
    "a method in small letters": (line(b"get / HTTP/1.1"), 501, "not_implemented"),
    "another coding under the chunks": (post(b"Transfer-Encoding: gzip, chunked"), 501, "not_implemented"),
    "another expectation": (post(b"Content-Length: 26", b"Expect: 200-ok"), 417, "expectation_failed"),
    "two expectations": (post(b"Content-Length: 26", b"Expect: 100-continue, a"), 417, "expectation_failed"),
    "a long request line": (line(b"GET /%s HTTP/1.1" % (b"a" * limits.REQUEST_LINE_BYTES)), 414, "uri_too_long"),
    "a long line without an end": (b"GET /" + b"a" * limits.REQUEST_LINE_BYTES, 414, "uri_too_long"),
    "large headers": (get(b"A: " + b"a" * limits.HEAD_BYTES), 431, "headers_too_large"),
    "large headers without an end": (get()[:-2] + b"A: " + b"a" * limits.HEAD_BYTES, 431, "headers_too_large"),
    "many headers": (get(*(b"A%d: b" % n for n in range(4000))), 431, "headers_too_large"),
    "blank lines without an end": (b"\r\n" * limits.HEAD_BYTES, 431, "headers_too_large"),
    "a large body": (post(b"Content-Length: 99999999999", body=b""), 413, "body_too_large"),
    "a length of 5,000 digits": (post(b"Content-Length: " + b"9" * 5000, body=b""), 413, "body_too_large"),
    "a large chunk": (chunked(b"fffffffff\r\n"), 413, "body_too_large"),
    "the largest chunk": (chunked(b"f" * 16 + b"\r\n"), 413, "body_too_large"),
    "a flood of extensions": (chunked(b"1;a=%s\r\n1\r\n" % (b"b" * LONG)), 431, "headers_too_large"),
    "an extension without an end": (chunked(b"1;a=" + b"b" * LONG * 2), 431, "headers_too_large"),
    "many extensions": (chunked(b"1;abcdefgh\r\n1\r\n" * (LONG // 9 + 1)), 431, "headers_too_large"),
    "a flood of trailers": (chunked(b"0\r\n" + b"A: b\r\n" * LONG), 431, "headers_too_large"),
}  # fmt: skip


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_malformed_is_refused_and_ends_the_connection(
    shared: Running, assert_problem: Any, sent: bytes
) -> None:
    answer = shared.raw(sent + get(path=b"/never"))
    assert_problem(answer, 400, "malformed_request")
    assert answer.headers["connection"] == "close"
    assert answer.headers["date"]
    assert answer.body.count(b"requestId") == 1  # nothing behind it was read as a request


@pytest.mark.parametrize(("sent", "status", "code"), OTHERWISE.values(), ids=OTHERWISE.keys())
def test_what_cannot_be_served_is_refused_by_what_it_is(
    shared: Running, assert_problem: Any, sent: bytes, status: int, code: str
) -> None:
    answer = shared.raw(sent)
    assert_problem(answer, status, code)
    assert answer.headers["connection"] == "close"


# --- what is answered ---

ANSWERED = {
    "a later minor version": (line(b"GET /health/live HTTP/1.2"), 200),
    "the latest minor version": (line(b"GET /health/live HTTP/1.9"), 200),
    "HTTP/1.0 without a Host": (b"GET /health/live HTTP/1.0\r\n\r\n", 200),
    "blank lines in front": (b"\r\n\r\n\r\n" + get(), 200),
    "a whole address": (line(b"GET http://localhost/health/live HTTP/1.1"), 200),
    "a whole address of another scheme's": (line(b"GET https://localhost/health/live HTTP/1.1"), 200),
    "a whole address in capitals": (line(b"GET HTTP://LOCALHOST:80/health/live HTTP/1.1"), 200),
    "a whole address without a path": (line(b"GET http://localhost HTTP/1.1"), 200),
    "a whole address with a query alone": (line(b"GET http://localhost? HTTP/1.1"), 200),
    "a whole address with IPv6": (line(b"GET http://[::1]:3000/health/live HTTP/1.1"), 200),
    "a whole address in HTTP/1.0": (b"GET http://localhost/health/live HTTP/1.0\r\n\r\n", 200),
    "OPTIONS for the server": (line(b"OPTIONS * HTTP/1.1"), 200),
    "OPTIONS for the server by its address": (line(b"OPTIONS http://localhost HTTP/1.1"), 200),
    "OPTIONS of a path": (line(b"OPTIONS /agent/skills HTTP/1.1"), 200),
    "encoded letters": (line(b"GET /%68ealth/live HTTP/1.1"), 200),
    "what browsers leave as it is": (line(b"GET /agent/results?q=[a]|{b}^`' HTTP/1.1"), 200),
    "an encoded slash is no separator": (line(b"GET /health%2Flive HTTP/1.1"), 404),
    "an encoded slash in small letters": (line(b"GET /health%2flive HTTP/1.1"), 404),
    "an encoded slash is no way up": (line(b"GET /console/..%2fapp.py HTTP/1.1"), 404),
    "encoded dots are no way up": (line(b"GET /agent/%2e%2e/health HTTP/1.1"), 404),
    "dots are no way up": (line(b"GET /agent/../health HTTP/1.1"), 404),
    "a Host with a port": (host(b"localhost:80"), 200),
    "a Host with an empty port": (host(b"localhost:"), 200),
    "a Host with IPv6": (host(b"[::1]:80"), 200),
    "an empty Host": (host(b""), 200),
    "a value beyond ASCII": (get(b"X-Thing: \xe4"), 200),
    "a tab in a value": (get(b"X-Thing: \ta\tb\t"), 200),
    "an upgrade, which is not made": (get(b"Connection: Upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ"), 200),
    "a length of 0": (get(b"Content-Length: 0"), 200),
    "a length with leading zeros": (post(b"Content-Length: 0026"), 200),
    "chunks": (chunked(b"a\r\n" + TASK[:10] + b"\r\n010\r\n" + TASK[10:] + b"\r\n0\r\n\r\n"), 200),
    "chunks by another case": (post(b"transfer-encoding: \tChunked ", body=b"1A\r\n" + TASK + b"\r\n0\r\n\r\n"), 200),
    "extensions": (chunked(b'1a;a;b=c;d="e;\\"f" ; g = h\r\n' + TASK + b"\r\n0;x\r\n\r\n"), 200),
    "trailers, which change nothing": (
        chunked(b"1a\r\n" + TASK + b"\r\n0\r\nContent-Length: 5\r\nHost: evil.example\r\nTransfer-Encoding: a\r\n\r\n"), 200
    ),
    "a method that the path does not take": (line(b"PUT /agent/skills HTTP/1.1"), 405),
    "TRACE": (line(b"TRACE /agent/skills HTTP/1.1"), 405),
    "QUERY": (line(b"QUERY /agent/skills HTTP/1.1"), 405),
    "a WebDAV method": (line(b"PROPFIND /agent/skills HTTP/1.1"), 405),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), ANSWERED.values(), ids=ANSWERED.keys())
def test_what_the_standard_allows_is_answered_and_the_connection_goes_on(
    shared: Running, sent: bytes, status: int
) -> None:
    with open_to(shared) as connection:
        connection.sendall(sent)
        answer = answer_of(connection)
        assert answer.status == status
        assert answer.headers["Date"]
        assert (answer.headers["Allow"] is not None) == (status == 405 or b"OPTIONS" in sent)
        if b"HTTP/1.0" not in sent:
            connection.sendall(get(path=b"/health/live"))
            assert answer_of(connection).status == 200


@pytest.mark.parametrize(
    ("version", "wanted", "closes"),
    [
        ("1.1", "close", True), ("1.1", "Close", True), ("1.1", "keep-alive, close", True), ("1.1", "close , x", True),
        ("1.1", "keep-alive", False), ("1.1", "x", False), ("1.0", "", True), ("1.0", "x", True),
        ("1.0", "Keep-Alive", False), ("1.0", "x, keep-alive", False), ("1.0", "keep-alive, close", True),
    ],
)  # fmt: skip
def test_a_connection_ends_if_the_client_wants_it(shared: Running, version: str, wanted: str, closes: bool) -> None:
    sent = f"GET /health/live HTTP/{version}\r\nHost: localhost\r\nConnection: {wanted}\r\n\r\n".encode()
    with open_to(shared) as connection:
        connection.sendall(sent)
        answer = answer_of(connection)
        assert answer.will_close is closes
        if closes:
            assert connection.recv(1) == b""
        else:
            connection.sendall(sent)
            assert answer_of(connection).status == 200


def test_a_client_that_waits_to_send_is_told_to_go_on_only_if_its_body_is_wanted(shared: Running) -> None:
    with open_to(shared) as connection, connection.makefile("rb") as read:
        connection.sendall(post(b"Content-Length: 26", b"Expect: 100-Continue", body=b""))
        assert read.readline() == b"HTTP/1.1 100 Continue\r\n"
        connection.sendall(TASK)
        assert [read.readline(), read.readline()] == [b"\r\n", b"HTTP/1.1 200 OK\r\n"]
    for refused in (b"Content-Length: 99999999", b"Content-Length: -1", b"Transfer-Encoding: x"):
        sent = post(refused, b"Expect: 100-continue", body=b"")
        assert shared.raw(sent).status in (400, 413)  # and the raw answer begins with that
    old = request(b"POST /agent/execute HTTP/1.0", b"Host: localhost", b"Expect: 100-continue", b"Content-Length: 2")
    assert shared.raw(old + b"{}").status == 415


@pytest.mark.parametrize(("path", "status"), [(b"/nothing", b"404"), (b"/agent/results", b"405")])
def test_what_a_path_refuses_is_refused_behind_the_100_that_the_head_gets(
    shared: Running, path: bytes, status: bytes
) -> None:
    sent = post(b"Expect: 100-continue", b"Content-Length: 2", b"Connection: close", body=b"{}")
    with socket.create_connection(("127.0.0.1", shared.server.port), timeout=10) as connection:
        connection.sendall(sent.replace(b"/agent/execute", path))
        statuses = [line.split(b" ")[1] for line in connection.makefile("rb") if line.startswith(b"HTTP/1.1")]
    assert statuses == [b"100", status]


def test_what_has_no_body_by_its_method_or_status_has_none(shared: Running) -> None:
    task_id = shared.result("What is 1 + 1?")["taskId"]
    stream = b"GET /agent/tasks/%s/events?after=999 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n%s\r\n"
    close = b"Connection: close\r\n"
    bodiless = {
        200: line(b"HEAD /agent/skills HTTP/1.1")[:-2],
        404: line(b"HEAD /never HTTP/1.1")[:-2],
        405: line(b"HEAD /agent/execute HTTP/1.1")[:-2],
        400: b"HEAD /agent/skills HTTP/1.1\r\nHost: a b\r\n",
    }
    for status, sent in bodiless.items():
        answer = shared.raw(sent + close + b"\r\n")
        assert (answer.status, answer.body) == (status, b"")
        assert int(answer.headers["content-length"]) > 0
        assert "transfer-encoding" not in answer.headers
    answer = shared.raw(stream % (task_id.encode(), close))
    assert (answer.status, answer.body) == (204, b"")
    assert not {"content-length", "transfer-encoding"} & answer.headers.keys()


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\nHost: a\n\n", b"\0\0"]
)
def test_what_can_never_become_a_request_is_refused_at_once(shared: Running, assert_problem: Any, sent: bytes) -> None:
    message = assert_problem(shared.raw(sent), 400, "malformed_request")["message"]
    assert ("https://" in message) is sent.startswith(b"\x16")


def test_requests_behind_a_refused_one_are_not_carried_out(shared: Running) -> None:
    newest = shared.client.get("/agent/results", params={"limit": 1}).json()["results"]
    task = post(b"Content-Length: 26")
    with open_to(shared) as connection, connection.makefile("rb") as stream:
        connection.sendall(get() + host(b"a b") + task)
        read = stream.read()
    assert read.count(b"HTTP/1.1 ") == 2
    assert read.index(b"HTTP/1.1 200") < read.index(b"HTTP/1.1 400")
    for spoilt in (chunked(b"1a\r\n" + TASK + b"\r\n\r\n"), post(b"Content-Length: 26, 26"), line(b"BREW / HTTP/1.1")):
        assert shared.raw(spoilt + task).status in (400, 501)
    assert shared.client.get("/agent/results", params={"limit": 1}).json()["results"] == newest


def test_a_refusal_says_what_is_wrong(shared: Running) -> None:
    said = {
        host(b"localhost", b"localhost"): "two Host headers",
        post(b"Content-Length: 26", b"Idempotency-Key: a", b"Idempotency-Key: b"): "two Idempotency-Key headers",
        post(b"Content-Length: 26", b"Content-Type: application/json", b"Content-Type: text/plain"): "two Content-Type",
        get(b"Last-Event-ID: 1", b"Last-Event-ID: 2"): "two Last-Event-ID headers",
        host(b"local host"): "'local host'",
        line(b"GET a HTTP/1.1"): "'a'",
        line(b"get / HTTP/1.1"): "did you mean GET?",
        get(b"X-Thing : a"): "X-Thing",
        post(b"Content-Length: 26, 26"): "'26, 26'",
        chunked(b"0x1a\r\n"): "'0x1a'",
    }
    for sent, what in said.items():
        assert what in shared.raw(sent).json()["message"]


def test_a_refusal_is_named_by_the_id_that_was_sent(shared: Running, assert_problem: Any) -> None:
    for sent in (line(b"BREW / HTTP/1.1"), host(b"a b"), line(b"GET / HTTP/9.9"), line(b"GET a HTTP/1.1")):
        answer = shared.raw(sent[:-2] + b"X-Request-Id: mine\r\n\r\n")
        assert answer.json()["requestId"] == answer.headers["x-request-id"] == "mine"


# --- chunks, however they are cut ---


class Buffer(bytearray):
    append = bytearray.extend  # type: ignore[assignment]  # what is wanted of waitress's buffers


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_chunks_are_the_same_however_they_arrive(step: int) -> None:
    sent = b'5;a="b"\r\nhello\r\n6 ;c\r\n world\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n'
    buffer = Buffer()
    chunks = Chunks(buffer, 12, "too large")
    taken = 0
    for at in range(0, len(sent), step):
        taken += chunks.received(sent[at : at + step])
        if chunks.completed:
            break
    assert (bytes(buffer), sent[taken:], len(chunks)) == (b"hello world", b"GET / HTTP/1.1\r\n", 11)
    assert chunks.received(b"x") == 0


@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_body_of_the_limit_is_taken_in_the_smallest_chunks_and_one_byte_more_is_not(step: int) -> None:
    def receive(count: int) -> int:
        chunks = Chunks(Buffer(), 1001, "too large")
        sent = b"1\r\na\r\n" * count + b"0\r\n\r\n"
        for at in range(0, len(sent), step):
            chunks.received(sent[at : at + step])
        assert chunks.completed
        return len(chunks)

    assert receive(1000) == 1000
    with pytest.raises(Fault, match="too large") as refused:
        receive(1001)
    assert refused.value.code == 413
