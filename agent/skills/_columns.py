"""A column of a table with its kind: what its cells are to be compared, ordered and added as, told by all of them together.

A cell that does not fit its column is kept with the reason, and raised when it is needed: it is never a zero and never
left out. Any thread, one table each; imported by the modules of tables.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from callboard.agent.skills import _codes
from callboard.agent.skills._figures import Notation
from callboard.agent.skills._quantities import Clock, Span

Kind = Literal[
    "empty", "number", "percentage", "money", "size", "duration", "quantity", "time", "date", "boolean", "code", "text",
    "list", "object", "mixed",
]  # fmt: skip
ADDED = frozenset({"number", "percentage", "money", "size", "duration", "quantity", "time"})
"""The kinds whose cells can be added; in a mixed column those that are numbers."""

MISSING = frozenset({"", "-", "–", "—", "n/a", "na", "null", "none", "nan", "#n/a"})


class Value(NamedTuple):
    """A cell to compare by; numbers of different units cannot be compared."""

    order: Any
    unit: str = ""


class Misfit(NamedTuple):
    """A cell that its column's kind cannot read, with the end of the sentence that says so."""

    reason: str


@dataclass(slots=True, eq=False)
class Column:
    """The cells of a column as they stand, what each of them means (None where it is missing), and what keeps it from use.

    `problem` says why nothing can be worked out from any cell, `unordered` why cells cannot be put into an order,
    `twofold` that decimals may be versions. `forms` are durations and clock times as they are written.
    """

    name: str
    kind: Kind
    cells: Sequence[Any]
    values: Sequence[Value | Misfit | None]
    lines: Sequence[int]
    expected: str = "number"
    notation: Notation | None = None
    problem: str = ""
    unordered: str = ""
    twofold: bool = False
    first_is_day: bool | None = None
    days: Mapping[str, date] = field(default_factory=dict)
    forms: Mapping[str, Clock | Span] = field(default_factory=dict)

    def value(self, index: int) -> Value | None:
        """Return what a cell means, None where it is missing; raise `ValueError` naming one that does not fit."""
        value = self.values[index]
        if isinstance(value, Misfit):
            raise ValueError(self.told(index, value.reason))
        return value

    def told(self, index: int, reason: str) -> str:
        advice = "" if self.kind != "mixed" else "; filter such rows out with where"
        return f"{str(self.cells[index])[:60]!r} in the column {self.name} {reason} (row {self.lines[index]}){advice}."

    def missing(self, index: int) -> bool:
        return self.values[index] is None

    def unit(self, indices: Iterable[int]) -> str:
        """Return the unit of these cells; raise `ValueError` where they have several. A bare 0 goes with each."""
        units: dict[str, int] = {}
        values, before = self.values, None
        for index in indices:
            value = values[index]
            if value is before:  # PERF: equal cells share their value
                continue
            before = value = self.value(index)
            if value is not None and (value.unit or value.order):
                units.setdefault(value.unit, index)
        if len(units) > 1:
            told = " and ".join(sorted(unit for unit in units if unit)) if "" not in units else None
            if told:
                raise ValueError(f"The column {self.name} mixes {told}; filter for one of them.")
            (bare, other) = units[""], next(index for unit, index in units.items() if unit)
            raise ValueError(
                f"The column {self.name} mixes numbers with and without a unit: {str(self.cells[other])[:60]!r} (row "
                f"{self.lines[other]}) and {str(self.cells[bare])[:60]!r} (row {self.lines[bare]}); filter for one of them."
            )
        return next(iter(units), "")

    def same(self, index: int) -> Any:
        """Return what cells that are equal have in common, in lists of different cells and in groups."""
        value = self.values[index]
        if value is None:
            return None
        if isinstance(value, Misfit) or self.kind in ("text", "mixed", "list", "object"):
            cell = self.cells[index]
            return cell.strip() if isinstance(cell, str) else (value if isinstance(value, Value) else str(cell))
        return value

    def check_order(self) -> None:
        """Raise `ValueError` where the cells of the column have no order that is sure."""
        if self.problem or self.unordered:
            raise ValueError(f"The column {self.name} cannot be put into an order: {self.problem or self.unordered}.")
        if self.twofold:
            texts = {
                str(cell).strip() for cell, value in zip(self.cells, self.values, strict=True) if value is not None
            }
            by_number = sorted(texts, key=lambda text: (Decimal(text), text))
            by_version = sorted(texts, key=lambda text: (_codes.version_order(text), text))
            for one, other in zip(by_number, by_version, strict=True):
                if one != other:
                    raise ValueError(
                        f"The column {self.name} can hold numbers or versions, which {one!r} and {other!r} stand in a different "
                        "order for; call it version, or write all numbers with as many decimals."
                    )

    def check_same(self) -> None:
        """Raise `ValueError` where cells may be equal or not."""
        if self.problem:
            raise ValueError(f"The column {self.name} cannot be read: {self.problem}.")
        if self.twofold:
            first: dict[Decimal, str] = {}
            for cell, value in zip(self.cells, self.values, strict=True):
                if isinstance(value, Value) and first.setdefault(value.order, str(cell).strip()) != str(cell).strip():
                    raise ValueError(
                        f"The column {self.name} can hold numbers or versions, for which {first[value.order]!r} and "
                        f"{str(cell).strip()!r} are the same or not; call it version, or write all numbers with as many decimals."
                    )


def is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING)


def is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)


def exact(cell: float | Decimal) -> Decimal:
    """Return a number of JSON as it stood there."""
    return cell if isinstance(cell, Decimal) else Decimal(cell) if isinstance(cell, int) else Decimal(repr(cell))
