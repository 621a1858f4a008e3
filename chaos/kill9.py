"""`kill-9`: SIGKILL at random points over a load of mixed tasks.

Four clients post without a pause: arithmetic through the offline planner, scripts with three calls of one replay
policy or of all four, sessions of three tasks that share variables, tasks whose skill is unavailable twice or for
ever, tasks that are cancelled. What a kill leaves in doubt is paused, and decided by the harness: `retry`,
`assume_done` and `fail` in turn. Clients whose connection breaks send the request again under its Idempotency-Key.
What a model and agents add is `agent.py`'s.

Every seventh kill or so falls into the start itself, of the server or of the worker that takes the place of another. The server is `callboard serve`; the signal goes to its process
alone, and its workers and sandbox processes must end by themselves. Half of the kills hit a worker's process instead, and the
server goes on (`blows.py`).
"""

import time

from bench.figures import Figure
from chaos.blows import Blows
from chaos.load import Load
from chaos.scenario import Run, amount, count, seconds
from chaos.server import Server
from chaos.verdict import Verdict, listed

START_AT_MOST_S = 5.0
EARLY = 0.15
"""How many of the kills fall into the start."""

LONGEST_LIFE_S = 1.2
MAX_CRASHES = 6
"""More than `CALLBOARD_MAX_CRASHES` has by default: on a busy machine three kills in a row fall into one task."""

SETTLE_S = 180


def measure(run: Run) -> list[Figure]:
    with Server(run.new_folder("kill-9"), max_crashes=MAX_CRASHES) as server:
        load = Load(server.port, run)
        blows = Blows(server, run.random("kill-9", "victims"))
        starts = kill_again_and_again(run, server, load, blows, "kill-9")
        verdict = Verdict(load.memory, server.database, server.effects)
        return [
            *blows.figures(),
            *verdict.figures(),
            *about(server, load, starts, quick=run.quick),
        ]


def kill_again_and_again(run: Run, server: Server, load: Load, blows: Blows, name: str) -> list[float]:
    """Kill and start a server under a load, and let the load end; return how many seconds each start took."""
    chance = run.random(name)
    starts: list[float] = []
    try:
        starts.append(server.start())
        load.start()
        for number in range(1, run.kills + 1):
            time.sleep(chance.uniform(0.0, LONGEST_LIFE_S))
            early = chance.uniform(0.05, 1.0) if chance.random() < EARLY else 0.0
            if blows.strike():
                if early:
                    server.launch()
                    time.sleep(early)
                    blows.strike_server()
                starts.append(server.start())
            else:
                if early:
                    time.sleep(early)
                    blows.strike_worker()
                server.wait_for_worker()
            if number % 20 == 0:
                run.say(f"{name}: {number} kills, {len(load.memory.accepted)} tasks accepted")
        load.stop_posting()
        load.wait_until_ended(SETTLE_S)
    finally:
        load.close()
    server.stop()
    return starts


def about(server: Server, load: Load, starts: list[float], *, quick: bool) -> list[Figure]:
    """Return what is told of the server and the clients of such a run."""
    ordered = sorted(starts)
    return [
        count("sandbox processes that outlived a kill", range(server.lingering)),
        seconds("start to ready, median", ordered[len(ordered) // 2], note=f"{len(ordered)} starts"),
        # a short run is one of many tests on a machine that may be busy: there it is told, not judged
        seconds("start to ready, longest", ordered[-1], at_most=None if quick else START_AT_MOST_S),
        amount("answers that clients lost", load.memory.lost_answers),
        amount("pauses decided", sum(load.memory.decisions.values()), "", listed(load.memory.decisions)),
    ]
