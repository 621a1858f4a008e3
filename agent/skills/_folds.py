"""What a column's cells come to: sum, mean, median, extremes, the most frequent value.

Sums, medians and extremes are exact; a mean and a percentage are the float that is nearest to the exact value. Any
thread; imported by the skills of tables.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from callboard.agent.skills._cell_units import SIZES
from callboard.agent.skills._columns import ADDED, Column, Value
from callboard.agent.skills._figures import EXACT, shown
from callboard.agent.skills._quantities import Clock, Span, as_clock, as_size, as_span, number_text

_MOST_EXACT = 2**53


def fold(column: Column, indices: Sequence[int], operation: str) -> Any:
    """Return what an operation makes of the cells at some rows, missing ones left out; None where none is left."""
    filled = [index for index in indices if not column.missing(index)]
    match operation:
        case "count":
            return len(filled)
        case "distinct_count":
            column.check_same()
            return len({column.same(index) for index in filled})
        case "mode":
            return mode(column, filled)
        case "min" | "max":
            return _extreme(column, filled, operation)
        case _:  # is of numbers
            pass
    if not filled:
        return 0 if operation == "sum" else None
    return written(column, filled, _FOLDS[operation](numbers(column, filled)), rounded=operation == "mean")


def numbers(column: Column, filled: Sequence[int]) -> list[Decimal]:
    """Return the cells as numbers; raise `ValueError` for one that is not, and for units that do not fit together."""
    if column.problem:
        raise ValueError(f"The numbers in the column {column.name} cannot be read: {column.problem}.")
    adding = column.kind in ADDED or (column.kind == "mixed" and column.expected != "date")
    if not adding:
        held = {"code": "is a code, not a number", "date": "is a date, not a number"}.get(
            column.kind, "is not a number"
        )
        column_is = "filter such rows out with where" if column.kind == "text" else "count them, or ask for min or max"
        cell = str(column.cells[filled[0]])[:60]
        raise ValueError(f"{cell!r} in the column {column.name} {held} (row {column.lines[filled[0]]}); {column_is}.")
    column.unit(filled)
    return [value.order for index in filled if (value := column.value(index)) is not None]


def total(values: Sequence[Decimal]) -> Decimal:
    with localcontext(EXACT):
        return sum(values, Decimal(0))


def mean(values: Sequence[Decimal]) -> Fraction:
    return Fraction(total(values)) / len(values)


def median(values: Sequence[Decimal]) -> Fraction:
    ordered, middle = sorted(values), len(values) // 2
    if len(values) % 2:
        return Fraction(ordered[middle])
    return Fraction(EXACT.add(ordered[middle - 1], ordered[middle])) / 2


_FOLDS: dict[str, Callable[[Sequence[Decimal]], Decimal | Fraction]] = {"sum": total, "mean": mean, "median": median}


def mode(column: Column, filled: Sequence[int]) -> Any:
    """Return the most frequent value, a list where several are, None where each of several is there once."""
    column.check_same()
    counts: dict[Any, list[int]] = {}
    for index in filled:
        counts.setdefault(column.same(index), []).append(index)
    most = max(map(len, counts.values()), default=0)
    if most == 0 or (most == 1 and len(counts) > 1):
        return None
    found = [cell(column, places[0]) for places in counts.values() if len(places) == most]
    return found[0] if len(found) == 1 else found


def _extreme(column: Column, filled: Sequence[int], operation: str) -> Any:
    if not filled:
        return None
    ordered(column, filled)
    best = (min if operation == "min" else max)(filled, key=lambda index: _order(column, index))
    return cell(column, best)


def ordered(column: Column, indices: Sequence[int]) -> None:
    """Raise `ValueError` where these cells cannot be put into an order."""
    column.check_order()
    if column.kind in ADDED or column.kind == "mixed":
        column.unit(indices)
    if column.kind == "date":
        for index in indices:
            column.value(index)


def _order(column: Column, index: int) -> Any:
    value = column.value(index)
    assert value is not None
    return value.order


def order_of(column: Column) -> Callable[[int], Any]:
    return lambda index: _order(column, index)


def cell(column: Column, index: int) -> Any:
    """Return one cell as an answer: a number as a number, anything else as it stands."""
    value = column.values[index]
    plain_number = column.kind in ("number", "percentage", "money") or (
        column.kind == "mixed" and column.expected == "number"
    )
    if isinstance(value, Value) and plain_number and isinstance(value.order, Decimal):
        return shown(value.order)
    return as_it_stands(column.cells[index])


def as_it_stands(value: Any) -> Any:
    """Return a cell with numbers that JSON has no form for as exact texts, also inside of lists and objects."""
    if isinstance(value, Decimal):
        return shown(value)
    if isinstance(value, dict):
        return {key: as_it_stands(inner) for key, inner in value.items()}
    return [as_it_stands(inner) for inner in value] if isinstance(value, list) else value


def written(column: Column, filled: Sequence[int], value: Decimal | Fraction, *, rounded: bool = False) -> Any:
    """Return a computed value in the column's form: a number, or a text with its unit for times, durations and sizes."""
    cells = [str(column.cells[index]).strip() for index in filled]
    forms = [column.forms[text] for text in dict.fromkeys(cells) if text in column.forms]
    if forms and isinstance(forms[0], Clock):
        clocks = [one for one in forms if isinstance(one, Clock)]
        if any(one.half for one in clocks):
            raise ValueError(
                f"The column {column.name} holds times of the day, which are not added; ask for min or max."
            )
        return as_clock(Fraction(value), max(one.parts for one in clocks))
    if forms:
        return as_span(Fraction(value), [one for one in forms if isinstance(one, Span)])
    if column.kind == "size":
        units = {unit for text in dict.fromkeys(cells) for unit in SIZES if text.endswith(unit)}
        longest = {unit for unit in units if not any(other != unit and other.endswith(unit) for other in units)}
        return as_size(Fraction(value), longest or units or ("B",))
    if column.kind == "quantity":
        return f"{number_text(Fraction(value))} {column.unit(filled)}".strip()
    if isinstance(value, Decimal):
        return shown(value)
    return nearest(value) if rounded else _exactly(value)


def _exactly(value: Fraction) -> int | float | str:
    """Return a number whose decimals end, such as a median, without rounding."""
    if value.denominator == 1:
        return shown(Decimal(value.numerator))
    digits = len(bin(value.denominator))
    scaled = Decimal(value.numerator * (10**digits // value.denominator)).scaleb(-digits, EXACT)
    return shown(scaled)


def nearest(value: Fraction) -> int | float | str:
    """Return the number as an int where it is whole, else the nearest float; as text where that has no decimals left."""
    if value.denominator == 1:
        return shown(Decimal(value.numerator))
    if abs(value) < _MOST_EXACT:
        return float(value)
    return format(Decimal(round(value * 10**6)).scaleb(-6, EXACT), "f")
