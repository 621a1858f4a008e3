"""`flood`: one abusive client of each kind, from one address, beside another client.

What an abusive client may take is its share, so the other one is served nearly as it was when all was quiet: each thing it
does, at the 99th percentile, within `TIMES` times the quiet figure and `MORE_MS` on top. `abuse.py` has the kinds, a process
of its own each; `neighbour.py` has what the other one does. Callers' rate limit is off, since it would hold back most kinds.
Then receivers of webhooks that never answer are put beside one that does.

Abusive client, server and neighbour share this machine's cores, which is the larger part of what the figures go up by.
"""

import http.server
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psutil

from bench.figures import Figure, percentile
from bench.load import ROOT
from chaos.abuse import KINDS
from chaos.api import Api
from chaos.attacks import about_log, memory_back, memory_mb
from chaos.drain import wait_for
from chaos.neighbour import Neighbour
from chaos.scenario import ChaosError, Run, amount, count, holds
from chaos.server import Server

TIMES = 3
MORE_MS = 50
ABUSER = "127.0.0.66"
QUICK = ("unfinished heads", "streams", "held requests", "requests")
SLOW_RECEIVERS = 12
SLOW_DELIVERIES = 240
PATIENCE_S = 60
"""How long a quick receiver is waited for."""


def measure(run: Run) -> list[Figure]:
    for_s = 3 if run.quick else 10
    kinds = QUICK if run.quick else tuple(KINDS)
    figures = []
    with Server(run.new_folder("flood")) as server:
        server.start()
        with Api(server.port) as api:
            known = str(api.execute({"task": "What is 1 times 7?"}, wait_s=20)[1]["taskId"])
        _beside(server, known, 1)  # warm
        before_mb, before_files = memory_mb(server), _files(server)
        quiet = _beside(server, known, for_s)
        figures += [amount(f"quiet, {habit}, p99", ms, "ms") for habit, ms in quiet.p99_ms().items()]
        for name in kinds:
            run.say(name)
            with _abuse(name, server.port) as abuse:
                beside = _beside(server, known, for_s)
            figures += _about(name, quiet, beside, abuse)
            wait_for(lambda: _files(server) <= before_files + 20, f"what {name} took to be given back", 60)
        figures += [*about_log(server), memory_back(server, before_mb)]
        server.stop()
    return [*figures, *_about_webhooks(run, for_s)]


def _beside(server: Server, known: str, for_s: float) -> Neighbour:
    with Neighbour(server.port, known) as beside:
        time.sleep(for_s)
    return beside


def _files(server: Server) -> int:
    return int(psutil.Process(server.pid).num_fds())


@contextmanager
def _abuse(name: str, port: int) -> Iterator[dict[str, Any]]:
    """Have an abusive client do its worst meanwhile; what it came to is in the dictionary afterwards."""
    command = [sys.executable, "-m", "chaos.abuse", name, str(port), ABUSER]
    found: dict[str, Any] = {}
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise ChaosError(f"the abusive client of the kind {name} did not get ready")
        yield found
        said, _ = process.communicate(timeout=60)
        found.update(json.loads(said))
    finally:
        process.kill()
        process.wait(10)


def _about(name: str, quiet: Neighbour, beside: Neighbour, abuse: dict[str, Any]) -> list[Figure]:
    """Return how the neighbour fared: the worst of its habits, as a part of what it may take."""
    allowed = {habit: TIMES * ms + MORE_MS for habit, ms in quiet.p99_ms().items()}
    parts = {habit: ms / allowed[habit] for habit, ms in beside.p99_ms().items()}
    told = ", ".join(f"{habit} {ms:.0f} of {allowed[habit]:.0f} ms" for habit, ms in beside.p99_ms().items())
    statuses = ", ".join(f"{status}: {found:,}" for status, found in sorted(abuse["statuses"].items()))
    held = f"at most {abuse['most']:,} connections at once, {abuse['closed']:,} closed; answers: {statuses or 'none'}"
    return [
        amount(f"taken by {name}", abuse["most"], "", held),
        Figure(name=f"p99 beside {name}", value=max(parts.values()), unit="of what it may be", at_most=1, note=told),
        count(f"wrong answers beside {name}", beside.wrong),
    ]


