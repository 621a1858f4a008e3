"""What comes out of the sandbox: its objects as data, or the reason why they are none.

Monty hands over functions, modules, ranges and other objects as texts that describe them, such as `<function 'f' at 0xc>`.
Such a text is told from a real one by asking the interpreter what the last expression's value is made of.
Pure functions; any thread. Imported by the sandbox.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic_monty import MontyClassProxy, MontyClassTypeProxy, MontyError, MontyStdTypeProxy

from callboard.agent.python_trees import tree_of
from callboard.unstorable import Unstorable, bare_name
from callboard.values import storable

_ADDRESS = re.compile(r"<(?:[^<>\n]|<lambda>){1,100} (?:at|@) 0x[0-9a-f]{1,7}>")
"""An object of the sandbox with its address, which has seven digits at most; those of Python's own have more."""

_DESCRIBED = re.compile(
    r"<(?:[^<>\n]|<lambda>){1,200}>|(?:list|dict|tuple|set|type)\[.*\]|(?:range|slice|dict_keys|dict_values|dict_items|re\.compile|functools\.partial)\(.*\)|typing\.\w+"
    r"|skills\.\w+|\[\.\.\.\]|\{\.\.\.\}|\(\.\.\.\)",
    re.DOTALL,
)
_MAX_DESCRIBED_CHARS = 10_000
_MAX_SENTENCE_CHARS = 200
_MAX_DEPTH = 64
MOST_GIVEN = 1_000_000
"""How many values the arguments of a call may hold, lists and what is in them. PERF: 0.8 µs each."""

_ASKING = """
def _what_is_(value, depth=0):
    if value is None or isinstance(value, (str, bool, int, float, bytes)):
        return ""
    if depth > 64:
        return "cycle"
    if isinstance(value, dict):
        for key in value:
            what = _what_is_(key, depth + 1) or _what_is_(value[key], depth + 1)
            if what:
                return what
        return ""
    if isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            what = _what_is_(one, depth + 1)
            if what:
                return what
        return ""
    kind = type(value).__name__
    return "" if kind in _HAVE_A_FORM_ else kind
"""
_HAVE_A_FORM = (
    "date",
    "datetime",
    "time",
    "timedelta",
    "timezone",
    "Decimal",
    "PosixPath",
    "deque",
    "complex",
    "namedtuple",
)
_LIST = "make a list of it: list(…)"
_KINDS = {
    **dict.fromkeys(
        ("function", "builtin_function_or_method", "partial"), ("a function", "give what it returns: call it")
    ),
    **dict.fromkeys(
        ("range", "dict_keys", "dict_values", "dict_items", "count", "chain", "cycle", "islice", "repeat", "reader"),
        ("a {}", _LIST),
    ),
    "coroutine": ("a coroutine that was not awaited", "await it"),
    "cycle": ("a value inside itself", "make it flatter"),
    "module": ("a module", "give a value of it"),
    "type": ("a class", "give a value, or the class's name as a text"),
    "Match": ("a match of a regular expression", "give its group()"),
}
"""What the sandbox's objects are by the names of their types, and what to write instead."""


def read(take: Callable[[], Any]) -> Any:
    """Return what `take` reads out of the sandbox; raise `Unstorable` where it holds what cannot be made an object of Python."""
    try:
        return take()
    except (MontyError, Unstorable):
        raise
    except TypeError as error:  # its objects have no hash here
        what = "an object of a class as a key of a dict or in a set"
        raise Unstorable(None, what, "give texts as keys, and a list in place of the set") from error
    except Exception as error:
        what = f"a value that cannot leave the sandbox ({bare_name(type(error))})"
        raise Unstorable(None, what, "give a text, a number, a list or a dict") from error


def form_of(value: Any) -> Any:
    """Return what stands for an object of the sandbox, or the value itself; raise `Unstorable` for one that is no data."""
    match value:
        case MontyClassProxy():
            if value.is_dataclass:
                return value.attributes
            raise Unstorable(
                value,
                f"an object of the class {value.name}",
                "give a dict of what it holds, or make its class a dataclass",
            )
        case MontyClassTypeProxy():
            raise Unstorable(value, f"the class {value.name}", "give a value, or the class's name as a text")
        case MontyStdTypeProxy():
            raise Unstorable(value, f"the {value.kind} {value.name}", "give what it returns: call it")
        case _:
            return value


