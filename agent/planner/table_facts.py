"""What a table says about itself: its columns, what kind of cells each has, which rows fit a filter.

All that the planner's questions on tables know of the skills' reading of tables and filters stands here. Pure; any
thread; imported by the modules that read and plan such questions.
"""

import re
from collections.abc import Sequence
from datetime import time
from decimal import Decimal
from functools import cache
from typing import Any

from callboard.agent.cancel import let_go
from callboard.agent.planner.table_question import Condition
from callboard.agent.skills._columns import ADDED, Value
from callboard.agent.skills._filters import parse_where
from callboard.agent.skills._tables import Row, Table, is_missing, number, plain, read_table

__all__ = ["Facts", "Row", "Table", "forms", "is_missing", "plain", "read_table"]

_MIDNIGHT = time(0)
_TRUTH = ("true", "false")
_PLAIN_NUMBER = re.compile(r"[-+]?[$€£¥]?\d+(?:\.\d+)?%?")
_UNIT = re.compile(r"\s*[(\[][^()\[\]]{1,20}[)\]]\s*$")
_CURRENCY = re.compile(r" (?:usd|eur|gbp|chf|jpy)$")


class Facts:
    """One table, looked at once for each thing that is asked."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.columns = table.columns
        self.kind = cache(self._kind)
        self.cells = cache(self._cells)
        self._places = {id(row): index for index, row in enumerate(table.rows)}

    def _cells(self, column: str) -> tuple[Any, ...]:
        let_go()
        return tuple(cell for row in self.table.rows if not is_missing(cell := row.get(column)))

    def _kind(self, column: str) -> str:
        """Return number (of any unit), date, moment (a date with its time), boolean, text, mixed, other or empty."""
        typed = self.table.typed(column)
        if typed.kind in ADDED:
            return "number"
        if typed.kind == "date":
            return "date" if all(value.order[0].time() == _MIDNIGHT for value in self._values(column)) else "moment"
        if typed.kind == "boolean" and not all(str(cell).strip().lower() in _TRUTH for cell in self.cells(column)):
            return "text"  # yes and no are asked for as they stand
        return {"code": "text", "list": "other", "object": "other"}.get(typed.kind, typed.kind)

    def _values(self, column: str) -> list[Value]:
        return [value for value in self.table.typed(column).values if isinstance(value, Value)]

    def of_kind(self, *kinds: str) -> list[str]:
        return [column for column in self.columns if self.kind(column) in kinds]

    def measures(self) -> list[str]:
        """Return the columns of numbers that are worth adding up: no years, no identifiers."""
        return [column for column in self.of_kind("number") if not _LABEL.search(plain(column))]

    def is_label(self, column: str) -> bool:
        """Tell a column whose numbers are names of something: years, identifiers, codes."""
        if self.table.kind(column) == "code":
            return True
        return self.kind(column) == "number" and bool(_LABEL.search(plain(column)))

    def gaps(self, column: str) -> int:
        return len(self.table.rows) - len(self.cells(column))

    def repeats(self, column: str, rows: Sequence[Row] | None = None) -> bool:
        cells = [str(row.get(column)).strip().casefold() for row in (self.table.rows if rows is None else rows)]
        return len(set(cells)) < len(cells)

    def filled(self, rows: Sequence[Row], column: str) -> list[Row]:
        return [row for row in rows if not is_missing(row.get(column))]

    def years(self, column: str) -> list[int]:
        return sorted({day.year for day in self.table.typed(column).days.values()})

    def spellings(self, column: str, value: str) -> list[str]:
        """Return the different cells that are the value but for their case and spaces."""
        folded = value.strip().casefold()
        return list(dict.fromkeys(str(c) for c in self.cells(column) if str(c).strip().casefold() == folded))

    def are_plain(self, column: str) -> bool:
        """Tell whether the numbers of a column are read alike wherever they stand: none with a comma."""
        return all(not isinstance(cell, str) or _PLAIN_NUMBER.fullmatch(cell.strip()) for cell in self.cells(column))

    def unit(self, column: str) -> set[str]:
        """Return the units of a column's numbers: those in its cells, or the currency in its header."""
        units = {value.unit for value in self._values(column)}
        header = {
            sign
            for sign, name in _CURRENCIES.items()
            if sign in column or name in plain(column).replace("(", " ").replace(")", " ").split()
        }
        return units | header

    def rows(self, where: str | None) -> list[Row]:
        """Return the rows that the skill will take; raise `ValueError` for a filter that it cannot read."""
        test = parse_where(where, self.table) if where else None
        return [row for index, row in enumerate(self.table.rows) if test is None or test(index)]

    def ordered(self, rows: Sequence[Row], column: str, descending: bool) -> list[Any]:
        """Return what the filled cells of a column are sorted by, in order; raise `ValueError` where they have no order."""
        typed = self.table.typed(column)
        if typed.kind in ("mixed", "list", "object"):
            keys: list[Any] = [str(row.get(column)).lower() for row in rows if not is_missing(row.get(column))]
            return sorted(keys, reverse=descending)
        typed.check_order()
        found = [typed.value(self._places[id(row)]) for row in rows]
        return sorted((value.order for value in found if value is not None), reverse=descending)

    def where(self, conditions: Sequence[Condition], joint: str = "and") -> str | None:
        """Write conditions in the filter's language: text in quotes, everything else without."""
        return f" {joint} ".join(map(self._written, conditions)) or None

    def _written(self, condition: Condition) -> str:
        name = f'"{condition.column}"'
        if condition.operator in ("empty", "filled"):
            return f"{name} is {'empty' if condition.operator == 'empty' else 'not empty'}"
        as_text = self.kind(condition.column) == "text" or condition.operator in ("contains", "starts", "ends")
        values = [f'"{value}"' if as_text else value for value in condition.values]
        if condition.operator == "between":
            return f"{name} between {values[0]} and {values[1]}"
        if condition.operator == "in":
            return f"{name} in {', '.join(values)}"
        return f"{name} {_WORDS.get(condition.operator, condition.operator)} {values[0]}"

    def named(self, *names: str) -> list[str]:
        """Return the columns that are called one of these, units and plurals aside."""
        return [column for column in self.columns if forms(column)[0] & set(names) or forms(column)[1] & set(names)]


