"""Judging an answer of the planner: right, refused or wrong. Shares no code with what it judges.

What is right is given as values: numbers, texts, dates, lists and dicts of them. Where several forms mean the same, any will do:
84 and 84.0, a list of one for one value, a date in figures or in words, a row for the value that names it.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from callboard.errors import TaskError

Verdict = Literal["right", "refused", "wrong"]
VERDICTS: tuple[Verdict, ...] = ("right", "refused", "wrong")


@dataclass(frozen=True, slots=True)
class Ordered:
    """A list whose order is part of the answer; a tuple in it holds values that tie, in any order."""

    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Several:
    """The answers to questions that were asked together: a list of them, or each under some name."""

    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """A value that a table shows: either the value or what is written there is right."""

    value: Any
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One task, with all answers that are right; none if only a refusal is."""

    kind: str
    task: str
    rights: tuple[Any, ...] = ()


@dataclass(slots=True)
class Score:
    """How many were right, refused and wrong, by kind, and what the wrong ones said."""

    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def add(self, case: Case, verdict: Verdict, got: Any) -> None:
        self.by_kind.setdefault(case.kind, Counter())[verdict] += 1
        if verdict == "wrong":
            right = " or ".join(map(repr, case.rights)) or "a refusal"
            self.wrong.append(f"[{case.kind}] {case.task}\n  got:   {got!r}\n  right: {right}")

    def total(self, verdict: Verdict) -> int:
        return sum(counted[verdict] for counted in self.by_kind.values())

    def count(self) -> int:
        return sum(map(self.total, VERDICTS))

    def line(self, of: str) -> str:
        counts = ", ".join(f"{self.total(verdict)} {verdict}" for verdict in VERDICTS)
        return f"offline planner, {of}: {counts} of {self.count()}"

    def table(self) -> str:
        """Return a line for each kind."""
        rows = [f"{kind:<28}" + "".join(f"{n[v]:>9}" for v in VERDICTS) for kind, n in sorted(self.by_kind.items())]
        return "\n".join([f"{'kind':<28}" + "".join(f"{v:>9}" for v in VERDICTS), *rows])


def judge(case: Case, got: Any) -> Verdict:
    """Judge what came out: a value, or the error that was raised."""
    if isinstance(got, TaskError):
        return "refused"
    return "right" if any(same(got, right) for right in case.rights) else "wrong"


def same(got: Any, right: Any) -> bool:
    """Tell whether an answer means a right one."""
    if isinstance(right, Cell):
        got = got[0] if isinstance(got, list) and len(got) == 1 else got
        return got == right.text or same(got, right.value)
    if isinstance(right, Ordered):
        return isinstance(got, list) and _in_order(got, right.values)
    if isinstance(right, Several):
        if isinstance(got, dict):
            return _same_items(list(got.values()), list(right.values))
        return isinstance(got, list) and _in_order(got, right.values)
    if isinstance(right, dict):
        return _same_groups(got, right)
    if isinstance(right, list | tuple):
        return _same_items(got if isinstance(got, list) else [got], list(right))
    if isinstance(got, list):
        return len(got) == 1 and same(got[0], right)
    if isinstance(got, dict):
        return _is_row_of(got, right)
    return _same_value(got, right)


def _same_value(got: Any, right: Any) -> bool:
    if isinstance(right, bool) and isinstance(got, str):
        return _folded(got) == ("yes" if right else "no")
    if right is None or isinstance(right, bool):
        return got is right
    if isinstance(right, date):
        return isinstance(got, str) and right in _dates(got)
    if isinstance(right, str):
        return isinstance(got, str) and _folded(got) == _folded(right)
    number = _number(got)
    return number is not None and math.isclose(number, _exact(right), rel_tol=1e-9, abs_tol=1e-9)


def _folded(text: str) -> str:
    return " ".join(text.split()).strip(" .").casefold()


def _exact(value: float | Decimal | Fraction) -> Fraction:
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)


_NUMBER = re.compile(r"[$€£]? ?(-?\d+(?:\.\d+)?)(?: ?(?:[$€£%]|[a-zA-Z/°²³ ]+))?")


def _number(got: Any) -> Fraction | None:
    """Return the number of an answer, also of one that is written out with its unit."""
    if isinstance(got, bool):
        return None
    if isinstance(got, int) or (isinstance(got, float) and math.isfinite(got)):
        return Fraction(str(got))
    found = _NUMBER.fullmatch(got.strip()) if isinstance(got, str) else None
    return Fraction(found[1]) if found else None


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_DAY_FIRST = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)?\.? ([A-Za-z]{3})[a-z]*,? (\d{4})\b")
_MONTH_FIRST = re.compile(r"\b([A-Za-z]{3})[a-z]* (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})\b")


def _dates(text: str) -> set[date]:
    """Return the dates that are written in a text in a way that has one meaning."""
    found = {(int(year), int(month), int(day)) for year, month, day in _ISO.findall(text)}
    for day, month, year in _DAY_FIRST.findall(text):
        found |= {(int(year), _MONTHS.index(month.lower()) + 1, int(day))} if month.lower() in _MONTHS else set()
    for month, day, year in _MONTH_FIRST.findall(text):
        found |= {(int(year), _MONTHS.index(month.lower()) + 1, int(day))} if month.lower() in _MONTHS else set()
    return {date(*parts) for parts in found}


def _same_items(got: list[Any], right: list[Any]) -> bool:
    """Tell whether the lists hold the same, each as often, in any order."""
    left = list(right)
    for one in got:
        place = next((n for n, other in enumerate(left) if same(one, other)), None)
        if place is None:
            return False
        del left[place]
    return not left


def _in_order(got: list[Any], right: Sequence[Any]) -> bool:
    rest = list(got)
    for one in right:
        ties = list(one) if isinstance(one, tuple) else [one]
        if len(rest) < len(ties) or not _same_items(rest[: len(ties)], ties):
            return False
        rest = rest[len(ties) :]
    return not rest


_NO_GROUP = frozenset({"", "none", "(missing)", "(empty)", "missing", "empty"})


def _same_groups(got: Any, right: Mapping[Any, Any]) -> bool:
    """Tell whether each group has its value; the group without a name, and groups without a value, may be left out."""
    if isinstance(got, list):
        got = _as_groups(got)
    if not isinstance(got, dict):
        return False
    found, wanted = _by_name(got.items()), _by_name(right.items())
    needed = {name for name, value in wanted.items() if name and value is not None}
    return needed <= found.keys() <= wanted.keys() and all(same(value, wanted[name]) for name, value in found.items())


def _by_name(items: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    named = ((str(name.text if isinstance(name, Cell) else name), value) for name, value in items)
    return {"" if name.casefold() in _NO_GROUP else name: value for name, value in named}


def _as_groups(rows: list[Any]) -> dict[Any, Any] | None:
    """Return rows of two, a group and its value, as a dict."""
    pairs = [list(row.values()) if isinstance(row, dict) else row for row in rows]
    if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
        return None
    return dict(pairs) if len({pair[0] for pair in pairs}) == len(pairs) else None


def _is_row_of(got: Mapping[str, Any], right: Any) -> bool:
    """Tell whether a dict is a row that holds the value, or the one value under its name."""
    name, value = next(iter(got.items()), ("", None))
    return same(value, right) or (len(got) == 1 and isinstance(right, str) and _same_value(name, right))
