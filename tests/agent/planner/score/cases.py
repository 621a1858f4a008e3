"""The hand-checked questions of the YAML files beside this one, as cases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.agent.planner.score.judge import Case, Ordered

FOLDER = Path(__file__).parent


def table_cases() -> Iterator[Case]:
    """Yield each question of `tables.yaml` on its table, the question before the table or behind it in turn."""
    for number, block in enumerate(_read("tables.yaml")):
        for entry in block["questions"]:
            for turn, question in enumerate(entry["ask"]):
                data = block["table"].rstrip("\n")
                task = f"{data}\n\n{question}" if (turn + number) % 3 == 2 else f"{question}\n\n{data}"
                yield Case(kind=f"tables: {entry['kind']}", task=task, rights=_rights(entry))


def plain_cases() -> Iterator[Case]:
    """Yield each question of the files without tables."""
    for name in ("arithmetic", "everyday"):
        for entry in _read(f"{name}.yaml"):
            for question in entry["ask"]:
                yield Case(kind=f"{name}: {entry['kind']}", task=question, rights=_rights(entry))


def _read(name: str) -> list[Any]:
    return list(yaml.safe_load((FOLDER / name).read_text(encoding="utf-8")))


def _rights(entry: dict[str, Any]) -> tuple[Any, ...]:
    """Return what is right; `refuse` stands for nothing, `either` for several, `in_order` for a list that is sorted."""
    if "refuse" in entry:
        return ()
    if "in_order" in entry:
        return (Ordered([tuple(one) if isinstance(one, list) else one for one in entry["in_order"]]),)
    return tuple(entry["either"]) if "either" in entry else (entry["right"],)
