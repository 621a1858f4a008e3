"""Conditions on the cells of one column: equality, order and text, as the column's kind has them.

A value that can never be what the column holds is an error, not an empty answer. Any thread; imported by `_filters`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from callboard.agent.skills._columns import ADDED, Column, Value
from callboard.agent.skills._equality import Condition, among_values, text_of
from callboard.agent.skills._given import WORDS, Given, as_code, as_day, as_number, check_unit

_SIGNS = {">": (1,), "<": (-1,), ">=": (0, 1), "<=": (-1, 0)}


def condition(column: Column, operator: str, values: Sequence[Given]) -> Condition:
    """Return the test; raise `ValueError` where the column cannot be compared with the values in that way."""
    match operator:
        case "=" | "in":
            return among_values(column, values)
        case "!=" | "not in":
            same = among_values(column, values)
            return lambda index: not same(index)
        case "contains":
            return _contains(column, values[0].text.casefold())
        case "not contains":
            holds = _contains(column, values[0].text.casefold())
            return lambda index: not holds(index)
        case "starts":
            return lambda index: text_of(column.cells[index]).startswith(values[0].text.casefold())
        case "ends":
            return lambda index: text_of(column.cells[index]).endswith(values[0].text.casefold())
        case "between":
            return _between(column, values[0], values[1])
        case _:  # is an order
            pass
    order, wanted = _order(column, values[0], operator), _SIGNS[operator]
    return lambda index: order(index) in wanted


def _contains(column: Column, text: str) -> Condition:
    if column.kind == "list":
        return lambda index: any(text_of(one) == text for one in column.cells[index] or ())
    return lambda index: text in text_of(column.cells[index])


def _between(column: Column, low: Given, high: Given) -> Condition:
    least, most = _order(column, low, "between"), _order(column, high, "between")
    kind = column.expected if column.kind == "mixed" else column.kind
    if kind == "date":
        backwards = as_day(column, low)[0][:2] > as_day(column, high)[0][:2]
    elif kind == "code":
        backwards = as_code(column, low, "between") > as_code(column, high, "between")
    else:
        backwards = as_number(column, low).order > as_number(column, high).order
    if backwards:
        raise ValueError(f"between {low.text[:60]} and {high.text[:60]} is empty: the lower bound comes first.")
    return lambda index: (least(index) or 0) >= 0 >= (most(index) or 0) and not column.missing(index)


# --- order ---


def _order(column: Column, given: Given, operator: str) -> Callable[[int], int | None]:
    """Return how a row's cell stands to the value: -1, 0, 1, or None where it is missing."""
    column.check_order()
    kind = column.expected if column.kind == "mixed" else column.kind
    if kind == "date":
        return _date_order(column, given)
    if kind == "code":
        bound: Any = as_code(column, given, operator)
        return lambda index: _sign(column.value(index), bound)
    if kind not in ADDED:
        held = {"boolean": "true or false", "empty": "nothing"}.get(kind, kind)
        raise ValueError(
            f"The column {column.name} holds {held}, which is not compared by {WORDS[operator]} {given.text[:60]!r}; "
            "use =, contains or starts with."
        )
    wanted = as_number(column, given)
    check_unit(column, wanted, given)

    def order(index: int) -> int | None:
        value = column.value(index)
        return None if value is None else _sign(value, wanted.order)

    return order


def _sign(value: Value | None, bound: Any) -> int | None:
    return None if value is None else (value.order > bound) - (value.order < bound)


def _date_order(column: Column, given: Given) -> Callable[[int], int | None]:
    bound, whole_day = as_day(column, given)

    def order(index: int) -> int | None:
        value = column.value(index)
        if value is None:
            return None
        if whole_day:
            return _sign(Value(column.days[str(column.cells[index]).strip()]), bound.day)
        if (value.order[0].tzinfo is None) != (bound.at.tzinfo is None):
            raise ValueError(column.told(index, f"and {given.text[:60]!r} have not both a time zone"))
        return _sign(value, (bound.at, bound.nanos))

    return order
