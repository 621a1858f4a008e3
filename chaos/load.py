"""Clients that post tasks, look how they end, decide what is paused, and remember all of it.

Each client is a thread with a connection of its own; none is disturbed by a server that is gone. `Memory` is what
they share: what was accepted is what got a 200.
"""

import contextlib
import itertools
import random
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from chaos.api import Absent, Api, Lost
from chaos.scenario import ChaosError, Run
from chaos.work import APPROVED, Mix, Work, approval_on, decided, edited

ENDED = frozenset({"completed", "failed", "cancelled"})
DECISIONS = ("retry", "assume_done", "fail")
AGAIN_S = 0.02
"""How long a client waits before it tries again what was refused or lost."""


@dataclass(slots=True)
class Memory:
    """What clients know. `lock` guards all of it: several clients write."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    posted: dict[str, Work] = field(default_factory=dict)
    accepted: dict[str, Work] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    lost_answers: int = 0
    ends: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Status, error code and output of the tasks that were seen ended."""

    cancelled: set[str] = field(default_factory=set)
    """Tasks whose cancellation was answered with success."""

    decisions: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    """How often `retry` was sent for a token."""

    assumed: set[str] = field(default_factory=set)
    """Tokens of the calls that `assume_done` was sent for."""

    approvals: dict[str, float] = field(default_factory=dict)
    """When the first decision was sent about a call that needs approval (unix time), by its token."""

    surprises: list[str] = field(default_factory=list)

    def open(self) -> list[str]:
        """Return the accepted tasks that nobody has seen ended."""
        with self.lock:
            return [task_id for task_id in self.accepted if task_id not in self.ends]

    def surprise(self, text: str) -> None:
        with self.lock:
            self.surprises.append(text)


class Load:
    """Some clients, a watcher and a decider; `start`, then `finish`."""

    def __init__(
        self,
        port: int,
        run: Run,
        *,
        clients: int = 4,
        most_open: int = 48,
        mix: Mix | None = None,
        name: str = "load",
        pace_s: float = 0.0,
    ) -> None:
        """Post as fast as the server answers while fewer than `most_open` are open, or each `pace_s` seconds apart."""
        self.memory = Memory()
        self._port = port
        self._run = run
        self._name = name
        self._pace_s = pace_s
        self._mix = mix or Mix()
        self._room = threading.Semaphore(most_open)
        self._stop_posting = threading.Event()
        self._stop = threading.Event()
        self._posters = [threading.Thread(target=self._post_all, args=(number,)) for number in range(clients)]
        self._others = [threading.Thread(target=self._watch), threading.Thread(target=self._decide)]

    def start(self) -> None:
        for thread in (*self._posters, *self._others):
            thread.start()

    def stop_posting(self) -> None:
        """Have the clients finish what they have begun to post; a server that is there must answer them."""
        self._stop_posting.set()
        for thread in self._posters:
            thread.join(60)
            if thread.is_alive():
                raise ChaosError("a client got no answer that it could leave with, within 60 s")

    def wait_until_ended(self, within_s: float) -> None:
        """Return once every accepted task was seen ended and the server has no other, or raise `ChaosError`."""
        until = time.monotonic() + within_s
        with Api(self._port) as api:
            while left := self.memory.open() or self._live(api):
                if time.monotonic() > until:
                    raise ChaosError(f"after {within_s:g} s {len(left)} tasks have not ended, such as {left[0]}")
                self._stop.wait(0.05)

    def _live(self, api: Api) -> list[str]:
        """Return tasks that the server knows and that have not ended: those too whose acceptance nobody heard of."""
        found = []
        for status in ("pending", "running", "paused"):
            with contextlib.suppress(Lost):
                page = api.request("GET", f"/agent/results?status={status}&limit=100")[1]
                found += [task["taskId"] for task in page["results"]]
        return found

    def close(self) -> None:
        """End every client, whatever is left."""
        self._stop_posting.set()
        self._stop.set()
        for thread in (*self._posters, *self._others):
            if thread.ident is not None:
                thread.join(60)

    # --- posting ---

    def _post_all(self, number: int) -> None:
        chance = self._run.random(self._name, number)
        with Api(self._port) as api:
            for turn in itertools.count(1):
                for work in self._mix.take(f"{self._name}{number}-{turn}", chance):
                    if not self._has_room():
                        return
                    if not self._post(api, work, chance):
                        break  # what follows in the session cannot work without it

    def _has_room(self) -> bool:
        """Wait until one more task may be open, each of a session too; False if no more are to be posted."""
        while not self._stop_posting.is_set():
            if self._room.acquire(timeout=0.1):
                self._stop_posting.wait(self._pace_s)
                return True
        return False

    def _post(self, api: Api, work: Work, chance: random.Random) -> bool:
        """Post a task until it is accepted; False if that is not known."""
        with self.memory.lock:
            self.memory.posted[work.name] = work
        key = work.name if self._run.keys else None
        while not self._stop.is_set():
            try:
                status, body = api.execute(work.body, key=key)
            except Absent:
                self._stop.wait(AGAIN_S)
                continue
            except Lost:
                with self.memory.lock:
                    self.memory.lost_answers += 1
                if key is None:  # it may be there or not; posting it again could make it twice
                    self._room.release()
                    return False
                self._stop.wait(AGAIN_S)
                continue
            with self.memory.lock:
                self.memory.answers[str(status)] += 1
            if status == 200:
                self._accepted(api, body["taskId"], work, chance)
                return True
            if status != 503:
                self.memory.surprise(f"POST /agent/execute was answered with {status} {body}")
                break
            if self._stop_posting.is_set() and key is None:
                break
            self._stop.wait(AGAIN_S)
        self._room.release()
        return False

    def _accepted(self, api: Api, task_id: str, work: Work, chance: random.Random) -> None:
        with self.memory.lock:
            self.memory.accepted[task_id] = work
        if not work.cancel:
            return
        self._stop.wait(chance.uniform(0, 0.3))
        try:
            status, body = api.request("POST", f"/agent/tasks/{task_id}/cancel")
        except Lost:
            return
        if status == 200 and body["success"]:
            with self.memory.lock:
                self.memory.cancelled.add(task_id)
        elif status not in (200, 503):
            self.memory.surprise(f"cancel was answered with {status} {body}")

    # --- watching ---

    def _watch(self) -> None:
        with Api(self._port) as api:
            while not self._stop.is_set():
                for task_id in self.memory.open():
                    try:
                        self._look(api, task_id)
                    except Lost:
                        self._stop.wait(AGAIN_S)
                        break
                self._stop.wait(0.05)

    def _look(self, api: Api, task_id: str) -> None:
        found = api.task(task_id)
        if found is None:
            self.memory.surprise(f"the accepted task {task_id} is not known")
            found = {"status": "lost"}
        elif found["status"] not in ENDED:
            return
        with self.memory.lock:
            self.memory.ends[task_id] = end_of(found)
        self._room.release()

    # --- deciding ---

    def _decide(self) -> None:
        with Api(self._port) as api:
            while not self._stop.is_set():
                try:
                    decide_all(api, self.memory)
                except Lost:
                    self._stop.wait(AGAIN_S)
                self._stop.wait(0.1)


