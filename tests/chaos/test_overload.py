"""Many times the capacity: refused politely, and over when it is over. The 50 ms are for `make chaos` to measure."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bench.figures import Figure
from chaos import overload
from chaos.scenario import Run


@pytest.mark.slow
def test_an_overload_is_refused_and_leaves_nothing_behind(run: Run, assert_met: Callable[..., dict[str, Any]]) -> None:
    figures: Sequence[Figure] = overload.measure(run)
    found = assert_met(figures, but=["refusal, p99"])  # depends on what else the machine does
    assert found["answers"] > 0
