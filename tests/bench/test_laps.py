"""Loads of real servers: ours, and FastAPI with Celery where it is installed. What they say of tasks holds against the history."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import celery_pair, checks, growth, laps
from bench.figures import Run
from bench.load import ROOT


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(folder=tmp_path, quick=True, client="python", say=print)


@pytest.mark.slow
def test_a_lap_follows_tasks_to_their_end_and_none_is_sent_twice(run: Run, tmp_path: Path) -> None:
    with laps.callboard(run, "load", warm_s=0.3) as ours:
        accepted = laps.lap(run, ours, 0.3, "")
        many = laps.lap(run, ours, 0.3, laps.WAIT, connections=64)
    for one in (accepted, many):
        assert one.load.answered == one.load.sent == one.tasks
        assert one.worked_off_s > 0
        assert one.cpu_ms > 0
    assert many.ended_meanwhile == many.tasks >= 64
    assert accepted.through <= accepted.load.rate * 1.1  # an answer comes after the end that it tells of
    with checks.history(tmp_path / "load-0") as connection:
        tasks, distinct = connection.execute("SELECT count(*), count(DISTINCT task) FROM tasks").fetchone()
    assert tasks == distinct >= accepted.tasks + many.tasks


@pytest.mark.slow
@pytest.mark.skipif(bool(celery_pair.why_not()), reason=celery_pair.why_not())
def test_the_pair_with_celery_is_loaded_with_the_same_requests(run: Run) -> None:
    with celery_pair.celery(run) as pair:
        accepted = laps.lap(run, pair, 0.3, "")
        awaited = laps.lap(run, pair, 0.3, laps.WAIT)
    for one in (accepted, awaited):
        assert one.load.answered == one.tasks > 0
        assert min(one.worked_off_s, one.cpu_ms, one.apart_ms) > 0
    assert awaited.ended_meanwhile == awaited.tasks


def test_what_cannot_be_measured_here_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "redis-server" in celery_pair.why_not() or "extra `bench`" in celery_pair.why_not()
    assert "CALLBOARD_WORKER_PROCESSES" in growth.why_not(["workers"])
    assert growth.why_not(["workers", "worker_processes"]) == ""


def test_the_bench_loads_nothing_of_the_pair_before_it_is_measured() -> None:
    program = f"import bench.__main__, sys; print(sorted(set({celery_pair.PACKAGES!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
