"""What every scenario is given, and how it says that something is wrong.

A scenario is a function `(run) -> list[Figure]`; `Figure` is the bench's. Imported by every module here.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure

SKILLS = Path(__file__).with_name("skills")
"""The pack of test skills: `CALLBOARD_SKILLS_DIR` of every server here."""


class ChaosError(Exception):
    """A scenario that cannot go on: a server did not start, tasks did not end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The options of one run; `folder` is on a real disk and is removed afterwards."""

    folder: Path
    seed: int
    say: Callable[[str], None]
    quick: bool = False
    keys: bool = True
    """Whether clients send `Idempotency-Key` and repeat what they lost the answer to."""

    kills: int = 200
    minutes: float = 30.0

    def new_folder(self, name: str) -> Path:
        """Return a fresh, empty folder."""
        number = sum(1 for _ in self.folder.glob(f"{name}-*"))
        folder = self.folder / f"{name}-{number}"
        folder.mkdir()
        return folder

    def random(self, *names: object) -> random.Random:
        """Return the source of chance of one part of a scenario: the same one for the same seed."""
        return random.Random(":".join(map(str, (self.seed, *names))))


def count(name: str, found: Iterable[object], *, at_most: float = 0, note: str = "") -> Figure:
    """Return how many there are of what must not be (more than `at_most` times), the first few named in the note."""
    listed = [str(one) for one in found]
    shown = "; ".join(listed[:3]) + ("; …" if len(listed) > 3 else "")
    return Figure(name=name, value=len(listed), unit="", at_most=at_most, note=shown or note)


def holds(name: str, right: bool, note: str) -> Figure:
    """Return whether something that must hold does, as 1 or 0."""
    return Figure(name=name, value=float(right), unit="", at_least=1, note=note)


def seconds(name: str, value: float, *, at_most: float | None = None, note: str = "") -> Figure:
    return Figure(name=name, value=value, unit="s", at_most=at_most, note=note)


def amount(name: str, value: float, unit: str = "", note: str = "") -> Figure:
    """Return a figure that has no target."""
    return Figure(name=name, value=value, unit=unit, note=note)
