"""One HTTP request of one webhook: to a checked address, within a deadline, without redirects or proxies.

httpcore and not httpx, which is built on it: httpcore takes a network backend, and that is where the address that was
checked is connected to (names in the Host header and in TLS stay as they are), and where every wait is cut to what is
left of the time. httpx's timeouts are for each read, so a receiver that sends a byte at a time would never end.

In the thread of a sender. Imported by `delivery_sender.py` at its first attempt: PERF: it takes 60 ms, at no start.
"""

import contextlib
import ssl
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpcore
import httpx

from callboard.actors.webhook_target import allowed_addresses

MAX_REPLY_BYTES = 4096
"""How much of a receiver's reply is read; what it says is of no interest, but it should not fail to say it."""

READ_REPLY_S = 1.0
"""How long that is waited for, in seconds."""

_WRITE_BYTES = 16_384


class Wire(httpcore.NetworkBackend):
    """Connects to addresses that a webhook may go to, and lets nothing take longer than `timeout_s` in all.

    The resolver has limits of its own, and cannot be interrupted.
    """

    def __init__(self, *, timeout_s: float, allow_private: bool) -> None:
        self._sockets = httpcore.SyncBackend()
        self._until_s = time.monotonic() + timeout_s
        self._allow_private = allow_private

    def left_s(self, kind: type[httpcore.TimeoutException]) -> float:
        """Return the seconds that are left, or raise the `kind` of time-out."""
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise kind
        return left_s

    def hurry(self, timeout_s: float) -> None:
        """Have at most `timeout_s` seconds left."""
        self._until_s = min(self._until_s, time.monotonic() + timeout_s)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # httpcore's; ours is for everything together
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = allowed_addresses(host, port, allow_private=self._allow_private)
        for untried in range(len(addresses), 1, -1):
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                part_s = self.left_s(httpcore.ConnectTimeout) / untried
                return self._connect(addresses[-untried], port, part_s, local_address, socket_options)
        return self._connect(addresses[-1], port, self.left_s(httpcore.ConnectTimeout), local_address, socket_options)

    def _connect(self, address: str, port: int, timeout_s: float, *more: Any) -> httpcore.NetworkStream:
        # SECURITY: the address itself and not the name, which might resolve to another one by now.
        return _TimedStream(self._sockets.connect_tcp(address, port, timeout_s, *more), self)


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every wait ends when the wire's time is up."""

    def __init__(self, stream: httpcore.NetworkStream, wire: Wire) -> None:
        self._stream = stream
        self._wire = wire

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, self._wire.left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        for start in range(0, len(buffer), _WRITE_BYTES):
            self._stream.write(buffer[start : start + _WRITE_BYTES], self._wire.left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        left_s = self._wire.left_s(httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left_s), self._wire)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def post(url: str, body: bytes, headers: Mapping[str, str], wire: Wire) -> tuple[int, str | None]:
    """Return the status of the answer and its Retry-After.

    Raises `CallbackRefused`, `OSError` for a name that nothing is known of, httpcore's errors, and `httpx.InvalidURL`.
    """
    target = httpx.URL(url)  # writes names and paths as they are on the wire
    where = httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path)
    sent = [(b"Host", target.netloc), *((name.encode(), value.encode()) for name, value in headers.items())]
    with (
        httpcore.ConnectionPool(ssl_context=_ssl_context(), max_connections=1, network_backend=wire) as pool,
        pool.stream("POST", where, headers=sent, content=body) as response,
    ):
        wire.hurry(READ_REPLY_S)
        _read_a_little(response)
        found = (value for name, value in response.headers if name.lower() == b"retry-after")
        return response.status, next((value.decode("latin-1") for value in found), None)


def _read_a_little(response: httpcore.Response) -> None:
    size = 0
    with contextlib.suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for piece in response.iter_stream():
            size += len(piece)
            if size >= MAX_REPLY_BYTES:
                return


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return how many seconds a Retry-After asks to wait: a number or a date (RFC 9110); None for anything else."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


@cache
def _ssl_context() -> ssl.SSLContext:
    """Return what certificates are checked with: certifi's authorities and the operating system's."""
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    return context