def decide_all(api: Api, memory: Memory, decision: str | None = None) -> None:
    """Decide every paused task that waits for a person; `decision` is that on all calls of unknown outcome."""
    status, page = api.request("GET", "/agent/results?status=paused&limit=100")
    for found in page["results"] if status == 200 else ():
        task = api.task(found["taskId"])
        if task is None or not task.get("pause"):
            continue
        token, reason = token_of(task["pause"]), task["pause"].get("reason")
        if reason == "approval":
            decide_approval(api, memory, task["taskId"], token)
        elif reason != "subagents":
            decide(api, memory, task["taskId"], approved_as(token, task["pause"]), decision or decision_on(token))


def decide(api: Api, memory: Memory, task_id: str, token: str, decision: str) -> None:
    """Send a decision; it may be late, or find the server busy, and is then sent again by whoever looks next."""
    with memory.lock:
        memory.retries[token] += decision == "retry"
        if decision == "assume_done":
            memory.assumed.add(token)
    body = {"decision": decision, **({"result": decided(token)} if decision == "assume_done" else {})}
    _send(api, memory, task_id, body)


def decide_approval(api: Api, memory: Memory, task_id: str, token: str) -> None:
    """Send the decision about a call that needs approval: always the same one about the same call."""
    approval = approval_on(token)
    with memory.lock:
        memory.approvals.setdefault(token, time.time())
    _send(
        api,
        memory,
        task_id,
        {"decision": approval, **({"arguments": {"token": edited(token)}} if approval == "edit" else {})},
    )


def _send(api: Api, memory: Memory, task_id: str, body: dict[str, Any]) -> None:
    status, reply = api.request("POST", f"/agent/tasks/{task_id}/decide", body)
    decision = body["decision"]
    with memory.lock:
        memory.decisions[decision] += status == 200
    if status not in (200, 409, 503):
        memory.surprise(f"decide {decision} was answered with {status} {reply}")


def end_of(body: dict[str, Any]) -> tuple[Any, ...]:
    """Return what must never change again of a task that was seen ended."""
    return body["status"], body.get("errorCode"), body.get("output")


def decision_on(token: str) -> str:
    """Return the decision on a call: always the same one, each of the three as often."""
    return DECISIONS[zlib.crc32(token.encode()) % 3]


def approved_as(token: str, pause: dict[str, Any]) -> str:
    """Return the token that a call was made with: a person may have edited it."""
    return edited(token) if str(pause.get("skill")) in APPROVED and approval_on(token) == "edit" else token


def token_of(pause: dict[str, Any]) -> str:
    """Return the token of the call that a paused task asks about."""
    given = [*pause.get("args", ()), *pause.get("kwargs", {}).values()]
    return str(given[0]) if given else ""
