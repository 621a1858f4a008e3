"""Values that JSON has no form for: what they are, where they stand, and what to write instead.

Words only: nothing of the value is shown but its type, since a `repr` may be huge, hold secrets, or fail.
Pure; any thread. Imported by `callboard/values.py` and by whoever tells of such a value.
"""

import io
import types
from collections.abc import Awaitable, Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

_MAX_NAME_CHARS = 100
_MAX_PLACE_CHARS = 80
_MOST_LOOKED_AT = 100_000
"""How many values the place of one is looked for among: a small one may hold itself many times."""

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType)


class Unstorable(TypeError):
    """`value`, or something inside of what was to be stored, has no JSON form.

    `what` it is, such as `a generator`; `place` where it stands, such as `[3].rows`, empty at the top; `instead`, what to
    write in its place.
    """

    def __init__(self, value: Any, what: str = "", instead: str = "") -> None:
        known_what, known_instead = ("", "") if what else _described(value)
        self.value = value
        self.what = what or known_what
        self.instead = instead or known_instead
        self.place = ""
        super().__init__(self.what)

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else ""
        return f"{self.what}{where}, which has no JSON form: {self.instead}"

    def locate(self, whole: Any) -> None:
        """Say where in the whole the value stands."""
        try:
            place = (_place(whole, self.value, 0, [_MOST_LOOKED_AT]) or "").removeprefix(".")
        except Exception:  # noqa: BLE001  # it is anybody's code
            place = ""
        self.place = place if len(place) <= _MAX_PLACE_CHARS else f"{place[:_MAX_PLACE_CHARS]}…"


def failing(value: Any, raised: BaseException) -> Unstorable:
    """Return why a value is none: its own code has raised when it was asked for what it holds."""
    what = f"an object of the class {type_name(value)}, whose own code raised {bare_name(type(raised))}"
    return Unstorable(value, what, "give a dict, a list or a text of what is needed of it")


class TooLarge(Unstorable):
    """More would be made of the value than is kept of any."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(None, f"more than {most_bytes:,} bytes", "return less, or keep it in a file")

    def __str__(self) -> str:
        return f"{self.what}, which is the limit: {self.instead}"


def bare_name(kind: type) -> str:
    """Return a class's own name, whatever its metaclass makes of the question."""
    return _name(_NAME.__get__(kind))


def full_name(kind: type) -> str:
    """Return a class's name, with its module where that is neither Python's own nor a skill's file."""
    name = _name(_QUALNAME.__get__(kind))
    try:
        module = _name(_MODULE.__get__(kind))
    except AttributeError:
        module = ""
    plain = module in ("", "builtins", "__main__") or module.startswith("callboard_skill_")
    return (name if plain else f"{module}.{name}")[:_MAX_NAME_CHARS]


def exact(text: str) -> str:
    """Return the plain text of one that may be of a class of its own, without asking that class; `TypeError` where it is none."""
    return str.__str__(text)


def _name(given: Any) -> str:
    """Return a name as far as it is a text, bounded, with what no database holds written as an escape."""
    if not issubclass(type(given), str):
        return ""
    name = exact(given)[:_MAX_NAME_CHARS]
    return name.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


_NAME, _QUALNAME, _MODULE = (type.__dict__[name] for name in ("__name__", "__qualname__", "__module__"))


def type_name(value: Any) -> str:
    """Return the name of a value's type, with its module where it is not Python's own."""
    return full_name(type(value))


def _described(value: Any) -> tuple[str, str]:
    """Return what a value is and what to write instead."""
    kind = type_name(value)
    try:
        for test, what, instead in _KINDS:
            if test(value):
                return what.format(kind, name=_name(getattr(value, "__name__", ""))), instead
    except Exception:  # noqa: BLE001, S110  # it is anybody's code
        pass
    return f"an object of the class {kind}", "give a dict of what is needed of it, or make its class a dataclass"


def _is_a(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _has(name: str) -> Callable[[Any], bool]:
    return lambda value: callable(getattr(value, name, None))


_KINDS: tuple[tuple[Callable[[Any], bool], str, str], ...] = (
    (_is_a(type), "the class {name}", "give a value, or the class's name as a text"),
    (_is_a(*_FUNCTIONS), "the function {name}", "give what it returns: call it"),
    (_is_a(types.ModuleType), "the module {name}", "give a value of it"),
    (_is_a(Awaitable), "a {0} that was not awaited", "await it, or give asyncio.run(…) of it"),
    (_is_a(io.IOBase), "an open file ({0})", "give what is in it, such as its read()"),
    (_is_a(Iterator), "a {0}", "make a list of it: list(…)"),
    (_is_a(range, KeysView, ItemsView, ValuesView), "a {0}", "make a list of it: list(…)"),
    (_is_a(BaseException), "the exception {0}", "raise it, or give its text: str(…)"),
    (_is_a(bytes, bytearray), "bytes that are no UTF-8 text", "give base64.b64encode(…).decode() of them"),
    (_is_a(float), "a number that is not finite (nan or inf)", "give None where there is no number"),
    (_has("to_dict"), "an object of the class {0}", 'give its to_dict(), of a table to_dict("records")'),
    (_has("tolist"), "an object of the class {0}", "give its tolist()"),
)


def _place(whole: Any, value: Any, depth: int, left: list[int]) -> str | None:
    """Return where the value stands in the whole, None where it does not."""
    if whole is value:
        return ""
    left[0] -= 1
    if depth > 64 or left[0] < 0:
        return None
    items: Any = ()
    if isinstance(whole, Mapping):
        items = ((_step(key), one) for key, one in whole.items())
    elif isinstance(whole, list | tuple):
        items = ((f"[{number}]", one) for number, one in enumerate(whole))
    for name, one in items:
        below = _place(one, value, depth + 1, left)
        if below is not None:
            return f"{name}{below}"
    return None


def _step(key: Any) -> str:
    """Return how the place below a key is written; of a key that is neither a text nor a short number, nothing is shown."""
    if isinstance(key, str):
        return f".{_name(key)[:60]}"
    plain = key is None or type(key) in (bool, float) or (type(key) is int and key.bit_length() < 128)
    return f"[{key!r}]" if plain else "[…]"
