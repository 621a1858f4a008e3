"""Who is hit: half of the kills of a scenario hit a worker's process and not the server, which must go on.

`Blows` picks the victims of one server and counts them apart; it holds what it was told to hit to have ended. One thread.
"""

import contextlib
import os
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import psutil

from bench.figures import Figure
from chaos.scenario import ChaosError, amount, count

THERE_WITHIN_S = 30.0
GONE_WITHIN_S = 5.0
ENOUGH = 10
"""Of so many kills of workers some must have had tasks under way."""


_DIED = re.compile(r"worker (\d+) has died \(signal 9 \(SIGKILL\)\) with (\d+) tasks under way")


class Target(Protocol):
    """A server that can be hit."""

    kills: int
    """How often its process has ended by SIGKILL."""

    @property
    def pid(self) -> int: ...

    @property
    def logs(self) -> Sequence[Path]:
        """What its processes have logged."""

    def kill(self) -> None:
        """Kill the server's process alone."""


class Blows:
    """The kills of one server; `worker_kills` are their unix times, `worker_pids` whom they hit."""

    def __init__(self, server: Target, chance: random.Random) -> None:
        self._server = server
        self._chance = chance
        self._turns: list[bool] = []
        self._victims: list[psutil.Process] = []
        self._aimed = 0
        self.worker_kills: list[float] = []

    @property
    def worker_pids(self) -> frozenset[int]:
        return frozenset(victim.pid for victim in self._victims)

    def worker_is_next(self) -> bool:
        """Choose who is next: of each two kills one hits a worker, in an order that the seed gives."""
        if not self._turns:
            self._turns = [True, False]
            self._chance.shuffle(self._turns)
        return self._turns.pop()

    def strike(self) -> bool:
        """Kill one of the two; return whether it was the server, which is to be started again."""
        if self.worker_is_next():
            self.strike_worker()
            return False
        self.strike_server()
        return True

    def strike_server(self) -> None:
        self._aimed += 1
        self._server.kill()

    def strike_worker(self, *, or_none: bool = False) -> None:
        """Kill a worker's process, as soon as there is one; `or_none`: if there is one."""
        until = time.monotonic() + THERE_WITHIN_S
        while not (found := workers_of(self._server.pid)):
            if or_none:
                return
            if time.monotonic() > until:
                raise ChaosError(f"the server had no worker's process within {THERE_WITHIN_S:g} s")
            time.sleep(0.01)
        victim = self._chance.choice(found)
        with contextlib.suppress(psutil.NoSuchProcess):  # it was ended by the server: it is gone like the others
            victim.kill()
        self._victims.append(victim)
        self.worker_kills.append(time.time())

    def figures(self) -> list[Figure]:
        """Return how many hit whom, and that all of them have ended whom they hit."""
        there = wait_until_ended(self._victims, GONE_WITHIN_S)
        missed = [f"worker {one.pid}" for one in there] + ["the server"] * (self._aimed - self._server.kills)
        return [
            amount("kills of the server", self._aimed, "kills"),
            amount("kills of a worker", len(self._victims), "kills"),
            count("kills that have not ended whom they hit", missed),
            Figure(
                name="tasks that killed workers had under way",
                value=sum(self._under_way()),
                unit="tasks",
                at_least=1 if len(self._victims) >= ENOUGH else None,
            ),
        ]

    def _under_way(self) -> list[int]:
        """Return how many tasks each worker had that a server has logged to have been killed."""
        hit = self.worker_pids
        told = [found for log in self._server.logs for found in _DIED.findall(log.read_text(errors="replace"))]
        return [int(tasks) for pid, tasks in told if int(pid) in hit]


def workers_of(pid: int) -> list[psutil.Process]:
    """Return the processes in which a server works on tasks, in the order of their start; none where threads do."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                # what a worker starts looks like the worker for a moment, but leads no group
                if "callboard.workers.child" in " ".join(child.cmdline()) and os.getpgid(child.pid) == child.pid:
                    found.append(child)
    return found


def wait_until_ended(processes: Sequence[psutil.Process], within_s: float) -> list[psutil.Process]:
    """Wait for the end of processes, and not until somebody has taken note of it (zombies); return those that live on."""
    until = time.monotonic() + within_s
    while (alive := [one for one in processes if _is_alive(one)]) and time.monotonic() < until:
        time.sleep(0.002)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
