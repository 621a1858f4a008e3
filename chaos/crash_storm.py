"""`crash-storm`: actors made to crash under load, in this process.

Clients post over HTTP to a real server in this process, half of them holding their requests until the task has ended.
Meanwhile every actor in turn is sent what it must die of, as often as its supervisor still restarts it. No request may
hang: each is answered, or its connection closed, within the time the server gives its actors and a margin. Then one
actor is killed until its supervisor gives it up: `/health` must say 503, and requests must still be answered. A fresh
system on the same folder ends every accepted task.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import structlog

from bench.figures import Figure
from bench.server import free_port
from callboard import AgentSystem, Settings
from callboard.actors.mailbox import Address
from callboard.actors.supervision import MAX_RESTARTS, RESTART_WINDOW_S
from callboard.errors import CallboardError
from callboard.http.server import Server
from callboard.messages.ask import Ask
from chaos.api import Api, Lost
from chaos.drain import wait_for
from chaos.load import ENDED, Memory, decide_all, end_of
from chaos.scenario import SKILLS, Run, amount, count, holds, seconds
from chaos.verdict import Verdict, listed
from chaos.work import Mix, Work, plain, policies

T = TypeVar("T")
ASK_TIMEOUT_S = 3.0
HELD_S = 5
HUNG_AFTER_S = ASK_TIMEOUT_S * 2 + HELD_S + 2
CLIENTS = 8
SETTLE_S = 120
MIX = Mix(kinds={plain: 3, policies: 2})
DOOMED = "result logger"
"""The actor that is given up: every acceptance and every result goes through it."""


class Storm(Ask[None]):
    """A message that no actor knows: told it, an actor crashes; asked it, it answers that it does not understand."""


class Crashes(logging.Handler):
    """Counts the actors' crashes by what the supervisor logs of them; called in its thread alone."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.args, tuple):
            self.of[str(record.args[0])] += 1


def measure(run: Run) -> list[Figure]:
    with quiet() as crashes:
        return _measure(run, crashes)


def _measure(run: Run, crashes: Crashes) -> list[Figure]:
    folder = run.new_folder("crash-storm")
    settings = Settings(
        data_dir=folder,
        port=free_port(),
        rate_limit_max_requests=0,
        ask_timeout_s=ASK_TIMEOUT_S,
        health_interval_s=0.2,
        log_level="error",
        drain_s=5,
        skills_dir=SKILLS,
        skill_settings={"chaos_effects": str(folder / "effects.jsonl"), "chaos_delay_ms": "5"},
    )
    clients = Clients(run, settings.port)
    with served(settings) as system:
        sent = clients.during(lambda: storm(system, 2 if run.quick else 30))
        survived = {name: sent[name] - crashes.of[name] for name in sent}
        if not run.quick:
            time.sleep(RESTART_WINDOW_S)  # what the storm did is forgiven by now
        given_up_s = give_up(system, settings.port)
        clients.during(lambda: time.sleep(1 if run.quick else 5))
        stayed = _health(settings.port) == 503
    with served(settings) as system:
        recovered_s = wait_for(
            lambda: _all_ended(settings.port, clients.memory), "every accepted task to end", SETTLE_S
        )
    verdict = Verdict(clients.memory, folder / "callboard.db", folder / "effects.jsonl")
    return [
        amount("crashes of actors", sum(crashes.of.values()), "crashes", listed(crashes.of)),
        count("actors that did not crash each time", [name for name, times in survived.items() if times]),
        amount("requests", sum(clients.answers.values()), "", listed(clients.answers)),
        count("hung requests", clients.hung),
        seconds(
            "longest answer", clients.longest_s, at_most=HUNG_AFTER_S, note=f"some were held {HELD_S} s by their wish"
        ),
        seconds(f"{DOOMED} given up to /health 503", given_up_s, at_most=5),
        holds("/health stays 503", stayed, "until the server is restarted"),
        seconds("fresh system to every task ended", recovered_s),
        *verdict.figures(),
    ]


