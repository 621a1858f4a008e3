"""The values that a filter compares with, read as what their column holds; what can never be that is an error.

Pure functions; any thread; imported by the filter's modules.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from callboard.agent.skills import _codes
from callboard.agent.skills._cell_units import known_unit, scaled
from callboard.agent.skills._columns import Column, Value
from callboard.agent.skills._figures import Figure, figure
from callboard.agent.skills._moments import Moment, moment, written
from callboard.agent.skills._quantities import Clock, Span, clock, span

WORDS = {">": "above", "<": "below", ">=": "at least", "<=": "at most", "between": "between"}


@dataclass(frozen=True, slots=True)
class Given:
    """A value that a filter compares with; one in quotes is text where the column leaves a choice."""

    text: str
    quoted: bool = False


def as_day(column: Column, given: Given) -> tuple[Moment, bool]:
    """Return the moment that a value names, and whether it is a whole day."""
    form = written(given.text)
    if form is None:
        raise ValueError(
            f"{given.text[:60]!r} is neither a number nor a date such as 2026-12-25, so the dates in {column.name} cannot be "
            "compared with it."
        )
    found = moment(form, column.first_is_day)
    if isinstance(found, str):
        raise ValueError(f"{given.text[:60]!r} {found}, so the dates in {column.name} cannot be compared with it.")
    return found, form.time is None


def as_code(column: Column, given: Given, operator: str) -> Any:
    """Return what codes are compared with: another version, address, or code of the same length."""
    first = next(value for value in column.values if value is not None)
    assert isinstance(first, Value)
    found: Any = (_codes.addresses([given.text]) or {}).get(given.text)
    if first.order and isinstance(first.order[0], str):
        same_length = len(given.text) == len(first.order[1])
        found = (given.text.casefold(), given.text) if same_length else None
    elif first.order and isinstance(first.order[0], tuple):
        found = _codes.version_order(given.text)
    if found is None:
        raise ValueError(
            f"The column {column.name} holds codes such as {str(column.cells[0])[:60]!r}, which are not compared by "
            f"{WORDS[operator]} {given.text[:60]!r}."
        )
    return found


def as_number(column: Column, given: Given) -> Value:
    """Return the value as a number in the column's unit and notation; raise `ValueError` where it is none."""
    forms = next(iter(column.forms.values()), None)
    if isinstance(forms, Clock):
        time = clock(given.text)
        if isinstance(time, Clock):
            return Value(time.seconds)
        if (duration := span(given.text)) and not duration.months:
            return Value(duration.amount)
        raise ValueError(f"{given.text[:60]!r} is no time such as 10:30, so {column.name} cannot be compared with it.")
    if isinstance(forms, Span):
        duration = span(given.text)
        if duration is None or duration.months != forms.months:
            raise ValueError(
                f"{given.text[:60]!r} is no duration such as 1h 30m, so {column.name} cannot be compared with it."
            )
        return Value(duration.amount, "months" if duration.months else "time")
    found = figure(given.text)
    value = Value(*scaled(_in_notation(column, found, given.text), found.unit)) if found else None
    units = {one.unit for one in column.values if isinstance(one, Value)}
    if value and (known_unit(value.unit) or value.unit in units or not value.unit):
        return value
    if written(given.text):
        told = f"is a date and the column {column.name} holds numbers, which cannot be compared with it"
    else:
        told = f"is neither a number nor a date such as 2026-12-25, so {column.name} cannot be compared with it"
    raise ValueError(f"{given.text[:60]!r} {told}.")


def _in_notation(column: Column, found: Figure, text: str) -> Decimal:
    """Return the number: a comma in a filter groups thousands, unless the column has decimal commas.

    Where the column writes numbers in the other way, only what can be read in one way is read.
    """
    if column.notation == "comma" and found.doubtful:
        raise ValueError(
            f"{text[:60]!r} can be read as {found.point} or as {found.comma} beside the decimal commas of {column.name}; write it "
            "without marks between thousands."
        )
    if found.point is None and column.notation != "comma":
        raise ValueError(f"{text[:60]!r} has a decimal comma, unlike the column {column.name}; write it with a point.")
    number = found.point if found.point is not None else found.comma
    assert number is not None
    return number


def check_unit(column: Column, wanted: Value, given: Given) -> None:
    """Raise `ValueError` where the column's unit and the value's do not fit together; a bare number takes the column's."""
    present = [index for index, value in enumerate(column.values) if isinstance(value, Value)]
    unit = column.unit(present)
    if unit == wanted.unit or not wanted.order:
        return
    if not wanted.unit and unit == "%" and abs(wanted.order) <= 1:
        raise ValueError(
            f"{given.text} can be a share or a percentage; {column.name} holds percentages, so write it with %."
        )
    if not wanted.unit and unit not in ("B", "time", "months"):
        return
    if not unit and wanted.unit not in ("%", "‰", "B"):
        return
    told = {"": "numbers without a unit", "B": "sizes such as 10 MB"}.get(unit, f"numbers in {unit}")
    raise ValueError(f"The column {column.name} holds {told}, which cannot be compared with {given.text[:60]!r}.")
