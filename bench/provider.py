"""A scripted provider of models on a real port, which speaks both dialects and fails as it is told to.

It stands in for the vendors in tests, in `make bench` and in `make chaos`. In a program:

    with running(Reply(text="42"), rate_limited(1)) as provider:
        ...  # CALLBOARD_LLM_BASE_URL=provider.openai_url, or provider.anthropic_url

in a process of its own, `python -m bench.provider --port N [--script FILE]`. FILE holds a JSON list of replies (fields
of `Reply`); one with a `when` answers only requests in whose last message that pattern is found, and the first that
fits answers. The port is printed when it is open.

A thread for each connection, all of them ended by `stop()`. The standard library only.
"""

import argparse
import contextlib
import json
import re
import select
import signal
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.provider_reply import Dialect, Reply, Request, ending, error_event, frames, rate_limited, whole

__all__ = ["Provider", "Reply", "Request", "Script", "rate_limited", "running"]

Script = Reply | Callable[[Request], Reply]
"""One step of a script."""

_POLL_S = 0.02
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends a reset
_FLOOD_EVENTS = 1_000_000
_REASONS = {200: "OK", 429: "Too Many Requests", 500: "Internal Server Error"}


class _Gone(Exception):
    """The client has left, or the provider is being stopped."""


class _Connection(socketserver.StreamRequestHandler):
    """One client's connection: requests one after the other until it leaves. In a thread of its own."""

    provider: "Provider"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def handle(self) -> None:
        with contextlib.suppress(OSError, _Gone), self.provider._open(self.connection):
            while self._answer():
                pass

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def _answer(self) -> bool:
        """Answer one request; say whether another may follow."""
        request = self._read()
        if request is None:
            return False
        reply = self.provider._take(request)
        if reply.delay_s:
            self._wait(reply.delay_s)
        if reply.fault == "hang":
            self._wait(None)
        if reply.status >= 300 or reply.raw or not request.json.get("stream") or reply.fault == "garbage":
            return self._send_whole(request, reply)
        return self._stream(request, reply)

    def _read(self) -> Request | None:
        line = self.rfile.readline()
        if not line:
            return None
        _method, path, _version = line.decode("latin-1").split()
        headers = {}
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # whoever asked has died over it
            return None
        dialect: Dialect = "openai" if path.endswith("/chat/completions") else "anthropic"
        if dialect == "anthropic" and not path.endswith("/messages"):
            self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            raise _Gone
        return Request(dialect=dialect, path=path, headers=headers, body=body, at_s=time.monotonic())

    def _head(self, reply: Reply, **headers: Any) -> None:
        lines = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Scripted')}"]
        lines += [f"{name}: {value}" for name, value in {**reply.headers, **headers}.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def _send_whole(self, request: Request, reply: Reply) -> bool:
        garbage = b'<html>{"choices": [oops' if not request.json.get("stream") else b"data: {oops\n\n"
        body = garbage if reply.fault == "garbage" else whole(request, reply)
        kind = "text/event-stream" if reply.fault == "garbage" and request.json.get("stream") else "application/json"
        self._head(reply, **{"Content-Type": kind, "Content-Length": len(body), **reply.headers})
        if reply.fault == "dribble":
            self._dribble(body, reply)
        self.wfile.write(body)
        self.wfile.flush()
        return True

    def _dribble(self, body: bytes, reply: Reply) -> None:
        for byte in body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            self._wait(reply.every_s)
        raise _Gone

    def _stream(self, request: Request, reply: Reply) -> bool:
        self._head(reply, **{"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"})
        seen_text = False
        for frame in frames(request, reply):
            self._chunk(frame, reply)
            if not seen_text and _carries_text(frame):
                seen_text = True
                self._fault(request, reply, frame)
        if reply.fault != "no_end":
            self._chunk(ending(request, reply), reply)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        return True

    def _fault(self, request: Request, reply: Reply, frame: bytes) -> None:
        """Do what is to go wrong after the first piece."""
        if reply.fault == "stall":
            self._wait(None)
        elif reply.fault == "reset":
            self.provider._reset(self.connection)
            raise _Gone
        elif reply.fault == "error_event":
            self._chunk(error_event(request, reply), reply)
            raise _Gone
        elif reply.fault == "flood":
            for _ in range(_FLOOD_EVENTS):
                self._chunk(frame, reply)

    def _chunk(self, data: bytes, reply: Reply) -> None:
        if reply.fault == "dribble":
            for byte in data:
                self.wfile.write(b"1\r\n%c\r\n" % byte)
                self.wfile.flush()
                self._wait(reply.every_s)
            return
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _wait(self, seconds: float | None) -> None:
        """Wait so long, or for ever; raise `_Gone` as soon as the client leaves or the provider is stopped."""
        self.wfile.flush()
        until = None if seconds is None else time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.connection, select.POLLIN | select.POLLHUP)
        while until is None or time.monotonic() < until:
            left_s = _POLL_S if until is None else min(_POLL_S, max(0.0, until - time.monotonic()))
            if self.provider._stopping.wait(left_s):
                raise _Gone
            if poll.poll(0) and self.connection.recv(1, socket.MSG_PEEK) == b"":
                raise _Gone


