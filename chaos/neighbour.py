"""A caller who means well beside an abusive one: what it does all the while, what came of it, and how long it took.

Each of its habits has a thread and asks one thing after another. Used by `flood.py`.
"""

import http.client
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing

from bench.figures import percentile
from chaos.api import Api, Lost

SOURCE = "127.0.0.7"
_PAUSE_S = 0.02
_PATIENCE_S = 10


class Neighbour:
    """One well-meant client, from its entry to its exit; `known` is a task that has ended, which it reads."""

    def __init__(self, port: int, known: str) -> None:
        self.took_ms: dict[str, list[float]] = defaultdict(list)
        self.wrong: list[str] = []
        self._port = port
        self._over = threading.Event()
        self._known = known
        habits: Mapping[str, Callable[[Api, int], object]] = {
            "task": self._execute,
            "read": self._read,
            "stream": self._stream,
            "health": self._health,
        }
        self._threads = [threading.Thread(target=self._go_on, args=one) for one in habits.items()]

    def __enter__(self) -> "Neighbour":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * _PATIENCE_S)

    def p99_ms(self) -> dict[str, float]:
        """Return the 99th percentile of each habit; a habit that came to nothing took as long as anybody waited."""
        found = {habit: self.took_ms[habit] for habit in ("task", "read", "stream", "health")}
        return {habit: percentile(ms, 99) if len(ms) > 1 else _PATIENCE_S * 1000.0 for habit, ms in found.items()}

    def _go_on(self, habit: str, ask: Callable[[Api, int], object]) -> None:
        number = 1
        with Api(self._port, source=SOURCE, timeout_s=_PATIENCE_S) as kept:
            while not self._over.is_set():
                number += 1
                began = time.perf_counter()
                try:
                    ask(kept, number)
                except (Lost, OSError, AssertionError, http.client.HTTPException) as error:
                    self.wrong.append(f"{habit}: {type(error).__name__}: {error}"[:300])
                else:
                    self.took_ms[habit].append((time.perf_counter() - began) * 1000)
                self._over.wait(_PAUSE_S)

    def _execute(self, kept: Api, number: int) -> None:
        """Have a task worked out on a connection that is kept, and wait for its result."""
        status, answer = kept.execute({"task": f"What is {number} times 7?"}, wait_s=20)
        assert status == 200, f"{status} {answer}"
        assert answer.get("output") == number * 7, json.dumps(answer)[:200]

    def _read(self, _kept: Api, _number: int) -> None:
        with Api(self._port, source=SOURCE, timeout_s=_PATIENCE_S) as api:
            found = api.task(self._known)
        assert found is not None
        assert found["status"] == "completed", found

    def _stream(self, _kept: Api, _number: int) -> None:
        """Follow the log of a task that has ended, from its beginning to its end."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=_PATIENCE_S, source_address=(SOURCE, 0)
        )
        with closing(connection):
            connection.request("GET", f"/agent/tasks/{self._known}/events", headers={"Accept": "text/event-stream"})
            reply = connection.getresponse()
            told = reply.read()
        assert reply.status == 200, f"{reply.status} {told[:200]!r}"
        assert b"event: end" in told, f"{told[-200:]!r}"

    def _health(self, _kept: Api, _number: int) -> None:
        with Api(self._port, source=SOURCE, timeout_s=_PATIENCE_S) as api:
            status, answer = api.request("GET", "/health/ready")
        assert status == 200, f"{status} {answer}"
