"""No worker of a server that was killed begins anything once the next server takes over."""

from collections.abc import Callable, Sequence

import pytest

from bench.figures import Figure
from chaos import orphans
from chaos.orphans import Kill
from chaos.scenario import Run

Met = Callable[[Sequence[Figure]], dict[str, float]]


def test_what_an_old_worker_begins_after_the_next_server_has_the_lock_is_counted() -> None:
    kill = Kill(workers=frozenset({7, 8}), at=10.0, outlived_s=0.5, next_server=9)
    ticks = {7: [9.95, 10.2, 10.6], 8: [9.0], 11: [12.0]}
    found = {one.name: one.value for one in orphans._figures([kill], ticks, {9: 10.5}, waited=1)}
    assert found["effects begun after the server had ended"] == 2
    assert found["effects begun after the next server had its workers' lock"] == 1
    assert found["kills in the middle of effects"] == 1


@pytest.mark.slow
def test_nothing_begins_in_the_workers_of_a_server_that_is_gone(run: Run, assert_met: Met) -> None:
    found = assert_met(orphans.measure(run))
    assert found["kills of the server"] == 3
    assert found["effects"] > 0
