"""What a measurement yields, and what every suite is given.

Imported by every module here.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


class BenchError(Exception):
    """A measurement that cannot stand: an answer was wrong, a task was lost, a server did not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value. `at_most` or `at_least` is the target; `promised` is the looser figure that was promised first, at most."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    promised: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.at_most is not None:
            return self.value <= self.at_most
        if self.at_least is not None:
            return self.value >= self.at_least
        return None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The options of one run; `folder` is on a real disk and is removed afterwards, `beside` an older checkout to compare with."""

    folder: Path
    quick: bool
    client: str
    say: Callable[[str], None]
    beside: Path | None = None

    def new_folder(self, name: str) -> Path:
        """Return a fresh, empty folder."""
        number = sum(1 for _ in self.folder.glob(f"{name}-*"))
        folder = self.folder / f"{name}-{number}"
        folder.mkdir()
        return folder


def milliseconds(call: Callable[[int], object], samples: int, *, warm_up: int = 50) -> list[float]:
    """Return how long each of `samples` calls took; `call` is given its number, warm-up calls included."""
    for number in range(warm_up):
        call(number)
    took = []
    for number in range(warm_up, warm_up + samples):
        started = time.perf_counter_ns()
        call(number)
        took.append((time.perf_counter_ns() - started) / 1e6)
    return took


def spread(values: Sequence[float], form: str = "{:.3g}") -> str:
    """Return the least and the greatest value as text."""
    return f"{form.format(min(values))}–{form.format(max(values))}"


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
