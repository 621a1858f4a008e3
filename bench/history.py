"""A page of results in a long history against one in a short history, the store's call and the whole request; and a task written.

Short and long are asked in turns. Every sample of a deep page, a session or a cursor goes to another place of the
history, so that no page of the database stays warm for the sake of the measurement.
"""

import json
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

from bench import server
from bench.figures import BenchError, Figure, Run
from bench.logging_results import ResultLogging
from bench.long_history import History, make_history
from callboard import Settings
from callboard.cursors import encode_cursor
from callboard.messages.tasks import ListTasks, Status
from callboard.persistence.store import SqlStore

SHORT = 1_000
LIMIT = 10
AT_MOST = 1.1

Query = Callable[[History, random.Random], ListTasks]
QUERIES: dict[str, Query] = {
    "newest page": lambda _history, _random: ListTasks(limit=LIMIT),
    "deep page by cursor": lambda history, rng: ListTasks(limit=LIMIT, cursor=encode_cursor(history.any_id(rng))),
    "page of a session": lambda history, rng: ListTasks(limit=LIMIT, session_id=history.any_session(rng)),
    "page of a status": lambda history, rng: ListTasks(
        limit=LIMIT, status=Status.FAILED, cursor=encode_cursor(history.any_id(rng, newest_half=True))
    ),
}


def measure(run: Run) -> list[Figure]:
    size, samples = (100_000, 150) if run.quick else (1_000_000, 400)
    short, long = (make_history(run.new_folder("history"), tasks) for tasks in (SHORT, size))
    run.say(f"made a history of {size:,} tasks in {long.made_in_s:.0f} s ({long.size_mb:.0f} MB)")
    in_store = _in_store(short, long, samples)
    over_http, ready_s = _over_http(short, long, samples)
    figures = []
    for name in QUERIES:
        figures += [
            _ratio(f"{name}, store", in_store[name], size),
            _ratio(f"{name}, over HTTP", over_http[name], size),
        ]
    written = _ratio("a task written, processor time", _written(short, long, samples), size)
    note = f"{long.size_mb:.0f} MB of SQLite"
    return [*figures, written, Figure(name=f"serve is ready with {size:,} tasks", value=ready_s, unit="s", note=note)]


def _ratio(name: str, took: tuple[list[float], list[float]], size: int) -> Figure:
    short_ms, long_ms = (statistics.median(times) for times in took)
    return Figure(
        name=name,
        value=long_ms / short_ms,
        unit="ratio",
        at_most=AT_MOST,
        note=f"{size:,} tasks {long_ms:.2f} ms, {SHORT:,} tasks {short_ms:.2f} ms",
    )


def _written(short: History, long: History, samples: int) -> tuple[list[float], list[float]]:
    """Have tasks accepted, started and ended in both in turns; return the processor time of each in milliseconds.

    Not the time: most of that is the disk's. Each of a task's three records is a batch of its own.
    """
    took: tuple[list[float], list[float]] = ([], [])
    one, other = (ResultLogging(Settings(data_dir=history.folder)) for history in (short, long))
    with one, other:
        for number in range(samples + 20):
            for logging, times in zip((one, other), took, strict=True):
                started = time.process_time()
                logging.log_result(logging.running_task())
                if number >= 20:  # warm
                    times.append((time.process_time() - started) * 1000)
    return took


def _in_turns(
    ask: Callable[[History, ListTasks], None], short: History, long: History, samples: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Time every query on both histories in turns; return milliseconds of short and long by the query's name."""
    rng = random.Random(7)
    took: dict[str, tuple[list[float], list[float]]] = {}
    for name, query in QUERIES.items():
        took[name] = ([], [])
        for number in range(samples + 20):
            for history, times in zip((short, long), took[name], strict=True):
                wish = query(history, rng)
                times.append(history.timed(partial(ask, history, wish)))
            if number < 20:  # warm up
                took[name][0].clear()
                took[name][1].clear()
    return took


def _in_store(short: History, long: History, samples: int) -> dict[str, tuple[list[float], list[float]]]:
    stores = {history.folder: SqlStore.open(Settings(data_dir=history.folder)) for history in (short, long)}

    def ask(history: History, wish: ListTasks) -> None:
        _full(len(stores[history.folder].reader.tasks(wish).tasks), wish)

    try:
        return _in_turns(ask, short, long, samples)
    finally:
        for store in stores.values():
            store.close()


def _over_http(short: History, long: History, samples: int) -> tuple[dict[str, tuple[list[float], list[float]]], float]:
    with server.callboard(short.folder) as one, server.callboard(long.folder) as other:
        connections = {short.folder: one.connect(), long.folder: other.connect()}

        def ask(history: History, wish: ListTasks) -> None:
            connection = connections[history.folder]
            connection.request("GET", _address(wish))
            reply = connection.getresponse()
            body = json.loads(reply.read())
            if reply.status != 200:
                raise BenchError(f"GET {_address(wish)} answered {reply.status} {body}")
            _full(body["count"], wish)

        took = _in_turns(ask, short, long, samples)
        for connection in connections.values():
            connection.close()
    return took, other.ready_s


def _address(wish: ListTasks) -> str:
    asked = {"limit": wish.limit, "sessionId": wish.session_id, "status": wish.status, "cursor": wish.cursor}
    return "/agent/results?" + urlencode({name: value for name, value in asked.items() if value is not None})


def _full(found: int, wish: ListTasks) -> None:
    if found != wish.limit:
        raise BenchError(f"a page of {wish.limit} tasks was asked for, {found} came: {wish}")