@contextmanager
def quiet() -> Iterator[Crashes]:
    """Keep the server's lines off the terminal, where it logs every request and every crash; give the count of crashes."""
    crashes, supervisor = Crashes(), logging.getLogger("callboard.supervisor")
    levels = {name: logging.getLogger(name).level for name in ("callboard", "pykka")}
    kept = structlog.get_config()
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    supervisor.setLevel(logging.ERROR)
    supervisor.addHandler(crashes)
    supervisor.propagate = False
    try:
        yield crashes
    finally:
        supervisor.propagate = True
        supervisor.removeHandler(crashes)
        supervisor.setLevel(logging.NOTSET)
        structlog.configure(**kept)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def served(settings: Settings) -> Iterator[AgentSystem]:
    """Run a system and an HTTP server over it; both are ended afterwards."""
    with AgentSystem.start(settings) as system:
        server = Server(system)
        thread = threading.Thread(target=server.run, name="http-loop")
        thread.start()
        try:
            yield system
        finally:
            server.close()
            thread.join(30)


def storm(system: AgentSystem, rounds: int) -> Counter[str]:
    """Crash every actor in turn, each as seldom as its supervisor asks for; return how often each was sent its death."""
    sent: Counter[str] = Counter()
    pause_s = RESTART_WINDOW_S / MAX_RESTARTS / len(system._addresses) * 1.2
    for _ in range(rounds):
        for name, address in system._addresses.items():
            # the answer comes from the next one alive: deaths that a busy actor puts off must not come all at once
            kill(address)
            sent[name] += 1
            time.sleep(pause_s)
    return sent


def kill(address: Address[Any]) -> None:
    """Have an actor die of what it is told, and wait until one of its kind is back, or it is given up."""
    with suppress(CallboardError):
        address.tell(Storm())
        address.ask(Storm(), timeout_s=30)


def give_up(system: AgentSystem, port: int) -> float:
    """Crash one actor until it is given up; return the seconds until `/health` said so."""
    for _ in range(MAX_RESTARTS + 1):
        kill(system._addresses[DOOMED])
    return wait_for(lambda: _health(port) == 503, "/health to say that an actor was given up")


def _health(port: int) -> int:
    try:
        with Api(port) as api:
            return api.request("GET", "/health")[0]
    except Lost:
        return 0


def _all_ended(port: int, memory: Memory) -> bool:
    """Decide what the storm has left in doubt; return whether no task is left."""
    with Api(port) as api:
        decide_all(api, memory)
        pages = [api.request("GET", f"/agent/results?status={s}&limit=1") for s in ("pending", "running", "paused")]
    return all(status == 200 and not page["results"] for status, page in pages)


class Clients:
    """Threads that post as fast as they are answered, and note every answer. `lock` guards what they share."""

    def __init__(self, run: Run, port: int) -> None:
        self.memory = Memory()
        self.answers: Counter[str] = Counter()
        self.hung: list[str] = []
        self.longest_s = 0.0
        self._run = run
        self._port = port
        self._phase = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def during(self, action: Callable[[], T]) -> T:
        """Post while an action runs; return what it returns."""
        self._phase += 1
        self._stop.clear()
        threads = [threading.Thread(target=self._post_all, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            return action()
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(HUNG_AFTER_S + 5)

    def _post_all(self, client: int) -> None:
        chance, number = self._run.random("crash-storm", self._phase, client), 0
        with Api(self._port, timeout_s=HUNG_AFTER_S) as api:
            while not self._stop.is_set():
                number += 1
                for work in MIX.take(f"storm{self._phase}.{client}-{number}", chance):
                    self._post(api, work, HELD_S if client % 2 else None)

    def _post(self, api: Api, work: Work, wait_s: float | None) -> None:
        with self._lock:
            self.memory.posted[work.name] = work
        began = time.monotonic()
        try:
            status, body = api.execute(work.body, wait_s=wait_s)
        except Lost as lost:
            status, body = 0, str(lost)
        took_s = time.monotonic() - began
        with self._lock:
            self.longest_s = max(self.longest_s, took_s)
            self.answers[str(status or "no answer")] += 1
            if status == 0:
                self.hung.append(f"{work.name} after {took_s:.1f} s: {body}")
            elif status == 200:
                self.memory.accepted[body["taskId"]] = work
                if body["status"] in ENDED:
                    self.memory.ends[body["taskId"]] = end_of(body)
            elif status != 503:
                self.memory.surprises.append(f"{status} {body}")
        if status == 503:
            self._stop.wait(0.02)
