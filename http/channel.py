"""How waitress reads and answers on one connection: stricter, and in our shape where it answers by itself.

What is not HTTP as it should be, and what is over a limit, is refused before any application sees it: http/parser.py and
http/connections.py say why. waitress's channel names its parser and its two kinds of tasks as class attributes; ours are put there.
The subclasses here override `execute`, `build_response_header`, `get_environment`, `handle_close`, `readable`, `received`, `service` and `write`;
tests/http/test_waitress_hooks.py holds waitress to that, and setup.cfg pins waitress<4.
Parsing is done by the thread that runs the server's loop, answering by a waitress thread, or in the same one
(http/greenlets.py). Imported by
http/server.py only.
"""

import socket
import time
from collections.abc import Callable
from typing import Any

from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.task import ErrorTask, WSGITask  # type: ignore[import-untyped]

from callboard.http.access_log import LogLine, SparingLine
from callboard.http.codec import JSON, encode
from callboard.http.connection import ENVIRON_KEY, Connection
from callboard.http.connections import Connections
from callboard.http.door import HEALTH_PATHS
from callboard.http.errors import SERVER_STATUSES, body_of, status_line
from callboard.http.fair_queue import FairDispatcher, Turn
from callboard.http.greenlets import Greenlets, suits
from callboard.http.parser import StrictParser
from callboard.http.request import request_id_from
from callboard.http.request_head import Fault
from callboard.http.security_headers import security_headers
from callboard.settings import Settings

LINGER_S = 5.0
_RETRY_AFTER_S = 2
_OWN_POLICY = b"\r\nContent-Security-Policy: "
_OWN_CACHING = b"\r\nCache-Control: "


class HeaderBlock:
    """The security headers as bytes, to be put behind the others.

    PERF: as ordinary headers they cost 8 µs a request, because waitress checks, renames and sorts each of them.
    """

    def __init__(self, *, production: bool) -> None:
        headers = security_headers(production=production)
        self._all = _lines(headers)
        del headers["Content-Security-Policy"]
        self._without_policy = _lines(headers)
        del headers["Cache-Control"]
        self._without_policy_and_caching = _lines(headers)

    def put_into(self, head: bytes) -> bytes:
        """Return the head of an answer with the block; a policy of the page's own stays as it is, and its caching."""
        if _OWN_POLICY not in head:
            block = self._all
        else:
            block = self._without_policy_and_caching if _OWN_CACHING in head else self._without_policy
        return head[:-2] + block + b"\r\n"


