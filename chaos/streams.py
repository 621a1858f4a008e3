"""`streams`: SIGKILL again and again in the middle of open event streams; clients resume, and what they saw is the log.

Clients post a task with `Accept: text/event-stream` and an `Idempotency-Key` and follow it to its end: scripts of slow
calls, some of which delegate to agents that make slow calls too. One more follows the feed of all tasks. A client whose
stream breaks connects again, with the id of the last entry that it has seen whole as `Last-Event-ID`. Every kill waits
until some stream is in the middle; half of them hit a worker's process, and the streams stay open. In the end each client's entries are held against the database: the same ones, in the
order of their positions, none missing, none twice, each with the id that it must have.
"""

import contextlib
import http.client
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Figure
from chaos.agent import AGENTS
from chaos.api import Api, Lost
from chaos.blows import Blows
from chaos.kill9 import LONGEST_LIFE_S
from chaos.scenario import ChaosError, Run, amount, count
from chaos.server import Server
from chaos.verdict import TERMINAL
from chaos.work import code

CLIENTS = 6
SETTLE_S = 180
MIDDLE_WITHIN_S = 60
AGAIN_S = 0.02
SSE = {"Accept": "text/event-stream"}

FAMILY = """\
import asyncio
from skills import delegate, safe_effect
fence = chr(96) * 3
def part(token):
    calls = f"from skills import safe_effect\\n[safe_effect('{{token}}a'), safe_effect('{{token}}b')]"
    return f"{{fence}}python\\n{{calls}}\\n{{fence}}"
safe_effect("{name}.1")
await asyncio.gather(delegate("helper", part("{name}.2")), delegate("helper", part("{name}.3")))
safe_effect("{name}.4")
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One entry, as it was sent: its id, and the event's task and number."""

    place: str
    task_id: str
    seq: int


@dataclass(slots=True)
class Followed:
    """What one client has seen of one task, over all its connections."""

    task_id: str | None = None
    seen: list[Seen] = field(default_factory=list)
    result: dict[str, Any] | None = None
    over: bool = False
    connections: int = 0


