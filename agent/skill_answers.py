"""What a Python skill may answer: what has a JSON form, and is what its signature says.

A value passes as it is in Python, or by its JSON form: a list may come as a tuple, a date as its text, a declared model
as a dict. Nothing is converted that JSON writes differently: 5.0 and "5" are no `int`, and 1 is no `bool`.
Pure; any thread. Imported by the skills.
"""

import functools
import inspect
import operator
import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typing_extensions
from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import to_json

from callboard.unstorable import Unstorable, type_name
from callboard.values import json_form, mend_text, storable

_MAX_SHOWN_CHARS = 60
_MAX_TYPE_CHARS = 200
_EXACT = (str, int, float, bool)
_OF_A_SKILLS_FILE = re.compile(r"\bcallboard_skill_\w+\.")


class WrongAnswer(Exception):  # a skill that has run, unlike one that has failed
    """What a skill returned cannot be its answer; the text says what came, what was declared, and what to do."""


class Answers:
    """Makes answers of what a skill returns; `hint` is the return type of its signature.

    Raises `TypeError` where the type has no JSON form, such as a class that pydantic does not know.
    """

    def __init__(self, name: str, hint: Any) -> None:
        self._name = name
        self._hint = hint
        self._adapter = None if hint in (Any, object) else _adapter(hint)

    def answer(self, value: Any) -> Any:
        """Return the value as plain JSON; raise `WrongAnswer` where it has no such form or is not what was declared.

        PERF: about 1 µs of a text or a number and 4 µs of a small dict beside making it plain, which takes as much (timeit).
        """
        try:
            plain = storable(value, finite=True)
        except Unstorable as error:
            told = f"The skill {self._name} has run, but returned {error}."
            raise WrongAnswer(told) from error
        if self._adapter is not None and not (type(value) is self._hint and self._hint in _EXACT):
            self._check(self._adapter, value, plain)
        return plain

    def _check(self, adapter: TypeAdapter[Any], value: Any, plain: Any) -> None:
        """Compare the JSON form with the type: it is what arrives. A model whose form it does not read itself passes too."""
        try:
            form = to_json(value, fallback=_form)
        except Exception:  # noqa: BLE001  # of texts that had to be mended, or an object's own code
            form = to_json(plain)
        try:
            adapter.validate_json(form, strict=True)
        except ValidationError as error:
            # pydantic has a decimal pass for a float, and a text would arrive
            if all(found["type"] != "float_type" for found in error.errors()) and _is_valid(adapter, value):
                return
            raise WrongAnswer(
                f"The skill {self._name} has run, but returned {_came(value, error)}, and it is declared to return "
                f"{_shown_type(self._hint)}: return that, or declare what it does return."
            ) from error


def _is_valid(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        try:
            return TypeAdapter(hint)
        except PydanticUserError:
            return TypeAdapter(_known(hint))
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise TypeError(f"its return type {_shown_type(hint)} has no JSON form") from error


def _known(hint: Any) -> Any:
    """Return the type with `typing_extensions.TypedDict` for `typing.TypedDict`, which pydantic refuses in Python 3.11."""
    if typing_extensions.is_typeddict(hint):
        fields = typing_extensions.get_type_hints(hint, include_extras=True)
        required = {
            name: typing_extensions.Required[_known(kind)]
            if name in hint.__required_keys__
            else typing_extensions.NotRequired[_known(kind)]
            for name, kind in fields.items()
        }
        return typing_extensions.TypedDict(hint.__name__, required)  # type: ignore[operator]  # made while it runs
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[(_known(inner[0]), *inner[1:])]
    known = tuple(_known(one) for one in inner)
    if known == inner:
        return hint
    return functools.reduce(operator.or_, known) if origin in (Union, UnionType) else origin[known]


def _form(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else json_form(value)


def _came(value: Any, error: ValidationError) -> str:
    """Return what came in place of what was declared, by the first thing that does not fit."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).removeprefix(".")
    if error.error_count() > 1:  # several things, or each type of a union, which the place would name
        return _shown(value)
    if first["type"] == "missing":
        return f"{_shown(value)} without {place}"
    inside = f" with {_shown(first['input'])} at {place}" if place else ""
    return f"{_shown(value)}{inside} ({first['msg']})"


def _shown(value: Any) -> str:
    """Return what a value is; of a plain one its beginning too."""
    match value:
        case None:
            return "None"
        case str():
            return f"the {type_name(value)} {mend_text(value)[:_MAX_SHOWN_CHARS]!r}"
        case bool() | float():
            return f"the {type_name(value)} {storable(value)!r:.60}"
        case int() if int.bit_length(value) < 128:
            return f"the {type_name(value)} {int.__int__(value)}"
    name = type_name(value)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _shown_type(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return _shown_type(get_args(hint)[0])
    if hint is type(None):
        return "None"
    return _OF_A_SKILLS_FILE.sub("", inspect.formatannotation(hint))[:_MAX_TYPE_CHARS]
