"""Load from a process of its own: wrk where it is installed, bench/client.py otherwise."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import BenchError

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS = 16
CLIENTS = ("auto", "wrk", "python")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came back: every answer was a 200 (anything else raises). `sent` counts those never answered too.

    `unanswered` are their numbers, where the client knows them (the Python client does). `began` is the unix time of the first post.
    """

    answered: int
    sent: int
    began: float
    seconds: float
    p50_ms: float
    p99_ms: float
    unanswered: tuple[int, ...] = ()

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


def chosen(client: str) -> str:
    """Return the client that will be used: `wrk` or `python`."""
    found = shutil.which("wrk") is not None
    if client == "wrk" and not found:
        raise BenchError("wrk is not installed; leave --client out to use the Python client.")
    return "wrk" if client != "python" and found else "python"


def hammer(
    port: int,
    seconds: float,
    *,
    client: str,
    prefer: str = "",
    journaled: bool = False,
    after: int = 0,
    connections: int = CONNECTIONS,
    may_break: bool = False,
) -> Load:
    """Post tasks for about `seconds` seconds, each another one; raise `BenchError` if any answer is not a 200.

    `journaled` posts scripts with one journaled call. `after` is how many tasks this server was sent before: none is sent again.
    `may_break`: the server may go away meanwhile (with the Python client, which then ends).
    """
    options = [f"after={after}", *([f"prefer={prefer}"] if prefer else []), *(["journaled=yes"] if journaled else [])]
    make = _wrk if chosen(client) == "wrk" else _python
    command = make(port, seconds, connections, options)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 90, check=False)
    now = time.time()
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise BenchError(f"the load failed: {done.stderr.strip() or done.stdout.strip()}")
    got = json.loads(lines[-1])
    if got["refused"] or (got["broken"] and not may_break):
        raise BenchError(f"not every request was answered with a 200: {lines[-1]}")
    del got["refused"], got["broken"]
    began = got.pop("began", now - got["seconds"])
    return Load(**{**got, "began": began, "unanswered": tuple(got.get("unanswered", ()))})


def _wrk(port: int, seconds: float, connections: int, options: list[str]) -> list[str]:
    script = str(Path(__file__).with_name("post.lua"))
    # wrk counts whole seconds only
    own = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "60s", "-s", script]
    return ["wrk", *own, f"http://127.0.0.1:{port}/agent/execute", "--", *options]


def _python(port: int, seconds: float, connections: int, options: list[str]) -> list[str]:
    return [sys.executable, "-m", "bench.client", str(port), str(seconds), f"connections={connections}", *options]
