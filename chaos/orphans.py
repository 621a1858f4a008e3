"""`orphans`: what workers still do when their server is gone, killed again and again, and started again at once.

Two workers' processes do something every other millisecond, with the time of each in a file. SIGKILL hits the server alone; as soon
as it has ended the next one is launched, which nobody has wait for the workers: it has to by itself. From the moment at which
it has their lock, and may take their tasks over, none of the old ones may begin anything. How long a worker
outlives its server is told: it is for as long as the system takes to kill it. The server is `chaos/noting_server.py`.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure
from chaos.api import Api
from chaos.blows import wait_until_ended
from chaos.drain import wait_for
from chaos.scenario import Run, amount, count, seconds
from chaos.server import Server
from chaos.work import code

PROCESSES = 2
TASKS = 6
LONGEST_LIFE_S = 0.5
BEGINS_WITHIN_S = 60
JUST_S = 0.1
"""A kill falls into the effects if there was one so shortly before it."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: who worked then, when the server had ended, how long the last worker outlived it, and which server came next."""

    workers: frozenset[int]
    at: float
    outlived_s: float
    next_server: int


def measure(run: Run) -> list[Figure]:
    folder = run.new_folder("orphans")
    notes, ticks = folder / "locks", folder / "effects.jsonl.ticks"
    command = ("-m", "chaos.noting_server", str(notes))
    with Server(folder, command=command, worker_processes=PROCESSES, max_crashes=100) as server:
        server.start()
        with Api(server.port) as api:
            for _ in range(TASKS):
                api.execute({"task": code("from skills import tick\nfor n in range(1_000_000):\n    tick(n)")})
        chance, kills = run.random("orphans"), []
        for number in range(1, run.kills + 1):
            _wait_for_effects(server, ticks)
            time.sleep(chance.uniform(0.0, LONGEST_LIFE_S))
            kills.append(_kill(server))
            if number % 20 == 0:
                run.say(f"orphans: {number} kills")
        _wait_for_effects(server, ticks)
        waited = server.log.read_text(errors="replace").count("waiting until the last worker")
        server.kill()
    return _figures(kills, _times(ticks), {pid: at[0] for pid, at in _times(notes).items()}, waited)


def _wait_for_effects(server: Server, ticks: Path) -> None:
    """Wait until all workers of this server are there, and one of them has done something."""

    def at_work() -> bool:
        found = {worker.pid for worker in server.workers()}
        with ticks.open("rb") as file:
            file.seek(max(0, ticks.stat().st_size - 4000))
            last = {int(line.split()[0]) for line in file.read().splitlines()[1:]}
        return len(found) == PROCESSES and bool(found & last)

    wait_for(lambda: server.is_ready() and ticks.exists() and at_work(), "a worker to do something", BEGINS_WITHIN_S)


def _kill(server: Server) -> Kill:
    """Kill the server alone, launch the next one at once, and see how long the workers are there."""
    workers = server.workers()
    at = server.kill_alone()
    began_s = time.monotonic()
    server.launch()
    left = wait_until_ended(workers, BEGINS_WITHIN_S)
    outlived_s = float("inf") if left else time.monotonic() - began_s
    return Kill(frozenset(one.pid for one in workers), at, outlived_s, server.pid)


def _times(path: Path) -> Mapping[int, list[float]]:
    """Return the times in a file by process; the last line may be cut."""
    found: dict[int, list[float]] = defaultdict(list)
    for line in path.read_text().splitlines()[:-1] if path.suffix == ".ticks" else path.read_text().splitlines():
        pid, at = line.split()
        found[int(pid)].append(float(at))
    return found


def _figures(
    kills: list[Kill], ticks: Mapping[int, list[float]], locked: Mapping[int, float], waited: int
) -> list[Figure]:
    by_kill = [(kill, [at for pid in kill.workers for at in ticks.get(pid, ())]) for kill in kills]
    late = [at - kill.at for kill, times in by_kill for at in times if at > kill.at]
    too_late = [
        f"{at - locked[kill.next_server]:.3f} s"
        for kill, times in by_kill
        for at in times
        if at > locked[kill.next_server]
    ]
    amid = sum(any(kill.at - JUST_S < at for at in times) for kill, times in by_kill)
    return [
        amount("kills of the server", len(kills), "kills"),
        Figure(name="kills in the middle of effects", value=amid, unit="kills", at_least=len(kills) / 2),
        amount("effects", sum(len(times) for _, times in by_kill), "", "by workers whose server was killed"),
        amount("effects begun after the server had ended", len(late), "", "while the system was killing its workers"),
        seconds("the last of them after", max(late, default=0.0)),
        count("effects begun after the next server had its workers' lock", too_late),
        seconds("longest that a worker outlived its server", max(kill.outlived_s for kill in kills)),
        amount("starts that had to wait for a worker", waited),
    ]
