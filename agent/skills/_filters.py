"""The little language of `query_table`'s `where`: `status = paid and price > 10`.

Conditions are joined by `and` and `or` (and binds tighter). Comparisons may be signs or words, since people write
both. Pure functions; any thread.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from callboard.agent.skills._tables import Row, Table, is_missing, number, plain

Condition = Callable[[Row], bool]
MAX_CHARS = 2000
MAX_CONDITIONS = 10

_OPERATORS = (
    (">=", r">=|=>|≥|(?:is |are |was )?(?:at least|no less than|not less than|greater than or equal to|more than or equal to)"),
    ("<=", r"<=|=<|≤|(?:is |are |was )?(?:at most|no more than|not more than|less than or equal to|up to)"),
    ("!=", r"!=|<>|≠|is not equal to|does not equal|do not equal|isn't|aren't|(?:is|are|was|were) not(?! empty| missing| null| blank)|not equal to"),
    ("empty", r"(?:is |are )?(?:empty|missing|null|blank)"),
    ("filled", r"(?:is not|isn't|are not) (?:empty|missing|null|blank)"),
    ("in", r"(?:is |are )?(?:one of|in)"),
    ("between", r"(?:is |are )?between"),
    (">", r">|(?:is |are |was )?(?:greater than|more than|above|over|bigger than|higher than|larger than|older than|after|exceeds|exceeding)"),
    ("<", r"<|(?:is |are |was )?(?:less than|fewer than|below|under|smaller than|lower than|younger than|before)"),
    ("contains", r"contains|contain|containing|includes"),
    ("starts", r"starts with|begins with|start with"),
    ("ends", r"ends with|end with"),
    ("=", r"==?|equals|(?:is|are|was|were) equal to|equal to|is|are|was|were|:"),
)  # fmt: skip
_OPERATOR = re.compile(
    "|".join(rf"(?P<o{n}>(?:{pattern})(?:(?<!\w)|(?!\w)))" for n, (_, pattern) in enumerate(_OPERATORS)), re.IGNORECASE
)
_QUOTED = re.compile(r"\s*(?:\"([^\"]*)\"|'([^']*)'|“([^”]*)”|`([^`]*)`)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}.{0,20}")


def column_pattern(table: Table) -> str:
    """Return a pattern for any column's name, however its words are joined, the longest first."""
    names = sorted({name for name in map(plain, table.columns) if 0 < len(name) <= 100}, key=len, reverse=True)
    return "|".join(r"[\s_\-]*".join(map(re.escape, name.split())) for name in names)


def parse_where(where: str, table: Table) -> Condition:
    """Return a test for rows; raise `ValueError` naming what cannot be read, and the columns."""
    if len(where) > MAX_CHARS:
        raise ValueError(f"The filter has {len(where)} characters and the limit is {MAX_CHARS}.")
    return _Parser(where, table).parse()


