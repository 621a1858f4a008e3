"""`drain`: SIGTERM under load, again and again, and a second signal that is not waited for.

The load is that of `kill-9` with longer skill calls, so that the time to drain is up while scripts are in the
middle: those are handed back, and go on after the restart from where they were. A drain leaves nothing in doubt, so
no task may be paused. In the middle of every other drain a worker's process is killed: what that leaves in doubt is its own doing,
and the server must end in order all the same. The last part holds a task in a skill that listens to nobody: SIGTERM, then SIGINT, which must
end the process at once.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator

from bench.figures import Figure
from chaos.api import Api, Lost
from chaos.blows import Blows
from chaos.effects import begun
from chaos.load import Load
from chaos.scenario import ChaosError, Run, amount, count, holds, seconds
from chaos.server import Server
from chaos.verdict import Verdict
from chaos.work import Mix, cancelled, code, long, plain, policies, retried, session

DRAIN_S = 2
PATIENT_S = 60
"""The time to drain where the second signal is to end it: on a busy machine 2 s are over before that is sent, and the end is another."""

MARGIN_S = 2
"""How much longer than the setting says a drain may take."""

CALL_MS = 200
QUICK_ROUNDS = 2
SETTLE_S = 180
AT_ONCE_S = 1.0
MIX = Mix(kinds={plain: 2, policies: 6, long: 2, session: 1, retried: 1, cancelled: 1})


def measure(run: Run) -> list[Figure]:
    with draining(run) as server:
        load = Load(server.port, run, most_open=16 if run.quick else 48, mix=MIX, name="drain")
        blows = Blows(server, run.random("drain", "victims"))
        figures = drain_again_and_again(run, server, load, blows)
        verdict = Verdict(load.memory, server.database, server.effects)
    at_once = [] if run.quick else second_signal(run)
    return [*figures, *about(verdict, blows), *at_once, *verdict.figures()]


def drain_again_and_again(run: Run, server: Server, load: Load, blows: Blows) -> list[Figure]:
    """Stop and start a server under a load, `run.kills` times, and let the load end."""
    rounds = Rounds(run, server, blows)
    try:
        server.start()
        load.start()
        for number in range(1, (QUICK_ROUNDS if run.quick else run.kills) + 1):
            rounds.drain_once()
            if number % 20 == 0:
                run.say(f"drain: {number} drains, {len(load.memory.accepted)} tasks accepted")
        load.stop_posting()
        load.wait_until_ended(SETTLE_S)
    finally:
        load.close()
    server.stop()
    return rounds.figures()


def about(verdict: Verdict, blows: Blows) -> list[Figure]:
    """Return how many tasks drains have handed back, and which they have left for a person to decide about."""
    handed_back = sum(task.requeued.count("drain") for task in verdict.tasks.values())
    return [
        amount("tasks handed back", handed_back),
        count("tasks that a drain left in doubt", _left_in_doubt(verdict, blows)),
        amount("tasks that the kill of a worker left in doubt", sum(task.in_doubt for task in verdict.tasks.values())),
    ]


def _left_in_doubt(verdict: Verdict, blows: Blows) -> Iterator[str]:
    """Yield the tasks in doubt of which no call was with a worker that was killed."""
    hit = blows.worker_pids
    at_killed = {e.task for found in verdict.effects.values() for e in begun(found) if e.pid in hit}
    return (task.task_id for task in verdict.tasks.values() if task.in_doubt and task.task_id not in at_killed)


def draining(run: Run, drain_s: float = DRAIN_S) -> Server:
    """Return a server that is stopped while scripts are in the middle, not yet started."""
    return Server(run.new_folder("drain"), drain_s=drain_s, skill_chaos_delay_ms=CALL_MS)


class Rounds:
    """The drains of one server."""

    def __init__(self, run: Run, server: Server, blows: Blows) -> None:
        self._chance = run.random("drain")
        self._server = server
        self._blows = blows
        self._took_s: list[float] = []
        self._statuses: list[int] = []

    def drain_once(self) -> None:
        """Let the load run a while, send SIGTERM, kill a worker if it is its turn, start again."""
        time.sleep(self._chance.uniform(0.5, 1.5))
        meanwhile = self._strike if self._blows.worker_is_next() else None
        began = time.monotonic()
        self._statuses.append(self._server.stop(within_s=DRAIN_S + 30, meanwhile=meanwhile))
        self._took_s.append(time.monotonic() - began)
        self._server.start()

    def _strike(self) -> None:
        time.sleep(self._chance.uniform(0.0, DRAIN_S / 4))
        self._blows.strike_worker(or_none=True)

    def figures(self) -> list[Figure]:
        note = f"CALLBOARD_DRAIN_S={DRAIN_S}"
        return [
            amount("SIGTERM", len(self._statuses), "drains"),
            count("exit statuses other than 0", [status for status in self._statuses if status]),
            seconds("SIGTERM to exit, longest", max(self._took_s), at_most=DRAIN_S + MARGIN_S, note=note),
            count("sandbox processes that outlived a drain", range(self._server.lingering)),
            *self._blows.figures(),
        ]


def second_signal(run: Run) -> list[Figure]:
    """Send SIGTERM and then SIGINT to a server that cannot drain."""
    with draining(run, PATIENT_S) as server:
        return _second_signal(server)


def _second_signal(server: Server) -> list[Figure]:
    gate = server.folder / "deaf"
    server.start()
    with Api(server.port) as api:
        task = code(f"from skills import deaf\ndeaf({str(gate)!r})")
        task_id = api.execute({"task": task})[1]["taskId"]
        wait_for(gate.with_name("deaf.entered").exists, "the skill to be called")
        assert server.popen is not None
        server.popen.send_signal(signal.SIGTERM)
        wait_for(lambda: _refuses(api), "the drain to begin")
        began = time.monotonic()
        server.popen.send_signal(signal.SIGINT)
        server.popen.wait(20)
        took_s = time.monotonic() - began
        status = server.died()
    gate.touch()
    server.start()
    with Api(server.port) as api:
        wait_for(lambda: (api.task(task_id) or {}).get("status") == "completed", "the task to go on")
    server.stop()
    return [
        holds("second signal ends the process", status == 130, f"exit status {status}"),
        seconds("second signal to exit", took_s, at_most=AT_ONCE_S),
    ]


def _refuses(api: Api) -> bool:
    """Return whether the server takes no new tasks any more."""
    try:
        return api.execute({"task": "What is 1 + 1?"})[0] == 503
    except Lost:
        return True


def wait_for(condition: Callable[[], object], what: str, within_s: float = 30) -> float:
    """Return how many seconds it took until a condition held; raise `ChaosError` when the time is up."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() > began + within_s:
            raise ChaosError(f"waited {within_s:g} s for {what}")
        threading.Event().wait(0.01)
    return time.monotonic() - began
