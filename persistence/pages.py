"""Pages that end where they have enough rows or enough bytes, and what a list shows of values that may be large.

Every stream and every list may hold a page for a slow reader, so no page is read whole before it is measured, and what a list
shows is cut by the database. Pure functions, in any thread; imported within `persistence/` only.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from pydantic_core import from_json, to_json
from sqlalchemy import Column, ColumnElement, Integer, Result, Row, Text, cast, func, null
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from callboard.limits import PAGE_BYTES, SHOWN_CHARS, left_out
from callboard.messages.events import TaskEvent
from callboard.messages.tasks import TaskRecord
from callboard.persistence.codec import event_from_row, task_from_row
from callboard.persistence.tables import events, load_json, tasks

ENTRY_BYTES = 300
"""What an entry takes beside what may be large in it, about: ids, times, names."""

_Entry = TypeVar("_Entry")


class bytes_of(GenericFunction[int]):  # noqa: N801  # it is written like a function of SQL
    """The size of a text or a JSON value in UTF-8."""

    type = Integer()
    inherit_cache = True


@compiles(bytes_of)
def _on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"octet_length(CAST({compiler.process(element.clauses, **options)} AS TEXT))"


@compiles(bytes_of, "sqlite")
def _on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"


def page_of(
    found: Result[Any], limit: int, entry: Callable[[Row[Any]], tuple[_Entry, int]]
) -> tuple[list[_Entry], bool]:
    """Return the entries of a page, one at least, and whether there are more: as many as are wanted and not too large.

    `entry` returns what a row stands for, and its bytes as JSON.
    """
    page: list[_Entry] = []
    total_bytes = 0
    for row in found:
        if len(page) == limit:
            break
        made, size_bytes = entry(row)
        total_bytes += size_bytes
        if page and total_bytes > PAGE_BYTES:
            break
        page.append(made)
    else:
        return page, False
    found.close()
    return page, True


def event_entry(row: Row[Any]) -> tuple[TaskEvent, int]:
    """Return the event in a row of all columns of `events` and its `SIZE`."""
    return event_from_row(row), row.size_bytes + ENTRY_BYTES


def task_entry(row: Row[Any]) -> tuple[TaskRecord, int]:
    """Return the task in a row of `LISTED`: as lists show it, without what they do not show."""
    values: list[Any] = list(row[: len(tasks.c)])
    sizes = dict(zip(_CUT, row[len(tasks.c) :], strict=True))
    cut_off = frozenset(name for name, chars in sizes.items() if (chars or 0) > SHOWN_CHARS)
    for name in _CUT:
        text = values[_PLACES[name]]
        if text is not None:
            values[_PLACES[name]] = _shown(name, text, sizes[name]) if name in cut_off else _WHOLE[name](text)
    values[_PLACES["labels"]] = {}
    record = replace(task_from_row(values), cut=cut_off)
    return record, len(to_json([record.task.spec.task, record.output, record.error, record.metadata])) + 2 * ENTRY_BYTES


def _shown(name: str, text: str, chars: int) -> Any:
    """Return what a list shows of a value of which the database has given the beginning."""
    text = text[:_KEPT_CHARS]
    mark = left_out(chars - len(text))
    if name == "metadata":
        known: dict[str, Any] = from_json(text, allow_partial="trailing-strings")
        last = next(reversed(known), None)
        if last == "printed":
            known[last] += mark
        else:
            known[mark] = "…"
        return known
    if name == "output" and text.startswith('"'):
        return from_json(text, allow_partial="trailing-strings") + left_out(chars - len(text) - 1)
    return text + mark


def _itself(text: str) -> str:
    return text


_KEPT_CHARS = SHOWN_CHARS - 60
_WHOLE = {"metadata": load_json, "error": _itself, "output": load_json, "task": _itself}
_CUT = tuple(_WHOLE)
_LEFT_OUT = frozenset({"attachments", "available_skills", "labels", "pause", "spec", "system_prompt"})
_PLACES = {column.name: place for place, column in enumerate(tasks.c)}


def _listed(column: Column[Any]) -> ColumnElement[Any]:
    if column.name in _CUT:
        return func.substr(cast(column, Text), 1, SHOWN_CHARS).label(column.name)
    return null().label(column.name) if column.name in _LEFT_OUT else column


SIZE = bytes_of(events.c.data).label("size_bytes")
LISTED = (*map(_listed, tasks.c), *(func.length(cast(tasks.c[name], Text)).label(f"{name}_chars") for name in _CUT))
"""What is read of a task for a list: the database cuts what may be large, and says how large it is."""
