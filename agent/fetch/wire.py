"""Connections for httpcore: to addresses that were checked, within a deadline, and ended when told to.

httpcore and not httpx, which is built on it: httpcore takes a network backend, and that is where the address that was
checked is connected to (names in the Host header and in TLS stay as they are), and where every wait is cut to what is
left of the time. httpx's time-outs are for each read, so a server that sends a byte at a time would never end. Proxies
of the environment are httpx's too, and are not used.

In the thread of whoever asks. Imported by the webhooks' senders and by `client.py`, by both at their first request:
PERF: httpcore takes 60 ms, at no start.
"""

import contextlib
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import httpcore

LOOK_EVERY_S = 0.1
"""How long a wait goes on without a look at whether to stop."""

_TIMED_OUT = {
    httpcore.ConnectError: httpcore.ConnectTimeout,
    httpcore.ReadError: httpcore.ReadTimeout,
    httpcore.WriteError: httpcore.WriteTimeout,
}
_Failure = type[httpcore.NetworkError]
Resolver = Callable[[str, int], list[str]]


class Stopped(Exception):
    """Whoever asked wants no answer any more."""


class Wire(httpcore.NetworkBackend):
    """Connects to the addresses that `addresses` returns for a name, and lets nothing take longer than `timeout_s`.

    The resolver has limits of its own, and cannot be interrupted. `stop`, once set, ends every wait within `look_every_s`
    with `Stopped`.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        addresses: Resolver,
        stop: threading.Event | None = None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._until_s = time.monotonic() + timeout_s
        self._addresses = addresses
        self._stop = stop
        self._look_every_s = look_every_s

    def hurry(self, timeout_s: float) -> None:
        """Have at most `timeout_s` seconds left."""
        self._until_s = min(self._until_s, time.monotonic() + timeout_s)

    def wait(self, sock: socket.socket, events: int, failure: _Failure, until_s: float | None = None) -> None:
        """Wait until a socket is ready; raise `Stopped`, or the time-out that belongs to `failure`."""
        poll = select.poll()  # not select(), which ends at 1024 descriptors
        poll.register(sock, events)
        while True:
            left_s = self.left_s(failure, until_s)
            if poll.poll(min(left_s, self._look_every_s) * 1000 + 1):
                return

    def left_s(self, failure: _Failure, until_s: float | None = None) -> float:
        """Return the seconds that are left; raise as `wait` does."""
        if self._stop is not None and self._stop.is_set():
            raise Stopped
        left_s = min(self._until_s, until_s or self._until_s) - time.monotonic()
        if left_s <= 0:
            raise _TIMED_OUT[failure]
        return left_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # httpcore's; ours is for everything together
        local_address: str | None = None,  # noqa: ARG002  # we ask for none
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002  # we ask for none
    ) -> httpcore.NetworkStream:
        self.left_s(httpcore.ConnectError)
        addresses = self._addresses(host, port)
        for untried in range(len(addresses), 1, -1):
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                part_s = self.left_s(httpcore.ConnectError) / untried
                return self._connect(addresses[-untried], port, time.monotonic() + part_s)
        return self._connect(addresses[-1], port, self._until_s)

    def _connect(self, address: str, port: int, until_s: float) -> httpcore.NetworkStream:
        # SECURITY: the address itself and not the name, which might resolve to another one by now.
        family, kind, protocol, _, where = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BlockingIOError):
                sock.connect(where)
            self.wait(sock, select.POLLOUT, httpcore.ConnectError, until_s)
            failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                raise OSError(failed, os.strerror(failed))
            return _Stream(sock, self)
        except OSError as error:
            sock.close()
            raise httpcore.ConnectError(str(error)) from error
        except BaseException:
            sock.close()
            raise


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends when the wire's time is up, or when it is told to stop."""

    def __init__(self, sock: socket.socket, wire: Wire) -> None:
        self._sock = sock
        self._wire = wire

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        received: bytes = self._ready(lambda: self._sock.recv(max_bytes), select.POLLIN, httpcore.ReadError)
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        rest = memoryview(buffer)
        while rest:
            rest = rest[self._ready(lambda: self._sock.send(rest), select.POLLOUT, httpcore.WriteError) :]  # noqa: B023

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        try:
            secured = ssl_context.wrap_socket(
                self._sock, server_hostname=server_hostname, do_handshake_on_connect=False
            )
        except (OSError, ValueError) as error:
            self.close()
            raise httpcore.ConnectError(str(error)) from error
        stream = _Stream(secured, self._wire)
        try:
            stream._ready(secured.do_handshake, select.POLLIN, httpcore.ConnectError)
        except BaseException:
            stream.close()
            raise
        return stream

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
            case "socket":
                return self._sock
            case _:
                return None

    def _ready(self, action: Callable[[], Any], events: int, failure: _Failure) -> Any:
        """Do something that would block, waiting for its turn."""
        while True:
            self._wire.left_s(failure)  # also where the other side is always ready
            try:
                return action()
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                wanted = _WANTED.get(type(error), events)
            except OSError as error:
                raise failure(str(error)) from error
            self._wire.wait(self._sock, wanted, failure)


_WANTED: dict[type[BaseException], int] = {ssl.SSLWantReadError: select.POLLIN, ssl.SSLWantWriteError: select.POLLOUT}


_making = threading.Lock()
"""Held while the context is made: many threads may ask for the first one in one moment, and each would take 30 ms for its own."""


def ssl_context() -> ssl.SSLContext:
    """Return what certificates are checked with: certifi's authorities and the operating system's; one for all."""
    with _making:
        return _made_context()


@cache
def _made_context() -> ssl.SSLContext:
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    return context