_CURRENCIES = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy"}
_WORDS = {"starts": "starts with", "ends": "ends with"}
_LABEL = re.compile(r"\b(?:years?|quarters?|months?|weeks?|ids?|no|nr|number|code|zip|postcode|phone|sku|key|index)$")


def forms(column: str) -> tuple[set[str], set[str], set[str]]:
    """Return how a column may be called: as it is, without its unit, and in singular and plural of either."""
    exact = {plain(column), plain(column).replace(" ", "")}
    short = {plain(_UNIT.sub("", column)), _CURRENCY.sub("", plain(column))}
    short |= {plain(re.sub(r"[()\[\]]", " ", column))}
    short = {name for name in short if name} - exact
    loose = {form for name in exact | short for form in numbers_of(name)} - exact - short
    return exact, short, loose


def numbers_of(word: str) -> set[str]:
    """Return singular and plural of a name, as they may be."""
    found = {f"{word}s"}
    if word.endswith(("s", "x", "ch", "sh", "z")):
        found.add(f"{word}es")
    if re.search(r"[^aeiou]y$", word):
        found.add(f"{word[:-1]}ies")
    if len(word) > 3:
        if word.endswith("ies"):
            found.add(f"{word[:-3]}y")
        if re.search(r"(?:s|x|ch|sh|z)es$", word):
            found.add(word[:-2])
        if word.endswith("s") and not word.endswith("ss"):
            found.add(word[:-1])
    if word in _ODD:
        found.add(_ODD[word])
    return found


def one_of(noun: str) -> str:
    """Return the singular of a noun that rows are called by."""
    return {"people": "person", "companies": "company"}.get(noun, noun.removesuffix("s"))


_ODD = {"person": "people", "people": "person", "child": "children", "man": "men", "woman": "women", "city": "cities"}


def as_number(text: str) -> Decimal | None:
    found = number(text)
    return found[0] if found else None
