"""The end of a server's process, and what processes that skills have made keep from the next one: nothing."""

import contextlib
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from callboard.client import Client
from chaos.server import Server
from tests.callboard.harness import code

pytestmark = pytest.mark.slow

DRAIN_S = 2
MARGIN_S = 1.0
"""What a busy machine may add, with the interpreter's own end."""

SKILLS = '''
import atexit, ctypes, multiprocessing, os, re, signal, subprocess, sys, threading, time
from pathlib import Path
from typing import Any

from callboard import skill

FOLDER = Path({folder!r})
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
SLEEP = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"]


def note(kind: str) -> None:
    with (FOLDER / "pids").open("a") as file:
        file.write(f"{{kind}} {{os.getpid()}}\\n")


def stay(kind: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    note(kind)
    while True:
        time.sleep(1000)


@skill(replay="never")
def leave() -> int:
    """Leave processes of every kind."""
    if os.fork() == 0:
        stay("fork")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            stay("daemon")
        os._exit(0)
    multiprocessing.get_context("fork").Process(target=stay, args=["multiprocessing"]).start()
    started = {{
        "program": subprocess.Popen(SLEEP),
        "open": subprocess.Popen(SLEEP, close_fds=False),
        "session": subprocess.Popen(SLEEP, start_new_session=True),
    }}
    with (FOLDER / "pids").open("a") as file:
        for kind, process in started.items():
            file.write(f"{{kind}} {{process.pid}}\\n")
    subprocess.run(["sh", "-c", f"exec 3>>{{FOLDER}}/pids; setsid sleep 1000 & echo orphan $! >&3"], env={{}}, check=True)
    while len((FOLDER / "pids").read_text().split()) < 14:
        time.sleep(0.01)
    return os.getpid()


@skill(replay="never")
def return_twice() -> int:
    """Return in the server and in a copy of it."""
    if os.fork() == 0:
        note("returned")
    return 7


@skill(replay="never")
def raise_twice() -> int:
    """Raise in a copy of the server."""
    if os.fork() == 0:
        sys.exit("a copy")
    return 8


@skill(replay="pure")
def hang(how: str) -> str:
    """Never come to an end, in one way or another."""
    if how != "signals":
        (FOLDER / "hung").touch()
    if how == "sleep":
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                pass
    elif how == "interpreter":
        re.match(r"(a+)+$", "a" * 60 + "b")
    elif how == "thread":
        threading.Thread(target=time.sleep, args=[1000], daemon=False).start()
    elif how == "signals":
        ctypes.CDLL(None).signal(signal.SIGTERM, 1)
        bit = 1 << signal.SIGTERM - 1
        while int(re.search("SigIgn:\\t(.*)", Path("/proc/self/status").read_text())[1], 16) & bit:
            time.sleep(0.01)
        (FOLDER / "hung").touch()
        time.sleep(1000)
    elif how == "hook":
        atexit.register(time.sleep, 1000)
    return how
'''


@contextlib.contextmanager
def serving(tmp_path: Path, worker_processes: int) -> Iterator[Server]:
    skills = tmp_path / "skills"
    skills.mkdir()
    (skills / "hostile.py").write_text(SKILLS.format(folder=str(tmp_path)))
    with Server(
        tmp_path, skills_dir=str(skills), drain_s=DRAIN_S, workers=2, worker_processes=worker_processes
    ) as server:
        server.start()
        yield server
        for pid in left(server.folder).values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server in whose own process skills run, which is the worst case."""
    with serving(tmp_path, 0) as server:
        yield server


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Server]:
    """A server with a worker's process."""
    with serving(tmp_path, 1) as server:
        yield server


def left(folder: Path) -> dict[str, int]:
    """Return the processes that the skills have made, by their kind."""
    pids = folder / "pids"
    return {kind: int(pid) for kind, pid in map(str.split, pids.read_text().splitlines())} if pids.exists() else {}


def run(server: Server, python: str) -> object:
    with Client(f"http://127.0.0.1:{server.port}") as client:
        return client.execute(code(python)).output


