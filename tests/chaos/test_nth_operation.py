"""A crash at some database operations of a task; `make chaos` tries every one."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from bench.figures import Figure
from chaos import nth_operation
from chaos.nth_operation import Sweeps
from chaos.order import SERVER, WORKER
from chaos.scenario import Run
from chaos.server import Server
from chaos.verdict import Verdict

Met = Callable[[Sequence[Figure]], dict[str, float]]

pytestmark = pytest.mark.slow


@pytest.fixture
def server(run: Run) -> Iterator[Server]:
    with nth_operation.counting(run) as server:
        server.start()
        yield server


def test_a_script_ends_in_a_documented_way_wherever_its_server_or_worker_dies(
    run: Run, server: Server, assert_met: Met
) -> None:
    sweeps = Sweeps(run, server)
    points = (("statement", 9, SERVER), ("commit", 3, SERVER), ("statement", 7, WORKER), ("commit", 4, WORKER))
    crashed = [sweeps.crash_at(kind, "script", number, victim) for kind, number, victim in points]
    outlived = not sweeps.crash_at("commit", "plain", 1000)
    server.stop()
    assert all(crashed)
    assert outlived
    assert_met([*sweeps.figures(), *Verdict(sweeps.memory, server.database, server.effects).figures()])


@pytest.mark.nightly  # a minute
def test_the_short_sweep_meets_every_target(run: Run, assert_met: Met) -> None:
    assert_met(nth_operation.measure(run))
