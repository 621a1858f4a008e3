"""Servers in processes of their own: started, found ready, stopped by their pid."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
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
    """A server that runs; `ready_s` is the time from its start to its first good answer."""

    popen: "subprocess.Popen[bytes]"
    port: int
    folder: Path
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
def callboard(folder: Path, **settings: str | int) -> Iterator[Process]:
    """Run `callboard serve` on a data folder: the defaults, without limits, its log in a file."""
    port = free_port()
    given = {"data_dir": str(folder), "port": port, "max_backlog": BACKLOG, "log_format": "json", **settings}
    variables = environment({**given, "rate_limit_max_requests": 0})
    with (folder / "server.log").open("ab") as log:
        started = time.perf_counter()
        popen = subprocess.Popen(
            [*serve_command(), "serve"], cwd=folder, env=variables, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        yield from _while_it_runs(Process(popen, port, folder), started, _ASK_LIVE)


@contextlib.contextmanager
def ceiling(folder: Path) -> Iterator[Process]:
    """Run the bare app."""
    port = free_port()
    with (folder / "ceiling.log").open("ab") as log:
        started = time.perf_counter()
        command = [sys.executable, "-m", "bench.ceiling", str(port)]
        popen = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        live = _ASK_LIVE.replace(b"/health/live", b"/agent/execute")
        yield from _while_it_runs(Process(popen, port, folder), started, live)


def _while_it_runs(process: Process, started: float, ask: bytes) -> Iterator[Process]:
    try:
        process.ready_s = _wait_until_ready(process, started, ask)
        yield process
    finally:
        process.stop()


def _wait_until_ready(process: Process, started: float, ask: bytes) -> float:
    """Ask tightly until the answer is a 200; return the seconds since `started`."""
    while time.perf_counter() < started + READY_WITHIN_S:
        if process.popen.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", process.port), timeout=5) as client:
            client.sendall(ask)
            if client.recv(12).endswith(b" 200"):
                return time.perf_counter() - started
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


def cpu_seconds(process: Process) -> float:
    """Return the processor time the server and its living children have used."""
    total = 0.0
    parent = psutil.Process(process.pid)
    for one in (parent, *parent.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total
