"""Ctrl-C, and a supervisor that signals every process of a service: all of the server's processes get the signal."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
import pytest

from callboard.client import Client
from chaos.server import Server
from tests.callboard.harness import code

pytestmark = pytest.mark.slow

SHORT = code("n = 0\nfor i in range(1_000_000):\n    n += 1\nn")
LONG = code("while True:\n    pass")


class _InItsOwnGroup(Server):
    def _spawn(self, log: IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self._command, cwd=self.folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
        )

    def signal_all(self, number: int) -> int:
        """Signal the group, wait for the server's end and see that none of its processes is left."""
        assert self.popen is not None
        children = psutil.Process(self.pid).children(recursive=True)
        assert children
        os.killpg(self.pid, number)
        status = self.popen.wait(30)
        assert not psutil.wait_procs(children, timeout=5)[1]
        return status


@pytest.fixture
def server(tmp_path: Path) -> Iterator[_InItsOwnGroup]:
    server = _InItsOwnGroup(tmp_path, drain_s=3, workers=2, sandbox_time_s=60)
    with server:
        server.start()
        yield server


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_lets_running_tasks_finish_or_hands_them_back(
    server: _InItsOwnGroup, number: signal.Signals
) -> None:
    url = f"http://127.0.0.1:{server.port}"
    with Client(url) as client:
        ids = [client.submit(task).task_id for task in (SHORT, LONG)]
        for task_id in ids:
            _wait_for(url, task_id, "agent.step.started")
    assert server.signal_all(number) == 0
    server.start()
    with Client(url) as client:
        assert client.result(ids[0]).status == "completed"
        assert "sandbox_crashed" not in str(_handed_back(url, ids[1]))
        client.cancel(ids[1])


def test_a_process_that_is_killed_while_the_server_drains_costs_its_task_no_attempt(server: _InItsOwnGroup) -> None:
    url = f"http://127.0.0.1:{server.port}"
    with Client(url) as client:
        task_id = client.submit(LONG).task_id
        _wait_for(url, task_id, "agent.step.started")
        children = psutil.Process(server.pid).children(recursive=True)
        os.kill(server.pid, signal.SIGTERM)
        _wait_until_draining(url)
        for child in children:
            child.kill()
    assert server.popen is not None
    assert server.popen.wait(30) == 0
    server.start()
    with Client(url) as client:
        _handed_back(url, task_id, reasons=("drain", "worker"))  # the worker is one of them
        client.cancel(task_id)


def _wait_until_draining(url: str) -> None:
    while httpx.post(f"{url}/agent/execute", json={"task": "1 + 1"}, timeout=20).status_code == 200:
        pass


def _handed_back(url: str, task_id: str, reasons: tuple[str, ...] = ("drain",)) -> list[dict[str, Any]]:
    """See that a task goes on, after one way back to the queue that was nobody's fault; return its log."""
    _wait_for(url, task_id, "agent.step.started", times=2)
    events: list[dict[str, Any]] = httpx.get(f"{url}/agent/tasks/{task_id}/events").json()["events"]
    requeued = [event["data"] for event in events if event["topic"] == "agent.task.requeued"]
    assert len(requeued) == 1
    assert requeued[0]["reason"] in reasons
    return events


def _wait_for(url: str, task_id: str, topic: str, times: int = 1) -> None:
    seen = after = 0
    while seen < times:
        page = httpx.get(f"{url}/agent/tasks/{task_id}/events", params={"after": after, "wait": 10}, timeout=20).json()
        assert page["events"], f"no {topic} of {task_id}"
        seen += sum(event["topic"] == topic for event in page["events"])
        after = page["events"][-1]["seq"]
