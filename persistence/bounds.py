"""What is beyond the limits is cut here, and text that no database holds mended, on the one way into the store, whoever made it.

The writer's thread; imported by `batch.py` and `codec.py`.
"""

from collections.abc import Mapping
from typing import Any

from callboard.excerpts import excerpt, is_long, preview
from callboard.limits import (
    DELIVERY_ERROR_CHARS,
    ERROR_CHARS,
    EVENT_BYTES,
    EVENT_OUTPUT_CHARS,
    METADATA_BYTES,
    SHOWN_CHARS,
    cut,
    cut_middle,
)
from callboard.messages.events import ENDS, NewEvent
from callboard.persistence.tables import dump_json
from callboard.values import mend_text, storable

_MOST_BYTES_A_CHAR = 4
_LONG = ("notes", "printed")


def event_and_json(event: NewEvent) -> tuple[Mapping[str, Any], str]:
    """Return an event's data as they may be stored, and as JSON.

    The output that a task ends with is in its row; its last event has it too where it is short.
    """
    data: Mapping[str, Any] = event.data()
    if "error" in data:
        data = _with_message(data, "error")
    data, text = held(data)
    if len(text) > EVENT_OUTPUT_CHARS and event.topic in ENDS and "output" in data:
        output = data["output"]
        if is_long(output, EVENT_OUTPUT_CHARS):
            data = {**data, "output": preview(output), "outputTruncated": True}
            text = dump_json(data)
    if size_bytes(text) > EVENT_BYTES:
        data = {**excerpt(data), "truncated": True}
        text = dump_json(data)
    return data, text


def held(value: Any) -> tuple[Any, str]:
    """Return a value as any database holds it, keys too, and as JSON; raise `Unstorable` for what is no data.

    PERF: what needs no mending, which is nearly everything, is written once and searched.
    """
    try:
        text = dump_json(value)
    except (ValueError, TypeError):  # half of a surrogate pair, or a number of too many digits as a key
        text = _NUL
    if _NUL in text:
        value = storable(value)
        text = dump_json(value)
    return value, text


_NUL = "\\u0000"


def size_bytes(text: str) -> int:
    """Return the size in UTF-8; PERF: not counted where it cannot matter."""
    return len(text) if len(text) * _MOST_BYTES_A_CHAR <= EVENT_BYTES else len(text.encode())


def metadata(kept: Mapping[str, Any], output: Any) -> Mapping[str, Any]:
    """Return the metadata of a task that ends with an output.

    What was noted and printed stands behind the rest, so that their beginning has them in a list, and once: where it is the output,
    the metadata have its beginning.
    """
    if not kept:
        return kept
    kept, _ = held(kept)
    small = {name: value for name, value in kept.items() if name not in _LONG}
    if "notes" in kept:
        small["notes"] = kept["notes"]
    if len(dump_json(small)) > METADATA_BYTES:
        small = {name: excerpt(value) for name, value in small.items()}
        if len(dump_json(small)) > METADATA_BYTES:
            small = excerpt(small)
    if (printed := kept.get("printed")) is not None:
        small["printed"] = cut(printed, SHOWN_CHARS) if printed == output else printed
    return small


def error_text(text: str | None) -> str | None:
    """Return the error that a task ends with."""
    return text if text is None else mend_text(cut_middle(text, ERROR_CHARS))


def call_error(error: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the error of a call in the ledger."""
    return error if error is None else _with_message(error, "message")


def delivery_error(error: str | None) -> str | None:
    """Return the error of a webhook's delivery."""
    return error if error is None else mend_text(cut(error, DELIVERY_ERROR_CHARS))


def _with_message(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    text = data.get(name)
    if isinstance(text, str) and len(text) > ERROR_CHARS:
        return {**data, name: cut_middle(text, ERROR_CHARS)}
    return data