class Client:
    """Posts tasks and follows each to its end, until it is told to stop. One thread."""

    def __init__(self, port: int, run: Run, number: int) -> None:
        self.followed: list[Followed] = []
        self.middle = False
        """Whether a stream is open that has shown something and not its end; read by any thread."""
        self.surprises: list[str] = []
        self._port = port
        self._number = number
        self._chance = run.random("streams", number)
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def stop(self) -> None:
        """Finish the task under way and post no more."""
        self._stop.set()

    def _work(self) -> None:
        while not self._stop.is_set():
            name = f"s{self._number}-{len(self.followed)}"
            now = Followed()
            self.followed.append(now)
            task = FAMILY.format(name=name) if self._chance.random() < 0.4 else _script(name)
            body = json.dumps({"task": code(task), "labels": {"work": name}})
            while not now.over:
                try:
                    self._connect(now, name, body)
                except (OSError, http.client.HTTPException):
                    time.sleep(AGAIN_S)
                finally:
                    self.middle = False

    def _connect(self, now: Followed, key: str, body: str) -> None:
        """Follow over one connection, from the start or from where the last one broke."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            if now.seen:
                headers = {**SSE, "Last-Event-ID": now.seen[-1].place}
                connection.request("GET", f"/agent/tasks/{now.task_id}/events", headers=headers)
            else:
                headers = {**SSE, "Content-Type": "application/json", "Idempotency-Key": key}
                connection.request("POST", "/agent/execute", body, headers)
            reply = connection.getresponse()
            if reply.status == 204:  # the end itself was lost, not what it ends
                now.over = True
                return
            if reply.status != 200:
                if reply.status != 503:
                    self.surprises.append(f"{key}: {reply.status} {reply.read()[:200]!r}")
                raise http.client.HTTPException
            now.connections += 1
            for place, event, data in entries(reply):
                if event == "end":
                    now.result, now.over = data, True
                    return
                now.task_id = now.task_id or data["taskId"]
                now.seen.append(Seen(place, data["taskId"], data["seq"]))
                self.middle = True


class FeedClient:
    """Follows the feed from its beginning. One thread."""

    def __init__(self, port: int) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.connected = False
        self._port = port
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._work)

    @property
    def position(self) -> int:
        return int(self.seen[-1].place) if self.seen else 0

    def stop(self) -> None:
        self._stop.set()

    def _work(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._connect()
            self.connected = False
            time.sleep(AGAIN_S)

    def _connect(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            connection.request(
                "GET", "/agent/events?after=0", headers={**SSE, "Last-Event-ID": str(self.position or 0)}
            )
            reply = connection.getresponse()
            if reply.status != 200:
                return
            self.connections += 1
            self.connected = True
            for place, _, data in entries(reply):
                if data is not None:
                    self.seen.append(Seen(place, data["taskId"], data["seq"]))


def entries(reply: http.client.HTTPResponse) -> Iterator[tuple[str, str, Any]]:
    """Yield id, event and data of the entries that came whole."""
    fields: dict[bytes, bytes] = {}
    while line := reply.readline():
        if not line.endswith(b"\n"):
            return
        if line.strip():
            name, _, value = line.rstrip(b"\n").partition(b": ")
            fields[name] = value
            continue
        if fields.keys() & {b"id", b"data"}:
            data = json.loads(fields[b"data"]) if b"data" in fields else None
            yield fields.get(b"id", b"").decode(), fields.get(b"event", b"").decode(), data
        fields = {}


def _script(name: str) -> str:
    calls = ", ".join(f"safe_effect('{name}.{number}')" for number in range(1, 7))
    return f"from skills import safe_effect\n[{calls}]"


def measure(run: Run) -> list[Figure]:
    with Server(run.new_folder("streams"), agents_dir=str(AGENTS), skill_chaos_delay_ms=40) as server:
        clients = [Client(server.port, run, number) for number in range(CLIENTS)]
        feed = FeedClient(server.port)
        blows = Blows(server, run.random("streams", "victims"))
        middles = kill_in_the_middle(run, server, clients, feed, blows)
        log, told = Log(server.database), blows.figures()
    followed = [one for client in clients for one in client.followed]
    resumed = sum(max(0, one.connections - 1) for one in followed)
    return [
        *told,
        amount("streams that a kill of the server broke off", middles),
        amount("tasks followed to their end", len(followed)),
        amount("of them with agents' tasks", sum(len({seen.task_id for seen in one.seen}) > 1 for one in followed)),
        amount("times a task's stream was resumed", resumed),
        amount("times the feed was resumed", feed.connections - 1),
        amount("entries seen", sum(len(one.seen) for one in followed) + len(feed.seen)),
        *log.judge(followed, feed),
        count("answers that must not be", (text for client in clients for text in client.surprises)),
    ]


def kill_in_the_middle(run: Run, server: Server, clients: list[Client], feed: FeedClient, blows: Blows) -> int:
    """Kill a server or its worker under the streams; return how many streams were broken off."""
    chance = run.random("streams")
    threads = [*(client.thread for client in clients), feed.thread]
    middles = 0
    try:
        server.start()
        for thread in threads:
            thread.start()
        for number in range(1, run.kills + 1):
            until_s = time.monotonic() + MIDDLE_WITHIN_S
            time.sleep(chance.uniform(0.0, LONGEST_LIFE_S / 2))
            while not (broken := sum(client.middle for client in clients)) or not feed.connected:
                if time.monotonic() > until_s:
                    raise ChaosError(f"no stream was in the middle, and the feed open, within {MIDDLE_WITHIN_S} s")
                time.sleep(0.002)
            if blows.strike():
                middles += broken
                server.start()
            else:
                server.wait_for_worker()
            if number % 20 == 0:
                run.say(f"streams: {number} kills, {middles} streams broken off")
        for client in clients:
            client.stop()
        _wait_for([client.thread for client in clients], "the clients' tasks to end")
        _wait_for_feed(server, feed)
    finally:
        for client in clients:
            client.stop()
        feed.stop()
        if server.running:
            server.stop()  # streams end, so their readers do
        for thread in threads:
            thread.join(60)
    return middles


def _wait_for(threads: list[threading.Thread], what: str) -> None:
    until_s = time.monotonic() + SETTLE_S
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
        if thread.is_alive():
            raise ChaosError(f"waited {SETTLE_S} s for {what}")


def _wait_for_feed(server: Server, feed: FeedClient) -> None:
    """Return once the feed has come to what the pages end with."""
    until_s, after = time.monotonic() + SETTLE_S, 0
    with Api(server.port) as api:
        while True:
            with contextlib.suppress(Lost):
                page = api.request("GET", f"/agent/events?after={after}")[1]
                if page["nextAfter"] == after == feed.position:
                    return
                after = page["nextAfter"]
            if time.monotonic() > until_s:
                raise ChaosError(f"the feed stands at {feed.position} and not at {after}")
            time.sleep(0.01)


class Log:
    """What the database holds, read after the server has stopped."""

    def __init__(self, database: Path) -> None:
        with closing(sqlite3.connect(database)) as connection:
            self._parents = dict(connection.execute("SELECT id, parent_id FROM tasks"))
            rows = connection.execute("SELECT position, task_id, seq, topic FROM events ORDER BY position").fetchall()
        self._events: list[tuple[int, str, int, str]] = rows
        self._positions = [row[0] for row in rows]

    def judge(self, followed: list[Followed], feed: FeedClient) -> list[Figure]:
        """Hold what was seen against the log."""
        pairs = [(one.seen, self._stream(one.task_id or "")) for one in followed]
        pairs.append((feed.seen, [Seen(str(p), task_id, seq) for p, task_id, seq, _ in self._events]))
        names = [one.task_id for one in followed] + ["the feed"]
        judged = list(zip(names, pairs, strict=True))
        same = sum(seen == wanted for seen, wanted in pairs)
        return [
            Figure(
                name="streams that showed the log, no gap, no repeat",
                value=same,
                unit="",
                at_least=len(pairs),
                note=f"{same} of {len(pairs)}",
            ),
            count("streams with a gap", (name for name, (seen, wanted) in judged if set(wanted) - set(seen))),
            count("streams with a repeat", (name for name, (seen, _) in judged if len(set(seen)) < len(seen))),
            count("streams with something else", (name for name, (seen, wanted) in judged if set(seen) - set(wanted))),
            count("positions given twice", range(len(self._positions) - len(set(self._positions)))),
            count(
                "results that say another task",
                (one.task_id for one in followed if one.result and one.result["taskId"] != one.task_id),
            ),
        ]

    def _stream(self, task_id: str) -> list[Seen]:
        """Return what the stream of a task must show: its family's events up to its own end."""
        found, own = [], 0
        for position, of_task, seq, topic in self._events:
            if of_task == task_id:
                own = seq
                found.append(Seen(str(seq), of_task, seq))
                if topic in TERMINAL:
                    break
            elif self._is_below(of_task, task_id):
                found.append(Seen(f"{own}.{position}", of_task, seq))
        return found

    def _is_below(self, one: str, task_id: str) -> bool:
        parent = self._parents.get(one)
        return parent is not None and (parent == task_id or self._is_below(parent, task_id))
