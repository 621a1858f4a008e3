"""What a skill would really get of the arguments that a person is asked about: exactly those, or the call is refused.

Validation is lax, so that code may pass "5" for a whole number; of a call that a person decides on nothing may become
something else behind their back. Pure functions; any thread. Imported by what makes a skill of a function.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, RootModel, Secret, SecretBytes, SecretStr

from callboard.arguments import Binding
from callboard.unstorable import Unstorable
from callboard.values import recordable, storable

_SHOWN_CHARS = 200
_EXACT_INT = 2**53
"""Up to here a whole number and the floating-point one of it are the same in every reader of JSON."""


def exact_binding(
    function: str, given: Mapping[str, Any], got: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Binding:
    """Return what a skill gets; raise `ValueError` naming the argument that validation makes something else of.

    `given` are the arguments by name, plain JSON; `got` what validation has made of them, `defaults` the values of the
    parameters that were left out, both as Python has them.
    """
    plain = {name: _plain(function, name, value) for name, value in got.items()}
    for name, value in given.items():
        found = difference(value, plain[name], name)
        if found is not None:
            place, before, after = found
            raise ValueError(
                f"{function}() argument {place} is {_shown(before)}, which the skill would get as {_shown(after)}; "
                f"pass {_shown(after)} if that is meant"
            )
    return Binding.of(plain, {name: _default(value) for name, value in defaults.items()})


def difference(given: Any, got: Any, place: str) -> tuple[str, Any, Any] | None:
    """Return where two plain values differ first, and how; None where they are the same, the types too.

    A whole number of at most 53 bits is the same as the floating-point number of it.
    """
    if json.dumps(given) == json.dumps(got):  # tells true from 1, 1 from 1.0, 0.0 from -0.0
        return None
    if isinstance(given, Mapping) and isinstance(got, Mapping) and given.keys() == got.keys():
        pairs: Sequence[tuple[str, Any, Any]] = [(f"{place}.{key[:60]}", given[key], got[key]) for key in given]
    elif isinstance(given, list) and isinstance(got, list) and len(given) == len(got):
        pairs = [(f"{place}[{n}]", *pair) for n, pair in enumerate(zip(given, got, strict=True))]
    elif type(given) is int and type(got) is float and given == got and abs(given) <= _EXACT_INT:
        return None
    else:
        return place, given, got
    return next((found for at, before, after in pairs if (found := difference(before, after, at))), None)


def _plain(function: str, name: str, value: Any) -> Any:
    try:
        return storable(value, form=_form)
    except Unstorable as error:
        raise ValueError(f"{function}() argument {name} would become {error}") from error


def _default(value: Any) -> Any:
    """Return a default for a person; one that JSON has no form for, such as a sentinel, is named by its kind."""
    try:
        return storable(value, form=_form)
    except Unstorable:
        return recordable(value)


def _form(value: Any) -> Any:
    """Return all that a model holds, whatever it leaves out of its own JSON; other values as they are."""
    if isinstance(value, Secret | SecretStr | SecretBytes):
        return value.get_secret_value()
    if isinstance(value, RootModel):
        return value.root
    if isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        fields: Mapping[str, Any] = getattr(type(value), "__pydantic_fields__", None) or {
            field.name: None for field in dataclasses.fields(value)
        }
        extra = getattr(value, "__pydantic_extra__", None) or {}
        return {_key(name, info): getattr(value, name) for name, info in fields.items()} | extra
    return value


def _key(name: str, info: Any) -> str:
    """Return the key that validation takes a field from."""
    alias = getattr(info, "validation_alias", None)
    alias = next(iter(getattr(alias, "choices", ())), alias)
    return alias if isinstance(alias, str) else name


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
