"""One abusive client, in a process of its own: `python -m chaos.abuse KIND PORT SOURCE`.

It takes what it can of one kind and keeps it, from one address, until its standard input is closed: `KINDS` says how many
connections, what each sends at first, what it adds every second, and whether it reads. What the server closes it opens
again. It prints `ready` when every connection has been tried for once, and at the end one line of JSON: how many it held
at most, how many were closed on it, and the answers by status. One thread.
"""

import contextlib
import errno
import json
import os
import resource
import selectors
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass

HELD_S = 60
_EVERY_S = 1.0
_AT_ONCE = 100
"""Connections that are opened in one turn of the loop, so that a backlog of connections is not all that is tried."""


def get(path: str, *headers: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", "")
    return "\r\n".join(lines).encode("ascii")


def post(length: int) -> bytes:
    """Return the head of a task's request, whose body is still to come."""
    lines = ("POST /agent/execute HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json")
    return "\r\n".join((*lines, f"Content-Length: {length}", "", "")).encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What one kind of abusive client does with each of its connections.

    `opening` is sent at once, `more` every second; with `repeats` the opening is sent again after each answer.
    """

    connections: int
    opening: bytes = b""
    more: bytes = b""
    reads: bool = True
    repeats: bool = False


NOBODY = "/agent/events?sessionId=nobody"
LONG_BODY = b'{"task": "' + b"a" * 1_900_000
KINDS: dict[str, Kind] = {
    "silent connections": Kind(connections=2500),
    "unfinished heads": Kind(connections=2500, opening=get("/").removesuffix(b"\r\n") + b"X-More: ", more=b"a"),
    "unfinished bodies": Kind(connections=2500, opening=post(1_900_000) + b" " * 60_000, more=b" " * 100),
    "streams": Kind(connections=700, opening=get(NOBODY, "Accept: text/event-stream")),
    "held requests": Kind(connections=300, opening=get(f"{NOBODY}&wait={HELD_S}"), repeats=True),
    "requests": Kind(connections=200, opening=get("/agent/results?limit=1"), repeats=True),
    "requests in one go": Kind(connections=50, opening=get("/agent/results?limit=1") * 100, more=get("/") * 10),
    "answers that nobody reads": Kind(connections=500, opening=get("/openapi.json") * 50, reads=False),
    "connections over and over": Kind(connections=100, opening=get("/", "Connection: close"), repeats=True),
    "malformed requests": Kind(connections=100, opening=b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", repeats=True),
    "large requests": Kind(connections=30, opening=post(len(LONG_BODY)) + LONG_BODY, repeats=True),
    "health": Kind(connections=200, opening=get("/health"), repeats=True),
}


class Held:
    """One connection; `unsent` is what the server has not taken yet."""

    def __init__(self, kind: Kind, port: int, source: str) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.bind((source, 0))
        with contextlib.suppress(BlockingIOError):
            self.socket.connect(("127.0.0.1", port))
        self.unsent = memoryview(kind.opening)
        self.opened = self.answered = False

    def send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]


class Abuse:
    """The client."""

    def __init__(self, kind: Kind, port: int, source: str) -> None:
        self._kind, self._port, self._source = kind, port, source
        self._selector = selectors.DefaultSelector()
        self._held: set[Held] = set()
        self.opened = self.closed = self.most = 0
        self.statuses: Counter[str] = Counter()

    def run(self) -> None:
        os.set_blocking(sys.stdin.fileno(), False)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        said, due_s = False, time.monotonic() + _EVERY_S
        while True:
            self._open_some()
            if not said and (self.opened + self.closed >= self._kind.connections):
                print("ready", flush=True)
                said = True
            for key, events in self._selector.select(0.05):
                if key.fileobj is sys.stdin:
                    return
                self._go_on(key.data, events)
            if time.monotonic() >= due_s:
                due_s += _EVERY_S
                self._add()

    def _open_some(self) -> None:
        for _ in range(min(_AT_ONCE, self._kind.connections - len(self._held))):
            held = Held(self._kind, self._port, self._source)
            self._held.add(held)
            self._selector.register(held.socket, selectors.EVENT_WRITE, held)

    def _go_on(self, held: Held, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                if not held.opened:
                    self._take_note(held)
                held.send()
            if events & selectors.EVENT_READ and not self._read(held):
                self._close(held)
                return
        except OSError:
            self._close(held)
            return
        self._wait_for(held)

    def _take_note(self, held: Held) -> None:
        failed = held.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))
        held.opened = True
        self.opened += 1
        self.most = max(self.most, len(self._held))

    def _read(self, held: Held) -> bool:
        data = held.socket.recv(65_536)
        if data.startswith(b"HTTP/1."):
            self.statuses[data[9:12].decode("ascii", "replace")] += 1
            if self._kind.repeats and not held.unsent:
                held.unsent = memoryview(self._kind.opening)
        return bool(data)

    def _wait_for(self, held: Held) -> None:
        """Wait to write where something is unsent; a client that reads nothing waits for the end of it only."""
        wanted = selectors.EVENT_WRITE if held.unsent else 0
        if self._kind.reads or not wanted:
            wanted |= selectors.EVENT_READ
        if self._kind.reads or held.unsent:
            self._selector.modify(held.socket, wanted, held)
        elif held.socket in self._selector.get_map():
            self._selector.unregister(held.socket)

    def _add(self) -> None:
        if not self._kind.more:
            return
        for held in [held for held in self._held if held.opened and not held.unsent]:
            held.unsent = memoryview(self._kind.more)
            self._wait_for(held)

    def _close(self, held: Held) -> None:
        self.closed += 1
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(held.socket)
        held.socket.close()
        self._held.discard(held)


def main(name: str, port: str, source: str) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    abuse = Abuse(KINDS[name], int(port), source)
    try:
        abuse.run()
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        sys.exit(f"this system lets a process have {hard} files, which is too few")
    print(json.dumps({"most": abuse.most, "closed": abuse.closed, "statuses": abuse.statuses}))


if __name__ == "__main__":
    main(*sys.argv[1:])
