"""`skills-from-hell`: skills that end, hold or spoil the process that they run in, beside tasks that mean well.

Each deed is done as a `safe` call and as one that is `never` repeated, in workers' processes. While it lasts, tasks are under way in the
same process: calls of every kind that wait, and small ones without a pause. The server must live, and answer; a deed costs its own
task what the ledger's rules say; the others end as if nothing had been, but for a `never` call that was under way as a process died
by itself, or got no further: what came of it nobody can know, so it must be in doubt, once, and not be made again.
"""

import json
import time
from collections import Counter
from pathlib import Path

from bench.figures import Figure
from chaos.api import Api
from chaos.attacks import Beside, about_beside
from chaos.blows import wait_until_ended
from chaos.drain import wait_for
from chaos.scenario import Run, amount, count, seconds
from chaos.server import Server

PACK = Path(__file__).with_name("hell_pack")
PROCESSES = 2
MAX_CRASHES = 2
MOST_MEMORY = 1 << 30
ENDING = ("exits", "segfaults", "kills_itself", "closes_everything", "writes_anywhere")
DEAFENING = ("backtracks", "computes")
HOLDING = ("sleeps", *DEAFENING)
SPOILING = ("forks_and_exits", "forks_and_returns", "forks_and_raises", "leaks_threads", "moves_and_redecorates")
EATING = ("eats_memory",)
QUICK = ("exits", "backtracks", "forks_and_returns", "eats_memory")
STUCK_MS = 1000
ENDS_WITHIN_S = 240
GONE_WITHIN_S = 1.0
"""How long a worker may outlive a server that was killed."""


