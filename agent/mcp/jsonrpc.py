"""JSON-RPC messages in what a server writes, read as generously as can be done without guessing.

Bytes that are not UTF-8 and halves of surrogate pairs become U+FFFD; a byte-order mark, control characters within texts,
numbers that JSON does not have and a batch are taken. What is no message is noise.
Pure functions; any thread. Imported by `wire.py`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callboard.values import mend_text, unmarked

Message = dict[str, Any]

_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_DECODER = json.JSONDecoder(strict=False)
# quotes of either kind: some servers print their dictionaries as Python shows them
_ID = r"""['"]id['"]\s*:\s*['"]?(\w{1,64})['"]?"""
_VERSION = r"""['"]jsonrpc['"]\s*:\s*['"]2\.0['"]"""
_OUTCOME = r"""['"](?:result|error)['"]\s*:"""
_BEGINS = re.compile(rf"\{{\s*(?:{_VERSION}\s*,\s*)?{_ID}\s*,\s*(?:{_VERSION}\s*,\s*)?{_OUTCOME}")
_OPENS = re.compile(rf"\{{\s*{_OUTCOME}")
_ENDS = re.compile(rf"(?:,\s*{_VERSION}\s*)?,\s*{_ID}\s*(?:,\s*{_VERSION}\s*)?\}}\s*$")
_END_CHARS = 200
_ANSWER = re.compile(r'\{\s*"(?:jsonrpc|id|result|error)"\s*:')


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An error that a server answered: its own code and words."""

    code: int
    message: str
    data: Any = None


def text_of(raw: bytes) -> str:
    """Return what was written, as text."""
    return unmarked(raw.decode("utf-8", "replace").strip())


def messages_in(text: str) -> list[Message]:
    """Return the objects that stand in a line or a body, several where it is a batch; none if it is not JSON."""
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return _behind_noise(text)
    return _objects(value, text)


def _behind_noise(text: str) -> list[Message]:
    """Return an answer that stands on one line with something else, such as a prompt without a line end."""
    found = _ANSWER.search(text)
    if found is None:
        return []
    try:
        value, _ = _DECODER.raw_decode(text, found.start())
    except (ValueError, RecursionError):
        return []
    return [message for message in _objects(value, text) if "method" not in message]


def _objects(value: Any, text: str) -> list[Message]:
    if _HALF.search(text):  # whole pairs have become one character, so what is left are halves
        value = json.loads(mend_text(json.dumps(value, ensure_ascii=False)))
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def torn_id(text: str) -> str | None:
    """Return the id of an answer that cannot be read, None if it is nothing of the kind; one of its ends must be whole."""
    found = _BEGINS.match(text)
    # a request that a server logs ends in an id too
    if found is None and (_OPENS.match(text) or "method" not in text):
        found = _ENDS.search(text[-_END_CHARS:])
    return None if found is None else found[1]


def id_of(value: Any) -> str | None:
    """Return a message's id as text, in which `7`, `7.0` and `"7"` are the same; None where it has none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else None


def said(error: Any) -> Said:
    """Return an answer's error, whatever the server put there."""
    fields = error if isinstance(error, Mapping) else {"message": error}
    code, message = fields.get("code"), fields.get("message")
    if not isinstance(message, str):
        message = "" if message is None else json.dumps(message)
    return Said(code=code if type(code) is int else 0, message=message, data=fields.get("data"))
