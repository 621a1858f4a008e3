"""Systems in processes of their own that are there at once: forked from one process that has imported everything.

PERF: 1.1 s of processor time becomes 0.2 s, for each of sixty processes that the tests kill. A fork is a real process:
SIGKILL takes it, and nothing of it is left but its files. Run as a program, this is the process that forks; it has one thread.
"""

import atexit
import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

_ANSWER_S = 60.0


class Forker:
    """The process that forks; it ends with the process that started it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        self._line.settimeout(_ANSWER_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.callboard.forked_system"], stdin=theirs.fileno()
            )

    def fork(self, settings: dict[str, Any], stdin: int, stdout: int) -> int:
        """Return the id of a process with a system of these settings, which reads wishes and answers them."""
        return self._ask({"settings": settings}, stdin, stdout)

    def wait(self, pid: int) -> None:
        """Return when the process has ended and nothing is left of it."""
        self._ask({"wait": pid})

    def _ask(self, wish: dict[str, Any], *descriptors: int) -> int:
        socket.send_fds(self._line, [json.dumps(wish).encode()], descriptors)
        return int(self._line.recv(100))

    def close(self) -> None:
        self._line.close()
        self._process.wait(_ANSWER_S)


@cache
def forker() -> Forker:
    """Return the one of this test run."""
    made = Forker()
    atexit.register(made.close)
    return made


def _fork_for_ever(line: socket.socket) -> None:
    while True:
        wish, descriptors, _, _ = socket.recv_fds(line, 100_000, 2)
        if not wish:
            return
        told = json.loads(wish)
        _import_vendor(told.get("settings", {}).get("llm_provider"))
        answer = os.waitpid(told["wait"], 0)[0] if "wait" in told else os.fork()
        if answer == 0:
            line.close()
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
                os.close(descriptor)
            _serve(told["settings"])
            return
        for descriptor in descriptors:
            os.close(descriptor)
        line.send(str(answer).encode())


def _serve(settings: dict[str, Any]) -> None:
    from callboard import AgentSystem, DecideTask, Decision, Settings, SubmitTask

    system = AgentSystem.start(Settings(**settings))
    for line in sys.stdin:
        fields = json.loads(line)
        wish = fields.pop("wish")
        if wish == "submit":
            print(system.gateway.ask(SubmitTask(**fields), timeout_s=30).task_id, flush=True)
        else:
            decided = DecideTask(**{**fields, "decision": Decision(fields["decision"])})
            print(system.gateway.ask(decided, timeout_s=30).task_id, flush=True)


def _import_vendor(provider: str | None) -> None:
    """Import what a system asks a model with; it takes a second of a processor, and every later fork has it."""
    if provider is not None:
        importlib.import_module(f"callboard.agent.models.{provider}")
        importlib.import_module(provider)
    assert threading.active_count() == 1


def _import_all() -> None:
    """Import what a system imports, and what it does only when it opens a history, without starting a thread or process."""
    import callboard.system  # noqa: F401  # what a system imports
    from callboard import Settings
    from callboard.clock import Clock
    from callboard.persistence.store import SqlStore

    with tempfile.TemporaryDirectory() as folder:
        SqlStore.open(Settings(data_dir=Path(folder)), clock=Clock()).close()
    assert threading.active_count() == 1


if __name__ == "__main__":
    _import_all()
    with socket.socket(fileno=os.dup(0)) as given:
        _fork_for_ever(given)
