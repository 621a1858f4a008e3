"""A load generator in plain Python, for machines without wrk: `python -m bench.client PORT SECONDS [NAME=VALUE …]`.

One thread, keep-alive connections, the same requests and the same options as post.lua, and `connections`; a process of its own. It
finishes what it has sent. Prints one line of JSON: what post.lua prints, the moment of the first request, and the numbers of requests
that were never answered.
"""

import contextlib
import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

from bench.figures import percentile

PATIENCE_S = 60
"""How long after the end of the load an answer is waited for."""


def task_of(number: int, *, journaled: bool = False) -> str:
    """Return a task that no other number asks; a journaled one is a script whose one call goes into the ledger."""
    if journaled:
        return f"```python\nfrom skills import product\nproduct({number}, {number % 97 + 2})\n```"
    return f"What is {number} times {number % 97 + 2}?"


def request(number: int, prefer: str, *, journaled: bool = False) -> bytes:
    """Return the request of a number."""
    body = json.dumps({"task": task_of(number, journaled=journaled)}).encode()
    more = f"Prefer: {prefer}\r\n" if prefer else ""
    head = (
        f"POST /agent/execute HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


@dataclass(slots=True)
class Connection:
    """One keep-alive connection with at most one request under way."""

    socket: socket.socket
    number: int = 0
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def send(self, data: bytes) -> None:
        """Send a request; a connection that is broken by now shows it when it is read."""
        self.sent_at = time.perf_counter()
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def read(self) -> int | None:
        """Return the status of an answer that is complete now, 0 for a broken connection, None to read on."""
        try:
            data = self.socket.recv(65_536)
        except ConnectionError:
            data = b""
        if not data:
            return 0
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.received[:end])
        at = head.lower().find(b"\r\ncontent-length:")
        length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.received) < end + 4 + length:
            return None
        self.received.clear()
        return int(head[9:12])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the requests are like; `after` is the number before the first one's."""

    prefer: str = ""
    journaled: bool = False
    after: int = 0
    connections: int = 16


@dataclass(slots=True)
class Tally:
    """What the load has come to so far."""

    sent: int = 0
    refused: int = 0
    unanswered: list[int] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)


def load(port: int, seconds: float, shape: Shape) -> Tally:
    """Send requests for `seconds` seconds, then wait for the answers under way."""
    tally = Tally()
    selector = selectors.DefaultSelector()
    started = time.perf_counter()
    for _ in range(shape.connections):
        connection = Connection(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        _send(connection, tally, shape)
    while selector.get_map() and time.perf_counter() < started + seconds + PATIENCE_S:
        for key, _ in selector.select(timeout=1):
            status = key.data.read()
            if status is None:
                continue
            _count(key.data, status, tally)
            if status and time.perf_counter() < started + seconds:
                _send(key.data, tally, shape)
            else:
                selector.unregister(key.fileobj)
                key.data.socket.close()
    tally.unanswered += [key.data.number for key in selector.get_map().values()]
    return tally


def _send(connection: Connection, tally: Tally, shape: Shape) -> None:
    tally.sent += 1
    connection.number = shape.after + tally.sent
    connection.send(request(connection.number, shape.prefer, journaled=shape.journaled))


def _count(connection: Connection, status: int, tally: Tally) -> None:
    if status == 0:
        tally.unanswered.append(connection.number)
        return
    tally.latencies_ms.append((time.perf_counter() - connection.sent_at) * 1000)
    tally.refused += status != 200


def main(port: str, seconds: str, *options: str) -> None:
    given = dict(option.split("=", 1) for option in options)
    shape = Shape(
        prefer=given.get("prefer", ""),
        journaled="journaled" in given,
        after=int(given.get("after", 0)),
        connections=int(given.get("connections", 16)),
    )
    began, started = time.time(), time.perf_counter()
    tally = load(int(port), float(seconds), shape)
    answer = {
        "answered": len(tally.latencies_ms),
        "sent": tally.sent,
        "began": began,
        "seconds": time.perf_counter() - started,
        "refused": tally.refused,
        "broken": len(tally.unanswered),
        "unanswered": tally.unanswered,
        "p50_ms": percentile(tally.latencies_ms, 50),
        "p99_ms": percentile(tally.latencies_ms, 99),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
