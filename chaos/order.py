"""Who is to die and when, as a file says: `POINT NUMBER VICTIM`, at the N-th time that a process comes to a point from then on.

Loaded by the processes that `nth-operation` kills: a server (`counting_server.py`) and its worker (`counting_worker.py`). Once
somebody has been hit the file has another name, so it happens once, and is known to have happened. Any thread.
"""

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

SERVER, WORKER = "server", "worker"


def struck(order: Path) -> Path:
    """Return the name that an order has once it was carried out."""
    return order.with_name(order.name + ".struck")


class Order:
    """Reads the file whenever a point is come to; while it is missing nothing is counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()  # guards what follows: several threads come to points
        self._text = ""
        self._seen = 0

    def due(self, point: str) -> bool:
        """Count a point that has been come to; return whether somebody is to die at it now."""
        try:
            text = self._path.read_text()
            wanted, number, _ = text.split()
        except (FileNotFoundError, ValueError):  # not there, or not yet whole
            return False
        if wanted != point:
            return False
        with self._lock:
            self._seen = self._seen + 1 if text == self._text else 1
            self._text = text
            return self._seen == int(number)

    def strike(self, pids: Mapping[str, Sequence[int]]) -> None:
        """Kill the victim, of which `pids` says who that is; where there is none nothing has happened."""
        try:
            victims = pids[self._path.read_text().split()[2]]
            if not victims:
                return
            self._path.rename(struck(self._path))
        except FileNotFoundError:  # it was carried out in another process
            return
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
