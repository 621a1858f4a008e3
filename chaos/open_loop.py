"""An open loop of requests from a process of its own: `python -m chaos.open_loop PORT SECONDS RATE GREEDY MODEST`.

RATE requests a second are due whatever the server does, half of them from one address (GREEDY connections), half
from as many addresses as there are MODEST connections. A request that is due while every connection of its kind
waits for an answer is counted as `unsent`: it is one that a client with more connections would have sent. One thread.
Prints one line of JSON: the answers by status, with the latencies from the sending to the last byte.
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

from bench.client import Connection, request
from bench.figures import percentile

PATIENCE_S = 30
TIMEOUT_S = 30


@dataclass(slots=True)
class Kind:
    """Connections of one kind; those in `idle` may send."""

    sources: list[str]
    idle: deque[Connection] = field(default_factory=deque)


@dataclass(slots=True)
class Tally:
    sent: int = 0
    unsent: int = 0
    broken: int = 0
    latencies_ms: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))


class OpenLoop:
    """One run of the loop."""

    def __init__(self, port: int, greedy: int, modest: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        # the whole of 127.0.0.0/8 is this machine's on Linux
        self._kinds = (
            Kind(sources=["127.0.0.1"] * greedy),
            Kind(sources=[f"127.0.{1 + n // 200}.{1 + n % 200}" for n in range(modest)]),
        )
        self.tally = Tally()
        for kind in self._kinds:
            for source in kind.sources:
                self._open(kind, source)

    def _open(self, kind: Kind, source: str) -> None:
        address = ("127.0.0.1", self._port)
        connection = Connection(socket.create_connection(address, timeout=TIMEOUT_S, source_address=(source, 0)))
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection.socket, selectors.EVENT_READ, (connection, kind, source))
        kind.idle.append(connection)

    def run(self, seconds: float, rate: float) -> None:
        began = time.perf_counter()
        due = 0
        while (now := time.perf_counter()) < began + seconds:
            while due < (now - began) * rate:
                self._send(self._kinds[due % 2], due)
                due += 1
            self._read(timeout_s=0.001)
        while self._busy() and time.perf_counter() < began + seconds + PATIENCE_S:
            self._read(timeout_s=0.1)

    def _busy(self) -> int:
        return sum(len(kind.sources) - len(kind.idle) for kind in self._kinds)

    def _send(self, kind: Kind, number: int) -> None:
        if not kind.idle:
            self.tally.unsent += 1
            return
        connection = kind.idle.popleft()
        self.tally.sent += 1
        connection.send(request(number, ""))

    def _read(self, *, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            connection, kind, source = key.data
            status = connection.read()
            if status is None:
                continue
            if status == 0:
                self._selector.unregister(connection.socket)
                connection.socket.close()
                if connection in kind.idle:  # closed for its idleness, which is the server's right
                    kind.idle.remove(connection)
                else:
                    self.tally.broken += 1
                self._open(kind, source)
                continue
            self.tally.latencies_ms[status].append((time.perf_counter() - connection.sent_at) * 1000)
            kind.idle.append(connection)

    def answer(self, seconds: float) -> dict[str, object]:
        tally = self.tally
        refusals = [ms for status, found in tally.latencies_ms.items() if status in (429, 503) for ms in found]
        accepted = tally.latencies_ms.get(200, [])
        return {
            "sent": tally.sent,
            "unsent": tally.unsent,
            "broken": tally.broken,
            "unanswered": self._busy(),
            "statuses": Counter({str(status): len(found) for status, found in tally.latencies_ms.items()}),
            "seconds": seconds,
            "refusal_p50_ms": percentile(refusals, 50) if len(refusals) > 1 else 0.0,
            "refusal_p99_ms": percentile(refusals, 99) if len(refusals) > 1 else 0.0,
            "accepted_p99_ms": percentile(accepted, 99) if len(accepted) > 1 else 0.0,
        }


def main(port: str, seconds: str, rate: str, greedy: str, modest: str) -> None:
    loop = OpenLoop(int(port), int(greedy), int(modest))
    loop.run(float(seconds), float(rate))
    print(json.dumps(loop.answer(float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
