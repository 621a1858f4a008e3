"""What happens to the database's file under a running server: locked, full, read-only, failing, gone.

Each scenario starts a real server, posts tasks to it before, during and after a fault, ends the server with `kill -9`
and starts it again. It holds when no accepted task was lost or did its work twice, callers saw only 200, 503 and 507
(the latter two with Retry-After), reads went on, the server was back within 5 s of the fault's end, and the file is
sound. Returns figures; raises `AssertionError` with a sentence.

Full and read-only need a mount namespace, which most Linux systems give to anybody: those scenarios run themselves
again inside `unshare`. Runs from the root of a checkout.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
Figures = dict[str, float | int]
Scenario = Callable[..., Figures]
Fault = Callable[[Path, int], AbstractContextManager[object]]
"""Given the data folder and the server's process id, causes a fault and ends it."""

BACK_WITHIN_S = 5.0
READY_WITHIN_S = 30.0
CLIENTS = 4
TMPFS_BYTES = 24 << 20
MOST_FILE_BYTES = 64 << 10
SKILL = '''
import os
from pathlib import Path

from callboard import SkillContext, skill


@skill(replay="never")
def note(text: str, *, ctx: SkillContext) -> str:
    """Write a line that tells of one effect."""
    with Path(ctx.settings["effects"]).open("a") as file:
        file.write(f"{ctx.effect_id}\\n")
    return text
'''


class NotPossible(Exception):
    """This machine does not let the scenario run; says why."""


# --- the scenarios ----------------------------------------------------------------------------------------------------


def locked(folder: Path, *, seconds: float) -> Figures:
    """Another connection holds SQLite's write lock."""

    @contextmanager
    def fault(data: Path, _pid: int) -> Iterator[None]:
        with closing(sqlite3.connect(data / "callboard.db", isolation_level=None)) as other:
            other.execute("PRAGMA busy_timeout=10000")
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    return _survive(folder, fault, seconds=seconds, statuses={503})


def disk_full(folder: Path, *, seconds: float) -> Figures:
    """Something else fills the disk to the last byte."""

    @contextmanager
    def fault(data: Path, _pid: int) -> Iterator[None]:
        filler = data / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 65_536):
                pass
        yield
        filler.unlink()

    return _on_a_small_disk("disk_full", folder, fault, seconds=seconds, statuses={507})


def read_only(folder: Path, *, seconds: float) -> Figures:
    """The folder becomes read-only: a read-only mount is laid over it."""

    @contextmanager
    def fault(data: Path, _pid: int) -> Iterator[None]:
        _command("mount", "--bind", str(data), str(data))
        _command("mount", "-o", "remount,bind,ro", str(data))
        yield
        _command("mount", "-o", "remount,bind,rw", str(data))

    return _on_a_small_disk("read_only", folder, fault, seconds=seconds, statuses={503})


def failing_writes(folder: Path, *, seconds: float) -> Figures:
    """Writes beyond a file's first 64 KB fail, as on a disk that has gone bad or over a quota."""

    @contextmanager
    def fault(data: Path, pid: int) -> Iterator[None]:
        soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (MOST_FILE_BYTES, hard))
        yield
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))

    return _survive(folder, fault, seconds=seconds, statuses={503})


def gone(folder: Path, *, seconds: float) -> Figures:
    """The file is moved away, another one takes its place for a while, and it is put back."""

    @contextmanager
    def fault(data: Path, _pid: int) -> Iterator[None]:
        file, away = data / "callboard.db", data / "moved-away"
        file.rename(away)
        with closing(sqlite3.connect(file)) as other:
            other.execute("CREATE TABLE tasks (id TEXT)")  # SQLite deletes the log of the other file here
        yield
        away.rename(file)

    return _survive(folder, fault, seconds=seconds, statuses={503})


def log_deleted(folder: Path, *, seconds: float) -> Figures:
    """Somebody deletes the write-ahead log; what it held must not die with the server."""

    @contextmanager
    def fault(data: Path, _pid: int) -> Iterator[None]:
        (data / "callboard.db-wal").unlink()
        yield

    return _survive(folder, fault, seconds=seconds, statuses=set())


