"""Text, numbers and nesting that every supported database, JSON and msgpack can all hold.

SQLite stores NUL and PostgreSQL refuses it; jsonb refuses NaN; both refuse lone surrogates and integers
beyond 64 bits. What comes from a caller is refused at the door (`check_value`); what a script or a skill
made is mended (`storable`), because refusing it would lose a finished result.
Pure functions; any thread; imported by every folder.
"""

import codecs
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from callboard.errors import InvalidRequest

MAX_DEPTH = 64
"""How many objects and arrays may stand inside each other."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


BYTE_ORDER_MARK = "\ufeff"
_ENCODINGS = (  # that of UTF-32 begins as that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARKS = re.compile(r"(?<!\w)\ufeff+")


def unmarked(text: str) -> str:
    """Return `text` without the byte-order mark in front of it, which says how it was stored and is no part of it."""
    return text.lstrip(BYTE_ORDER_MARK) if text.startswith(BYTE_ORDER_MARK) else text


def decoded(data: bytes) -> str:
    """Return the text of a file or a pipe: as its byte-order mark says, else UTF-8; raise `UnicodeDecodeError`."""
    encoding = next((encoding for mark, encoding in _ENCODINGS if data.startswith(mark)), "utf-8")
    return unmarked(data.decode(encoding))


def unmarked_within(text: str) -> str:
    """Return `text` without byte-order marks in front of its parts, as they come in where files are pasted or joined."""
    return _MARKS.sub("", text) if BYTE_ORDER_MARK in text else text


def check_text(text: str, where: str) -> str:
    """Return `text` as it is, or raise `InvalidRequest` where a database could not hold it."""
    found = _UNSTORABLE.search(text)
    if found:
        what = "the NUL character" if found[0] == "\x00" else "half of a surrogate pair"
        raise InvalidRequest(
            f"{where} holds {what} at character {found.start()}, which cannot be stored; leave it out."
        )
    return text


def check_value(value: Any, where: str = "body", *, depth: int = 0) -> None:
    """Raise `InvalidRequest` if a decoded JSON or msgpack value could not be stored everywhere.

    Walks objects and arrays at most `MAX_DEPTH` deep; the error names the place, such as `body.labels.a`.
    """
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"{where[:200]} is nested deeper than {MAX_DEPTH} levels; flatten it.")
    match value:
        case None | bool():
            pass
        case str():
            check_text(value, where)
        case int():
            if not INT64_MIN <= value <= INT64_MAX:
                raise InvalidRequest(f"{where} is an integer beyond 64 bits; send it as a string.")
        case float():
            if not math.isfinite(value):
                raise InvalidRequest(f"{where} is {value}, which is not a JSON number; send a finite one.")
        case Mapping():
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise InvalidRequest(f"{where} has a key that is not a string; use string keys.")
                check_text(key, f"a key of {where}")
                check_value(inner, f"{where}.{key}" if len(key) <= 64 else where, depth=depth + 1)
        case list() | tuple():
            for index, inner in enumerate(value):
                check_value(inner, f"{where}[{index}]", depth=depth + 1)
        case _:
            raise InvalidRequest(f"{where} is a {type(value).__name__}, which JSON does not have.")


def mend_text(text: str) -> str:
    """Return `text` with what no database could hold replaced by U+FFFD."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def storable(value: Any, *, depth: int = 0) -> Any:
    """Return `value` as plain JSON that every database holds; lossless for what JSON has.

    Integers beyond 64 bits and numbers that are not finite become strings; sets sorted lists; dates,
    decimals and bytes what pydantic makes of them; anything else its `repr`; what is nested deeper than `MAX_DEPTH` its `repr`.
    """
    match value:
        case None | bool():
            return value
        case str():
            return mend_text(value)
        case int():
            return int(value) if INT64_MIN <= value <= INT64_MAX else _long_int(value)
        case float():
            return float(value) if math.isfinite(value) else str(value)
        case Mapping() | list() | tuple() | set() | frozenset() if depth >= MAX_DEPTH:
            return _too_deep(value)
        case Mapping():
            return {mend_text(_key(key)): storable(inner, depth=depth + 1) for key, inner in value.items()}
        case list() | tuple():
            return [storable(inner, depth=depth + 1) for inner in value]
        case set() | frozenset():
            return _sorted([storable(inner, depth=depth + 1) for inner in value])
        case bytes():
            return mend_text(value.decode("utf-8", "replace"))
        case _:
            plain = to_jsonable_python(value, fallback=repr)
            return storable(plain, depth=depth + 1) if plain is not value else mend_text(repr(value))


def _sorted(members: list[Any]) -> list[Any]:
    """Return a set's members in the same order in every process, so that the ledger knows an argument again."""
    try:
        return sorted(members)
    except TypeError:
        return sorted(members, key=lambda member: (type(member).__name__, repr(member)))


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(key)


def _long_int(value: int) -> str:
    """Return a long integer in decimal, or in hexadecimal where Python refuses to write so many digits."""
    try:
        return str(value)
    except ValueError:
        return hex(value)


def _too_deep(value: Any) -> str:
    try:
        return mend_text(repr(value)[:1000])
    except RecursionError:
        return f"<a {type(value).__name__} nested too deeply>"


def shortened(text: str, most_chars: int) -> str:
    """Return a text for people or models, the middle of a very long one left out, which is said there."""
    if len(text) <= most_chars:
        return text
    half = most_chars // 2
    return f"{text[:half]}\n… ({len(text) - 2 * half} characters left out) …\n{text[-half:]}"
