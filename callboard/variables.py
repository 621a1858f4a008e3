"""What is said of environment variables: values that cannot be, names that nothing reads, and which are refused for it.

Pure functions over what `settings.py` has read; any thread. Imported by `settings.py` and by the commands that start a system.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

PREFIX = "CALLBOARD_"
LEAST_WORKER_BYTES = 256 * 1024**2
"""What a worker's process loads is 57 MiB of this, 81 MiB with small tasks under way; the rest is for what skills take."""

SKILL_PREFIX = "CALLBOARD_SKILL_"
Names = Mapping[str, tuple[str, ...]]
"""The variables that each setting is read from, by its field."""

_GUARDS = ("api_key", "approve_skills")
"""Settings that close something which stands open without them: to miss one for its name is worse than not to start."""
_OTHERS = frozenset({"APP_KEY"})
"""Names that are like ours and well known as other programs'."""
_ALIKE = 0.8
_ALIKE_UNPREFIXED = 0.75
_MOST_SHOWN = 64


# --- values ---


def rule_of(field: FieldInfo) -> str:
    """Return what a setting takes, in words: "a whole number from 0 to 65535"."""
    kind = next(iter(_kinds(field.annotation)), str)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(repr(value) if value == "" else str(value) for value in get_args(kind))
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        return f"a{' whole' if kind is int else ''} number{_ends(field)}"
    return "another value"


def value_fault(name: str, field: FieldInfo, value: Any) -> str:
    """Return what is said of a value that a setting cannot have; that of a secret is not repeated."""
    shown = f" is {str(value)[:_MOST_SHOWN]!r}" if field.repr else "'s value cannot be"
    return f"{name}{shown}; give {rule_of(field)}"


def _kinds(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, UnionType):
        for one in get_args(annotation):
            yield from _kinds(one)
    elif annotation is not type(None):
        yield annotation


def _ends(field: FieldInfo) -> str:
    """Return both ends of a number, as far as there are any."""
    found = {
        kind: getattr(limit, kind) for limit in field.metadata for kind in ("ge", "gt", "le") if hasattr(limit, kind)
    }
    least = f"{found['ge']:.15g}" if "ge" in found else None
    most = f"{found['le']:.15g}" if "le" in found else None
    if least is not None:
        return f" from {least} to {most}" if most else f", {least} or more"
    if "gt" in found:
        return f" above {found['gt']:.15g}" + (f", {most} at most" if most else "")
    return f", {most} at most" if most else ""


# --- names ---


def refused_names(environment: Mapping[str, str], names: Names) -> Iterator[str]:
    """Yield why variables are refused that would be taken for settings, or be missed as ones: names in another case, guards misspelt."""
    known = {name for several in names.values() for name in several}
    for name, value in environment.items():
        meant = name.upper()
        if not value or name in known:
            continue
        if meant in known or (meant.startswith(SKILL_PREFIX) and not name.startswith(SKILL_PREFIX)):
            yield f"{name} is not read, since names of variables are in capitals; write {meant}, or unset it"
        elif meant.startswith(PREFIX) and (guard := _guard_meant(name, environment, names)):
            yield guard


def open_names(environment: Mapping[str, str], names: Names) -> Iterator[str]:
    """Yield why a server is not started that somebody may have meant to close: a guard without our prefix, misspelt."""
    for name in environment:
        if not name.upper().startswith(PREFIX) and (guard := _guard_meant(name, environment, names)):
            yield guard


def doubtful_names(environment: Mapping[str, str], names: Names) -> dict[str, str]:
    """Return the variables that are no setting and most likely meant as one, with what to do about each."""
    known = {name for several in names.values() for name in several}
    own = [f"{PREFIX}{field.upper()}" for field in names if field != "skill_settings"]
    bare = [name for name in known if not name.startswith(PREFIX)]
    found = {}
    for name, value in sorted(environment.items()):
        upper = name.upper()
        if name in known or upper.startswith(SKILL_PREFIX):
            continue
        if upper.startswith(PREFIX):
            meant = next(iter(get_close_matches(upper, own, n=1, cutoff=_ALIKE)), None)
            found[name] = f"did you mean {meant}?" if meant else "see docs/configuration.md"
        elif value and upper not in _OTHERS and (meant := _unprefixed(upper, bare)):
            found[name] = f"did you mean {meant}?"
    return found


def _unprefixed(name: str, bare: list[str]) -> str | None:
    """Return the setting that a name without our prefix was meant as. Of keys there are many, and few are ours."""
    if _is_one_edit_from(name, "API_KEY"):
        return "API_KEY"
    if name.endswith(("API_KEY", "API_KEYS")):
        return None
    return next(iter(get_close_matches(name, bare, n=1, cutoff=_ALIKE_UNPREFIXED)), None)


def _guard_meant(name: str, environment: Mapping[str, str], names: Names) -> str | None:
    if not environment[name] or name.upper() in _OTHERS or any(name in several for several in names.values()):
        return None
    for field in _GUARDS:
        unset = not any(environment.get(one) for one in names[field])
        known = [one for one in names[field] if one.startswith(PREFIX) == name.upper().startswith(PREFIX)]
        for one in known:
            if unset and _is_one_edit_from(name, one):
                return f"{name} is no setting of Callboard and nearly {one}, which is not set; write {one}, or unset {name}"
    return None


def _is_one_edit_from(name: str, known: str) -> bool:
    """Say whether at most one letter stands between two names, case and underscores left out."""
    a, b = (re.sub(r"[^A-Z0-9]", "", one.upper()) for one in (name, known))
    if len(a) > len(b):
        a, b = b, a
    same = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if len(a) == len(b):
        swapped = a[same : same + 2] == b[same : same + 2][::-1] and a[same + 2 :] == b[same + 2 :]
        return swapped or a[same + 1 :] == b[same + 1 :]
    return len(b) - len(a) == 1 and a[same:] == b[same + 1 :]


def check_worker_bytes(value: int) -> int:
    """Return the most memory that a worker's process may take; raise `ValueError` where none can work with so little."""
    if 0 < value < LEAST_WORKER_BYTES:
        raise ValueError(
            f"{value} bytes are too few for a worker's process to load and to work; give it {LEAST_WORKER_BYTES} "
            "(256 MiB) or more, or 0 for no limit"
        )
    return value
