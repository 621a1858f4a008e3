"""A receiver of webhooks on a real port, which behaves as a test wants it to."""

import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler"], object]


@dataclass(frozen=True, slots=True)
class Message:
    """What has come in; `headers` have lower-case names."""

    path: str
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """Reads one message and behaves."""

    protocol_version = "HTTP/1.1"
    receiver: "Receiver"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.close_connection = True
        receiver = self.receiver
        receiver.messages.put(Message(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        behaviour = receiver.behaviours.pop(0) if len(receiver.behaviours) > 1 else receiver.behaviours[0]
        with contextlib.suppress(OSError):  # the sender may have had enough
            behaviour(self)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def answer(status: int, **headers: str) -> Behaviour:
    """Answer with a status and headers (`Retry_After` is Retry-After)."""

    def behave(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    return behave


def hang(handler: Handler) -> None:
    """Answer nothing until the receiver is let go, then 200."""
    handler.receiver.go_on.wait(60)
    answer(200)(handler)


def dribble(handler: Handler) -> None:
    """Send the head of an answer a byte at a time and never all of it."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.receiver.go_on.wait(0.02):
        handler.wfile.write(b"x")


def endless(handler: Handler) -> None:
    """Answer 200 with a body that does not end."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.receiver.go_on.is_set():
        handler.wfile.write(b"x" * 65_536)


class Receiver:
    """Takes messages; the last of its behaviours is kept for all that follow."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self.behaviours = list(behaviours) or [answer(200)]
        self.messages: queue.Queue[Message] = queue.Queue()
        self.go_on = threading.Event()
        handler = type("OwnHandler", (Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="receiver")

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def next(self, timeout_s: float = 15) -> Message:
        """Return the next message that comes in."""
        return self.messages.get(timeout=timeout_s)

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """Take messages over TLS; call it before the first one."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


@contextmanager
def silent(count: int, hosts: int = 1) -> Iterator[list[str]]:
    """Listen on many ports, of one address or of several; each takes connections, and nobody ever says a word there."""
    sockets = []
    try:
        for number in range(count):
            sockets.append(socket.socket())
            sockets[-1].bind((f"127.0.0.{1 + number % hosts}", 0))
            sockets[-1].listen(100)
        yield ["http://{}:{}/hook".format(*one.getsockname()) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@contextmanager
def receiving(*behaviours: Behaviour) -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(*behaviours)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
