"""The skill `query-table`: questions on CSV and JSON.

Sums are exact (decimal), cells without a value are left out of them, and a cell that is not a number where one is
needed is an error that names it, never a zero. Any thread.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Literal

from callboard.agent.skill import skill
from callboard.agent.skills._filters import parse_where
from callboard.agent.skills._tables import Row, Table, is_missing, number, read_table, shown

Operation = Literal["count", "distinct_count", "sum", "mean", "median", "min", "max", "rows", "values", "distinct"]


@skill(replay="pure")
def query_table(
    data: str,
    operation: Operation,
    column: str | None = None,
    group_by: str | None = None,
    where: str | None = None,
    sort_by: str | None = None,
    descending: bool = False,
    limit: int | None = None,
) -> Any:
    """Answer a question on CSV text or a JSON list of objects: a number, with `group_by` a dict of them, or for `rows`, `values` and `distinct` a list.

    `count` counts rows, or with a column its filled cells, `distinct_count` its different ones. `where` is like `status = 'paid' and price > 10`, also
    with `!=`, `<=`, `contains`, `in`, `between`, `or`. `sort_by`, `descending` and `limit` are for `rows` and
    `values`. Column names are matched without regard to case, spaces and underscores.
    Raises ValueError naming the columns there are, or the cell that is not a number.
    """
    table = read_table(data)
    test = parse_where(where, table) if where else None
    rows = [row for row in table.rows if test is None or test(row)]
    if operation in ("rows", "values", "distinct"):
        return _listed(table, rows, operation, column, sort_by, descending, limit)
    name = table.column(column) if column else None
    if name is None and operation != "count":
        raise ValueError(f"To work out the {operation}, name a column; the columns are {', '.join(table.columns)}.")
    if group_by is None:
        return _aggregate(rows, operation, name)
    groups: dict[str, list[Row]] = {}
    key = table.column(group_by)
    for row in rows:
        groups.setdefault("" if is_missing(row.get(key)) else str(row[key]), []).append(row)
    return {group: _aggregate(members, operation, name) for group, members in groups.items()}


def _listed(
    table: Table,
    rows: list[Row],
    operation: str,
    column: str | None,
    sort_by: str | None,
    descending: bool,
    limit: int | None,
) -> list[Any]:
    if sort_by:
        rows = _sorted(rows, table.column(sort_by), descending)
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; give at least 1.")
    if operation == "rows":
        return [dict(row) for row in rows[:limit]]
    if column is None:
        raise ValueError(f"To list the {operation}, name a column; the columns are {', '.join(table.columns)}.")
    name = table.column(column)
    values = [row.get(name) for row in rows]
    if operation == "distinct":
        first: dict[str, Any] = {}
        for value in values:
            if not is_missing(value):
                first.setdefault(str(value), value)
        values = list(first.values())
    return values[:limit]


def _sorted(rows: list[Row], name: str, descending: bool) -> list[Row]:
    """Sort by number, or by text where no filled cell is a number; empty cells come last either way."""
    filled = [row for row in rows if not is_missing(row.get(name))]
    cells = [row[name] for row in filled]
    by: Sequence[Any]
    by = _numbers(cells, name) if any(number(cell) for cell in cells) else [str(cell).lower() for cell in cells]
    order = sorted(range(len(filled)), key=by.__getitem__, reverse=descending)
    return [filled[index] for index in order] + [row for row in rows if is_missing(row.get(name))]


def _aggregate(rows: list[Row], operation: str, name: str | None) -> Any:
    if name is None:
        return len(rows)
    cells = [row[name] for row in rows if not is_missing(row.get(name))]
    if operation == "count":
        return len(cells)
    if operation == "distinct_count":
        return len({str(cell) for cell in cells})
    if operation == "sum" and not cells:
        return 0
    if not cells:
        return None
    if operation in ("min", "max") and not any(number(cell) for cell in cells):
        return (min if operation == "min" else max)(cells, key=str)
    return shown(_FOLDS[operation](_numbers(cells, name)))


def _numbers(cells: list[Any], name: str) -> list[Decimal]:
    """Return the cells as numbers; raise `ValueError` for one that is not, and for units that do not fit together."""
    values, units = [], set()
    for cell in cells:
        found = number(cell)
        if found is None:
            raise ValueError(
                f"{str(cell)[:60]!r} in the column {name} is not a number; filter such rows out with where."
            )
        values.append(found[0])
        units.add(found[1])
    if len(units - {""}) > 1:
        raise ValueError(f"The column {name} mixes {' and '.join(sorted(units - {''}))}; filter for one of them.")
    return values


def _mean(values: list[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


def _median(values: list[Decimal]) -> Decimal:
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


_FOLDS: dict[str, Callable[[list[Decimal]], Decimal]] = {
    "sum": lambda values: sum(values, Decimal(0)),
    "mean": _mean,
    "median": _median,
    "min": min,
    "max": max,
}
