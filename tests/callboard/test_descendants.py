"""The processes that come from one are found by their ids, ended with it, and waited for where nobody else would be."""

import subprocess
import sys

COMMON = """
import os, subprocess, threading, time
from callboard.descendants import Descendants

def wait_for(true):
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)

def state(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
    except OSError:
        return ""

def orphan(seconds):
    told = subprocess.run(["sh", "-c", f"setsid sleep {seconds} >/dev/null & echo $!"], stdout=-1, env={"PATH": os.environ["PATH"]})
    return int(told.stdout)
"""


def run(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_has_come_from_a_process_is_ended_and_what_was_there_before_is_not() -> None:
    run("""
before = subprocess.Popen(["sleep", "1000"])
ours = Descendants()
session = subprocess.Popen(["sleep", "1000"], start_new_session=True)
stopped = subprocess.Popen(["sleep", "1000"])
stopped.send_signal(19)
deaf = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 1000 & wait; sleep 1000"])
left = orphan(1000)
wait_for(lambda: state(left) == "S" and state(stopped.pid) == "T")
spared = subprocess.Popen(["sleep", "1000"])
ours.spare(spared.pid)
assert ours.end(0.4) >= 4
wait_for(lambda: [state(pid) for pid in (session.pid, stopped.pid, deaf.pid, left)] == [""] * 4)
assert ours.end(0.1) == 0
assert before.poll() is None and spared.poll() is None
before.kill(); spared.kill(); before.wait(); spared.wait()
""")


def test_an_adopted_process_that_has_ended_is_waited_for_and_a_thread_s_own_child_is_not() -> None:
    run("""
ours = Descendants()
made, done = [], threading.Event()

def work():
    made.append(subprocess.Popen(["sh", "-c", "exit 7"]))
    done.wait()
    assert made[0].wait() == 7, "how a program ended is for whoever has started it"
    made.append(None)

worker = threading.Thread(target=work)
worker.start()
left = [orphan(1000) for _ in range(3)]
for pid in left:  # now that the shells are gone, which might have waited for what ended before them
    os.kill(pid, 9)
wait_for(lambda: made and state(made[0].pid) == "Z" and all(state(pid) == "Z" for pid in left))
for _ in range(2):
    ours._looked_s = 0
    ours.reap()
assert [state(pid) for pid in left] == ["", "", ""]
assert state(made[0].pid) == "Z"
done.set()
worker.join()
assert made[1:] == [None]
""")


def test_the_watch_of_a_server_that_has_ended_already_means_nobody_else() -> None:
    """What adopts it is everybody's parent: this process stands for that."""
    run("""
import ctypes, signal, sys
from callboard import descendants
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
bystander = subprocess.Popen(["sleep", "1000"])
reading, writing = os.pipe()
os.write(writing, bytes([signal.SIGTERM, signal.SIGINT, signal.SIGTERM]))
gone = subprocess.Popen(["true"])
gone.wait()
for parent in (gone.pid, 1):
    watch = subprocess.Popen([sys.executable, "-I", "-S", descendants.__file__, str(parent), "0.01"], stdin=reading)
    assert watch.wait(10) == 0, "it is not its server's child"
assert bystander.poll() is None
bystander.kill(); bystander.wait()
""")