def four_processes(folder: Path, *, seconds: float, transactions: int = 10_000) -> Figures:
    """Four processes write to one SQLite file at once; none may be told that it is locked. `seconds` is the limit."""
    url, each = f"sqlite:///{folder / 'callboard.db'}", transactions // 4
    command = [sys.executable, str(ROOT / "tests" / "persistence" / "writing_process.py"), url, str(each)]
    began = time.monotonic()
    writers = [
        subprocess.Popen(
            [*command, f"p{number}"], env=_environment(), text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    try:
        failed = [said for writer in writers if (said := writer.communicate(timeout=seconds)[1]) or writer.returncode]
    finally:
        for writer in writers:
            writer.kill()
    took_s = time.monotonic() - began
    assert not failed, f"{len(failed)} of 4 writers failed, the first with: {failed[0].strip().splitlines()[-1:]}"
    with closing(sqlite3.connect(folder / "callboard.db")) as file:
        stored = file.execute("SELECT count(*) FROM tasks").fetchone()[0]
    assert stored == each * 4, f"{stored} of {each * 4} tasks are stored"
    _assert_sound(folder / "callboard.db")
    # every second task is ended in a transaction of its own
    return {"transactions": each * 6, "locked": 0, "transactions_per_s": round(each * 6 / took_s)}


# --- one scenario from start to end -----------------------------------------------------------------------------------


def _survive(folder: Path, fault: Fault, *, seconds: float, statuses: set[int]) -> Figures:
    data = folder / "data"
    with _Server(folder, data, probe_s=min(5.0, seconds)) as server:
        load = _Load(server.url)
        with load:
            load.wait_for(lambda: load.count(200) >= 20, "20 tasks are accepted before the fault")
            with fault(data, server.process.pid):
                began_s = time.monotonic()
                load.reset()
                if statuses:
                    load.wait_for(lambda: statuses <= load.refused.keys(), f"callers see {sorted(statuses)}")
                    load.wait_for(lambda: server.health()["services"]["store"] is False, "health shows the store down")
                load.wait_for(lambda: time.monotonic() - began_s >= seconds, f"{seconds} s are over")
                reads = load.reads
                assert reads, "nothing could be read during the fault"
            load.reset()
            back_s = load.wait_for(lambda: load.count(200) > 0, "a task is accepted again", BACK_WITHIN_S)
            healthy = "health is healthy again"
            back_s += load.wait_for(lambda: server.health()["status"] == "healthy", healthy, BACK_WITHIN_S - back_s)
        server.wait_until_ended(load.accepted)
        server.kill()
    with _Server(folder, data) as server:
        server.wait_until_ended(load.accepted)
        server.stop()
    load.assert_refusals(statuses)
    _assert_sound(data / "callboard.db")
    effects = (folder / "effects").read_text().split()
    assert len(effects) == len(set(effects)), "an effect happened twice"
    lost = load.accepted.keys() - {effect.partition(":")[0] for effect in effects}
    assert not lost, f"{len(lost)} accepted tasks did not do their work"
    return {
        "accepted": len(load.accepted),
        "refused": sum(load.all_refused.values()),
        "reads_during_fault": reads,
        "slowest_refusal_s": round(load.slowest_refusal_s, 3),
        "back_s": round(back_s, 3),
        "lost": 0,
    }


@dataclass
class _Load:
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

    def __enter__(self) -> "_Load":
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

    def wait_for(self, condition: Callable[[], bool], what: str, within_s: float = 60.0) -> float:
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


class _Server:
    """`callboard serve` as a process of its own; its log is in the data folder."""

    def __init__(self, folder: Path, data: Path, *, probe_s: float = 5.0) -> None:
        skills = folder / "skills"
        skills.mkdir(exist_ok=True)
        (skills / "note.py").write_text(SKILL)
        settings = {
            "CALLBOARD_DATA_DIR": str(data),
            "CALLBOARD_SKILLS_DIR": str(skills),
            "CALLBOARD_SKILL_EFFECTS": str(folder / "effects"),
            "CALLBOARD_LOG_FORMAT": "json",
            "CALLBOARD_HEALTH_INTERVAL_S": str(probe_s),
            "RATE_LIMIT_MAX_REQUESTS": "0",
        }
        data.mkdir(mode=0o700, exist_ok=True)
        log = data / f"server-{len(list(data.glob('server-*')))}.log"  # on the disk that the fault is about
        with log.open("wb") as stderr:
            command = [sys.executable, "-m", "callboard", "serve", "--port", "0"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=_environment(**settings), stderr=stderr)
        try:
            self.url = self._listening(log)
        except BaseException:
            self.kill()
            raise
        self._client = httpx.Client(base_url=self.url, timeout=30)

    def __enter__(self) -> "_Server":
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()
        self.kill()

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get("/health").json()
        return found

    def wait_until_ended(self, task_ids: dict[str, str]) -> None:
        """Wait for the end of each task; fail unless it completed with its own output."""
        for task_id, output in task_ids.items():
            until_s = time.monotonic() + READY_WITHIN_S
            while (task := self._result(task_id))["success"] is None and time.monotonic() < until_s:
                time.sleep(0.02)
            assert (task["status"], task["output"]) == ("completed", output), (
                f"an accepted task ended as {task['status']}: {task['error']}"
            )

    def _result(self, task_id: str) -> dict[str, Any]:
        answer = self._client.get("/agent/results", params={"taskId": task_id})
        assert answer.status_code == 200, f"the accepted task {task_id} is lost: {answer.status_code}"
        result: dict[str, Any] = answer.json()["result"]
        return result

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        assert status == 0, f"the server ended with {status}"

    def _listening(self, log: Path) -> str:
        until_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until_s and self.process.poll() is None:
            for line in log.read_text().splitlines():
                if '"listening"' in line:
                    return str(json.loads(line)["url"])
            time.sleep(0.02)
        raise AssertionError(f"the server does not listen: {log.read_text()[-2000:]}")


def _assert_sound(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    assert found == ["ok"], f"the database is damaged: {found[:3]}"


def _environment(**settings: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "HOME": os.devnull, **settings}


# --- the namespace ----------------------------------------------------------------------------------------------------


def _on_a_small_disk(name: str, folder: Path, fault: Fault, *, seconds: float, statuses: set[int]) -> Figures:
    """Run a scenario with the data folder on a small tmpfs, in a mount namespace that it makes for itself."""
    data = folder / "data"
    if os.environ.get(_INSIDE) == name:
        data.mkdir()
        _command("mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=700", "none", str(data))
        return _survive(folder, fault, seconds=seconds, statuses=statuses)
    unshare = _unshare()
    command = [*unshare, sys.executable, "-m", "chaos.storage", name, str(folder), str(seconds)]
    ended = subprocess.run(command, cwd=ROOT, env=_environment(**{_INSIDE: name}), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr.strip().removeprefix("AssertionError: ") or ended.returncode
    figures: Figures = json.loads(ended.stdout)
    return figures


_INSIDE = "CHAOS_NAMESPACE_OF"


def _unshare() -> list[str]:
    """Return the command that makes a mount namespace; raise `NotPossible` where the system gives none."""
    command = ["unshare", "--mount", "--map-root-user"]
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        raise NotPossible("util-linux (unshare, mount) is missing")
    tried = subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    if tried.returncode:
        raise NotPossible(f"no mount namespace can be made here: {tried.stderr.strip()}")
    return command


def _command(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"


def main(name: str, folder: str, seconds: str) -> None:
    """Run one scenario and print its figures as JSON."""
    scenario: Callable[..., Figures] = globals()[name]
    try:
        print(json.dumps(scenario(Path(folder), seconds=float(seconds))))
    except AssertionError as error:
        if os.environ.get(_INSIDE) != name:
            raise
        raise SystemExit(f"AssertionError: {error}") from error


if __name__ == "__main__":
    main(*sys.argv[1:])
