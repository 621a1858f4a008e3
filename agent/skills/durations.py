"""The skill `convert-duration`: spans of time in another unit. Any thread."""

import re
from fractions import Fraction
from typing import Literal

from callboard.agent.skill import skill

Unit = Literal["milliseconds", "seconds", "minutes", "hours", "days", "weeks", "months", "years"]

_SECONDS = {
    "milliseconds": Fraction(1, 1000),
    "seconds": Fraction(1),
    "minutes": Fraction(60),
    "hours": Fraction(3600),
    "days": Fraction(86_400),
    "weeks": Fraction(604_800),
}
_MONTHS = {"months": Fraction(1), "years": Fraction(12)}
_NAMES = {
    "milliseconds": ("ms", "msec", "msecs", "millisecond"),
    "seconds": ("s", "sec", "secs", "second"),
    "minutes": ("m", "min", "mins", "minute"),
    "hours": ("h", "hr", "hrs", "hour"),
    "days": ("d", "day"),
    "weeks": ("w", "wk", "wks", "week"),
    "months": ("mo", "month"),
    "years": ("y", "yr", "yrs", "year"),
}
UNITS = {name: unit for unit, names in _NAMES.items() for name in (unit, *names)}
"""Every spelling of a unit, in lower case, and the unit."""

_PART = re.compile(r"(?:,? ?and |, ?| ?)(\d{1,15}(?:\.\d{1,15})?) ?([a-z]+)")


@skill(replay="pure")
def convert_duration(duration: str, unit: Unit) -> int | float:
    """Convert a span of time such as `2 hours 30 minutes`, `1.5 days` or `1h30m` into one unit.

    Months and years convert into each other only, since their days differ. Raises ValueError for what it cannot read.
    """
    parts = _parts(" ".join(duration.lower().split()))
    table = _MONTHS if unit in _MONTHS else _SECONDS
    for _, name in parts:
        if name not in table:
            uneven = name if name in _MONTHS else unit
            raise ValueError(f"{duration!r} cannot be put into {unit}: {uneven} differ in length.")
    total = sum((amount * table[name] for amount, name in parts), Fraction(0)) / table[unit]
    return total.numerator if total.denominator == 1 else float(total)


def _parts(text: str) -> list[tuple[Fraction, str]]:
    parts: list[tuple[Fraction, str]] = []
    position = 0
    while position < len(text) and len(parts) < 20:
        found = _PART.match(text, position)
        if not found or found[2] not in UNITS:
            break
        parts.append((Fraction(found[1]), UNITS[found[2]]))
        position = found.end()
    if not parts or position < len(text):
        raise ValueError(f"{text[:80]!r} is not a span of time; write it like 2 hours 30 minutes.")
    return parts