class _Parser:
    def __init__(self, where: str, table: Table) -> None:
        names = column_pattern(table)
        self.text, self.table, self.position = where, table, 0
        self.name = re.compile(rf"\s*[\"'`“]?({names})(?![^\W_])[\"'`”]?\s*", re.IGNORECASE)
        self.joint = re.compile(
            rf"[\s,]+(and|or)\s+(?:the |whose |where )*(?=[\"'`“]?(?:{names})(?![^\W_]))", re.IGNORECASE
        )

    def parse(self) -> Condition:
        groups: list[list[Condition]] = [[]]
        while True:
            groups[-1].append(self.condition())
            found = self.joint.match(self.text, self.position)
            if not found:
                break
            if sum(map(len, groups)) == MAX_CONDITIONS:
                raise ValueError(f"The filter has more than its limit of {MAX_CONDITIONS} conditions; use fewer.")
            self.position = found.end()
            if found[1].lower() == "or":
                groups.append([])
        rest = self.text[self.position :].strip(" .,;?!\n\t")
        if rest:
            raise self.unclear(rest)
        return lambda row: any(all(condition(row) for condition in group) for group in groups)

    def unclear(self, what: str) -> ValueError:
        known = ", ".join(self.table.columns)[:500]
        return ValueError(
            f"The filter cannot be read at {what[:60]!r}; write it like: status = 'paid' and price > 10. "
            f"The columns are {known}."
        )

    def condition(self) -> Condition:
        found = self.name.match(self.text, self.position)
        if not found:
            raise self.unclear(self.text[self.position :].strip() or self.text)
        column = self.table.column(found[1])
        sign = _OPERATOR.match(self.text, found.end())
        if not sign or not sign.lastgroup:
            raise self.unclear(self.text[found.end() :].strip() or self.text)
        operator = _OPERATORS[int(sign.lastgroup[1:])][0]
        self.position = sign.end()
        if operator in ("empty", "filled"):
            return lambda row: is_missing(row.get(column)) == (operator == "empty")
        return _test(column, operator, self.values(operator))

    def values(self, operator: str) -> list[str]:
        if operator == "in":
            values = [value.strip(" ()[]'\"") for value in self.run().split(",")]
        elif operator == "between":
            values = re.split(r"\s+and\s+", self.run(), maxsplit=1)
        elif quoted := _QUOTED.match(self.text, self.position):
            self.position = quoted.end()
            return [next(group for group in quoted.groups() if group is not None)]
        else:
            values = [self.run()]
        if not all(values) or (operator == "between" and len(values) != 2):
            raise self.unclear(self.text)
        return values

    def run(self) -> str:
        """Return what stands before the next condition."""
        found = self.joint.search(self.text, self.position)
        end = found.start() if found else len(self.text)
        value, self.position = self.text[self.position : end], end
        return value.strip(" .,;?!\n\t").removeprefix("to ")


def _test(column: str, operator: str, values: list[str]) -> Condition:
    first = values[0]
    match operator:
        case "=":
            return _among(column, values[:1])
        case "!=":
            same = _among(column, values[:1])
            return lambda row: not same(row)
        case "in":
            return _among(column, values)
        case "contains":
            return lambda row: first.lower() in _text(row.get(column))
        case "starts":
            return lambda row: _text(row.get(column)).startswith(first.lower())
        case "ends":
            return lambda row: _text(row.get(column)).endswith(first.lower())
        case "between":
            low, high = _order(column, values[0]), _order(column, values[1])
            return lambda row: _within(low(row), high(row))
    order, wanted = _order(column, first), {">": (1,), "<": (-1,), ">=": (0, 1), "<=": (-1, 0)}[operator]
    return lambda row: order(row) in wanted


def _within(low: int | None, high: int | None) -> bool:
    return low is not None and high is not None and low >= 0 and high <= 0


def _order(column: str, value: str) -> Callable[[Row], int | None]:
    """Return how a row's cell stands to the value: -1, 0, 1, or None where they cannot be compared."""
    bound = number(value)
    if bound is None and not _DATE.fullmatch(value):
        raise ValueError(
            f"{value[:60]!r} is neither a number nor a date such as 2026-12-25, so {column} cannot be compared with it."
        )

    def order(row: Row) -> int | None:
        cell = row.get(column)
        if bound is not None:
            found = number(cell)
            return None if found is None else _sign(found[0], bound[0])
        return _sign(cell, value) if isinstance(cell, str) and _DATE.fullmatch(cell) else None

    return order


def _sign(left: Decimal | str, right: Decimal | str) -> int:
    return (left > right) - (left < right)  # type: ignore[operator]  # both of one type at either call


def _among(column: str, values: list[str]) -> Condition:
    """Return whether a row's cell is one of the values: as numbers where both are, as text otherwise.

    PERF: each value is read once, each cell once; compared one by one, 900 values on 124,000 rows took minutes.
    """
    read = [number(value) for value in values]
    numbers = {found[0] for found in read if found is not None}
    texts = {value.strip().lower() for value in values}
    words = {value.strip().lower() for value, found in zip(values, read, strict=True) if found is None}

    def among(row: Row) -> bool:
        cell = row.get(column)
        found = number(cell)
        if found is None:
            return _text(cell) in texts
        return found[0] in numbers or _text(cell) in words

    return among


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "" if cell is None else str(cell).strip().lower()
