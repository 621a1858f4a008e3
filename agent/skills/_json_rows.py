"""JSON as rows: a list of objects, JSON lines, an object that holds such a list, or one object as one row.

Numbers stay exact: what a float cannot hold is a `Decimal`. Pure functions; any thread; imported by `_tables`.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

_MAX_DEPTH = 4
_MAX_EXPONENT = 999
_LISTED = 20


def read_rows(text: str, path: str | None) -> list[Mapping[str, Any]]:
    """Return the rows; raise `ValueError` naming what is there instead. `path` leads to a list, as in `data.items`."""
    value = _decoded(text)
    where = "The JSON"
    if path is not None:
        value, where = _at(value, path), f"The JSON at {path[:100]}"
    if isinstance(value, dict):
        value = _within(value)
    if not isinstance(value, list) or not value:
        raise ValueError(f"{where} must be a list of objects, one for each row.")
    for position, row in enumerate(value, 1):
        if not isinstance(row, dict):
            raise ValueError(f"{where} must be a list of objects, one for each row; row {position} is {_kind(row)}.")
    return value


def _decoded(text: str) -> Any:
    try:
        return _loads(text)
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    except json.JSONDecodeError as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith("{") for _, line in lines[:2]):
            raise ValueError(f"The JSON cannot be read: {error.msg} at line {error.lineno}.") from None
        return [_line(number, line) for number, line in lines]


def _line(number: int, line: str) -> Any:
    try:
        return _loads(line)
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"The JSON cannot be read: {error.msg} at line {number}.") from None


def _loads(text: str) -> Any:
    return json.loads(
        text, parse_float=_fraction, parse_int=_whole, parse_constant=_constant, object_pairs_hook=_object
    )


def _fraction(text: str) -> float | Decimal:
    """Return the number: a float where that is exactly what stands there, else a `Decimal`."""
    value = Decimal(text)
    if value and abs(value.adjusted()) > _MAX_EXPONENT:
        raise ValueError(f"The number {text[:60]} is out of reach: the limit is an exponent of {_MAX_EXPONENT}.")
    near = float(text)
    return near if Decimal(repr(near)) == value else value


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) < 4000 else Decimal(text)  # Python reads no longer ones as int


def _constant(text: str) -> str | None:
    """Return NaN as a missing cell, and an infinity as the text that it is: no sum takes it."""
    return None if text == "NaN" else text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"An object of the JSON has the key {twice[:60]!r} twice; leave one of them out.")
    return found


def _at(value: Any, path: str) -> Any:
    inner = value
    for part in path.split("."):
        if not isinstance(inner, dict) or part not in inner:
            there = list(inner) if isinstance(inner, dict) else [_kind(inner)]
            raise ValueError(f"There is no {path[:100]!r} in the JSON; at {part[:60]!r} there is {_names(there)}.")
        inner = inner[part]
    return inner


def _within(value: dict[str, Any]) -> list[Any]:
    """Return the one list of rows in an object, its lists as columns, or itself as a row."""
    found = list(_lists(value, ()))
    if len(found) > 1:
        told = _names([".".join(keys) for keys, _ in found[:_LISTED]], more=len(found) > _LISTED)
        first = ".".join(found[0][0])[:60]
        raise ValueError(f"The JSON holds {len(found)} lists of rows: {told}. Say which, as in path='{first}'.")
    if found:
        rows: list[Any] = found[0][1]
        return rows
    inner = list(value.values())
    if empty := [key for key, one in value.items() if one == []]:
        raise ValueError(
            f"The JSON must be a list of objects, one for each row; the list {empty[0][:60]!r} in it is empty. "
            "Put [ ] around it if the object itself is a row."
        )
    if inner and all(isinstance(one, list) for one in inner):
        return _columns(value)
    if len(inner) > 1 and all(isinstance(one, dict) for one in inner):
        raise ValueError(
            f"The JSON must be a list of objects, one for each row; it is an object of objects ({_names(list(value))})."
        )
    return [value]


def _lists(value: dict[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """Yield lists of rows with the keys to each: to join the keys of all would be as much text as long keys, times lists."""
    for key, inner in value.items():
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield (*above, key), inner
        elif isinstance(inner, dict) and len(above) < _MAX_DEPTH:
            yield from _lists(inner, (*above, key))


def _columns(value: dict[str, list[Any]]) -> list[dict[str, Any]]:
    lengths = {len(cells) for cells in value.values()}
    if len(lengths) != 1 or any(isinstance(cell, list | dict) for cells in value.values() for cell in cells):
        raise ValueError(
            "The JSON must be a list of objects, one for each row; its lists are no columns of one length."
        )
    return [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]


def _names(names: list[str], *, more: bool = False) -> str:
    return ", ".join(name[:60] for name in names[:_LISTED]) + (", …" if more or len(names) > _LISTED else "")


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
