"""The skill `describe-table`: what is in a table, column by column, before anyone asks a question of it.

Numbers are exact (decimal) where `query-table`'s are; quartiles are interpolated between the two nearest cells, as
spreadsheets and most statistics programs do it. Any thread.
"""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from callboard.agent.cancel import let_go
from callboard.agent.skill import SkillContext, skill
from callboard.agent.skills._columns import Column, Value
from callboard.agent.skills._folds import fold, mean, numbers, ordered, total, written
from callboard.agent.skills._tables import read_table, shown

_TOP = 5
_ODD = 3
_SHOWN_CHARS = 60
_DIGITS = 10
_MAX_DIGITS = 300
_AS_NUMBERS = frozenset({"number", "percentage", "money"})
_MEASURED = frozenset({"size", "duration", "quantity", "time"})


@skill(replay="pure")
def describe_table(data: str, path: str | None = None, ctx: SkillContext | None = None) -> dict[str, Any]:
    """Describe CSV text or a JSON list of objects: keys rows, duplicateRows, columns and summary; ask this first of data that is not known.

    Each of columns has name, type (integer, number, size, duration, quantity, time, date, boolean, code, text, list, object,
    mixed or empty), filled, missing, distinct, and: of numbers min, max, mean, median, q1, q3, standardDeviation, sum and unit;
    of dates, times, durations, sizes and codes min and max; of a mixed column numbers (how many) and others (some cells that
    are none); of one that cannot be worked with problem (why); of all that repeat topValues (value and count). Values inside
    of objects are columns such as address.city. `path` names the list in JSON that holds several.
    Raises ValueError for data that cannot be read.
    """
    table = read_table(data, path)
    columns = [_column(table.typed(name)) for name in (*table.columns, *table.nested)]
    missing = {column["name"]: column["missing"] for column in columns if column["missing"]}
    if ctx is not None and missing:
        ctx.note("missingCells", missing)
    keys = [[_key(cell) for cell in table.cells(name)] for name in table.columns]
    duplicates = len(table.rows) - len(set(zip(*keys, strict=True)))
    return {
        "rows": len(table.rows),
        "duplicateRows": duplicates,
        "columns": columns,
        "summary": _summary(len(table.rows), duplicates, columns[: len(table.columns)]),
    }


def _column(column: Column) -> dict[str, Any]:
    let_go()
    filled = [index for index in range(len(column.cells)) if not column.missing(index)]
    cells = [column.cells[index] for index in filled]
    counts = Counter(map(_key, cells))
    described = {
        "name": column.name,
        "type": _type(column, filled),
        "filled": len(filled),
        "missing": len(column.cells) - len(filled),
        "distinct": len({column.same(index) for index in filled}),
    }
    return described | _problem(column, filled) | _details(column, filled) | _top_values(cells, counts)


def _type(column: Column, filled: Sequence[int]) -> str:
    if column.kind not in _AS_NUMBERS:
        return column.kind
    orders = {value.order for index in filled if isinstance(value := column.values[index], Value)}
    return "integer" if all(order == order.to_integral_value() for order in orders) else "number"


def _problem(column: Column, filled: Sequence[int]) -> dict[str, str]:
    """Return what keeps a column from being worked with: what any question that needs its cells is told."""
    if column.kind in ("mixed", "text", "list", "object", "empty", "boolean"):
        return {}
    try:
        ordered(column, filled)
        column.check_same()
        for index in filled:
            column.value(index)
    except ValueError as error:
        return {"problem": str(error)}
    return {}


def _details(column: Column, filled: Sequence[int]) -> dict[str, Any]:
    let_go()
    if column.kind == "mixed":
        odd = [column.cells[index] for index in filled if not isinstance(column.values[index], Value)]
        others = list(dict.fromkeys(_shown(one) for one in odd))[:_ODD]
        fitting = len(filled) - len(odd) if column.expected == "number" else 0
        return {"numbers": fitting, "others": others} if column.expected == "number" else {
            "expected": column.expected, "others": others
        }  # fmt: skip
    if column.kind in _AS_NUMBERS:
        try:
            return _of_numbers(numbers(column, filled), column.unit(filled))
        except ValueError as error:
            return {"note": f"No statistics: {str(error)[0].lower()}{str(error)[1:]}"}
    if column.kind in (*_MEASURED, "date", "code"):
        return _of_order(column, filled)
    return {}


