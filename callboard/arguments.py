"""The arguments of a call that a person decides on: whole, with their digest, and shortened where that says so.

Pure functions; any thread; imported by every folder.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from callboard.errors import InvalidRequest
from callboard.limits import ARGUMENTS_BYTES
from callboard.unstorable import TooLarge, Unstorable
from callboard.values import check_text, recordable, storable

_MOST_BITS = 8192
"""The longest number that is shown in decimal, which Python writes up to some four thousand digits of."""

_MARK = re.compile(r"… \[[\d,]+ more \w+ left out\]\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a skill gets of the arguments of a call that a person decides on.

    `defaults` are the parameters that were left out, by name, as plain JSON; `digest` is of all that the skill gets, by
    name, so that a skill whose signature has changed meanwhile is known by it.
    """

    defaults: Mapping[str, Any]
    digest: str

    @classmethod
    def of(cls, got: Mapping[str, Any], defaults: Mapping[str, Any]) -> "Binding":
        return cls(defaults=defaults, digest=_sha256({**defaults, **got}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What one call is made with, whole, as plain JSON.

    `args` and `kwargs` are what the script gave, `edited`, by name, what a person has put in place of all of it. `digest`
    is of what the call is made with. `binding` is what the skill gets of it; None where nobody is asked before the call, and
    in rows of servers before.
    """

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    digest: str
    edited: Mapping[str, Any] | None = None
    binding: Binding | None = None

    @classmethod
    def of(
        cls,
        skill: str,
        effect_id: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        edited: Mapping[str, Any] | None = None,
        binding: Binding | None = None,
    ) -> "Arguments":
        made_with = (args, kwargs) if edited is None else ((), edited)
        digest = digest_of(skill, effect_id, *made_with)
        return cls(args=tuple(args), kwargs=dict(kwargs), digest=digest, edited=edited, binding=binding)

    @property
    def made_with(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and the named ones that the skill gets."""
        return (tuple(self.args), dict(self.kwargs)) if self.edited is None else ((), dict(self.edited))

    def are_those_of(self, skill: str, effect_id: str) -> bool:
        """Say whether the digest is that of this call with these arguments."""
        return digest_of(skill, effect_id, *self.made_with) == self.digest


DIGEST_PATTERN = "^[0-9a-f]{64}$"


def digest_of(skill: str, effect_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hexadecimal, of `[skill, effectId, args, kwargs]` as JSON.

    Keys sorted by code point, no spaces, everything but ASCII as `\\uXXXX`: what `json.dumps` of Python makes with
    `sort_keys=True` and the separators `,` and `:`.
    """
    return _sha256([skill, effect_id, args, kwargs])


def _sha256(plain: Any) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def size_of(value: Any) -> int:
    """Return how many bytes a plain value takes as JSON in UTF-8."""
    return len(to_json(value))


def exact(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments as plain JSON that says all there is in them; raise `ValueError` where none does, or it is too large.

    Numbers that JSON does not have are texts there, sets are lists, dates ISO 8601; a text that has to be mended, or an
    object of which two keys would become one, is refused.
    """
    try:
        plain = storable([list(args), dict(kwargs)])
        _check_exact([args, kwargs])
    except TooLarge as error:
        raise ValueError(_too_large("they are more")) from error
    except Unstorable as error:
        raise ValueError(f"there is {error}") from error
    except InvalidRequest as error:
        raise ValueError(error.message.removesuffix(".")) from error
    if (size := size_of(plain)) > ARGUMENTS_BYTES:
        raise ValueError(_too_large(f"they are {size:,} bytes"))
    return plain[0], plain[1]


def _too_large(how: str) -> str:
    return f"{how} as JSON, the limit is {ARGUMENTS_BYTES:,} bytes; pass less, or write it to a file and pass its name"


def _check_exact(value: Any) -> None:
    match value:
        case str():
            check_text(value, "a text in them")
        case bytes() | bytearray():
            check_text(value.decode(), "a text in them")
        case int() if value.bit_length() > _MOST_BITS:
            raise InvalidRequest(f"a number in them has more than {_MOST_BITS:,} bits; give it as a text")
        case Mapping():
            for key, inner in value.items():
                _check_exact(key)
                _check_exact(inner)
        case list() | tuple() | set() | frozenset():
            for inner in value:
                _check_exact(inner)
        case _:  # is exact, and holds nothing
            pass


def as_recorded(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]] | None:
    """Return arguments as the ledger keeps those that nobody is asked about before the call; None where they are too large."""
    plain = recordable([list(args), dict(kwargs)])
    return None if isinstance(plain, str) or size_of(plain) > ARGUMENTS_BYTES else (plain[0], plain[1])


def marks(value: Any) -> Iterator[str]:
    """Yield the texts in a value that end as a shortened one does, keys too."""
    match value:
        case str() if _MARK.search(value[-60:]):
            yield value
        case Mapping():
            for key, inner in value.items():
                yield from marks(key)
                yield from marks(inner)
        case list() | tuple():
            for inner in value:
                yield from marks(inner)
        case _:  # holds no text
            pass
