"""What is seen of a task that a process works on is what is seen of one in a thread."""

import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from callboard import AgentSystem, CancelTask, Status, Topic
from tests.callboard.harness import Gates, code, submit

BROKEN = '''
from callboard import skill


@skill(replay="safe")
def broken() -> str:
    """Fail."""
    raise ValueError("it is broken")
'''


def test_what_was_printed_before_a_call_is_the_output_of_a_task_cancelled_in_it(
    start_system: Callable[..., AgentSystem], tmp_path: Path
) -> None:
    gates = Gates(tmp_path / "gates")
    system = start_system(worker_processes=1, skills_dir=gates.skills)
    task_id = submit(system, code("from skills import deaf\nprint('so far')\ndeaf('g')"))
    next(event for event in system.events(task_id) if event.topic is Topic.SKILL_STARTED)  # told with what was printed
    gates.wait_entered("g")
    record = system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    assert (record.status, record.output) == (Status.CANCELLED, "so far\n")
    assert record.metadata["skillCalls"] == 1
    topics = [event.topic for event in system.events(task_id)]
    assert topics[-2:] == [Topic.SKILL_STARTED, Topic.TASK_CANCELLED]  # a call that listens may tell its end in between
    gates.open("g")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_sandbox_has_nothing_of_what_a_worker_was_given(
    start_system: Callable[..., AgentSystem], tmp_path: Path
) -> None:
    system = start_system(worker_processes=1)
    assert system.execute("6*7").output == 42
    (worker,) = system._workforce.described()
    sandboxes = psutil.Process(worker["pid"]).children(recursive=True)
    assert sandboxes
    for one in (psutil.Process(worker["pid"]), *sandboxes):
        held = {str(path.readlink()) for path in Path(f"/proc/{one.pid}/fd").iterdir()}
        is_worker = one.pid == worker["pid"]
        assert any(name.endswith("/workers.lock") for name in held) is is_worker
        assert any("callboard-calls" in name for name in held) is is_worker


def test_a_call_that_failed_is_told_in_the_log(start_system: Callable[..., AgentSystem], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    system = start_system(worker_processes=1, skills_dir=tmp_path)
    record = system.execute(code("from skills import broken\nbroken()"))
    assert (record.status, record.error_code) == (Status.FAILED, "skill_failed")
    (told,) = [event for event in system.events(record.task_id) if event.topic is Topic.SKILL_COMPLETED]
    assert (told.data["ok"], "result" in told.data) == (False, False)
