"""Text, numbers and nesting that every supported database, JSON and msgpack can all hold.

SQLite stores NUL and PostgreSQL refuses it; jsonb refuses NaN; both refuse lone surrogates and integers
beyond 64 bits. What comes from a caller is refused at the door (`check_value`); what a script or a skill
made is mended (`storable`), because refusing it would lose a finished result, unless it is no data at all.
Pure functions; any thread; imported by every folder.
"""

import codecs
import dataclasses
import decimal
import math
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import PurePath
from typing import Any

from pydantic_core import to_jsonable_python

from callboard.errors import InvalidRequest
from callboard.limits import NUMBER_DIGITS, VALUE_BYTES, VALUE_DEPTH
from callboard.unstorable import TooLarge, Unstorable, exact, failing, type_name

Json = Any
"""A value that JSON has: None, bool, int, float, str, list or dict with string keys."""

_NODE_BYTES = 32
"""What each value counts as beside its text: half a million of them are the most."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
TEXT_PATTERN = r"^[^\u0000]*$"
"""What can be stored, for JSON Schema: NUL cannot. Half of a surrogate pair, which neither can, is no text there (RFC 8259, 8.2)."""


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

    Walks objects and arrays at most `VALUE_DEPTH` deep; the error names the place, such as `body.labels.a`.
    """
    if depth > VALUE_DEPTH:
        raise InvalidRequest(f"{where[:200]} is nested deeper than {VALUE_DEPTH} levels; flatten it.")
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
    """Return `text` with what no database could hold replaced by U+FFFD; of a subclass the plain text."""
    text = exact(text)
    if text.isascii() and "\x00" not in text:  # PERF: a third of the time
        return text
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


Form = Callable[[Any], Any]


class _How:
    """How one value is made plain: whether what has no form is refused or named, what else has one, and what room is left."""

    __slots__ = ("finite", "form", "room", "strict")

    def __init__(self, *, strict: bool = True, finite: bool = False, form: Form | None = None) -> None:
        self.strict, self.finite, self.form = strict, finite, form
        self.room = VALUE_BYTES

    def lost(self, error: Unstorable) -> str:
        if self.strict:
            raise error
        return f"<{error.what}>"

    def take(self, size: int) -> None:
        """Count what is made; raise `TooLarge` where it is too much. A small value may hold itself many times, or never end."""
        self.room -= size + _NODE_BYTES
        if self.room < 0:
            raise TooLarge(VALUE_BYTES)


def storable(value: Any, *, finite: bool = False, form: Form | None = None) -> Any:
    """Return `value` as plain JSON that every database holds; lossless for what JSON has.

    Integers beyond 64 bits and numbers that are not finite become strings; sets sorted lists; bytes their text; dates,
    decimals, dataclasses, models and the like what pydantic makes of them. Raises `TooLarge` beyond `VALUE_BYTES`, `Unstorable` for anything else: no
    `repr` of an object is ever an answer. With `finite` it is raised for numbers that are not finite too. `form` returns
    what stands for a value of another kind, or itself.
    """
    try:
        return _plain(value, 0, _How(finite=finite, form=form))
    except TooLarge:
        raise
    except Unstorable as error:
        error.locate(value)
        raise


def recordable(value: Any) -> Any:
    """Return what is only shown or compared, such as a call's arguments, as plain JSON.

    What has no form there is named by its kind, and bytes that are no text are written out.
    """
    try:
        return _plain(value, 0, _How(strict=False))
    except TooLarge as error:
        return f"<{error.what}>"


def _plain(value: Any, depth: int, how: _How) -> Any:
    """Return a value as plain JSON, whatever its own code does.

    # Invariant: only `Unstorable` comes out. Texts and numbers are read by the methods of their built-in kind, never by those
    # of a subclass; what any other code of a value raises means that it has no form.
    """
    if type(value) is str:  # PERF: most of what there is
        how.take(len(value))
        return mend_text(value)
    if value is None or value is True or value is False:
        how.take(0)
        return value
    try:
        return _plain_kind(value, depth, how)
    except Unstorable:
        raise
    except Exception as error:  # noqa: BLE001  # it is anybody's code
        return how.lost(failing(value, error))


def _plain_kind(value: Any, depth: int, how: _How) -> Any:
    match value:
        case str():
            return _plain(exact(value), depth, how)
        case bytes() | bytearray():
            how.take(memoryview(value).nbytes)
            return _text_of(value, how)
        case _:  # is no text
            pass
    how.take(0)
    match value:
        case int():
            number = int.__int__(value)
            return number if INT64_MIN <= number <= INT64_MAX else _long_int(number, how)
        case float():
            real = float.__float__(value)
            if math.isfinite(real):
                return real
            return how.lost(Unstorable(value)) if how.finite else str(real)
        case Mapping() | list() | tuple() | deque() | set() | frozenset() if depth >= VALUE_DEPTH:
            return how.lost(
                Unstorable(value, f"more than {VALUE_DEPTH} levels, or a value inside itself", "make it flatter")
            )
        case Mapping():
            return _plain_object(value, depth, how)
        case list() | tuple() | deque():
            return [_plain(inner, depth + 1, how) for inner in value]
        case set() | frozenset():
            return _sorted([_plain(inner, depth + 1, how) for inner in value])
        case Fraction():
            numerator, denominator = _plain(value.numerator, depth, how), _plain(value.denominator, depth, how)
            return f"{numerator}" if denominator == 1 else f"{numerator}/{denominator}"
        case _:
            return _plain_form(value, depth, how)


