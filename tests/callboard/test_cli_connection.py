"""A server that goes away while it is followed: that is said, and that it is back, or that it was given up."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from callboard.cli import ask
from tests.callboard.conftest import Gate
from tests.callboard.in_process import in_process
from tests.callboard.terminal import Terminal, spawned
from tests.callboard.test_cli_events import free_port
from tests.callboard.unreliable import TASK, Unreliable, answer, end, event, result, streams
from tests.docs.serving import Served

ACCEPTED = answer(200, {**result(None), "message": "", "status": "pending"})
HEALTHY = answer(
    200,
    {
        "status": "healthy", "version": "0", "uptime": 1, "timestamp": "2026-01-08T12:00:00.123Z", "services": {}, "problems": [],
        "metrics": {
            "totalTasks": 0, "successfulTasks": 0, "failedTasks": 0, "averageExecutionTime": 0, "cancelledTasks": 0, "liveTasks": 0,
        },
    },
)  # fmt: skip


@pytest.mark.slow
def test_a_terminal_sees_that_the_connection_is_lost_and_back_and_then_the_end(
    serve: Callable[..., Served], tmp_path: Path, gate: Gate
) -> None:
    port = free_port()
    first = serve(port=port)
    with Terminal("run", gate.task, "--url", first.url, home=tmp_path) as terminal:
        terminal.read_until("wait_for_file(")
        first.kill()
        terminal.read_until(f"connection to {first.url} lost; trying again…")
        serve(port=port)
        terminal.read_until(f"connection to {first.url} is back after ")
        gate.open()
        assert terminal.end() == 0
    assert terminal.text.rstrip().splitlines()[-1] == "found"
    assert re.search(r"is back after (\d+ ms|\d+\.\d s|\d+ min)", terminal.text)
    assert terminal.text.count("lost; trying again") == 1


def test_a_pipe_gets_the_same_two_lines_on_standard_error(
    serve: Callable[..., Served], tmp_path: Path, gate: Gate
) -> None:
    port = free_port()
    first = serve(port=port)
    task_id = in_process("run", "--detach", gate.task, "--url", first.url, home=tmp_path).stdout.strip()
    with spawned("events", "--follow", task_id, "--url", first.url, home=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while "agent.skill.started" not in process.stdout.readline():
            pass
        first.kill()
        assert process.stderr.readline() == f"connection to {first.url} lost; trying again…\n"
        serve(port=port)
        assert process.stderr.readline().startswith(f"connection to {first.url} is back after ")
        gate.open()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "agent.task.completed" in out.splitlines()[-1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that try once more and not forty times."""
    monkeypatch.setattr(ask, "PATIENCE", 1)


def test_a_run_whose_server_stays_away_is_given_up_with_the_command_that_looks_again(
    impatient: None, unreliable: Callable[..., Unreliable], tmp_path: Path
) -> None:
    server: Unreliable = unreliable(HEALTHY, ACCEPTED, lambda _wire: server.down())
    done = in_process("run", "6*7", "--url", server.url, home=tmp_path)
    assert (done.returncode, done.stdout) == (69, "")
    lost, gone = done.stderr.splitlines()
    assert lost == f"connection to {server.url} lost; trying again…"
    assert gone.startswith(f"callboard: No server answers at {server.url}")
    assert gone.endswith(f"look again with `callboard events --follow {TASK} --url {server.url}`.")


def test_a_quiet_run_says_nothing_of_the_connection(
    impatient: None, unreliable: Callable[..., Unreliable], tmp_path: Path
) -> None:
    server = unreliable(HEALTHY, ACCEPTED, streams(event(1), ending="cut"), streams(event(2), end(42)), answer(200, {"result": result(42)}))  # fmt: skip
    done = in_process("run", "6*7", "--quiet", "--url", server.url, home=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


def test_a_feed_that_is_given_up_says_how_to_go_on_behind_its_last_event(
    impatient: None, unreliable: Callable[..., Unreliable], tmp_path: Path
) -> None:
    fed = event(1, cursor="17", sessionId="alice", position=17)
    server: Unreliable = unreliable(HEALTHY, streams(fed, ending="cut"), lambda _wire: server.down())
    words = ("events", "--follow", "--topic", "agent.step.*", "--session", "alice")
    done = in_process(*words, "--url", server.url, home=tmp_path)
    assert done.returncode == 69
    assert done.stdout.count("\n") == 1
    assert "--topic 'agent.step.*' --session alice --after 17" in done.stderr.splitlines()[-1]
