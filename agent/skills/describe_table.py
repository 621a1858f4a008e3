"""The skill `describe-table`: what is in a table, column by column, before anyone asks a question of it.

Numbers are exact (decimal) where `query-table`'s are; quartiles are interpolated between the two nearest cells, as
spreadsheets and most statistics programs do it. Any thread.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from callboard.agent.skill import skill
from callboard.agent.skills._tables import Table, is_missing, number, read_table, shown

_TOP = 5
_ODD = 3
_SHOWN_CHARS = 60
_BOOLEAN = frozenset({"true", "false", "yes", "no"})
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2})?)?")


@skill(replay="pure")
def describe_table(data: str) -> dict[str, Any]:
    """Describe CSV text or a JSON list of objects: keys rows, duplicateRows, columns and summary; ask this first of data that is not known.

    Each of columns has name, type (integer, number, boolean, date, text, list, object, mixed or empty), filled, missing,
    distinct, and: of numbers min, max, mean, median, q1, q3, standardDeviation, sum and unit; of dates min and max; of a
    mixed column numbers (how many) and others (some cells that are none); of all that repeat topValues (value and count).
    Raises ValueError for data that cannot be read.
    """
    table = read_table(data)
    columns = [_column(table, name) for name in table.columns]
    duplicates = len(table.rows) - len({tuple(_key(row.get(name)) for name in table.columns) for row in table.rows})
    return {
        "rows": len(table.rows),
        "duplicateRows": duplicates,
        "columns": columns,
        "summary": _summary(len(table.rows), duplicates, columns),
    }


def _column(table: Table, name: str) -> dict[str, Any]:
    cells = [row.get(name) for row in table.rows]
    filled = [cell for cell in cells if not is_missing(cell)]
    keys = list(map(_key, filled))
    counts = Counter(keys)
    # PERF: each value is read once, however often it is there; equal texts are equal numbers
    read = {key: number(cell) for key, cell in dict(zip(keys, filled, strict=True)).items()}
    numbers = [read[key] for key in keys]
    kind = _kind(filled, numbers)
    described = {
        "name": name,
        "type": kind,
        "filled": len(filled),
        "missing": len(cells) - len(filled),
        "distinct": len(counts),
    }
    if kind in ("integer", "number"):
        described |= _of_numbers([found for found in numbers if found is not None])
    elif kind == "date":
        texts = [str(cell).strip() for cell in filled]
        described |= {"min": min(texts), "max": max(texts)}
    elif kind == "mixed":
        odd = [cell for cell, found in zip(filled, numbers, strict=True) if found is None]
        others = list(dict.fromkeys(_shown(cell) for cell in odd))[:_ODD]
        described |= {"numbers": len(filled) - len(odd), "others": others}
    return described | _top_values(filled, counts)


def _kind(filled: list[Any], numbers: Sequence[tuple[Decimal, str] | None]) -> str:
    """Return the one type that all filled cells have; `mixed` where some are numbers and some are not."""
    if not filled:
        return "empty"
    found = [value for value in numbers if value is not None]
    if len(found) == len(filled):
        return "integer" if all(value == value.to_integral_value() for value, _ in found) else "number"
    if found:
        return "mixed"
    for kind, fits in (("boolean", _is_boolean), ("date", _is_date), ("list", _is_list), ("object", _is_object)):
        if all(map(fits, filled)):
            return kind
    return "text"


def _is_boolean(cell: Any) -> bool:
    return isinstance(cell, bool) or (isinstance(cell, str) and cell.strip().lower() in _BOOLEAN)


def _is_list(cell: Any) -> bool:
    return isinstance(cell, list)


def _is_object(cell: Any) -> bool:
    return isinstance(cell, dict)


def _is_date(cell: Any) -> bool:
    """Tell a date, or a date with a time, as ISO 8601 writes them."""
    if not isinstance(cell, str) or not _DATE.fullmatch(cell.strip()):
        return False
    text = cell.strip()
    try:
        date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _of_numbers(found: list[tuple[Decimal, str]]) -> dict[str, Any]:
    units = sorted({unit for _, unit in found} - {""})
    if len(units) > 1:
        return {"note": f"No statistics: the column mixes {' and '.join(units)}."}
    values = sorted(value for value, _ in found)
    total = sum(values, Decimal(0))
    mean = total / len(values)
    described: dict[str, Any] = {
        "min": shown(values[0]),
        "max": shown(values[-1]),
        "mean": _rounded(mean),
        "median": _rounded(_quantile(values, 2)),
        "q1": _rounded(_quantile(values, 1)),
        "q3": _rounded(_quantile(values, 3)),
        "sum": shown(total),
    }
    if len(values) > 1:  # of a sample, as one number has no spread
        variance = sum(((value - mean) ** 2 for value in values), Decimal(0)) / (len(values) - 1)
        described["standardDeviation"] = _rounded(variance.sqrt())
    return described | ({"unit": units[0]} if units else {})


def _quantile(ordered: list[Decimal], quarters: int) -> Decimal:
    """Return the quartile of sorted values, interpolated as `statistics.quantiles(method="inclusive")` does."""
    index, rest = divmod((len(ordered) - 1) * quarters, 4)
    low, high = ordered[index], ordered[min(index + 1, len(ordered) - 1)]
    return low + (high - low) * rest / 4


def _rounded(value: Decimal) -> int | float:
    """Return a computed number with ten digits that count, so that a third does not fill a line."""
    return shown(Decimal(f"{value:.10g}"))


def _top_values(filled: list[Any], counts: Counter[str]) -> dict[str, Any]:
    """Return the most frequent values, if any occurs twice."""
    if not counts or len(counts) == len(filled):
        return {}
    first = {_key(cell): cell for cell in reversed(filled)}
    return {"topValues": [{"value": _shown(first[key]), "count": count} for key, count in counts.most_common(_TOP)]}


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
