"""How waitress reads and answers on one connection: stricter, and in our shape where it answers by itself.

waitress refuses malformed HTTP, floods of headers and bodies over the limit before any application sees them, as
plain text. Its channel names its parser and its two kinds of tasks as class attributes; the subclasses here are put
there. They override `parse_header`, `execute`, `build_response_header`, `get_environment`, `handle_close`, `readable`
and `received`;
tests/http/test_waitress_hooks.py holds waitress to that, and setup.cfg pins waitress<4.
Parsing is done by the thread that runs the server's loop, answering by a waitress thread. Imported by
http/server.py only.
"""

import socket
import time
from collections.abc import Callable
from typing import Any

from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.task import ErrorTask, WSGITask  # type: ignore[import-untyped]

from callboard.http.access_log import LogLine
from callboard.http.codec import JSON, encode, shown, too_large
from callboard.http.connection import ENVIRON_KEY, Connection
from callboard.http.errors import SERVER_STATUSES, body_of
from callboard.http.request import request_id_from
from callboard.http.security_headers import security_headers
from callboard.settings import Settings

MAX_HEADER_BYTES = 32 * 1024
LINGER_S = 5.0
_OWN_POLICY = b"\r\nContent-Security-Policy: "
_OWN_CACHING = b"\r\nCache-Control: "


class StrictParser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """waitress's parser, and two more refusals of RFC 9112 section 6.1.

    # SECURITY: a request with two lengths, or with a transfer coding its version does not have, ends at one place for
    # us and at another for a proxy in front; what is in between could be smuggled past that proxy.
    """

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding contradict each other")
        if "TRANSFER_ENCODING" in self.headers:  # taken out by waitress where it is allowed
            raise ParsingError("Transfer-Encoding needs HTTP/1.1")


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
    `LINGER_S` seconds at most (a client that falls silent is closed by waitress's channel timeout).

    What comes behind the request of a stream is thrown away too: a stream ends with its connection, and waitress, which
    reads no more behind a second request, would not notice that the client has gone.
    """

    refused = False
    lingers_until: float | None = None
    told_when_closed: Callable[[], None] | None = None

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

    def readable(self) -> bool:
        return self.lingers_until is not None or self._sends_stream or bool(super().readable())

    @property
    def _sends_stream(self) -> bool:
        return self.told_when_closed is not None and not (self.will_close or self.close_when_flushed)

    def received(self, data: bytes) -> bool:
        if self._sends_stream:
            return False
        if self.lingers_until is None:
            return bool(super().received(data))
        self.will_close = time.monotonic() > self.lingers_until
        return False


def channel_class(settings: Settings, log_line: LogLine) -> type[HTTPChannel]:
    """Return the class of a server's connections."""
    header_block = HeaderBlock(production=settings.production)
    messages = {
        431: f"The headers are larger than the limit of {MAX_HEADER_BYTES} bytes.",
        500: "Something went wrong inside the server; its log has the details.",
        501: "The only transfer coding that can be read is chunked.",
    }

    class Answer(WSGITask):  # type: ignore[misc]
        """An answer of the application."""

        def build_response_header(self) -> bytes:
            return header_block.put_into(super().build_response_header())

        def get_environment(self) -> dict[str, Any]:
            environ: dict[str, Any] = super().get_environment()
            environ[ENVIRON_KEY] = Connection(self.channel)
            return environ

    class Refusal(ErrorTask):  # type: ignore[misc]
        """An answer of waitress's own, in the shape every error has."""

        def build_response_header(self) -> bytes:
            return header_block.put_into(super().build_response_header())

        def execute(self) -> None:
            error = self.request.error
            title, code = SERVER_STATUSES.get(error.code, SERVER_STATUSES[400])
            message = messages.get(error.code, f"This is not valid HTTP: {shown(error.body, 200)}.")
            if error.code == 413:
                message = too_large(settings.max_body_bytes, getattr(self.request, "path", ""))
            request_id = request_id_from(self.request.headers.get("X_REQUEST_ID"))
            body = encode(body_of(title, message, code, request_id), JSON)
            self.status = f"{error.code} {error.reason}"
            self.response_headers += [("Content-Type", JSON), ("X-Request-Id", request_id)]
            self.set_close_on_finish()
            self.content_length = len(body)
            self.channel.refused = True
            log_line(_fields(self.channel, self.request, error.code, request_id, self.start_time))
            self.write(body)

    class Channel(LingeringChannel):
        parser_class = StrictParser
        task_class = Answer
        error_task_class = Refusal

    return Channel


def _fields(channel: Any, request: Any, status: int, request_id: str, started: float) -> dict[str, Any]:
    """Return what the request log says of a refusal; what could not be parsed is empty."""
    return {
        "method": getattr(request, "command", "")[:20],
        "path": getattr(request, "path", "")[:500],
        "status": status,
        "duration_ms": round((time.time() - started) * 1000, 3),
        "client": channel.addr[0],
        "user_agent": request.headers.get("USER_AGENT", "")[:200],
        "request_id": request_id,
    }
