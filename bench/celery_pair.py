"""FastAPI with Celery on Redis, in processes of its own: what many would build in Callboard's place, with a task that does nothing.

Redis keeps an append-only file that is synced each second, so an accepted task outlives a restart, as Callboard's do; two worker
processes, one of uvicorn, on its faster loop and parser; all else as it comes. Needs the extra `bench` and a `redis-server`.
"""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec

from bench import server
from bench.client import request
from bench.figures import BenchError, Run
from bench.laps import ALL_END_WITHIN_S, WAIT, Target
from bench.load import ROOT

NAME = "FastAPI + Celery"
PACKAGES = ("celery", "fastapi", "httptools", "redis", "uvicorn", "uvloop")
WORKERS = 2
QUEUED, TAKEN = "celery", "unacked"
"""Where Celery keeps tasks that no worker has taken, and those that one has taken and not begun."""

_STILL = 5
"""How often in a row nothing new may have ended until all is: what workers have begun stands nowhere."""


def why_not() -> str:
    """Return why it can't be measured here, nothing if it can."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        return f"{', '.join(missing)} of the extra `bench` not installed (bench/README.md)"
    return "" if shutil.which("redis-server") else "there is no redis-server"


@contextlib.contextmanager
def celery(run: Run) -> Iterator[Target]:
    """Give the pair, warm."""
    port = server.free_port()
    env = {**os.environ, "BENCH_REDIS": f"redis://127.0.0.1:{port}", "PYTHONPATH": str(ROOT)}
    own = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
    worker = ["celery", "--app", "bench.celery_app:tasks", "worker", "--concurrency", str(WORKERS)]
    http = server.free_port()
    front = ["uvicorn", "bench.celery_app:app", "--host", "127.0.0.1", "--port", str(http), "--workers", "1"]
    ask = request(0, WAIT)
    folders = {name: run.new_folder(name) for name in ("redis", "celery", "uvicorn")}
    with (
        server.running(
            ["redis-server", "--port", str(port), *own],
            folders["redis"],
            port=port,
            ask=b"PING\r\n",
            answer=b"+PONG\r\n",
        ) as redis,
        server.running([sys.executable, "-m", *worker], folders["celery"], port=0, ask=b"", env=env) as workers,
        server.running([sys.executable, "-m", *front], folders["uvicorn"], port=http, ask=ask, env=env) as uvicorn,
    ):
        pair = _target(port, uvicorn.port, pids=(uvicorn.pid, workers.pid), apart=(redis.pid,))
        pair.hammer(run, 1, WAIT, journaled=False)
        pair.work_off()
        yield pair


def _target(redis: int, port: int, *, pids: tuple[int, ...], apart: tuple[int, ...]) -> Target:
    from redis import Redis

    queues, results = Redis(port=redis, db=0), Redis(port=redis, db=1)

    def ended() -> int:
        return int(results.dbsize())

    def work_off() -> float:
        """Look every few milliseconds, which costs Redis next to nothing."""
        done, at, still = -1, time.time(), 0
        until = at + ALL_END_WITHIN_S
        while still < _STILL:
            if time.time() > until:
                raise BenchError(f"after {ALL_END_WITHIN_S} s Celery has not worked off its tasks.")
            time.sleep(0.01)
            now, live = ended(), queues.llen(QUEUED) + queues.hlen(TAKEN)
            if now != done:
                done, at, still = now, time.time(), 0
            elif not live:
                still += 1
        return at

    return Target(port=port, pids=pids, apart=apart, ended=ended, work_off=work_off)
