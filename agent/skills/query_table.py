"""The skill `query-table`: questions on CSV and JSON.

Sums are exact (decimal), cells without a value are left out of them and counted in the task's metadata, and a cell
that is not what its column holds is an error that names it, never a zero. Any thread.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Literal

from callboard.agent.skill import SkillContext, skill
from callboard.agent.skills._columns import Column
from callboard.agent.skills._filters import parse_where
from callboard.agent.skills._folds import as_it_stands, fold, nearest, numbers, order_of, ordered, total
from callboard.agent.skills._tables import Table, read_table

Operation = Literal[
    "count", "distinct_count", "sum", "mean", "median", "min", "max", "mode", "percent_of_total", "rows", "values", "distinct"
]  # fmt: skip
_MAX_GROUPS_DEEP = 5


@skill(replay="pure")
def query_table(
    data: str,
    operation: Operation,
    column: str | None = None,
    group_by: str | list[str] | None = None,
    where: str | None = None,
    sort_by: str | None = None,
    descending: bool = False,
    limit: int | None = None,
    path: str | None = None,
    ctx: SkillContext | None = None,
) -> Any:
    """Answer a question on CSV text or a JSON list of objects: a number, with `group_by` a dict of them, or for `rows`, `values` and `distinct` a list.

    `count` counts rows, or with a column its filled cells, `distinct_count` its different ones; `mode` is the most frequent
    value, a list where several are. `group_by` may be a list of columns: dicts in dicts. `percent_of_total` says how much of
    the column's sum (without a column: of the rows) each group has, from 0 to 100. `where` is like
    `status = 'paid' and price > 10`, also with `!=`, `<=`, `contains`, `in`, `between`, `or`; quotes mean text. `sort_by`,
    `descending` and `limit` are for `rows` and `values`. `path` names the list in JSON that holds several. Column names are
    matched without regard to case, spaces and underscores; `address.city` is a value inside of objects.
    Raises ValueError naming the columns there are, or the cell that does not fit its column.
    """
    table = read_table(data, path)
    test = parse_where(where, table) if where else None
    rows = [index for index in range(len(table.rows)) if test is None or test(index)]
    query = _Query(table, rows, operation, ctx)
    if operation in ("rows", "values", "distinct"):
        return query.listed(column, sort_by, descending, limit)
    name = table.column(column) if column else None
    if name is None and operation not in ("count", "percent_of_total"):
        raise ValueError(f"To work out the {operation}, name a column; the columns are {', '.join(table.columns)}.")
    keys = [group_by] if isinstance(group_by, str) else group_by or []
    if len(keys) > _MAX_GROUPS_DEEP:
        raise ValueError(f"group_by has {len(keys)} columns and the limit is {_MAX_GROUPS_DEEP}.")
    return query.folded(name, [table.column(key) for key in keys])


class _Query:
    """One question on the rows that its filter has left."""

    def __init__(self, table: Table, rows: list[int], operation: Operation, ctx: SkillContext | None) -> None:
        self.table, self.rows, self.operation, self.ctx = table, rows, operation, ctx

    def folded(self, name: str | None, keys: Sequence[str]) -> Any:
        column = self.table.typed(name) if name else None
        columns = [self.table.typed(key) for key in keys]
        self.note_missing([*columns, *([column] if column else [])])
        if column and self.operation in ("sum", "mean", "median", "min", "max"):
            self.note_unit(column)
        if self.operation != "percent_of_total":
            return self.grouped(
                self.rows, columns, lambda rows: fold(column, rows, self.operation) if column else len(rows)
            )
        if not columns:
            raise ValueError("percent_of_total compares groups: name their column with group_by.")
        whole = self.amount(column, self.rows)
        if not whole:
            raise ValueError(
                f"The {'sum of ' + name if name else 'number of rows'} is 0, so there is no percentage of it."
            )
        return self.grouped(self.rows, columns, lambda rows: nearest(self.amount(column, rows) * 100 / whole))

    def amount(self, column: Column | None, rows: Sequence[int]) -> Fraction:
        """Return what a group has: its sum, or how many rows it has."""
        if column is None:
            return Fraction(len(rows))
        filled = [index for index in rows if not column.missing(index)]
        return Fraction(total(numbers(column, filled))) if filled else Fraction(0)

    def grouped(self, rows: Sequence[int], columns: Sequence[Column], result: Callable[[Sequence[int]], Any]) -> Any:
        """Return what each group comes to, by the text of its first cell; groups in groups for several columns."""
        if not columns:
            return result(rows)
        column, inner = columns[0], columns[1:]
        column.check_same()
        groups: dict[Any, list[int]] = {}
        for index in rows:
            groups.setdefault(column.same(index), []).append(index)
        found: dict[str, Any] = {}
        for same, members in groups.items():
            name = "" if same is None else _name(column.cells[members[0]])
            if name in found:
                raise ValueError(f"Two groups of the column {column.name} are called {name!r}; filter for one of them.")
            found[name] = self.grouped(members, inner, result)
        return found

    def listed(self, name: str | None, sort_by: str | None, descending: bool, limit: int | None) -> list[Any]:
        rows, table = self.rows, self.table
        if sort_by:
            rows = self.sorted(table.typed(table.column(sort_by)), descending)
        if limit is not None and limit < 1:
            raise ValueError(f"limit is {limit}; give at least 1.")
        if self.operation == "rows":
            return [as_it_stands(dict(table.rows[index])) for index in rows[:limit]]
        if name is None:
            raise ValueError(
                f"To list the {self.operation}, name a column; the columns are {', '.join(table.columns)}."
            )
        column = table.typed(table.column(name))
        if self.operation == "distinct":
            self.note_missing([column])
            column.check_same()
            first: dict[Any, int] = {}
            for index in rows:
                if not column.missing(index):
                    first.setdefault(column.same(index), index)
            rows = list(first.values())
        return [as_it_stands(column.cells[index]) for index in rows[:limit]]

    def sorted(self, column: Column, descending: bool) -> list[int]:
        """Sort by what the column holds; empty cells come last either way."""
        self.note_missing([column])
        filled = [index for index in self.rows if not column.missing(index)]
        if filled:
            ordered(column, filled)
        filled.sort(key=order_of(column), reverse=descending)
        return filled + [index for index in self.rows if column.missing(index)]

    def note_unit(self, column: Column) -> None:
        """Tell the task the unit of an answer that is a number without one."""
        if self.ctx is not None and column.kind in ("percentage", "money"):
            self.ctx.note("units", {column.name: column.unit(index for index in self.rows)})

    def note_missing(self, columns: Sequence[Column]) -> None:
        """Tell the task how many cells of these columns are missing in the rows that are asked about."""
        missing = {column.name: sum(map(column.missing, self.rows)) for column in columns}
        if self.ctx is not None and any(missing.values()):
            self.ctx.note("missingCells", {name: count for name, count in missing.items() if count})


def _name(cell: Any) -> str:
    return cell.strip() if isinstance(cell, str) else str(as_it_stands(cell))
