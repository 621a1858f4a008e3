"""The connection to a model's API: every wait minds the call's time and token, and the key is added here alone.

What the vendors' clients are given as their HTTP transport. It is made of httpcore2's public parts, the library that
they are built on themselves.

# SECURITY: the vendors' clients never see the key. They read headers and keys from the environment too; what is sent
# is decided here: the names below, and ours. Redirects are not followed and no proxy is used.

In the thread of the call; the pool of connections is shared. Imported by `vendors.py`, when a model is chosen.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpcore2
import httpx2

from callboard.agent.cancel import Cancelled
from callboard.agent.models.sockets import Backend
from callboard.agent.models.watch import TimeIsUp, Watch, current_watch

MAX_LINE_BYTES = 8_000_000
MAX_ANSWER_BYTES = 256_000_000
MAX_ERROR_BYTES = 1_000_000
"""Most that is read without a line's end, of an answer (each few letters come with some 250 bytes), of an error."""

_SENT = frozenset((b"host", b"accept", b"connection", b"content-type", b"content-length", b"anthropic-version"))
_REST_S = 0.1
_REST_PIECES = 4
_IDLE_CONNECTIONS = 32
_IDLE_S = 30.0


class Transport(httpx2.BaseTransport):
    """Sends requests with `headers`, and those that `secret` returns, in place of whatever is not in `_SENT`.

    `tls` is whether the API's address is one of https.
    """

    def __init__(self, headers: Mapping[str, str], secret: Callable[[], Mapping[str, str]], *, tls: bool) -> None:
        self._headers = headers
        self._secret = secret  # SECURITY: a function, whose repr shows nothing
        self._pool = httpcore2.ConnectionPool(
            # PERF: an http:// address needs no CAs, and they take 27 ms to read; no redirect leads to another
            ssl_context=httpx2.create_ssl_context() if tls else None,
            max_connections=None,  # each belongs to a worker's thread, and there are so many
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_IDLE_S,
            network_backend=Backend(),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        kept = [(name, value) for name, value in request.headers.raw if name.lower() in _SENT]
        url = request.url
        sent = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[*kept, *_raw(self._headers), *_raw(self._secret())],
            content=request.stream,
        )
        with _as_httpx():
            response = self._pool.handle_request(sent)
        watch = current_watch()
        watch.answered = True
        limit = MAX_ERROR_BYTES if response.status >= 400 else MAX_ANSWER_BYTES
        return httpx2.Response(
            response.status, headers=response.headers, stream=_Body(response, watch, limit), extensions={}
        )

    def close(self) -> None:
        self._pool.close()


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


class _Body(httpx2.SyncByteStream):
    """An answer's bytes, as long as there are not too many."""

    def __init__(self, response: httpcore2.Response, watch: Watch, limit: int) -> None:
        self._response = response
        self._watch = watch
        self._limit = limit
        self._pieces = response.iter_stream()

    def __iter__(self) -> Iterator[bytes]:
        total = line = 0
        with _as_httpx():
            for piece in self._pieces:
                total += len(piece)
                end = piece.rfind(b"\n")
                line = line + len(piece) if end < 0 else len(piece) - end
                if total > self._limit or line > MAX_LINE_BYTES:
                    self._watch.too_long = True
                    raise httpcore2.RemoteProtocolError("the answer is too long")
                yield piece

    def close(self) -> None:
        """Close; what has been read to its end leaves the connection to the next call.

        A client stops at the mark of the answer's end. PERF: without the few bytes after it, each call would connect
        anew, which is some 100 ms where there is TLS.
        """
        if self._watch.ended:
            self._watch.hurry(_REST_S)
            with contextlib.suppress(TimeIsUp, Cancelled, httpcore2.NetworkError, httpcore2.ProtocolError):
                for _ in zip(self._pieces, range(_REST_PIECES), strict=False):
                    pass
        self._response.close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Raise what the vendors' clients expect of a transport: httpx2's error of the same name."""
    try:
        yield
    except TimeIsUp as error:
        raise httpx2.ReadTimeout("time is up") from error
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise getattr(httpx2, type(error).__name__, httpx2.TransportError)(str(error)) from error