def _lines(headers: dict[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


class LingeringChannel(HTTPChannel):  # type: ignore[misc]
    """A connection that is not torn down under a client which is still sending what was refused.

    Closing a socket with unread bytes resets the connection, and the reset can overtake the answer. So after a
    refusal only our side is closed, and what still comes is thrown away: until the client has closed its side, for
    `LINGER_S` seconds at most.

    What comes behind the request of a stream is thrown away too: a stream ends with its connection, and waitress, which
    reads no more behind a second request, would not notice that the client has gone.
    """

    refused = False
    lingers_until: float | None = None
    told_when_closed: Callable[[], None] | None = None

    connections: Connections
    health_dispatcher: FairDispatcher
    greenlets: Greenlets | None
    request: Any
    sent_continue: bool
    peer = caller = ""
    turn: Turn | None = None
    """That of its last request, at a thread."""

    _begun = False
    began_s: float | None = None
    """When the first byte came of a request that is not whole yet."""
    body_began_s: float | None = None
    """When its head was whole."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.rests_since_s = self._untaken_since_s = time.monotonic()
        self._unread = b""
        self._untaken = self._untaken_most = 0
        self.connections.opened(self)

    def handle_close(self) -> None:
        self._close()
        if self.told_when_closed is not None and not self.connected:
            self.told_when_closed()

    def _close(self) -> None:
        if self.refused and self.connected and self.lingers_until is None:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the client is gone already
            else:
                self.lingers_until = time.monotonic() + LINGER_S
                self.will_close = False
                return
        super().handle_close()
        self.turn = None  # which knows the connection: without it both are freed at once
        self.connections.closed(self)

    # --- one request after the other ---

    # waitress parses what comes behind a request at once, as many as 450 of them for each 8 KB, answers into memory what is not
    # taken, and holds a thread where that is too much. Here what comes behind stays as it came until the answer has been
    # taken: so much of it as is read to notice that the client goes.

    def readable(self) -> bool:
        # PERF: asked of every connection at every turn of the loop, 1,750 idle ones of one address too: 1.0 ms a turn instead of 2.1
        if self.told_when_closed is None and self.lingers_until is None and not self._unread:
            return not (self.will_close or self.close_when_flushed or self.total_outbufs_len)
        if self.lingers_until is not None or self._sends_stream:
            return True
        if self._unread and not self.requests and not self.total_outbufs_len:
            self.received(b"")
            if self.greenlets is not None and self.requests:
                self.server.pull_trigger()  # the loop, which asks this, is about to sleep
        return len(self._unread) < self.adj.recv_bytes and bool(super().readable())

    @property
    def _sends_stream(self) -> bool:
        return self.told_when_closed is not None and not (self.will_close or self.close_when_flushed)

    def received(self, data: bytes) -> bool:
        if self._sends_stream:
            return False
        if self.lingers_until is not None:
            self.will_close = time.monotonic() > self.lingers_until
            return False
        with self.requests_lock:
            if self.will_close or self.close_when_flushed:
                return False
            self._unread += data
            while self._unread and self.connected and not self.requests and not self.total_outbufs_len:
                self._read_on()
        return True

    def _read_on(self) -> None:
        """Give what has come to the request that it belongs to; hand that over where it is whole."""
        if self.request is None:
            self.request = self.parser_class(self.adj)
        if self.began_s is None:
            self.began_s = time.monotonic()
            self.connections.begun(self)
        request = self.request
        self._unread = self._unread[request.received(self._unread) :]
        if request.headers_finished and self.body_began_s is None:
            self.body_began_s = time.monotonic()
            self.connections.named(self, request.headers.get("X_FORWARDED_FOR"))
            if not self.connected:
                return  # it was the oldest one of whom it names
        if request.expect_continue and request.headers_finished and not self.sent_continue:
            self.send_continue()
        if request.completed:
            self.sent_continue = False
            self.request = None
            if not request.empty:
                self._hand_over(request)

    def _hand_over(self, request: Any) -> None:
        request.began_s = self.began_s
        self.began_s = self.body_began_s = None
        self._begun = False
        self.requests.append(request)
        self._dispatcher_for(request).add_task(self)

    def _dispatcher_for(self, request: Any) -> Any:
        if request.error is None and request.path in HEALTH_PATHS:
            return self.health_dispatcher
        if self.greenlets is not None and suits(request):
            return self.greenlets
        return self.server.task_dispatcher

    def service(self) -> None:
        self._begun = True
        try:
            super().service()
        finally:
            self.rests_since_s = time.monotonic()

    # --- what the server's loop looks at ---

    @property
    def at_work(self) -> bool:
        """Whether a thread is answering its request; not, while that waits for a thread."""
        return self._begun and bool(self.requests)

    @property
    def body_bytes(self) -> int:
        return 0 if self.request is None else int(self.request.body_bytes_received)

    def untaken_for_s(self, now_s: float) -> float:
        """Return for how long nothing of the answer has been taken, as far as calls of this have seen."""
        self.rests_since_s = now_s
        if self.total_outbufs_len != self._untaken:
            self._untaken, self._untaken_since_s = self.total_outbufs_len, now_s
        return now_s - self._untaken_since_s

    def buffered_bytes(self) -> int:
        """Return how much memory it holds, about; of an answer all of it until the last byte is taken."""
        untaken = self.total_outbufs_len
        self._untaken_most = max(self._untaken_most, untaken) if untaken else 0
        size = self._untaken_most + len(self._unread)
        for request in (self.request, *self.requests):
            if request is not None and request.error is None:  # what is refused has been let go of
                size += request.header_bytes_received + request.body_bytes_received
        return size

    def refuse(self, error: Any) -> None:
        """Answer a request that is not whole with an error, and close; close at once where there is none, or it waits."""
        with self.requests_lock:
            request, self.request = self.request, None
            if request is not None and not self.requests:
                request.refuse(error)
                self._hand_over(request)
                return
        self.give_up()

    def give_up(self) -> None:
        """Close it now, whatever has been received or is not taken."""
        self.refused = False
        for request in self.requests:
            request.close()
        self.handle_close()


def channel_class(
    settings: Settings,
    log_line: LogLine,
    known: Connections,
    for_health: FairDispatcher,
    for_tasks: Greenlets | None,
) -> type[HTTPChannel]:
    """Return the class of a server's connections."""
    header_block = HeaderBlock(production=settings.production)
    refusal_line = SparingLine(log_line)

    class Answer(WSGITask):  # type: ignore[misc]
        """An answer of the application."""

        wrote_header: bool

        def build_response_header(self) -> bytes:
            return header_block.put_into(super().build_response_header())

        def get_environment(self) -> dict[str, Any]:
            environ: dict[str, Any] = super().get_environment()
            environ[ENVIRON_KEY] = Connection(self.channel)
            return environ

        def write(self, data: bytes) -> None:
            """Send an answer that is whole at once together with its head.

            PERF: waitress sends the head by itself, which wakes the client for nothing and costs a call of the kernel more: accept
            answers 1.11 times as many a second so, at 0.97 of the processor time (medians of ten pairs).
            """
            whole = data and not self.wrote_header and self.content_length == len(data) and self.has_body
            if not whole or not self.complete:
                super().write(data)
                return
            head = self.build_response_header()
            self.wrote_header = True
            self.content_bytes_written = len(data)
            self.channel.write_soon(head + data)

    class Refusal(ErrorTask):  # type: ignore[misc]
        """The answer to what the parser has refused, and to a defect outside the application, in the shape every error has."""

        def build_response_header(self) -> bytes:
            return header_block.put_into(super().build_response_header())

        def execute(self) -> None:
            error = self.request.error
            title, code = SERVER_STATUSES[error.code]
            message = (
                error.body
                if isinstance(error, Fault)
                else "Something went wrong inside the server; its log has the details."
            )
            request_id = request_id_from(self.request.headers.get("X_REQUEST_ID"))
            problem = body_of(title, message, code, request_id)
            if error.code == 503:
                problem["retryAfter"] = _RETRY_AFTER_S
                self.response_headers.append(("Retry-After", str(_RETRY_AFTER_S)))
            body = encode(problem, JSON)
            self.status = status_line(error.code)
            self.response_headers += [("Content-Type", JSON), ("X-Request-Id", request_id)]
            self.set_close_on_finish()
            self.content_length = len(body)
            self.channel.refused = True
            refusal_line(_fields(self.channel, self.request, error.code, request_id))
            self.write(b"" if self.request.command == "HEAD" else body)

    class Channel(LingeringChannel):
        parser_class = StrictParser
        task_class = Answer
        error_task_class = Refusal
        connections = known
        health_dispatcher = for_health
        greenlets = for_tasks

    return Channel


def _fields(channel: Any, request: Any, status: int, request_id: str) -> dict[str, Any]:
    """Return what the request log says of a refusal; what could not be parsed is empty. It took from its first byte."""
    now_s = time.monotonic()
    fields = {
        "method": request.command[:20],
        "path": request.path[:500],
        "status": status,
        "duration_ms": round((now_s - (request.began_s or now_s)) * 1000, 3),
        "client": channel.addr[0],
        "user_agent": request.headers.get("USER_AGENT", "")[:200],
        "request_id": request_id,
    }
    logged = getattr(request.error, "logged", "")
    return fields | {"reason": logged} if logged else fields
