"""How often a thread is woken, and a process asked, from a request to its answer: who wakes whom, by name.

A wake is counted where a thread waited (at an inbox, for a reply, on a condition, in the loop's poll) when another one ended its
wait; what finds its message there already was not woken. Requests come one after another, and each is followed to the end of what it
sets going. What the sandbox and the type checker are asked, each a way to another process and back, is counted in turns of its
own, with a profiler that would change who waits. Counts and not times, so that they say the same on a busy machine, but for a
race here and there: the figure is the median.

`python -m bench.hops FOLDER` counts and prints JSON; the suite runs it as a process of its own, since it changes the library's classes.
"""

import contextlib
import http.client
import json
import queue
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure, Run

REQUESTS = 60
QUIET_S = 0.08
"""How long nothing may have happened until a request is over: `put_soon` lets things wait for 20 ms."""

STARTED = "a thread that begins"
ACCEPT, RUN = "accept", "run to result"
Wake = tuple[str, str]


def measure(run: Run) -> list[Figure]:
    command = [sys.executable, "-m", "bench.hops", str(run.new_folder("hops"))]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    found = json.loads(done.stdout.splitlines()[-1])
    figures = []
    for kind in (ACCEPT, RUN):
        counted = found[kind]
        run.say(f"{kind}, all wakes: {', '.join(counted['wakes'])}")
        way = " → ".join(counted["way"])
        figures.append(
            Figure(name=f"{kind}: wakes on the way to the answer", value=len(counted["way"]) - 1, unit="", note=way)
        )
        note = f"{counted['range'][0]} to {counted['range'][1]} in nine of ten of {REQUESTS} requests"
        figures.append(Figure(name=f"{kind}: wakes in all", value=len(counted["wakes"]), unit="", note=note))
    asked = found["asked"]
    figures.append(Figure(name=f"{RUN}: round trips to processes", value=len(asked), unit="", note=", ".join(asked)))
    return figures


class Wakes:
    """Who woke whom, in order. Any thread: an append is atomic."""

    def __init__(self) -> None:
        self.seen: list[Wake] = []
        self.last_s = 0.0

    def note(self, waker: str) -> None:
        self.seen.append((waker, me()))
        self.last_s = time.monotonic()

    def take(self) -> list[Wake]:
        """Return what was seen, once nothing has been for a while."""
        while time.monotonic() - self.last_s < QUIET_S:
            time.sleep(QUIET_S / 4)
        seen, self.seen = self.seen, []
        return seen


def me() -> str:
    """Return this thread's name without its number."""
    thread = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]  # current_thread() would make one up
    return re.sub(r"[-_ (]*\d.*$", "", thread.name) if thread else STARTED


def watch(wakes: Wakes) -> None:
    """Have everything that a thread waits at say who ended the wait; before anything of ours is made."""
    plain = queue.SimpleQueue

    class Watched(plain):  # type: ignore[misc, valid-type]  # a class that is looked up
        def put(self, item: Any, *_: Any) -> None:
            super().put((me(), item))

        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            with contextlib.suppress(queue.Empty):
                return super().get_nowait()[1]
            waker, item = super().get(block, timeout)
            wakes.note(waker)
            return item

        def get_nowait(self) -> Any:
            return super().get_nowait()[1]

    queue.SimpleQueue = Watched  # type: ignore[misc]
    wait, notify = threading.Condition.wait, threading.Condition.notify

    def waited(self: Any, timeout: float | None = None) -> bool:
        ended = wait(self, timeout)
        if ended:
            wakes.note(self.__dict__.get("_waker", STARTED))
        return ended

    def notified(self: Any, n: int = 1) -> None:
        self._waker = me()
        notify(self, n)

    threading.Condition.wait = waited  # type: ignore[method-assign]
    threading.Condition.notify = notified  # type: ignore[method-assign]

    from waitress.trigger import trigger  # type: ignore[import-untyped]

    from callboard.actors.mailbox import Reply

    wakers: dict[int, str] = {}
    announce, pull, get = Reply._announce, trigger.pull_trigger, Reply.get

    def announced(self: Any) -> None:
        wakers[id(self)] = me()
        announce(self)

    def got(self: Any, *, timeout_s: float) -> Any:
        waits = self._arrived.locked()
        try:
            return get(self, timeout_s=timeout_s)
        finally:
            waker = wakers.pop(id(self), STARTED)
            if waits:
                wakes.note(waker)

    def pulled(self: Any, thunk: Any = None) -> None:
        wakes.seen.append((me(), "loop"))
        pull(self, thunk)

    Reply._announce, Reply.get, trigger.pull_trigger = announced, got, pulled  # type: ignore[method-assign]


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[Any, http.client.HTTPConnection]]:
    """Run a server in this process, with nothing that comes by itself, and give a connection to it."""
    from callboard import AgentSystem, Settings
    from callboard.http.server import Server

    settings = Settings(
        data_dir=folder, port=0, health_interval_s=300, log_level="error", rate_limit_max_requests=10**6
    )
    with AgentSystem.start(settings) as system:
        server = Server(system)
        loop = threading.Thread(target=server.run, name="loop")
        loop.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        yield system, connection
        connection.close()
        server.close()
        loop.join()