def shows_an_object(text: str) -> bool:
    """Return whether a short text shows an object of the sandbox by its address, which is no answer to anything."""
    return len(text) <= _MAX_SENTENCE_CHARS and " 0x" in text and _ADDRESS.search(text) is not None


def described(value: Any, depth: int = 0) -> str | None:
    """Return the first text in a value that may describe an object which had no form of its own."""
    match value:
        case str():
            known = len(value) <= _MAX_DESCRIBED_CHARS and value[:1] in _BEGINNINGS and _DESCRIBED.fullmatch(value)
            return value if known or shows_an_object(value) else None
        case Mapping() if depth < _MAX_DEPTH:
            inner: Any = (one for item in value.items() for one in item)
        case list() | tuple() | set() | frozenset() if depth < _MAX_DEPTH:
            inner = value
        case MontyClassProxy() if depth < _MAX_DEPTH:
            inner = value.attributes.values()
        case _:
            return None
    return next((found for one in inner if (found := described(one, depth + 1)) is not None), None)


_BEGINNINGS = frozenset("<rsdlft[{(")


def question_about(code: str) -> str | None:
    """Return code that says what the last expression's value holds that is no data; None where asking would do something."""
    try:
        last = tree_of(code).body[-1]
    except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
        return None
    if not isinstance(last, ast.Expr) or any(isinstance(node, ast.Await | ast.NamedExpr) for node in ast.walk(last)):
        return None
    return f"_HAVE_A_FORM_ = {_HAVE_A_FORM!r}\n{_ASKING}_what_is_(({ast.get_source_segment(code, last.value)}))"


def no_data(kind: str) -> Unstorable:
    """Return why a value is no answer, by the name of its type in the sandbox; empty where it is not known."""
    fallback = ("a {}", _LIST) if "iterator" in kind else ("an object of the type {}", "give a text or number of it")
    what, instead = _KINDS.get(kind, fallback)
    return Unstorable(None, what.format(kind) if kind else "a text that shows an object", instead)


def given(value: Any) -> Any:
    """Return an argument of a skill, dataclasses of the sandbox as dicts; raise `Unstorable` where it holds what is no data.

    A small value may hold itself many times over, so no more than `MOST_GIVEN` are made of it.
    """
    return _given(value, 0, iter(range(MOST_GIVEN)))


def _given(value: Any, depth: int, left: Iterator[int]) -> Any:
    if next(left, None) is None:
        raise Unstorable(value, f"more than {MOST_GIVEN:,} values", "give less, or write it to a file")
    if value is None or isinstance(value, bool | int | float | bytes):
        return value
    match value:
        case str():
            if shows_an_object(value) or (value[:5] == "dict_" and _DESCRIBED.fullmatch(value)):
                raise no_data(value.partition("(")[0] if value[:5] == "dict_" else "")
            return value
        case MontyClassProxy():
            return _given(form_of(value), depth + 1, left)
        case Mapping() if depth < _MAX_DEPTH:
            return {_given(key, depth + 1, left): _given(inner, depth + 1, left) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset() if depth < _MAX_DEPTH and not hasattr(value, "_fields"):
            return type(value)(_given(inner, depth + 1, left) for inner in value)
        case _ if depth < _MAX_DEPTH:
            storable(value, form=form_of)
    return value


def room_left(value: Any, room: int) -> int:
    """Return about how many bytes of `room` the value leaves as JSON, below 0 as soon as it is too large."""
    match value:
        case str() | bytes():
            return room - len(value) - 2
        case Mapping():
            for key, item in value.items():
                room = room_left(item, room_left(key, room) - 4)
                if room < 0:
                    break
        case list() | tuple() | set() | frozenset():
            for item in value:
                room = room_left(item, room - 1)
                if room < 0:
                    break
        case int():
            return room - value.bit_length() // 3 - 1
        case _:
            return room - 8
    return room
