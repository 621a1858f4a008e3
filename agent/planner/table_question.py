"""A question on a table, once it is understood. Immutable values; any thread.

Two ways to understand the same words are the same question if they are equal; otherwise it is not clear what is meant.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "fold", "count", "distinct", "rows", "values", "value", "extreme", "nth", "group_extreme", "share", "difference", "columns", "column_count", "unsaid", "ordinal"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; the operator is the filter's sign or word: = != < > <= >= between in contains starts ends empty filled."""

    column: str
    operator: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        word = {
            "=": "is",
            "!=": "is not",
            "in": "is one of",
            "both": "is one of",
            "starts": "starts with",
            "ends": "ends with",
        }
        word |= {"empty": "is empty", "filled": "is not empty"}
        return " ".join([self.column, word.get(self.operator, self.operator), " and ".join(self.values)]).strip()


@dataclass(frozen=True, slots=True)
class Pick:
    """The first so many rows, or percent of them, by a column; without a column as they stand."""

    column: str | None
    descending: bool
    count: int
    percent: bool = False

    def __str__(self) -> str:
        way = ("top" if self.descending else "bottom") if self.column else ("last" if self.descending else "first")
        return f"the {way} {self.count}{'%' if self.percent else ''}" + (f" by {self.column}" if self.column else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: `columns` are worked out, listed or asked for; `by` decides, sorts or is held against."""

    kind: Kind
    folds: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    where: frozenset[Condition] = frozenset()
    either: frozenset[Condition] = frozenset()
    groups: tuple[str, ...] = ()
    by: str | None = None
    descending: bool = False
    pick: Pick | None = None
    against: tuple[Condition, ...] = ()
    nouns: frozenset[str] = frozenset()
    of_row: bool = False
    """Whether the words say that a row decides, as `the oldest employee` does, and not all rows of somebody."""

    def __str__(self) -> str:
        """Say it in words, to tell it from another reading."""
        folds = {"mean": "average", "sum": "total", "max": "highest", "min": "lowest"}
        what = " and ".join(folds.get(fold, fold) for fold in self.folds)
        said = {
            "fold": f"the {what} of",
            "count": "the number of rows" + (" with a" if self.columns else ""),
            "distinct": "the different values of" if not self.folds else "the number of different values of",
            "rows": "the rows",
            "extreme": f"who or what has the {what} {self.by}:",
            "share": "the percentage of rows" if not self.columns else "the percentage of the total of",
            "columns": "the names of the columns",
            "ordinal": "what comes first or last",
            "column_count": "the number of columns",
            "nth": f"number {self.pick.count if self.pick else ''} of",
            "difference": f"the difference between the {what} of",
            "group_extreme": f"the {self.groups[0] if self.groups else ''} with the {'most' if self.descending else 'least'} {what or 'rows'}",
        }.get(self.kind, "the")
        parts = [said, " and ".join(self.columns)]
        if self.against:
            parts.append("for " + " and ".join(map(str, self.against)))
        if self.groups and self.kind != "group_extreme":
            parts.append("for each " + " and ".join(self.groups))
        if self.pick and self.kind != "nth":
            parts.append(f"of {self.pick}")
        if self.by and self.kind in ("rows", "values"):
            parts.append(f"sorted by {self.by}")
        if self.where:
            parts.append("where " + " and ".join(sorted(map(str, self.where))))
        if self.either:
            parts.append("where " + " or ".join(sorted(map(str, self.either))))
        return " ".join(part for part in parts if part)


class NonsenseError(ValueError):
    """A reading that cannot be meant."""


class UnclearError(ValueError):
    """A reading that may be meant, but has no one answer."""
