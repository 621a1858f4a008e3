"""Servers in processes of their own: started, found ready, stopped by their pid."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.figures import BenchError
from bench.load import ROOT

READY_WITHIN_S = 30
STOP_WITHIN_S = 20
BACKLOG = 1_000_000
_ASK_LIVE = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class Process:
    """A server that runs; `ready_s` is the time from its start to its first good answer, `started` its start by `perf_counter`."""

    popen: "subprocess.Popen[bytes]"
    port: int
    folder: Path
    started: float
    ready_s: float = 0.0

    @property
    def pid(self) -> int:
        return self.popen.pid

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def kill(self) -> None:
        """End the process as a power cut would, with no chance to tidy up; its children as well."""
        children = psutil.Process(self.pid).children(recursive=True)
        self.popen.kill()
        self.popen.wait(STOP_WITHIN_S)
        _end(children)

    def stop(self) -> None:
        """End the process in order; kill it if it takes too long."""
        if self.popen.poll() is not None:
            return
        children = psutil.Process(self.pid).children(recursive=True)
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(STOP_WITHIN_S)
        _end(children)


def _end(children: list[psutil.Process]) -> None:
    """Let processes that have lost their parent end by themselves, then kill those that are left."""
    _gone, left = psutil.wait_procs(children, timeout=2)
    for child in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def serve_command() -> list[str]:
    """Return the command that starts the real server."""
    script = Path(sys.executable).with_name("callboard")
    return [str(script)] if script.exists() else [sys.executable, "-m", "callboard"]


@contextlib.contextmanager
def callboard(folder: Path, *, command: Sequence[str] = (), **settings: str | int) -> Iterator[Process]:
    """Run `callboard serve`, or another one's `command`, on a data folder: the defaults, without limits, its log in a file."""
    port = free_port()
    given = {"data_dir": str(folder), "port": port, "max_backlog": BACKLOG, "log_format": "json", **settings}
    variables = environment({**given, "rate_limit_max_requests": 0})
    with running([*(command or serve_command()), "serve"], folder, port=port, env=variables) as ours:
        yield ours


@contextlib.contextmanager
def ceiling(folder: Path) -> Iterator[Process]:
    """Run the bare app."""
    port = free_port()
    ask = _ASK_LIVE.replace(b"/health/live", b"/agent/execute")
    command = [sys.executable, "-m", "bench.ceiling", str(port)]
    with running(command, folder, port=port, ask=ask, cwd=ROOT) as bare:
        yield bare


@contextlib.contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    *,
    port: int,
    ask: bytes = _ASK_LIVE,
    answer: bytes = b" 200",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """Run a command whose log goes to a folder, from its first good answer on: what it is asked, and how the line begins that is one.

    An empty `ask`: it listens to nobody, and is given as soon as it is started.
    """
    with (folder / "server.log").open("ab") as log:
        started = time.perf_counter()
        popen = subprocess.Popen(command, cwd=cwd or folder, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    process = Process(popen, port, folder, started)
    try:
        process.ready_s = _wait_until_ready(process, ask, answer) if ask else 0.0
        yield process
    finally:
        process.stop()


def _wait_until_ready(process: Process, ask: bytes, answer: bytes) -> float:
    """Ask tightly until the answer is a good one; return the seconds since the start."""
    while time.perf_counter() < process.started + READY_WITHIN_S:
        if process.popen.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", process.port), timeout=5) as client:
            client.sendall(ask)
            if client.recv(12).endswith(answer):
                return time.perf_counter() - process.started
        time.sleep(0.002)
    tail = b"\n".join(b"".join(p.read_bytes() for p in process.folder.glob("*.log")).splitlines()[-5:])
    raise BenchError(f"a server did not start within {READY_WITHIN_S} s: {tail.decode(errors='replace')}")


def environment(given: Mapping[str, str | int | float]) -> dict[str, str]:
    """Return the environment of a server with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    return kept | {f"CALLBOARD_{name.upper()}": str(value) for name, value in given.items()}


def _is_setting(name: str) -> bool:
    own = ("API_KEY", "ALLOWED_ORIGINS", "NODE_ENV", "RATE_LIMIT_WINDOW_MS", "RATE_LIMIT_MAX_REQUESTS")
    return name.startswith("CALLBOARD_") or name in own