class Deeds:
    """Deeds done one after another, and what has come of them and of those beside them."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self.wrong: list[str] = []
        self.innocent: list[str] = []
        self.in_doubt = 0
        self.innocents = 0

    def do(self, deed: str, policy: str) -> None:
        """Do one beside three calls that wait at a gate, open it when the deed is begun, and see how all end."""
        token, began = f"{deed}-{policy}", time.time()
        with Api(self._server.port, timeout_s=60) as api:
            beside = {
                kind: _submit(api, f"held_{kind}", f"{token}-{kind}", token) for kind in ("pure", "safe", "never")
            }
            wait_for(lambda: all(self._calls(f"{token}-{kind}") for kind in beside), f"those beside {token} to begin")
            more = {"timeoutMs": STUCK_MS} if deed in HOLDING else {}
            guilty = _submit(api, f"hell_{policy}", deed, **more)
            wait_for(lambda: self._calls(deed, began), f"{token} to begin")
            (self._folder / token).touch()
            end = _end(api, guilty)
            if end not in _ends(deed, policy):
                self.wrong.append(f"{token} ended as {end}")
            for kind, task_id in beside.items():
                self._look_at(api, kind, f"{token}-{kind}", task_id, may_doubt=deed in (*ENDING, *DEAFENING))

    def _look_at(self, api: Api, kind: str, token: str, task_id: str, *, may_doubt: bool) -> None:
        self.innocents += 1
        end, calls = _end(api, task_id), len(self._calls(token))
        if end == "outcome_unknown" and kind == "never" and may_doubt and calls == 1:
            self.in_doubt += 1
        elif end != "completed" or (kind == "never" and calls != 1):
            self.innocent.append(f"{token} ended as {end} after {calls} calls")

    def _calls(self, token: str, since: float = 0.0) -> list[float]:
        file = self._folder / "calls.jsonl"
        lines = map(json.loads, file.read_text().splitlines() if file.exists() else [])
        return [one["at"] for one in lines if (one["token"], one["phase"]) == (token, "begin") and one["at"] >= since]

    def begun_since(self, since: float) -> list[str]:
        lines = map(json.loads, (self._folder / "calls.jsonl").read_text().splitlines())
        return [one["token"] for one in lines if one["phase"] == "begin" and one["at"] > since]


def measure(run: Run) -> list[Figure]:
    folder = run.new_folder("skills-from-hell")
    settings = {
        "skill_hell": str(folder),
        "skills_dir": str(PACK),
        "workers": 16,
        "drain_s": 2,
        "max_crashes": MAX_CRASHES,
    }
    server = Server(folder, worker_processes=PROCESSES, worker_memory_bytes=MOST_MEMORY, **settings)  # type: ignore[arg-type]
    with server:
        server.start()
        pid, deeds = server.pid, Deeds(server, folder)
        with Beside(server.port) as beside:
            for deed in (deed for deed in (*ENDING, *HOLDING, *SPOILING, *EATING) if not run.quick or deed in QUICK):
                for policy in ("safe", "never"):
                    deeds.do(deed, policy)
                    run.say(f"{deed}, {policy}")
        lived = server.running and server.pid == pid
        wait_for(lambda: len(server.workers()) == PROCESSES, "as many processes as there should be")
        return [
            amount("deeds", 2 * len(QUICK if run.quick else (*ENDING, *HOLDING, *SPOILING, *EATING))),
            count("servers that did not live", [] if lived else [pid]),
            count("deeds whose task ended otherwise than the ledger's rules say", deeds.wrong),
            amount("calls beside them", deeds.innocents),
            count("innocent tasks that failed, or whose never call was made twice", deeds.innocent),
            amount("never calls in doubt, of processes that died or got no further", deeds.in_doubt),
            *about_beside(beside),
            *_killed(server, deeds, quick=run.quick),
        ]


def _killed(server: Server, deeds: Deeds, *, quick: bool) -> list[Figure]:
    """Have a process stuck in C code and others at work, and kill the server alone."""
    with Api(server.port) as api:
        began = time.time()
        _submit(api, "hell_safe", "backtracks")
        lines = "from skills import held_safe\nfor n in range(100000):\n    held_safe('many', 'exits-safe')"
        for _ in range(4):
            api.execute({"task": f"```python\n{lines}\n```"})
    wait_for(lambda: {"many", "backtracks"} <= Counter(deeds.begun_since(began)).keys(), "them to begin")
    workers = server.workers()
    assert server.popen is not None
    server.popen.kill()
    server.popen.wait(20)
    killed_at, killed_s = time.time(), time.monotonic()
    left = wait_until_ended(workers, 10)
    took_s = time.monotonic() - killed_s
    return [
        # a short run is one of many tests on a machine that may be busy: there it is told, not judged
        seconds("kill -9 of the server to the end of its workers", took_s, at_most=None if quick else GONE_WITHIN_S),
        count("workers that outlived it", left),
        count("effects begun after the kill", deeds.begun_since(killed_at)),
    ]


def _submit(api: Api, skill: str, *arguments: str, **more: object) -> str:
    lines = f"from skills import {skill}\n{skill}({', '.join(map(repr, arguments))})"
    status, answer = api.execute({"task": f"```python\n{lines}\n```", **more})
    assert status == 200, answer
    return str(answer["taskId"])


def _end(api: Api, task_id: str) -> str:
    """Wait until a task has ended, or waits for a person; return how that is called."""
    found: list[str] = []

    def over() -> bool:
        task = api.task(task_id) or {}
        if task.get("status") in (None, "pending", "running"):
            return False
        found.append("outcome_unknown" if task["status"] == "paused" else task.get("errorCode") or task["status"])
        return True

    wait_for(over, f"task {task_id} to end", ENDS_WITHIN_S)
    return found[0]


def _ends(deed: str, policy: str) -> tuple[str, ...]:
    """Return how the task of a deed may end by the ledger's rules."""
    if deed in ENDING:
        return ("dead_letter",) if policy == "safe" else ("outcome_unknown",)
    if deed in HOLDING:
        return ("deadline_exceeded",)
    if deed in EATING:
        return ("skill_failed", "dead_letter", "outcome_unknown")
    return ("completed",)
