"""Frames of a worker's process as the control side reads and writes them: in pieces, cut at the end, of many megabytes."""

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from callboard.settings import worker_environment
from callboard.workers.codec import HEAD, packed, unpacked
from callboard.workers.process import WorkerProcess
from callboard.workers.protocol import Cancel, Printed, Probe, Run

RUN = Run("t", 1)


class Pair:
    """A process that was never started, and the other end of its pipe."""

    def __init__(self) -> None:
        self.wakes = 0
        self.process = WorkerProcess(self._wake)
        self.theirs = self.process._theirs

    def _wake(self) -> None:
        self.wakes += 1

    def heard(self) -> list[object]:
        """Return what has come until there is nothing, or the end; at which a cut frame has left nothing."""
        told: list[object] = []
        while True:
            messages, ended = self.process.receive()
            told += messages
            if ended:
                return told


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.process.close()
    pair.theirs.close()


def test_a_frame_is_read_in_whatever_pieces_it_comes(pair: Pair) -> None:
    frame = packed([Printed(RUN, "one"), Printed(RUN, "two")])
    told: list[object] = []
    for number in range(len(frame)):
        pair.theirs.sendall(frame[number : number + 1])
        messages, ended = pair.process.receive()
        told += messages
        assert not ended
        assert bool(told) == (number == len(frame) - 1)
    assert told == [Printed(RUN, "one"), Printed(RUN, "two")]


@pytest.mark.parametrize("cut", [1, HEAD.size, HEAD.size + 1, -1])
def test_a_frame_that_is_cut_by_the_end_is_dropped_and_what_was_before_it_is_heard(pair: Pair, cut: int) -> None:
    pair.theirs.sendall(packed([Printed(RUN, "whole")]) + packed([Printed(RUN, "cut")])[:cut])
    pair.theirs.close()
    assert pair.heard() == [Printed(RUN, "whole")]


def test_what_is_no_frame_is_the_end_of_whoever_sent_it(pair: Pair) -> None:
    pair.theirs.sendall(packed([Printed(RUN, "whole")]) + HEAD.pack(5) + b"xxxxx" + packed([Printed(RUN, "behind")]))
    assert pair.process.receive() == ([Printed(RUN, "whole")], True)


def test_frames_of_many_megabytes_pass_both_ways_and_block_nobody(pair: Pair) -> None:
    big = Printed(RUN, "x" * 32_000_000)
    pair.process.send(big)  # returns, though nobody reads
    pair.process.send(Cancel(RUN))
    assert pair.process.waits_to_send
    assert pair.wakes == 2
    got: list[object] = []

    def read() -> None:
        with pair.theirs.makefile("rb") as file:
            for _ in range(2):
                got.extend(unpacked(file.read(HEAD.unpack(file.read(HEAD.size))[0])))
        pair.theirs.sendall(packed([big]))
        pair.theirs.shutdown(socket.SHUT_WR)

    reader = threading.Thread(target=read)
    reader.start()
    pair.process.connection.setblocking(True)  # the workers' thread waits in a selector
    while pair.process.waits_to_send:
        pair.process.go_on_sending()
    assert pair.heard() == [big]
    reader.join()
    assert got == [big, Cancel(RUN)]


def test_what_is_sent_to_one_that_is_gone_is_dropped(pair: Pair) -> None:
    pair.theirs.close()
    pair.process.send(Cancel(RUN))
    pair.process.send(Cancel(RUN))
    assert not pair.process.waits_to_send


@pytest.mark.parametrize("cut", [0, 2, HEAD.size + 1])
def test_a_process_whose_control_side_ends_within_a_frame_ends_and_says_nothing(
    cut: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    process = WorkerProcess(lambda: None)
    with (tmp_path / "lock").open("w") as lock:
        process.spawn(worker_environment(), lock.fileno())
    assert process._popen is not None
    process.connection.send(packed([Probe(1)])[:cut])
    process.connection.shutdown(socket.SHUT_WR)
    assert process._popen.wait(60) == -signal.SIGKILL  # with all that it may have started
    process.close()
    assert capfd.readouterr().err == ""