def _plain_object(value: Mapping[Any, Any], depth: int, how: _How) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, inner in value.items():
        name = _key(key, depth, how)
        while name in made:
            how.lost(Unstorable(key, "two keys that are the same text", "give keys that differ as texts"))
            name = f"{name} ({type_name(key)})"  # what is only shown or compared shows both
        made[name] = _plain(inner, depth + 1, how)
    return made


def _plain_form(value: Any, depth: int, how: _How) -> Any:
    try:
        form = json_form(value, how.form)
    except Unstorable as error:
        return how.lost(error)
    return _plain(form, depth + 1, how)


def json_form(value: Any, form: Form | None = None) -> Any:
    """Return what stands for an object in JSON, as plain values or with others inside; raise `Unstorable` if nothing does."""
    own = value if form is None else form(value)
    if own is not value:
        return own
    if isinstance(value, Iterator | Awaitable):
        raise Unstorable(value)  # reading it would use it up, and may never end
    if (
        dataclasses.is_dataclass(value)
        and not isinstance(value, type)
        and not hasattr(value, "__pydantic_serializer__")
    ):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, PurePath):
        return str(value)
    if getattr(getattr(value, "dtype", None), "kind", None) in _NUMPY_NUMBERS and getattr(value, "ndim", None) == 0:
        number = value.item()
        if isinstance(number, int | float):  # of some it is itself
            return number
    try:
        made = to_jsonable_python(value, fallback=_refuse)
    except Unstorable:
        raise
    except Exception:  # noqa: BLE001  # it holds itself, or text or bytes that are none, or its own code fails
        made = _UNPRINTABLE
    return _fields_of(value) if _is_unprintable(made) else made


_UNPRINTABLE = "<unprintable  object>"


def _is_unprintable(made: Any) -> bool:
    """Say whether pydantic has written `<unprintable … object>` for an object whose `__str__` fails, in keys too."""
    match made:
        case str():
            return made.startswith("<unprintable ") and made.endswith(" object>")
        case dict():
            return any(_is_unprintable(one) for item in made.items() for one in item)
        case list():
            return any(map(_is_unprintable, made))
        case _:
            return False


def _fields_of(value: Any) -> Any:
    """Return what a pydantic model or dataclass holds, as it is; raise `Unstorable` for any other object."""
    serializer = getattr(value, "__pydantic_serializer__", None)
    if serializer is None or isinstance(value, type):
        raise Unstorable(value)
    made = serializer.to_python(value)
    if _is_unprintable(made):
        raise Unstorable(value)
    return made


_NUMPY_NUMBERS = frozenset("biuf")
"""The kinds of NumPy's scalars that are a boolean or a number; the `item()` of a date may be a bare number."""


def _refuse(value: Any) -> Any:
    raise Unstorable(value)


def _sorted(members: list[Any]) -> list[Any]:
    """Return a set's members in the same order in every process, so that the ledger knows an argument again."""
    try:
        return sorted(members)
    except TypeError:
        return sorted(members, key=lambda member: (type(member).__name__, repr(member)))


def _key(key: Any, depth: int, how: _How) -> str:
    plain = _plain(key, depth + 1, how)
    return plain if type(plain) is str else mend_text(str(_in_key(plain, key, how)))


def _in_key(plain: Any, key: Any, how: _How) -> Any:
    """Return what a key holds as it is written in one: lists as tuples. What is an object in JSON is no key."""
    if isinstance(plain, dict):
        return how.lost(Unstorable(key, f"a key that is an object of the class {type_name(key)}", "give texts as keys"))
    return tuple(_in_key(inner, key, how) for inner in plain) if isinstance(plain, list) else plain


def _text_of(value: bytes | bytearray, how: _How) -> str:
    try:
        return mend_text(value.decode(errors="strict" if how.strict else "backslashreplace"))
    except UnicodeDecodeError:
        return how.lost(Unstorable(value))


def _long_int(value: int, how: _How) -> str:
    """Return a long integer in decimal digits.

    PERF: 20 ms for 100,000 digits (timeit), by halves; Python's own way is quadratic, so it refuses more than 4,300 unless told.
    """
    digits = value.bit_length() * 30103 // 100_000  # the logarithm of 2
    if digits > NUMBER_DIGITS:
        what = f"an integer of more than {NUMBER_DIGITS:,} digits"
        return str(how.lost(Unstorable(value, what, "give it as hex(…), or as a number of fewer digits")))
    how.take(digits * _EACH_DIGIT)
    if digits < _PLAIN_DIGITS:
        return str(value)
    with decimal.localcontext(decimal.Context(prec=digits + 10, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)):
        made = str(_in_halves(abs(value), value.bit_length()))
    return f"-{made}" if value < 0 else made


_EACH_DIGIT = 8
"""PERF: what each digit of a long integer counts as, so that a value that is full of them is over in half a second."""

_PLAIN_DIGITS = 600
"""Below that many, `str` writes any integer, whatever limit the process was started with."""


def _in_halves(value: int, bits: int) -> decimal.Decimal:
    if bits <= 1024:
        return decimal.Decimal(value)
    low = bits >> 1
    upper = value >> low
    return _in_halves(value - (upper << low), low) + _in_halves(upper, bits - low) * (decimal.Decimal(2) ** low)
