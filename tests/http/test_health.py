"""The report's suite for health: the system's status, its services, its metrics."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from callboard import workforce
from callboard.http.door import PUBLIC
from callboard.messages.health import HealthReport, Totals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.http.conftest import Running

PATHS = ["/health", "/health/live", "/health/ready"]


def test_health_has_the_reports_body(shared: Running) -> None:
    assert shared.system.wait_until_probed(20)
    reply = shared.client.get("/health")
    body = reply.json()
    assert reply.status_code == 200
    assert body["status"] == "healthy", body["problems"]
    assert {"status", "version", "uptime", "timestamp", "services", "metrics"} <= body.keys()
    assert {"api", "agent", "sandbox", "llm"} <= body["services"].keys()
    assert set(body["services"].values()) == {True}
    assert {"totalTasks", "successfulTasks", "failedTasks", "averageExecutionTime"} <= body["metrics"].keys()


def test_uptime_goes_on(shared: Running) -> None:
    first = shared.client.get("/health").json()["uptime"]
    shared.result("What is 1 + 1?")
    assert 0 < first <= shared.client.get("/health").json()["uptime"]


def test_metrics_count_what_became_of_the_tasks(start_server: Callable[..., Running]) -> None:
    running = start_server(health_interval_s=0.05)
    running.result("What is 6 times 7?")
    assert running.result("Please paint the fence.")["status"] == "failed"
    metrics: dict[str, Any] = {}
    while metrics.get("failedTasks") != 1:  # the monitor's next report has them
        metrics = running.client.get("/health").json()["metrics"]
    assert metrics["successfulTasks"] == 1
    assert metrics["totalTasks"] == 2
    assert metrics["averageExecutionTime"] > 0


@pytest.mark.parametrize(("status", "expected"), [("healthy", 200), ("degraded", 200), ("unhealthy", 503)])
def test_the_status_code_follows_the_report(
    shared: Running, monkeypatch: pytest.MonkeyPatch, status: str, expected: int
) -> None:
    report = HealthReport(
        status=status, services={"api": True}, totals=Totals(), problems=("why",), at=shared.system.clock.now()
    )
    monkeypatch.setattr(shared.system, "health", lambda **_: report)
    reply = shared.client.get("/health")
    assert (reply.status_code, reply.json()["status"], reply.json()["problems"]) == (expected, status, ["why"])
    assert shared.client.get("/health/ready").status_code == expected
    assert shared.client.get("/health/live").status_code == 200


def test_a_draining_server_is_live_and_not_ready(shared: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared.system, "draining", True)
    reply = shared.client.get("/health/ready")
    assert (reply.status_code, reply.json()) == (503, {"status": "draining"})
    assert shared.client.get("/health/live").status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_health_is_neither_keyed_nor_limited(start_server: Callable[..., Running], path: str) -> None:
    running = start_server(api_key=("k",), rate_limit_max_requests=1)
    assert running.system.wait_until_probed(20)
    replies = [running.client.get(path) for _ in range(4)]
    assert {reply.status_code for reply in replies} == {200}
    assert not any("x-ratelimit-limit" in reply.headers for reply in replies)


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_like_get_without_the_body(shared: Running, path: str) -> None:
    reply = shared.client.head(path)
    assert (reply.status_code, reply.content) == (200, b"")
    assert int(reply.headers["content-length"]) > 0


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_a_public_path_ignores_what_load_balancers_add_to_it(shared: Running, path: str) -> None:
    plain, added = shared.client.get(path), shared.client.get(f"{path}?probe=7&probe=8&x=%ff")
    assert added.status_code == plain.status_code < 400


def test_worker_processes_are_shown_and_the_dead_counted(start_server: Callable[..., Running], tmp_path: Path) -> None:
    running = start_server(worker_processes=1, max_crashes=1, skills_dir=_deadly(tmp_path))
    assert running.system.wait_until_probed(30)
    body = running.client.get("/health").json()
    (worker,) = body["workers"]
    assert (body["status"], worker["ready"], worker["tasks"], body["workerDeaths"]) == ("healthy", True, 0, 0)
    assert psutil.Process(worker["pid"]).ppid() == os.getpid()
    assert running.result("```python\nfrom skills import leave\nleave()\n```")["status"] == "failed"
    body = running.client.get("/health").json()
    assert body["workerDeaths"] == 1
    assert worker["pid"] not in [one["pid"] for one in body["workers"]]
    assert running.client.get("/agent/statistics").json()["workerDeaths"] == 1


def test_a_server_none_of_whose_processes_gets_ready_is_not_ready_until_one_is(
    start_server: Callable[..., Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workforce, "_READY_S", 0.5)  # the start waits no longer, and it is how long one may be gone
    gate = tmp_path / "gate"
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills" / "gated.py").write_text(
        "import os, sys\nfrom pathlib import Path\n"
        f'if "callboard.workers.child" in sys.modules and not Path({str(gate)!r}).exists():\n    os._exit(7)\n'
    )
    running = start_server(worker_processes=1, skills_dir=tmp_path / "skills")
    reply = running.client.get("/health/ready")
    assert (reply.status_code, reply.json(), reply.headers["retry-after"]) == (503, {"status": "no_worker"}, "5")
    whole = running.client.get("/health").json()
    assert whole["status"] == "degraded"
    assert any(one.startswith("No worker's process has become ready") for one in whole["problems"])
    gate.touch()
    _wait_for(lambda: running.client.get("/health/ready").json() == {"status": "ready"})
    assert running.result("What is 6 times 7?")["output"] == 42
    gate.unlink()
    (worker,) = running.client.get("/health").json()["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    _wait_for(lambda: running.client.get("/health/ready").json() == {"status": "no_worker"})
    gate.touch()
    _wait_for(lambda: running.client.get("/health/ready").status_code == 200)


def _wait_for(met: Callable[[], bool], within_s: float = 60.0) -> None:
    until_s = time.monotonic() + within_s
    while not met():
        assert time.monotonic() < until_s
        threading.Event().wait(0.02)


def test_threads_are_no_worker_processes(start_server: Callable[..., Running]) -> None:
    body = start_server(worker_processes=0).client.get("/health").json()
    assert (body["workers"], body["workerDeaths"]) == ([], 0)


def _deadly(folder: Path) -> Path:
    (folder / "leave.py").write_text(
        "import os\nfrom callboard import skill\n\n\n"
        '@skill(replay="safe")\ndef leave() -> str:\n    """Leave."""\n    os._exit(3)\n'
    )
    return folder
