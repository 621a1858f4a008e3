"""What is shown of values that may be large: in events, in lists, in webhooks, in questions to a person.

Each is bounded by `callboard/limits.py` and marks what it leaves out. Pure functions; any thread; imported by every folder.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from callboard.limits import EXCERPT_CHARS, SHOWN_CHARS, SHOWN_ENTRIES, VALUE_DEPTH, cut, left_out
from callboard.values import mend_text, recordable

_ENTRY_CHARS = 8
"""What each entry counts as beside its text."""

_KEY_CHARS = 200


def excerpt(value: Any) -> Any:
    """Return a value as plain JSON of bounded size: long texts are cut, and entries beyond what there is room for left out.

    A list ends in the entry `… [N more entries left out]` then, an object in that key.
    """
    return excerpted(value)[0]


def excerpt_as(name: str, value: Any) -> dict[str, Any]:
    """Return the field of an event that shows a value, with `truncated` beside it where something is left out."""
    shown, is_cut = excerpted(value)
    return {name: shown, "truncated": True} if is_cut else {name: shown}


def excerpted(value: Any) -> tuple[Any, bool]:
    """Return the excerpt of a value, and whether anything is left out of it."""
    made = _Excerpt()
    return made.of(value, 0), made.is_cut


def preview(value: Any, most_chars: int = SHOWN_CHARS) -> str:
    """Return the beginning of a value as a text: of a text itself, of anything else as JSON."""
    return cut(_text_of(value), most_chars)


def is_long(value: Any, most_chars: int = SHOWN_CHARS) -> bool:
    """Say whether a value, as `preview` writes it, has more than so many characters."""
    return len(_text_of(value)) > most_chars


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    return to_json(value, inf_nan_mode="strings", fallback=dict).decode()


class _Excerpt:
    def __init__(self) -> None:
        self._room = EXCERPT_CHARS
        self.is_cut = False

    def of(self, value: Any, depth: int) -> Any:
        self._room -= _ENTRY_CHARS
        match value:
            case None | bool():
                return value
            case str():
                return self._text(value, SHOWN_CHARS)
            case Mapping() | list() | tuple() if depth >= VALUE_DEPTH:
                self.is_cut = True
                return "…"
            case Mapping():
                return self._object(value, depth)
            case list() | tuple():
                return self._list(value, depth)
            case int() | float():
                plain = recordable(value)  # a text, where it has more digits than JSON's numbers
                return self._text(plain, SHOWN_CHARS) if isinstance(plain, str) else plain
            case _:
                return self.of(recordable(value), depth + 1)

    def _text(self, text: str, most_chars: int) -> str:
        most_chars = min(most_chars, max(self._room, 0))
        shown = mend_text(cut(text, most_chars))
        self._room -= len(shown)
        self.is_cut = self.is_cut or len(text) > most_chars
        return shown

    def _full(self, entries: int) -> bool:
        full = entries >= SHOWN_ENTRIES or self._room <= 0
        self.is_cut = self.is_cut or full
        return full

    def _list(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        shown: list[Any] = []
        for inner in value:
            if self._full(len(shown)):
                return [*shown, left_out(len(value) - len(shown), "entries")]
            shown.append(self.of(inner, depth + 1))
        return shown

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for number, (key, inner) in enumerate(value.items()):
            if self._full(number):
                shown[left_out(len(value) - number, "entries")] = "…"
                return shown
            name = self._text(key if isinstance(key, str) else next(iter(recordable({key: None}))), _KEY_CHARS)
            shown[f"{name} ({number})" if name in shown else name] = self.of(inner, depth + 1)
        return shown
