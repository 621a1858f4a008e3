"""What the short versions of the chaos suite share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench.figures import Figure
from chaos import report
from chaos.scenario import Run

SEED = 3


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The options of a short run, always the same one."""
    return Run(folder=tmp_path, seed=SEED, say=print, quick=True, kills=3, minutes=0.2)


@pytest.fixture
def assert_met() -> Callable[[Sequence[Figure]], dict[str, float]]:
    """Return a function that asserts that every figure meets its target, and returns the values by name."""

    def check(figures: Sequence[Figure], *, but: Sequence[str] = ()) -> dict[str, float]:
        missed = [figure for figure in figures if figure.met is False and figure.name not in but]
        assert not missed, f"seed {SEED}\n{report.table(figures)}"
        return {figure.name: figure.value for figure in figures}

    return check
