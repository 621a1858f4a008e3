"""A real server in a process of its own that is started, killed and started again on one folder and one port.

Used by one thread at a time; `port` may be read by any.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import psutil

from bench.load import ROOT
from bench.server import environment, free_port
from chaos.blows import workers_of
from chaos.scenario import SKILLS, ChaosError

READY_WITHIN_S = 60
GONE_WITHIN_S = 5.0
"""How long the sandbox's processes may outlive a server that was killed: they end when their pipe does."""

CALLBOARD = ("-m", "callboard", "serve")
DELAY_MS = 15
"""How long each call of a test skill lasts by default."""


class Server:
    """One folder, one port, and at most one process.

    `lingering` counts children that outlived a kill, `launches` are the unix times at which a process was started, `kills`
    how often one ended by SIGKILL.
    """

    def __init__(self, folder: Path, *, command: Sequence[str] = CALLBOARD, **settings: str | int | float) -> None:
        self.folder = folder
        self.port = free_port()
        self.effects = folder / "effects.jsonl"
        self.database = folder / "callboard.db"
        self.log = folder / "server.log"
        self.lingering = self.kills = 0
        self.launches: list[float] = []
        self.exited_s = 0.0  # when the process ended last, by the monotonic clock; its children may take longer
        self.popen: subprocess.Popen[bytes] | None = None
        self._command = [sys.executable, *command]
        given: dict[str, str | int | float] = {
            "data_dir": str(folder),
            "port": self.port,
            "log_format": "json",
            "skills_dir": str(SKILLS),
            "skill_chaos_effects": str(self.effects),
            "skill_chaos_delay_ms": DELAY_MS,
            "health_interval_s": 1,
            "worker_processes": 1,
            "rate_limit_max_requests": 0,
            **settings,
        }
        self._environment = environment(given)
        # A command such as `-m chaos.skewed_server` is found from the folder's own working directory too.
        self._environment["PYTHONPATH"] = str(ROOT)

    def change(self, **settings: str | int | float) -> None:
        """Give these settings to the next process, beside those that were given."""
        self._environment |= {name: value for name, value in environment(settings).items() if name not in os.environ}

    @property
    def pid(self) -> int:
        assert self.popen is not None
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def launch(self) -> None:
        """Start the process and return at once."""
        self.launches.append(time.time())
        with self.log.open("ab") as log:
            self.popen = self._spawn(log)

    def _spawn(self, log: IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self._command, cwd=self.folder, env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )

    def start(self) -> float:
        """Start the process; return the seconds until `/health/ready` answered 200."""
        began = time.perf_counter()
        self.launch()
        while time.perf_counter() < began + READY_WITHIN_S:
            if not self.running:
                break
            if self.is_ready():
                return time.perf_counter() - began
            time.sleep(0.005)
        raise ChaosError(f"the server did not become ready within {READY_WITHIN_S} s: {self.last_lines()}")

    def is_ready(self) -> bool:
        return self.health("/health/ready") == 200

    def health(self, path: str = "/health") -> int:
        """Return the status of a health page, 0 if nobody answers."""
        return self._page(path)[0]

    def _page(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read()
        return 0, b""

    def wait_for_worker(self) -> None:
        """Return once a worker's process can be given tasks."""
        until = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until:
            status, page = self._page("/health")
            if status and any(worker["ready"] for worker in json.loads(page)["workers"]):
                return
            time.sleep(0.01)
        raise ChaosError(f"no worker was ready within {READY_WITHIN_S} s: {self.last_lines()}")

    def kill(self) -> None:
        """Send SIGKILL to the server's process alone, and see that its children end by themselves."""
        self._end(signal.SIGKILL, within_s=20)

    def kill_alone(self) -> float:
        """Kill the server's process and look after nobody else; return when it had ended (unix time)."""
        assert self.popen is not None
        self.popen.kill()
        self.kills += self.popen.wait(20) == -signal.SIGKILL
        return time.time()

    def stop(self, *, within_s: float = 30, meanwhile: Callable[[], object] | None = None) -> int:
        """Send SIGTERM; return the exit status. Kills, and raises, when the time is up. `meanwhile` is done after the signal."""
        return self._end(signal.SIGTERM, within_s=within_s, meanwhile=meanwhile)

    def died(self) -> int:
        """Take note of a process that ended by itself; return its exit status."""
        return self._end(None, within_s=20)

    def _end(
        self, number: signal.Signals | None, *, within_s: float, meanwhile: Callable[[], object] | None = None
    ) -> int:
        assert self.popen is not None
        children = self._children()
        if number is not None and self.popen.poll() is None:
            self.popen.send_signal(number)
        if meanwhile is not None:
            meanwhile()
        try:
            status = self.popen.wait(within_s)
            self.kills += status == -signal.SIGKILL
            self.exited_s = time.monotonic()
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(20)
            raise ChaosError(f"the server did not end within {within_s:g} s: {self.last_lines()}") from None
        finally:
            _gone, left = psutil.wait_procs(children, timeout=GONE_WITHIN_S)
            self.lingering += len(left)
            for child in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        return status

    def _children(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def workers(self) -> list[psutil.Process]:
        """Return the processes that work on tasks, in the order of their start; none where threads do."""
        return workers_of(self.pid)

    @property
    def logs(self) -> list[Path]:
        return [self.log]

    def close(self) -> None:
        """Leave nothing running, whatever happened before."""
        if self.running:
            with contextlib.suppress(ChaosError):
                self._end(signal.SIGKILL, within_s=20)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def last_lines(self, lines: int = 4) -> str:
        """Return the end of the server's log."""
        if not self.log.exists():
            return "(no log)"
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4000), os.SEEK_SET)
            return b"\n".join(log.read().splitlines()[-lines:]).decode(errors="replace")
