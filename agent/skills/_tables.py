"""Reading CSV, TSV, Markdown tables and JSON into one shape: named columns with kinds, and rows.

Pure functions; any thread, one `Table` each; imported by the skills of tables, the filter, and the planner's
recogniser of tables.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from callboard.agent.cancel import let_go
from callboard.agent.skills._cell_units import sure_figure
from callboard.agent.skills._codes import may_be_versions
from callboard.agent.skills._columns import ADDED, Column, Kind, exact, is_missing, is_number
from callboard.agent.skills._csv_text import read_grid
from callboard.agent.skills._figures import Notation, figure, settle, shown
from callboard.agent.skills._json_rows import read_rows
from callboard.agent.skills._kinds import typed
from callboard.agent.skills._table_limits import MAX_CELLS, MAX_COLUMNS, MAX_PATH_CHARS, check_chars, check_size
from callboard.values import unmarked_within

__all__ = ["ADDED", "Column", "Kind", "Row", "Table", "is_missing", "number", "plain", "read_table", "shown"]

Row = Mapping[str, Any]

_MAX_DEPTH = 3
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Table:
    """Named columns in their order, and rows that may lack some of them.

    `nested` are paths to values inside of objects, such as `address.city`, which name columns as well. `lines` says
    where each row stands: the line of a text, or the place in a list.
    """

    def __init__(self, columns: Sequence[str], rows: Sequence[Row], lines: Sequence[int], separator: str = "") -> None:
        self.columns, self.rows, self.lines = tuple(columns), tuple(rows), lines
        self.nested = () if separator else tuple(_paths(self.columns, self.rows))
        self._separator = separator
        self._typed: dict[str, Column] = {}
        self._notations: dict[str, Notation] | None = None

    def column(self, name: str) -> str:
        """Return the column that `name` means, whatever its case, spaces, hyphens and underscores."""
        names = (*self.columns, *self.nested)
        found = [column for column in names if column == name]
        for same in (plain, _joined):
            wanted = "" if found else same(name)
            found = found or [column for column in names if same(column) == wanted]
        if len(found) != 1:
            known = ", ".join(names)
            problem = "is not unique" if found else "is not there"
            raise ValueError(f"The column {name[:60]!r} {problem}; the columns are {known[:500]}.")
        return found[0]

    def cells(self, column: str) -> list[Any]:
        """Return the cells of a column by its own name, as they stand, None for those that rows lack."""
        if column in self.columns:
            return [row.get(column) for row in self.rows]
        return [_inside(row, column) for row in self.rows]

    def typed(self, column: str) -> Column:
        """Return a column by its own name, with its kind and what its cells mean."""
        let_go()
        if column not in self._typed:
            self._typed[column] = typed(
                column, plain(column), self.cells(column), self.lines, self._separator, lambda: self._notation(column)
            )
        return self._typed[column]

    def kind(self, column: str) -> Kind:
        """Return what all the cells of a column are together; `mixed` where some are of another kind."""
        return self.typed(self.column(column)).kind

    def _notation(self, asking: str) -> Notation | None:
        """Return the one way in which the numbers of the other columns are written, where there is one.

        A decimal point says nothing in a file with semicolons, since a version such as 1.10 has it as well.
        """
        if self._notations is None:  # once for all that ask: each looks at all cells of all the others
            self._notations = dict(self._settled())
        found = {notation for column, notation in self._notations.items() if column != asking}
        return found.pop() if len(found) == 1 else None

    def _settled(self) -> Iterator[tuple[str, Notation]]:
        """Yield the columns of numbers whose own cells tell how they are written."""
        for column in self.columns:
            let_go()
            texts = {
                cell.strip() for row in self.rows if isinstance(cell := row.get(column), str) and not is_missing(cell)
            }
            figures = {text: one for text in texts if (one := figure(text)) is not None}
            if not texts or len(figures) < len(texts) or may_be_versions(texts, plain(column)):
                continue
            settled = settle(figures, self._separator)
            grouped = any("," in text or one.unit for text, one in figures.items())
            if settled.firm and settled.notation and (settled.notation == "comma" or grouped or self._separator != ";"):
                yield column, settled.notation


def plain(name: str) -> str:
    """Return a name as it is compared: lower case, words apart by one space."""
    return " ".join(re.sub(r"[\s_\-]+", " ", _CAMEL.sub(" ", name)).lower().split())


def _joined(name: str) -> str:
    return plain(name).replace(" ", "")


def _paths(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """Yield the paths to values inside of objects, in the order in which they come, as many as may be columns."""
    most = min(MAX_COLUMNS, MAX_CELLS // max(1, len(rows)))
    return islice(dict.fromkeys(_below(columns, rows, "", 1)), most)


def _below(columns: Sequence[str], rows: Sequence[Row], above: str, depth: int) -> Iterator[str]:
    objects: dict[str, list[Row]] = {}
    for row in rows:  # each cell once: by columns it would be each row for each of them
        for column, cell in row.items():
            if isinstance(cell, dict):
                objects.setdefault(column, []).append(cell)
    for column in columns:
        let_go()
        inner, path = objects.get(column, ()), f"{above}{column}."
        if not inner or len(path) > MAX_PATH_CHARS:
            continue
        keys = list(dict.fromkeys(key for cell in inner for key in cell))[:MAX_COLUMNS]
        yield from (f"{path}{key}" for key in keys if len(path) + len(key) <= MAX_PATH_CHARS)
        if depth < _MAX_DEPTH:
            yield from _below(keys, inner, path, depth + 1)


def _inside(row: Row, path: str) -> Any:
    """Return what is at a path; a key may hold dots itself."""
    if path in row:
        return row[path]
    for place, mark in enumerate(path):
        if mark == "." and isinstance(inner := row.get(path[:place]), dict):
            return _inside(inner, path[place + 1 :])
    return None


def read_table(data: str, path: str | None = None) -> Table:
    """Read CSV (separated by comma, semicolon, tab or |), a Markdown table, a JSON list of objects or JSON lines.

    `path` names the list of rows in JSON that holds several, as in `data.items`.
    """
    check_chars(data)
    text = unmarked_within(data)
    start = text.lstrip()[:1]
    if not start:
        raise ValueError("There is no data; put the CSV or JSON itself into the task.")
    if start in "[{":
        rows = read_rows(text, path)
        columns = tuple(dict.fromkeys(key for row in rows for key in row))
        check_size(len(columns), len(rows))
        return Table(columns, rows, range(1, len(rows) + 1))
    if path is not None:
        raise ValueError(f"path={path[:60]!r} leads into JSON, and the data is not JSON; leave path out.")
    grid = read_grid(text)
    rows = [dict(zip(grid.header, cells, strict=True)) for cells in grid.rows]
    return Table(grid.header, rows, grid.lines, grid.separator)


def number(cell: Any) -> tuple[Decimal, str] | None:
    """Return the number of one cell by itself and its unit; None if it is not a number. Columns know better: `Table.typed`."""
    if is_number(cell):
        value = exact(cell)
        return (value, "") if value.is_finite() else None
    found = sure_figure(cell) if isinstance(cell, str) else None
    if found is None:
        return None
    read = found.point if found.point is not None else found.comma
    return None if read is None else (read, found.unit)
