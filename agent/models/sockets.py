"""Sockets that look at the watch of their thread's call in every wait: to connect, for TLS, to read and to write.

They never block: each operation is tried, and where it would block, it is waited for in slices. In the thread of the call.
Imported by `wire.py`.
"""

import contextlib
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import httpcore2

from callboard.agent.models.watch import SLICE_S, current_watch

T = TypeVar("T")

CONNECT_S = 10.0
"""Longest time until an address has taken the connection, in seconds; then the API counts as not there."""


class Backend(httpcore2.NetworkBackend):
    """Connects within the time that is left. The resolver has limits of its own, and cannot be interrupted."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # httpcore's; the watch has ours
        local_address: str | None = None,  # noqa: ARG002  # not used by a pool that names none
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        watch = current_watch()
        watch.check()
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        until_s = time.monotonic() + CONNECT_S
        for number, (family, kind, protocol, _name, address) in enumerate(found):
            part_s = (until_s - time.monotonic()) / (len(found) - number)
            last = number == len(found) - 1
            try:
                return _connect(socket.socket(family, kind, protocol), address, time.monotonic() + part_s)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if last:
                    raise
        raise httpcore2.ConnectError(f"{host} has no address")


def _connect(connection: socket.socket, address: Any, until_s: float) -> "_Stream":
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BlockingIOError):
            connection.connect(address)
        stream = _Stream(connection)
        stream.wait(select.POLLOUT, until_s)
        problem = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem:
            raise OSError(problem, os.strerror(problem))
    except OSError as error:
        connection.close()
        raise httpcore2.ConnectError(str(error)) from error
    except BaseException:
        connection.close()
        raise
    return stream


class _Stream(httpcore2.NetworkStream):
    """A connection that waits in slices and looks at its thread's watch between them."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._poll = select.poll()
        self._poll.register(connection, 0)

    def wait(self, mask: int, until_s: float | None = None) -> None:
        """Wait until the connection can be read from, or written to."""
        watch = current_watch()
        self._poll.modify(self._socket, mask)
        while True:
            watch.check()
            left_s = SLICE_S if until_s is None else min(SLICE_S, until_s - time.monotonic())
            if left_s <= 0:
                raise httpcore2.ConnectTimeout("the address does not take the connection")
            if self._poll.poll(max(1, min(left_s, watch.left_s) * 1000)):
                return

    def _do(self, attempt: Callable[[], T], mask: int) -> T:
        current_watch().check()
        while True:
            try:
                return attempt()
            except ssl.SSLWantReadError:
                self.wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self.wait(select.POLLOUT)
            except BlockingIOError:
                self.wait(mask)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        try:
            return self._do(lambda: self._socket.recv(max_bytes), select.POLLIN)
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        view = memoryview(buffer)
        try:
            while view:
                sent = self._do(lambda view=view: self._socket.send(view), select.POLLOUT)  # type: ignore[misc]
                view = view[sent:]
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        try:
            secured = ssl_context.wrap_socket(
                self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            self._socket = secured  # nothing is left of the plain one
            stream = _Stream(secured)
            stream._do(secured.do_handshake, select.POLLIN)
        except OSError as error:
            self.close()
            raise httpcore2.ConnectError(str(error)) from error
        except BaseException:
            self.close()
            raise
        return stream

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "socket":
                return self._socket
            case "ssl_object":
                return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
            case "is_readable":  # of an idle connection: it was closed, or has got what nobody asked for
                self._poll.modify(self._socket, select.POLLIN)
                return bool(self._poll.poll(0))
            case _:
                return None
