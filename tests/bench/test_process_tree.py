"""A server's account holds all its processes, those that have ended too."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from bench import process_tree

ECHO = "import sys\nfor line in sys.stdin: print(line.strip(), flush=True)\n"
WORKS = "import time\nwhile time.process_time() < 0.3: pass"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of threads' switches and of shared pages")


@contextmanager
def child(program: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a program that ends with its standard input."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def ask(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def wait_until_it_waits(pid: int) -> None:
    deadline = time.monotonic() + 60
    while psutil.Process(pid).status() != psutil.STATUS_SLEEPING:
        assert time.monotonic() < deadline, f"process {pid} does not come to wait"


def test_what_a_process_below_has_used_counts_while_it_runs_and_after_it_has_ended() -> None:
    program = f"""
import subprocess, sys
below = subprocess.Popen([sys.executable, "-c", {WORKS + chr(10) + "print('worked', flush=True)" + chr(10) + "input()"!r}],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
input(), below.stdout.readline(), print("it runs", flush=True)
input(), below.communicate("end"), print("it has ended", flush=True)
input()
"""
    with child(program) as process:
        assert ask(process, "go on") == "it runs"
        running = process_tree.usage([process.pid])
        assert len(process_tree.members([process.pid])) == 2
        assert ask(process, "go on") == "it has ended"
        ended = process_tree.usage([process.pid])
        assert len(process_tree.members([process.pid])) == 1
    assert 0.25 <= running.cpu_s <= ended.cpu_s + 1e-6  # both are sums of hundredths


@LINUX
def test_a_thread_that_waits_for_each_line_switches_once_a_line_at_least() -> None:
    with child(ECHO) as process:
        ask(process, "started")
        before = process_tree.usage([process.pid])
        for number in range(50):
            wait_until_it_waits(process.pid)  # it may find the next line before it has gone to sleep
            assert ask(process, str(number)) == str(number)
        switches = process_tree.usage([process.pid]).switches_since(before)
    assert 50 <= switches <= 500


@LINUX
def test_memory_that_several_processes_share_is_divided_among_them() -> None:
    with child(ECHO) as one, child(ECHO) as other:
        ask(one, "started")
        ask(other, "started")
        processes = process_tree.members([one.pid, other.pid])
        private, shared = process_tree.private_mb(processes), process_tree.proportional_mb(processes)
        assert 0 < private < shared < process_tree.resident_mb(processes)


def test_a_process_that_has_ended_is_no_member() -> None:
    with child(ECHO) as process:
        ask(process, "started")
    assert process_tree.members([process.pid]) == []
    assert process_tree.usage([process.pid]).cpu_s == 0