def gone(pid: int) -> bool:
    """Say whether a process is gone; one that has ended and that nobody has waited for is."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


LEAVE = "from skills import leave\nleave()"


def test_what_skills_have_left_keeps_nothing_from_the_next_start_after_kill_9(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as held:
        assert run(server, LEAVE) == server.pid
        made = left(server.folder)
        assert len(made) == 7, made
        for kind, pid in made.items():
            names = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
            assert not [name for name in names if name.endswith((".lock", "server.json"))], kind
            if kind not in ("fork", "daemon", "multiprocessing"):
                assert not [name for name in names if "callboard.db" in name or "socket:" in name], kind
        os.kill(server.pid, signal.SIGKILL)
        assert server.popen is not None
        server.popen.wait(10)
        held.settimeout(3)
        with contextlib.suppress(ConnectionResetError):
            assert held.recv(1) == b"", "no copy keeps a client's connection"
    print("STARTED", server.start())
    assert run(server, "1 + 1") == 2
    for kind in ("fork", "daemon", "multiprocessing"):
        assert gone(made[kind]), f"the kernel ends a copy with its server: {kind}"
    for kind in ("program", "open", "session", "orphan"):
        assert psutil.pid_exists(made[kind]), f"nobody can tell a program that is left: {kind}"


def test_an_orderly_end_ends_what_skills_have_left_and_nothing_else(server: Server) -> None:
    stranger = psutil.Popen(["sleep", "1000"])
    try:
        run(server, LEAVE)
        made = left(server.folder)
        began_s = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began_s < DRAIN_S + MARGIN_S
        assert [kind for kind, pid in made.items() if not gone(pid)] == []
        assert stranger.is_running()
        assert stranger.status() != psutil.STATUS_ZOMBIE
    finally:
        stranger.kill()
        stranger.wait()
    assert "processes that were still there were ended" in server.log.read_text()


def test_a_copy_that_comes_back_from_a_skill_ends_there_and_writes_nothing(server: Server) -> None:
    assert run(server, "from skills import return_twice\nreturn_twice()") == 7
    assert run(server, "from skills import raise_twice\nraise_twice()") == 8
    assert gone(left(server.folder)["returned"])
    assert run(server, "2 + 2") == 4
    assert server.stop() == 0
    assert server.start() < 20
    assert run(server, "3 + 3") == 6


@pytest.mark.parametrize(
    ("how", "number"),
    [("sleep", signal.SIGTERM), ("thread", signal.SIGINT), ("hook", signal.SIGTERM), ("signals", signal.SIGTERM)],
)
def test_a_server_ends_in_time_whatever_a_skill_does(server: Server, how: str, number: signal.Signals) -> None:
    assert hang(server, how, number) == 0


def test_a_skill_that_holds_the_interpreter_does_not_hold_the_end(server: Server) -> None:
    assert hang(server, "interpreter", signal.SIGTERM) == -signal.SIGKILL
    assert "something holds its interpreter" in server.log.read_text()
    shutil.rmtree(server.folder / "skills")
    (server.folder / "skills").mkdir()
    assert server.start() < 20, "the next start goes on"


@pytest.mark.parametrize("how", ["sleep", "interpreter", "thread", "hook"])
def test_a_server_whose_worker_hangs_ends_in_order(apart: Server, how: str) -> None:
    assert hang(apart, how, signal.SIGTERM) in (0, 1)  # the latter where the worker had to be killed at the end
    assert apart.start() < 20


def test_a_second_signal_ends_at_once_a_server_whose_interpreter_is_held(server: Server) -> None:
    submit(server, "interpreter")
    os.kill(server.pid, signal.SIGTERM)
    began_s = time.monotonic()
    os.kill(server.pid, signal.SIGINT)
    assert server.popen is not None
    assert server.popen.wait(DRAIN_S + 20) == -signal.SIGKILL
    assert time.monotonic() - began_s < DRAIN_S - 0.5


def hang(server: Server, how: str, number: signal.Signals) -> int:
    """Have a skill hang in some way, ask the server to end, and return how it did; it has to be in time."""
    submit(server, how)
    assert server.popen is not None
    children = psutil.Process(server.pid).children(recursive=True)
    began_s = time.monotonic()
    os.kill(server.pid, number)
    status = server.popen.wait(DRAIN_S + 20)
    assert time.monotonic() - began_s < DRAIN_S + MARGIN_S
    assert not psutil.wait_procs(children, timeout=3)[1]
    return status


def submit(server: Server, how: str) -> None:
    with Client(f"http://127.0.0.1:{server.port}") as client:
        client.submit(code(f"from skills import hang\nhang({how!r})"))
    deadline = time.monotonic() + 60
    while not (server.folder / "hung").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- who holds what ---


def test_a_start_says_which_process_has_what_whatever_path_leads_to_it(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    told = refused(folder, port=server.port)
    assert "cannot listen on 127.0.0.1" in told
    assert f"it is process {server.pid} (" in told
    assert f"since {time.gmtime().tm_year}-" in told
    assert f"`kill {server.pid}` ends" in told

    (folder / "symlink.db").symlink_to(server.database)
    (folder / "hardlink.db").hardlink_to(server.database)
    (folder / "linked").symlink_to(server.folder)
    paths = [folder / "symlink.db", folder / "hardlink.db", folder / "linked" / server.database.name]
    for url in (*(f"sqlite:///{path}" for path in paths), f"sqlite:///file:{server.database}?uri=true"):
        told = refused(folder, database_url=url)
        assert "Another server is at work on the history" in told, url
        assert f"it is process {server.pid} (" in told, url
    server.database.with_name("callboard.db.lock").unlink()
    assert f"it is process {server.pid} (" in refused(folder, database_url=f"sqlite:///{server.database}")
    assert run(server, "2 + 2") == 4


def refused(folder: Path, **settings: Any) -> str:
    """Return why a server does not start."""
    with Server(folder, **settings) as other:
        other.launch()
        assert other.popen is not None
        assert other.popen.wait(30) in (1, 78)
        return other.last_lines()
