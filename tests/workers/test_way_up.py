"""What runs of a worker's process tell, as it goes up; in a process of its own, since the thread that sends what may wait never ends."""

import subprocess
import sys
from datetime import UTC, datetime

from callboard.agent.job import Outcome
from callboard.messages.event_types import StepStarted
from callboard.workers.codec import HEAD, unpacked
from callboard.workers.protocol import Ended, Printed, Progressed, Run, Told

AT = datetime(2026, 1, 1, tzinfo=UTC)
ONE, OTHER = Run("one", 1), Run("other", 1)
STEPS = tuple(
    StepStarted(at=AT, step=step, agent="master", planner="offline", intent="x", code=None) for step in (1, 2, 3)
)

_BEGINS = """
import os, socket
from callboard.agent.job import Progress
from callboard.workers.pipe import Pipe, PrintedText
from tests.workers.test_way_up import *

theirs, ours = socket.socketpair()
pipe = Pipe(ours, lambda run: None)
for run in (ONE, OTHER):
    pipe.watch(run, Progress())
"""


def frames_of(told: str, number: int) -> list[list[object]]:
    """Return the messages of the first frames that go up when a process tells something."""
    reads = f"""
for _ in range({number}):
    head = theirs.recv({HEAD.size}, socket.MSG_WAITALL)
    os.write(1, head + theirs.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", _BEGINS + told + reads], capture_output=True, check=True, timeout=60)
    found, left = [], done.stdout
    while left:
        (size,) = HEAD.unpack_from(left)
        found.append(unpacked(left[HEAD.size : HEAD.size + size]))
        left = left[HEAD.size + size :]
    return found


def test_a_short_run_is_one_frame_with_its_events_in_one_piece_whatever_others_tell_meanwhile() -> None:
    told = """
for step in STEPS:
    pipe.tell(Told(ONE, (step,)))
    pipe.tell(Told(OTHER, (step,)))
for run in (ONE, OTHER):
    pipe.tell_now(Ended(run=run, outcome=Outcome(metadata={})))
"""
    ends = [Ended(run=run, outcome=Outcome(metadata={})) for run in (ONE, OTHER)]
    assert frames_of(told, 2) == [[Progressed(end.run, None, ()), Told(end.run, STEPS), end] for end in ends]


def test_what_a_run_tells_keeps_its_order_and_comes_although_nothing_of_it_must_go() -> None:
    told = """
pipe.tell(Told(ONE, STEPS[:1]))
pipe.tell(Printed(ONE, "between"))
pipe.tell(Told(ONE, STEPS[1:2]))
pipe.tell(Told(ONE, STEPS[2:]))
"""
    (frame,) = frames_of(told, 1)
    assert frame[1:] == [Told(ONE, STEPS[:1]), Printed(ONE, "between"), Told(ONE, STEPS[1:])]


def test_a_run_that_has_printed_nothing_is_one_frame_though_it_begins_by_forgetting_that_and_calls_a_skill() -> None:
    told = """
printed = PrintedText(ONE, pipe)
printed.clear()
pipe.tell(Told(ONE, STEPS))
pipe.tell_printed(ONE)
printed.append("x")
printed.clear()
pipe.tell_now(Ended(run=ONE, outcome=Outcome(metadata={})))
"""
    end = Ended(run=ONE, outcome=Outcome(metadata={}))
    assert frames_of(told, 1) == [
        [Progressed(ONE, None, ()), Told(ONE, STEPS), Printed(ONE, "x"), Printed(ONE, None), end]
    ]


def test_what_has_no_wire_form_takes_nothing_else_of_its_run_along() -> None:
    told = """
from dataclasses import replace
pipe.tell(Told(ONE, STEPS[:1]))
pipe.tell(Told(ONE, (replace(STEPS[1], code=object()),)))
pipe.tell_now(Ended(run=ONE, outcome=Outcome(metadata={})))
"""
    said = [message for frame in frames_of(told, 3) for message in frame]
    assert Told(ONE, STEPS[:1]) in said
    assert said[-1] == Ended(run=ONE, outcome=Outcome(metadata={}))
