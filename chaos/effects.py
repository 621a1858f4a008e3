"""What the test skills have put on record (`chaos/skills/effects.py` writes it)."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One line: a call of a skill began, came to its end, or was cut short by its cancellation. `at`: unix time."""

    token: str
    policy: str
    phase: str
    effect: str
    task: str
    pid: int
    at: float


def read(path: Path) -> Mapping[str, list[Effect]]:
    """Return the effects by token, each in the order of their writing."""
    found: dict[str, list[Effect]] = defaultdict(list)
    for effect in _lines(path):
        found[effect.token].append(effect)
    return found


def _lines(path: Path) -> Iterator[Effect]:
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            yield from (Effect(**json.loads(line)) for line in lines)


def begun(effects: list[Effect]) -> list[Effect]:
    return [effect for effect in effects if effect.phase == "begin"]
