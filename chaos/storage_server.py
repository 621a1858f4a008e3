"""The server that the scenarios of storage.py break, and its callers, who post tasks and read meanwhile.

The server is a process of its own; the callers are threads of this one. Imported by storage.py only.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.server import free_port

ROOT = Path(__file__).parents[1]
READY_WITHIN_S = 30.0
CLIENTS = 4
SKILL = '''
import os
import time
from pathlib import Path

from callboard import SkillContext, skill


@skill(replay="never")
def note(text: str, *, ctx: SkillContext) -> str:
    """Write a line that tells of one effect."""
    time.sleep(0.02)  # so that a kill may fall into it
    with Path(ctx.settings["effects"]).open("a") as file:
        file.write(f"{ctx.effect_id}\\n")
    return text
'''


@dataclass
class Load:
    """Callers that post tasks, and one that reads, until the block ends."""

    url: str
    accepted: dict[str, str] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    all_refused: dict[int, int] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    reads: int = 0
    slowest_refusal_s: float = 0.0
    accepted_now: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()  # guards the counts, which several callers change
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._until_over, args=(work, number), name=f"caller-{number}")
            for number, work in enumerate([*[self._post] * CLIENTS, self._read])
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def count(self, status: int) -> int:
        return self.accepted_now if status == 200 else self.refused.get(status, 0)

    def reset(self) -> None:
        """Count anew from here on, but for the tasks accepted."""
        with self._lock:
            self.refused, self.accepted_now, self.reads = {}, 0, 0

    def wait_for(self, condition: Callable[[], object], what: str, within_s: float = 60.0) -> float:
        """Return after how many seconds it was so; fail if it was not in time."""
        began_s = time.monotonic()
        while not condition():
            assert time.monotonic() - began_s < within_s, (
                f"not within {within_s:g} s: {what}; {self.all_refused} {self.strange[:2]}"
            )
            self._over.wait(0.02)
        return time.monotonic() - began_s

    def assert_refusals(self, expected: set[int]) -> None:
        assert not self.strange, f"{len(self.strange)} answers were none of 200, 503, 507: {self.strange[:3]}"
        missing = expected - self.all_refused.keys()
        assert not missing, f"nobody was answered {sorted(missing)}, only {self.all_refused}"

    def _until_over(self, work: Callable[[httpx.Client, int], None], number: int) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            turn = number
            while not self._over.is_set():
                with contextlib.suppress(httpx.TransportError):  # it was killed: what came of it is not known
                    work(client, turn)
                turn += CLIENTS
                self._over.wait(0.03)

    def _post(self, client: httpx.Client, turn: int) -> None:
        task = f"Run this:\n```python\nfrom skills import note\nnote('{turn}')  # {'.' * 2000}\n```"
        began_s = time.monotonic()
        answer = client.post("/agent/execute", json={"task": task})
        took_s = time.monotonic() - began_s
        with self._lock:
            if answer.status_code == 200:
                self.accepted[answer.json()["taskId"]] = str(turn)
                self.accepted_now += 1
            elif answer.status_code in (503, 507) and "Retry-After" in answer.headers:
                for counts in (self.refused, self.all_refused):
                    counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
                self.slowest_refusal_s = max(self.slowest_refusal_s, took_s)
            else:
                self.strange.append(f"{answer.status_code} {answer.text[:200]}")

    def _read(self, client: httpx.Client, _turn: int) -> None:
        answer = client.get("/agent/results", params={"limit": 1})
        with self._lock:
            if answer.status_code == 200:
                self.reads += 1
            elif answer.status_code != 503:
                self.strange.append(f"{answer.status_code} {answer.text[:200]}")


class Server:
    """`callboard serve` as a process of its own, on one port; its logs are in the data folder.

    `kills` is how often the process has ended by SIGKILL.
    """

    def __init__(self, folder: Path, data: Path, *, probe_s: float = 5.0) -> None:
        skills = folder / "skills"
        skills.mkdir(exist_ok=True)
        (skills / "note.py").write_text(SKILL)
        self._effects = folder / "effects"
        self._settings = {
            "CALLBOARD_DATA_DIR": str(data),
            "CALLBOARD_SKILLS_DIR": str(skills),
            "CALLBOARD_SKILL_EFFECTS": str(self._effects),
            "CALLBOARD_LOG_FORMAT": "json",
            "CALLBOARD_HEALTH_INTERVAL_S": str(probe_s),
            "CALLBOARD_WORKER_PROCESSES": "1",
            "CALLBOARD_MAX_CRASHES": "100",  # more kills fall into a task here than a worker dies of
            "RATE_LIMIT_MAX_REQUESTS": "0",
        }
        data.mkdir(mode=0o700, exist_ok=True)
        self._data = data
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.kills = 0
        self.start()
        self._client = httpx.Client(base_url=self.url, timeout=30)

    def start(self) -> None:
        log = self._data / f"server-{len(self.logs)}.log"  # on the disk that the fault is about
        with log.open("wb") as stderr:
            command = [sys.executable, "-m", "callboard", "serve", "--port", str(self._port)]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment(**self._settings), stderr=stderr)
        try:
            self._wait_until_it_listens(log)
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()
        self.kill()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def logs(self) -> list[Path]:
        return sorted(self._data.glob("server-*"))

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get("/health").json()
        return found

    def wait_until_ended(self, task_ids: dict[str, str]) -> None:
        """Wait for the end of each task, and decide what a kill has left in doubt; fail unless it completed with its own output."""
        for task_id, output in task_ids.items():
            until_s = time.monotonic() + READY_WITHIN_S
            while (task := self._result(task_id))["success"] is None and time.monotonic() < until_s:
                if task["status"] == "paused":
                    self._decide(task_id, output)
                time.sleep(0.02)
            assert (task["status"], task["output"]) == ("completed", output), (
                f"an accepted task ended as {task['status']}: {task['error']}"
            )

    def _decide(self, task_id: str, output: str) -> None:
        """Say of a call what the record of effects says."""
        done = f"{task_id}:" in self._effects.read_text()
        decision = {"decision": "assume_done", "result": output} if done else {"decision": "retry"}
        self._client.post(f"/agent/tasks/{task_id}/decide", json=decision)

    def _result(self, task_id: str) -> dict[str, Any]:
        answer = self._client.get("/agent/results", params={"taskId": task_id})
        assert answer.status_code == 200, f"the accepted task {task_id} is lost: {answer.status_code}"
        result: dict[str, Any] = answer.json()["result"]
        return result

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.kills += self.process.wait(20) == -signal.SIGKILL

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        assert status == 0, f"the server ended with {status}"

    def _wait_until_it_listens(self, log: Path) -> None:
        until_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until_s and self.process.poll() is None:
            if '"listening"' in log.read_text():
                return
            time.sleep(0.02)
        raise AssertionError(f"the server does not listen: {log.read_text()[-2000:]}")


def environment(**settings: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "HOME": os.devnull, **settings}


# --- the namespace ----------------------------------------------------------------------------------------------------
