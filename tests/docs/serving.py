"""The real `callboard serve` as a process, on a free port, in a folder of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx

from callboard import Settings
from tests.template import lay_history
from tests.worker_processes import OF_TESTS

BIN = Path(sys.executable).parent
DEFAULT_ADDRESS = "http://127.0.0.1:3000"

COMMON = {"RATE_LIMIT_MAX_REQUESTS": "1000", "CALLBOARD_WORKERS": "4"}
VARIANTS = {
    "default": {"CALLBOARD_WORKER_PROCESSES": "1"},
    "with skills": {"CALLBOARD_SKILLS_DIR": "skills"},
    "with agents": {"CALLBOARD_AGENTS_DIR": "agents"},
    "with a key": {"API_KEY": "your-secret-key"},
    "with webhooks": {"CALLBOARD_WEBHOOK_ALLOW_PRIVATE": "true"},
    "with approval": {"CALLBOARD_APPROVE_SKILLS": "write-file"},
    "with MCP": {"CALLBOARD_MCP_CONFIG": "mcp.json"},
    "with a low limit": {"RATE_LIMIT_MAX_REQUESTS": "2"},
}
"""The servers that documents are run against, by the name a `server` note gives."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment without settings of the developer's own."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), **OF_TESTS, **more}


class Served:
    """One server process; `lines` are its log lines so far, decoded."""

    def __init__(self, folder: Path, data: Path, *, port: int | str = 0, **settings: str) -> None:
        self.folder = folder
        self.data = data
        self.environment = environment(folder, CALLBOARD_DATA_DIR=str(data))
        self.lines: list[dict[str, Any]] = []
        self.url = ""
        if not data.exists() and "CALLBOARD_DATABASE_URL" not in settings:
            lay_history(Settings(data_dir=data))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "callboard", "serve", "--port", str(port)],
            cwd=folder,
            env={**self.environment, **COMMON, **settings},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader: threading.Thread | None = None

    def wait_until_ready(self) -> None:
        """Return once it listens; raise with its log if it ends before that."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._note(line)
            if self.lines and self.lines[-1].get("event") == "listening":
                self.url = self.lines[-1]["url"]
                self._reader = threading.Thread(target=self._read_on, name="log-reader")
                self._reader.start()
                return
        raise RuntimeError(f"callboard serve ended with {self._process.wait()}: {self.lines}")

    def _read_on(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._note(line)

    def _note(self, line: str) -> None:
        with contextlib.suppress(ValueError):  # what Python itself writes, such as a warning
            self.lines.append(json.loads(line))

    @property
    def ended(self) -> bool:
        """Whether the process is over."""
        return self._process.poll() is not None

    def client(self) -> httpx.Client:
        # PERF: an http:// address needs no CAs, and they take 25 ms to read
        return httpx.Client(base_url=self.url, timeout=30, verify=False)

    def result(self, task: str, **fields: Any) -> dict[str, Any]:
        """Post a task and return its result."""
        with self.client() as client:
            answer = client.post("/agent/execute", json={"task": task, **fields}, headers={"Prefer": "wait=30"})
        found: dict[str, Any] = answer.json()
        assert "output" in found, found
        return found

    def kill(self) -> None:
        """End the server with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End the server as an operator would; return its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        self._process.send_signal(how)
        try:
            status = self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait(20)
        if self._reader is not None:
            self._reader.join(20)
        if self._process.stderr is not None:
            self._process.stderr.close()
        return status
