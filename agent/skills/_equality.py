"""Whether cells are one of some values, as their column's kind has it: numbers, days, truth or text.

Any thread; imported by `_comparisons`.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from callboard.agent.skills._columns import ADDED, Column, Misfit, Value, exact, is_number
from callboard.agent.skills._given import Given, as_day, as_number, check_unit

Condition = Callable[[int], bool]
"""Whether the row at an index fits; raises `ValueError` naming a cell that cannot be compared."""

_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def among_values(column: Column, values: Sequence[Given]) -> Condition:
    """Return whether a row's cell is one of the values.

    PERF: each value is read once, each cell once; compared one by one, 900 values on 124,000 rows took minutes.
    """
    kind = column.kind
    if kind in ("list", "object"):
        raise ValueError(f"The column {column.name} holds {kind}s, which are not compared by =; use contains.")
    if kind == "boolean":
        wanted = {_truth(column, value) for value in values}
        return lambda index: (value := column.value(index)) is not None and value.order in wanted
    if kind == "date":
        return _among_dates(column, values)
    if kind in ("time", "duration", "size", "quantity"):
        return _among_numbers(column, values)
    if kind in ADDED:
        bare = [value for value in values if not value.quoted]
        numbers = _among_numbers(column, bare) if bare else None
        quoted = [value for value in values if value.quoted]
        texts = _among_quoted(column, quoted) if quoted else None
        return lambda index: bool((numbers and numbers(index)) or (texts and texts(index)))
    if kind == "mixed":
        return _among_mixed(column, values)
    return _among_texts(column, values)


def _among_texts(column: Column, values: Sequence[Given]) -> Condition:
    wanted = {value.text.strip().casefold() for value in values}
    if column.kind == "code":
        _check_zeros(column, wanted)
    return lambda index: text_of(column.cells[index]) in wanted


def _check_zeros(column: Column, wanted: Collection[str]) -> None:
    """Raise `ValueError` for a code that no cell is, but for leading zeros."""
    bare = {text.lstrip("0"): text for text in wanted if text.isdigit()}
    found = {text_of(cell) for cell in column.cells} if bare else set()
    for text in found - set(wanted):
        given = bare.get(text.lstrip("0"))
        if given is not None and given not in found:
            raise ValueError(
                f"No cell of the column {column.name} is {given[:60]!r}, and {text[:60]!r} is the same but for leading zeros; "
                "write codes as they stand there."
            )


def _among_numbers(column: Column, values: Sequence[Given]) -> Condition:
    column.check_same()
    wanted = set()
    for value in values:
        number = as_number(column, value)
        check_unit(column, number, value)
        wanted.add(number.order)

    def fits(index: int) -> bool:
        found = column.value(index)
        return found is not None and found.order in wanted

    return fits


def _among_quoted(column: Column, values: Sequence[Given]) -> Condition:
    """Return whether a cell is one of the texts; numbers of JSON, which are no texts, are compared as numbers."""
    wanted = {value.text.strip().casefold() for value in values}
    numbers = {one: value for value in values if (one := _bare(column, value)) is not None}
    found = {text_of(cell) for cell in column.cells if isinstance(cell, str)}
    for number, value in numbers.items():
        if value.text.strip().casefold() in found:
            continue
        for index, there in enumerate(column.values):
            if isinstance(there, Value) and there.order == number and isinstance(column.cells[index], str):
                raise ValueError(
                    f"No cell of the column {column.name} is the text {value.text[:60]!r}, but {column.cells[index]!r} is the same "
                    "number; leave out the quotes to compare numbers."
                )

    def fits(index: int) -> bool:
        cell = column.cells[index]
        return exact(cell) in numbers if is_number(cell) else text_of(cell) in wanted

    return fits


def _bare(column: Column, value: Given) -> Decimal | None:
    try:
        return Decimal(as_number(column, value).order)
    except ValueError:
        return None


def _among_mixed(column: Column, values: Sequence[Given]) -> Condition:
    """Return whether a cell is one of the values: as what the column expects where both are that, as text otherwise."""
    texts = {value.text.strip().casefold() for value in values}
    reader = _whole_day if column.expected == "date" else _bare
    read = {value: None if value.quoted and column.expected == "number" else reader(column, value) for value in values}
    known = {one for one in read.values() if one is not None}
    words = {value.text.strip().casefold() for value, one in read.items() if one is None}

    def fits(index: int) -> bool:
        value, text = column.values[index], text_of(column.cells[index])
        if isinstance(value, Value):
            order = column.days[str(column.cells[index]).strip()] if column.expected == "date" else value.order
            return order in known or text in words
        if known and isinstance(value, Misfit) and not value.reason.startswith("is not a "):
            column.value(index)  # it may be one of them or not
        return text in texts

    return fits


def _whole_day(column: Column, value: Given) -> date | None:
    try:
        return as_day(column, value)[0].day
    except ValueError:
        return None


def _among_dates(column: Column, values: Sequence[Given]) -> Condition:
    days: set[date] = set()
    moments: set[Any] = set()
    for value in values:
        found, whole_day = as_day(column, value)
        if whole_day:
            days.add(found.day)
        else:
            moments.add((found.at, found.nanos))

    def fits(index: int) -> bool:
        value = column.value(index)
        if value is None:
            return False
        return value.order in moments or column.days[str(column.cells[index]).strip()] in days

    return fits


def _truth(column: Column, value: Given) -> bool:
    truth = _TRUTH.get(value.text.strip().lower())
    if truth is None:
        raise ValueError(f"The column {column.name} holds true and false, so it is never {value.text[:60]!r}.")
    return truth


def text_of(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "" if cell is None else str(cell).strip().casefold()
