"""One client takes its share: another one is answered, rightly and soon. How soon exactly is for `make chaos` to measure."""

from collections.abc import Callable, Sequence

import pytest

from bench.figures import Figure
from chaos import flood
from chaos.scenario import Run

STARVED = 20
"""How many times as long as it may be says that nobody else is served, whatever else the machine does."""


@pytest.mark.slow
def test_one_client_that_takes_all_it_can_starves_nobody(run: Run, assert_met: Callable[..., dict[str, float]]) -> None:
    figures: Sequence[Figure] = flood.measure(run)
    soon = [figure for figure in figures if "p99 beside" in figure.name]
    assert_met(figures, but=[figure.name for figure in soon])
    assert len(soon) == len(flood.QUICK) + 1
    assert not [f for f in soon if f.at_most is not None and f.value > STARVED * f.at_most], soon