def post(connection: http.client.HTTPConnection, task: str, *, wait: bool, **fields: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", **({"Prefer": "wait=30"} if wait else {})}
    connection.request("POST", "/agent/execute", json.dumps({"task": task, **fields}), headers)
    body: dict[str, Any] = json.loads(connection.getresponse().read())
    return body


def count_wakes(folder: Path) -> dict[str, Any]:
    """Count wakes of accepting a task whose session is busy, so that nothing of its run is among them, and of running one."""
    wakes, found = Wakes(), {}
    watch(wakes)
    with served(folder) as (system, connection):
        from callboard import CancelTask

        for number in range(20):
            post(connection, f"What is {number} times 7?", wait=True)
        busy = post(connection, "```python\nwhile True: pass\n```", wait=False, sessionId="busy")["taskId"]
        for kind in (ACCEPT, RUN):
            turns = []
            for number in range(REQUESTS):
                wakes.take()
                task = f"What is {number} times 7?"
                post(connection, task, wait=kind == RUN, **({"sessionId": "busy"} if kind == ACCEPT else {}))
                turns.append(wakes.take())
            counts = sorted(len(turn) for turn in turns)
            middle = statistics.median_low(counts)
            usual = Counter(tuple(turn) for turn in turns if len(turn) == middle).most_common(1)[0][0]
            found[kind] = {
                "wakes": [f"{waker} → {woken}" for waker, woken in usual],
                "range": [counts[REQUESTS // 20], counts[-1 - REQUESTS // 20]],
                "way": way_to_the_answer(usual),
            }
        system.gateway.ask(CancelTask(task_id=busy), timeout_s=10)
    return found


def way_to_the_answer(wakes: Sequence[Wake]) -> list[str]:
    """Return the threads that woke one another from the loop, which read the request, to the loop, which sends the answer.

    A thread that another one starts and waits for, as the limiter's for its timer, is none of them.
    """
    last = max(number for number, (_, woken) in enumerate(wakes) if woken == "loop")
    way = [wakes[last][1]]
    for waker, woken in reversed(wakes[: last + 1]):
        if woken == way[0] and waker != STARTED:
            way.insert(0, waker)
    return way


def count_asked(folder: Path) -> list[str]:
    """Return what Monty's processes are asked in the course of one task, by its methods' names."""
    import pydantic_monty

    asked: list[str] = []
    names = ("MontySession", "FunctionSnapshot", "NameLookupSnapshot", "FutureSnapshot")
    at_work = [getattr(pydantic_monty, name) for name in names]

    def noticed(_frame: Any, event: str, called: Any) -> None:
        if event == "c_call" and type(getattr(called, "__self__", None)) in at_work:
            asked.append(called.__name__)

    threading.setprofile(noticed)
    with served(folder) as (_, connection):
        for number in range(20):
            post(connection, f"What is {number} times 7?", wait=True)
        asked.clear()
        post(connection, "What is 12 times 7?", wait=True)
        time.sleep(QUIET_S)
    threading.setprofile(None)
    return asked


def main(folder: Path) -> None:
    asked = count_asked(folder / "asked")
    print(json.dumps({**count_wakes(folder / "wakes"), "asked": asked}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
