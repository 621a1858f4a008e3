"""Whoever dies around a frame, tasks end with their right results; `make chaos` tries every kind and moment."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from bench.figures import Figure
from callboard.workers import protocol
from chaos import nth_frame
from chaos.nth_frame import DOWN, UP, Frames, Point
from chaos.order import SERVER, WORKER
from chaos.scenario import Run
from chaos.server import Server
from chaos.verdict import Verdict

Met = Callable[[Sequence[Figure]], dict[str, float]]

POINTS = (
    Point("Commit", "cut", WORKER),
    Point("Answered", "cut", SERVER),
    Point("Ended", "before", WORKER),
    Point("Close", "after", SERVER),
)


def test_every_kind_of_message_has_its_turn() -> None:
    kinds = {kind.__name__ for kind in (*protocol.Down.__args__, *protocol.Up.__args__)}
    assert {*DOWN, *UP} == (kinds - {"Request"}) | {"Commit", "Call"}
    assert {point.kind for point in nth_frame.points()} == {*DOWN, *UP}


@pytest.fixture
def server(run: Run) -> Iterator[Server]:
    with nth_frame.serving(run) as server:
        server.start()
        yield server


@pytest.mark.slow
def test_tasks_end_with_their_right_results_whoever_dies_around_a_frame(
    run: Run, server: Server, assert_met: Met
) -> None:
    frames = Frames(run, server)
    frames.hit_at_all(POINTS, 1, len(POINTS))
    server.stop()
    found = assert_met(frames.figures(Verdict(frames.memory, server.database, server.effects)))
    assert frames.hits == {SERVER: 2, WORKER: 2}
    assert found["tasks between two calls as the worker was hit"] == 2


@pytest.mark.nightly  # minutes
def test_the_short_run_meets_every_target(run: Run, assert_met: Met) -> None:
    assert_met(nth_frame.measure(run))
