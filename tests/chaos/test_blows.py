"""Of each two kills one hits a worker, and what did not end is told."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chaos.blows import Blows, workers_of

SLEEPS = "import time; time.sleep(60)  # callboard.workers.child"
SERVER = f"""
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", {SLEEPS!r}], start_new_session=True)
print(worker.pid, flush=True)
sys.stdin.read()
worker.kill()
worker.wait()
"""


class Target:
    """Stands for a server, with one worker; its kills are only counted."""

    def __init__(self, log: Path, process: "subprocess.Popen[str]") -> None:
        self.kills = 0
        self.pid = process.pid
        assert process.stdout is not None
        self.worker = psutil.Process(int(process.stdout.readline()))
        self.logs = [log]
        self.lives = False

    def kill(self) -> None:
        self.kills += not self.lives


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    log = tmp_path / "log"
    log.touch()
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Target(log, process)


def values(blows: Blows) -> dict[str, float]:
    return {figure.name: figure.value for figure in blows.figures()}


def test_half_of_the_kills_are_a_workers_turn_in_an_order_of_chance(target: Target) -> None:
    blows = Blows(target, random.Random(1))
    turns = [blows.worker_is_next() for _ in range(200)]
    assert all(sum(turns[at : at + 2]) == 1 for at in range(0, 200, 2))
    assert len(set(turns[::2])) == 2


def test_a_worker_is_hit_and_what_it_had_under_way_is_told(target: Target) -> None:
    worker = target.worker
    assert workers_of(target.pid) == [worker]
    blows = Blows(target, random.Random(1))
    blows.strike_worker()
    target.logs[0].write_text(
        f"worker {worker.pid} has died (signal 9 (SIGKILL)) with 3 tasks under way, in a call: none; another one takes its place\n"
        "worker 1 has died (signal 9 (SIGKILL)) with 5 tasks under way, in a call: none; another one takes its place\n"
    )
    found = values(blows)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert found["kills of a worker"] == 1
    assert found["kills that have not ended whom they hit"] == 0
    assert found["tasks that killed workers had under way"] == 3
    assert blows.worker_pids == {worker.pid}


def test_a_server_that_lives_on_is_told(target: Target) -> None:
    blows = Blows(target, random.Random(1))
    blows.strike_server()
    target.lives = True
    blows.strike_server()
    assert values(blows)["kills of the server"] == 2
    assert values(blows)["kills that have not ended whom they hit"] == 1
