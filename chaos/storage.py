"""What happens to the database's file under a running server: locked, full, read-only, failing, gone.

Each scenario starts a real server, posts tasks to it before, during and after a fault. While the fault lasts its worker is
killed again and again; after it the server is, as often, and started again. It holds when no accepted task was lost or did its work twice, callers saw only 200, 503 and 507
(the latter two with Retry-After), reads went on, the server was back within 5 s of the fault's end, and the file is
sound. Returns figures; raises `AssertionError` with a sentence.

Full and read-only need a mount namespace, which most Linux systems give to anybody: those scenarios run themselves
again inside `unshare`. Runs from the root of a checkout.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from chaos.blows import Blows
from chaos.storage_server import ROOT, Load, Server, environment

Figures = dict[str, float | int]
Scenario = Callable[..., Figures]
Fault = Callable[[Path, int], AbstractContextManager[object]]
"""Given the data folder and the server's process id, causes a fault and ends it."""

BACK_WITHIN_S = 5.0
TMPFS_BYTES = 24 << 20
MOST_FILE_BYTES = 64 << 10
STRIKE_EVERY_S = 1.8


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
            [*command, f"p{number}"], env=environment(), text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
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
    with Server(folder, data, probe_s=min(1.0, seconds)) as server:
        blows = Blows(server, random.Random(f"{fault.__qualname__}"))
        load = Load(server.url)
        with load:
            load.wait_for(lambda: load.count(200) >= 20, "20 tasks are accepted before the fault")
            with fault(data, server.process.pid):
                began_s = time.monotonic()
                load.reset()
                if statuses:
                    load.wait_for(lambda: statuses <= load.refused.keys(), f"callers see {sorted(statuses)}")
                    load.wait_for(lambda: server.health()["services"]["store"] is False, "health shows the store down")
                kills = _strike_workers(load, blows, began_s + seconds)
                load.wait_for(lambda: server.health()["workerDeaths"] >= kills, "health shows the workers that died")
                # how long another one takes to start is not the store's doing
                load.wait_for(lambda: [one for one in server.health()["workers"] if one["ready"]], "a worker is ready")
                load.wait_for(lambda: load.reads > 0, "something is read during the fault")
                reads = load.reads
            load.reset()
            back_s = load.wait_for(lambda: load.count(200) > 0, "a task is accepted again", BACK_WITHIN_S)
            healthy = "health is healthy again"
            back_s += load.wait_for(lambda: server.health()["status"] == "healthy", healthy, BACK_WITHIN_S - back_s)
            _strike_server(load, server, blows, kills - 1)
        server.wait_until_ended(load.accepted)
        blows.strike_server()
    with Server(folder, data) as server:
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
        **{figure.name: figure.value for figure in blows.figures()},
    }


def _strike_workers(load: Load, blows: Blows, until_s: float) -> int:
    """Kill a worker's process again and again until the time is over, once at least; return how often."""
    kills = 0
    while not kills or time.monotonic() < until_s:
        blows.strike_worker()
        kills += 1
        again_s = min(until_s, time.monotonic() + STRIKE_EVERY_S)
        load.wait_for(lambda again_s=again_s: time.monotonic() >= again_s, "the next kill is due")  # type: ignore[misc]
    return kills


def _strike_server(load: Load, server: Server, blows: Blows, times: int) -> None:
    """Kill the server so many times under its callers, and start it again."""
    for _ in range(times):
        blows.strike_server()
        server.start()
        load.reset()
        load.wait_for(lambda: load.count(200) > 0, "a task is accepted after a kill")


def _assert_sound(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    assert found == ["ok"], f"the database is damaged: {found[:3]}"


def _on_a_small_disk(name: str, folder: Path, fault: Fault, *, seconds: float, statuses: set[int]) -> Figures:
    """Run a scenario with the data folder on a small tmpfs, in a mount namespace that it makes for itself."""
    data = folder / "data"
    if os.environ.get(_INSIDE) == name:
        data.mkdir()
        _command("mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=700", "none", str(data))
        return _survive(folder, fault, seconds=seconds, statuses=statuses)
    unshare = _unshare()
    command = [*unshare, sys.executable, "-m", "chaos.storage", name, str(folder), str(seconds)]
    ended = subprocess.run(command, cwd=ROOT, env=environment(**{_INSIDE: name}), capture_output=True, text=True)
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