# --- receivers of webhooks --------------------------------------------------------------------------------------------


class Quick(http.server.ThreadingHTTPServer):
    """A receiver that answers at once, and knows when it heard of which task."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.heard: dict[str, float] = {}
        self.news = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def told(self, task_id: str, until_s: float) -> float:
        """Return when it was told of a task; `until_s` where it was not by then."""
        with self.news:
            self.news.wait_for(lambda: task_id in self.heard, until_s - time.monotonic())
        return self.heard.get(task_id, until_s)


class _Receiver(http.server.BaseHTTPRequestHandler):
    server: Quick

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.news:
            self.server.heard[body["data"]["taskId"]] = time.monotonic()
            self.server.news.notify_all()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _about_webhooks(run: Run, for_s: float) -> list[Figure]:
    """Have many hosts accept deliveries and never answer, and see how long another's deliveries take meanwhile."""
    run.say("receivers that never answer")
    with ExitStack() as stack:
        quick = stack.enter_context(Quick())
        threading.Thread(target=quick.serve_forever, daemon=True).start()
        stack.callback(quick.shutdown)
        slow = [stack.enter_context(closing(_silent(f"127.0.2.{n + 1}"))) for n in range(SLOW_RECEIVERS)]
        server = stack.enter_context(Server(run.new_folder("webhooks"), webhook_allow_private="true"))
        server.start()
        quiet_ms = _deliveries(server, quick, for_s)
        with Api(server.port, source=ABUSER) as api:
            for number in range(SLOW_DELIVERIES):
                host, port = slow[number % len(slow)].getsockname()
                body = {"task": f"What is {number} times 3?", "callbackUrl": f"http://{host}:{port}/{number}"}
                status, answer = api.execute(body, wait_s=20 if number == SLOW_DELIVERIES - 1 else None)
                if status != 200:
                    raise ChaosError(f"a task with a slow receiver was answered with {status} {answer}")
        beside_ms = _deliveries(server, quick, for_s)
        ready = server.is_ready()
        server.stop()
    allowed = TIMES * percentile(quiet_ms, 99) + MORE_MS
    value = percentile(beside_ms, 99)
    note = f"{SLOW_RECEIVERS} hosts, {SLOW_DELIVERIES} deliveries; {len(beside_ms)} others beside them"
    return [
        amount("quiet, webhook, p99", percentile(quiet_ms, 99), "ms", "end of a task to the receiver"),
        Figure(
            name="webhook, p99 beside receivers that never answer", value=value, unit="ms", at_most=allowed, note=note
        ),
        holds("ready beside receivers that never answer", ready, "/health/ready is 200"),
    ]


def _silent(host: str) -> socket.socket:
    """Return a socket that accepts, as far as the system does it, and never answers."""
    listening = socket.socket()
    listening.bind((host, 0))
    listening.listen(512)
    return listening


def _deliveries(server: Server, quick: Quick, for_s: float) -> list[float]:
    """Have tasks told of, one after the other; return the milliseconds from the answer to the receiver."""
    took_ms: list[float] = []
    until_s = time.monotonic() + for_s
    with Api(server.port, source="127.0.0.7") as api:
        number = 0
        while time.monotonic() < until_s or len(took_ms) < 2:
            number += 1
            status, answer = api.execute({"task": f"What is {number} times 7?", "callbackUrl": quick.url}, wait_s=20)
            if status != 200 or answer["status"] != "completed":
                raise ChaosError(f"a task with a quick receiver was answered with {status} {answer}")
            answered_s, task_id = time.monotonic(), str(answer["taskId"])
            heard = quick.told(task_id, answered_s + PATIENCE_S)
            took_ms.append(max(heard - answered_s, 0.0) * 1000)
            if heard >= answered_s + PATIENCE_S:
                took_ms.append(took_ms[-1])
                break
    return took_ms