def _carries_text(frame: bytes) -> bool:
    return (b'"content":"' in frame and b'"role"' not in frame) or b"text_delta" in frame or b'"refusal"' in frame


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 1024
    daemon_threads = False

    def shutdown_request(self, request: Any) -> None:
        """Close without the polite end that the base class sends first: it would turn a reset into an end."""
        with contextlib.suppress(OSError):
            if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) != _RESET:
                request.shutdown(socket.SHUT_WR)
        request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone; everything else is a defect of the script."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Provider:
    """Answers by a script: steps in turn, the last one for all that follow. Any thread.

    `keep` limits how many requests are remembered, the last ones.
    """

    def __init__(self, *script: Script, port: int = 0, keep: int = 100_000) -> None:
        # Guards all below: each connection has a thread of its own.
        self._lock = threading.Condition()
        self._script: deque[Script] = deque(script or (Reply(text="ok"),))
        self._requests: deque[Request] = deque(maxlen=keep)
        self._connections: set[socket.socket] = set()
        self._count = 0
        self._stopping = threading.Event()
        handler = type("_OwnConnection", (_Connection,), {"provider": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="provider")

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def openai_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def anthropic_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """What has come in so far, in order."""
        with self._lock:
            return list(self._requests)

    @property
    def count(self) -> int:
        """How many requests have come in, those no longer remembered included."""
        with self._lock:
            return self._count

    @property
    def connections(self) -> int:
        """How many connections are open."""
        with self._lock:
            return len(self._connections)

    def say(self, *script: Script) -> None:
        """Replace what is left of the script."""
        with self._lock:
            self._script = deque(script)

    def wait_for(self, count: int, timeout_s: float = 15) -> list[Request]:
        """Return the requests once so many have come in."""
        with self._lock:
            if not self._lock.wait_for(lambda: self._count >= count, timeout_s):
                raise TimeoutError(f"{self._count} of {count} requests came in within {timeout_s:g} s")
            return list(self._requests)

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """Take requests over TLS; call it before `start`."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def wait_left(self, timeout_s: float = 15) -> None:
        """Return once every client has closed its connections."""
        with self._lock:
            if not self._lock.wait_for(lambda: not self._connections, timeout_s):
                raise TimeoutError(f"{len(self._connections)} connections are still open after {timeout_s:g} s")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End every connection and every thread."""
        self._stopping.set()
        self._server.shutdown()
        self._thread.join(10)
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()  # joins the connections' threads

    def _take(self, request: Request) -> Reply:
        with self._lock:
            self._requests.append(request)
            self._count += 1
            self._lock.notify_all()
            step = self._script.popleft() if len(self._script) > 1 else self._script[0]
        return step if isinstance(step, Reply) else step(request)

    @contextmanager
    def _open(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            if self._stopping.is_set():
                raise OSError("the provider is being stopped")
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)
                self._lock.notify_all()

    def _reset(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


@contextmanager
def running(*script: Script, port: int = 0) -> Iterator[Provider]:
    """Run a provider."""
    provider = Provider(*script, port=port)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def by_rules(rules: list[dict[str, Any]]) -> Callable[[Request], Reply]:
    """Return a script that answers with the first reply whose `when` is found in the last message."""
    made = [(re.compile(rule.pop("when", "")), Reply(**rule)) for rule in (dict(rule) for rule in rules)]

    def answer(request: Request) -> Reply:
        last = request.last
        return next((reply for when, reply in made if when.search(last)), Reply(status=500, message="no rule fits"))

    return answer


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m bench.provider", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path, help="a JSON list of replies")
    given = parser.parse_args()
    script = by_rules(json.loads(given.script.read_text())) if given.script else Reply(text="ok")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # before the threads, which inherit it
    with running(script, port=given.port) as provider:
        print(provider.port, flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
