"""Reading CSV, TSV, Markdown tables and JSON into one shape, and the numbers in their cells.

Pure functions; any thread; imported by `query_table`, its filter, and the planner's recogniser of tables.
"""

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from callboard.values import unmarked_within

MAX_COLUMNS = 200
MAX_CHARS = 1_000_000
Row = Mapping[str, Any]

_DELIMITERS = ",;\t|"
_RULE = re.compile(r"[\s|:+=-]+")
_MISSING = frozenset({"", "-", "n/a", "na", "null", "none", "nan"})
_NUMBER = re.compile(
    r"([-+]?)([$€£¥]?) ?([-+]?)(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:[eE]([-+]?\d{1,2}))? ?([$€£¥%]?)"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns in their order, and rows that may lack some of them."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, name: str) -> str:
        """Return the column that `name` means, whatever its case, spaces, hyphens and underscores."""
        found = [column for column in self.columns if column == name]
        for same in (plain, _joined):
            found = found or [column for column in self.columns if same(column) == same(name)]
        if len(found) != 1:
            known = ", ".join(self.columns)
            problem = "is not unique" if found else "is not there"
            raise ValueError(f"The column {name[:60]!r} {problem}; the columns are {known[:500]}.")
        return found[0]


def plain(name: str) -> str:
    """Return a name as it is compared: lower case, words apart by one space."""
    return " ".join(re.sub(r"[\s_\-]+", " ", _CAMEL.sub(" ", name)).lower().split())


def _joined(name: str) -> str:
    return plain(name).replace(" ", "")


def read_table(data: str) -> Table:
    """Read CSV (separated by comma, semicolon, tab or |), a Markdown table, a JSON list of objects or JSON lines."""
    if len(data) > MAX_CHARS:
        raise ValueError(f"The data has {len(data)} characters and the limit is {MAX_CHARS}; give it in parts.")
    text = unmarked_within(data).strip()
    if not text:
        raise ValueError("There is no data; put the CSV or JSON itself into the task.")
    table = _from_json(text) if text[0] in "[{" else _from_lines(text)
    if len(table.columns) > MAX_COLUMNS:
        raise ValueError(f"The data has {len(table.columns)} columns and the limit is {MAX_COLUMNS}.")
    return table


def _from_json(text: str) -> Table:
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    except json.JSONDecodeError as error:
        value = _json_lines(text)
        if value is None:
            raise ValueError(f"The JSON cannot be read: {error.msg} at line {error.lineno}.") from None
    if isinstance(value, dict):
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        value = lists[0] if len(lists) == 1 else [value]
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
        raise ValueError("The JSON must be a list of objects, one for each row.")
    columns = tuple(dict.fromkeys(key for row in value for key in row))
    return Table(columns, tuple(value))


def _json_lines(text: str) -> list[Any] | None:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None


def _from_lines(text: str) -> Table:
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    if delimiter == "|":
        lines = [line.strip().removeprefix("|").removesuffix("|") for line in text.split("\n")]
        text = "\n".join(line for n, line in enumerate(lines) if n != 1 or not _RULE.fullmatch(line))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        cells = [[cell.strip() for cell in row] for row in reader if any(row)]
    except csv.Error as error:
        raise ValueError(f"The CSV cannot be read: {error}.") from None
    header, body = cells[0] if cells else [], cells[1:]
    _check(header, body)
    return Table(tuple(header), tuple(dict(zip(header, row, strict=False)) for row in body))


def _check(header: list[str], body: list[list[str]]) -> None:
    if len(set(header)) < len(header) or "" in header:
        raise ValueError("The first line must give each column a name of its own.")
    for position, row in enumerate(body, 2):
        if len(row) > len(header):
            raise ValueError(
                f"Row {position} has {len(row)} cells and there are {len(header)} columns; "
                "put quotes around cells that hold the separator."
            )


def is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in _MISSING)


def number(cell: Any) -> tuple[Decimal, str] | None:
    """Return a cell's number and its unit (a currency, % or nothing); None if it is not a number."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    if not isinstance(cell, str):
        try:
            value = Decimal(str(cell))
        except InvalidOperation:
            return None
        return (value, "") if value.is_finite() else None
    found = _NUMBER.fullmatch(cell.strip())
    if not found or (found[1] and found[3]) or (found[2] and found[6]):
        return None
    value = Decimal(found[4].replace(",", "") + (f"e{found[5]}" if found[5] else ""))
    return (-value if "-" in (found[1], found[3]) else value), found[2] or found[6]


def shown(value: Decimal) -> int | float:
    """Return a number as JSON has it: whole ones as int."""
    return int(value) if value == value.to_integral_value() else float(value)