def _of_order(column: Column, filled: Sequence[int]) -> dict[str, Any]:
    """Return the extremes of cells that are ordered, and the sum and mean of those that can be added."""
    described: dict[str, Any] = {}
    try:
        described = {"min": fold(column, filled, "min"), "max": fold(column, filled, "max")}
        if column.kind in _MEASURED:
            values = numbers(column, filled)
            described["mean"] = written(column, filled, mean(values), rounded=True)
            described["sum"] = written(column, filled, total(values))
            unit = column.unit(filled) if column.kind == "quantity" else ""
            return described | ({"unit": unit} if unit else {})
    except ValueError:
        return described  # `problem` says why, or times of the day are not added
    return described


def _of_numbers(found: list[Decimal], unit: str) -> dict[str, Any]:
    values = sorted(found)
    described: dict[str, Any] = {
        "min": shown(values[0]),
        "max": shown(values[-1]),
        "mean": _rounded(mean(values)),
        "median": _rounded(_quantile(values, 2)),
        "q1": _rounded(_quantile(values, 1)),
        "q3": _rounded(_quantile(values, 3)),
        "sum": shown(total(values)),
    }
    if len(values) > 1:  # of a sample, as one number has no spread
        described["standardDeviation"] = _rounded(_deviation(values))
    return described | ({"unit": unit} if unit else {})


def _quantile(ordered: list[Decimal], quarters: int) -> Fraction:
    """Return the quartile of sorted values, interpolated as `statistics.quantiles(method="inclusive")` does."""
    index, rest = divmod((len(ordered) - 1) * quarters, 4)
    low, high = Fraction(ordered[index]), Fraction(ordered[min(index + 1, len(ordered) - 1)])
    return low + (high - low) * rest / 4


def _deviation(values: list[Decimal]) -> Fraction:
    """Return the standard deviation of a sample, with more digits than are shown of it."""
    exponents = [value.as_tuple().exponent for value in set(values)]
    widest = max(values[-1].adjusted(), values[0].adjusted()) - min(one for one in exponents if isinstance(one, int))
    with localcontext() as context:
        context.prec = min(_MAX_DIGITS, max(_DIGITS, widest) + 2 * _DIGITS)
        middle = sum(values, Decimal(0)) / len(values)
        return Fraction((sum(((value - middle) ** 2 for value in values), Decimal(0)) / (len(values) - 1)).sqrt())


def _rounded(value: Fraction) -> int | float | str:
    """Return a computed number with ten digits that count, or two decimals where that is more; a third fills no line."""
    if value.denominator == 1:
        return shown(Decimal(value.numerator))
    digits = max(_DIGITS, len(str(abs(int(value)))) + 2)
    with localcontext() as context:
        context.prec = digits
        return shown(Decimal(value.numerator) / Decimal(value.denominator))


def _top_values(filled: list[Any], counts: Counter[str]) -> dict[str, Any]:
    """Return the most frequent values, if any occurs twice."""
    if not counts or len(counts) == len(filled):
        return {}
    first: dict[str, Any] = {}
    top = dict(counts.most_common(_TOP))
    for cell in filled:  # PERF: of 400,000 cells the first few have the top values, where there are such
        if (key := _key(cell)) in top and first.setdefault(key, cell) is cell and len(first) == len(top):
            break
    return {"topValues": [{"value": _shown(first[key]), "count": count} for key, count in top.items()]}


def _key(cell: Any) -> str:
    return str(cell).strip()


def _shown(cell: Any) -> Any:
    """Return a cell as it is, or where it is long the beginning of it."""
    if isinstance(cell, bool | int | float):
        return cell
    text = str(cell)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def _summary(rows: int, duplicates: int, columns: list[dict[str, Any]]) -> str:
    told = ", ".join(f"{column['name'][:_SHOWN_CHARS]} ({column['type']})" for column in columns[:20])
    more = f", and {len(columns) - 20} more" if len(columns) > 20 else ""
    missing = sum(column["missing"] for column in columns)
    return (
        f"Rows: {rows}, repeated: {duplicates}; columns: {len(columns)}, namely {told}{more}; missing cells: {missing}."
    )
