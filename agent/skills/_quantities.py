"""Clock times, durations, sizes and other numbers with a unit: what they are in a unit to compare by, and how to write a sum.

Pure functions; any thread; imported by the modules of tables.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from callboard.agent.skills._cell_units import SIZES
from callboard.agent.skills._figures import EXACT, figure
from callboard.agent.skills._moments import clock_hour

_TIMES = {
    "ms msec millisecond milliseconds Millisekunden": "0.001",
    "s sec secs second seconds Sekunde Sekunden seconde secondes": "1",
    "min mins minute minutes Minute Minuten": "60",
    "h hr hrs hour hours std Std Stunde Stunden heure heures": "3600",
    "d day days Tag Tage Tagen jour jours": "86400",
    "w wk wks week weeks Woche Wochen semaine semaines": "604800",
}
_SECONDS = {name: Decimal(seconds) for names, seconds in _TIMES.items() for name in names.split()}
_MONTHS = {
    **dict.fromkeys("mo month months Monat Monate Monaten mois".split(), 1),
    **dict.fromkeys("y yr yrs year years Jahr Jahre Jahren an ans".split(), 12),
}
_MINUTE = Decimal(60)
_CLOCK = re.compile(
    r"(?P<sign>[-+−])?(?:(?P<days>\d{1,6}) ?(?:days?,? ?|d ))?(?P<a>\d{1,6}):(?P<b>\d{2})(?::(?P<c>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"[ ]?(?P<half>[AaPp]\.?[Mm]\.?)?"
)
_ISO = re.compile(
    r"(?P<sign>-)?P(?=[\dT])(?:(?P<y>\d+)Y)?(?:(?P<mo>\d+)M)?(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<h>\d+(?:[.,]\d+)?)H)?(?:(?P<m>\d+(?:[.,]\d+)?)M)?(?:(?P<s>\d+(?:[.,]\d+)?)S)?)?"
)
_PARTS = re.compile(r"(\d+(?:[.,]\d+)?) ?([^\W\d_]{1,14})\.?(?:,? (?:and |und |et )?)?")


class Clock(NamedTuple):
    """A time with colons in seconds (hours and minutes, if there are two parts); `half` says that it has am or pm."""

    seconds: Decimal
    parts: int
    hours: int
    half: bool


class Span(NamedTuple):
    """A duration in seconds, or in months; `units` are those it is written in, `iso` says how.

    One in `m` alone may be a length; what stands beside it in the column tells.
    """

    amount: Decimal
    months: bool
    units: tuple[str, ...]
    iso: bool = False


def clock(text: str) -> Clock | str | None:
    """Return a time with colons; a sentence's end if it has the form and is none; None if it has not."""
    if ":" not in text or len(text) > 40:
        return None
    found = _CLOCK.fullmatch(text.strip())
    if not found:
        return None
    hour, minute, second = int(found["a"]), int(found["b"]), int(found["c"] or 0)
    if found["half"]:
        hour = clock_hour(hour, found["half"])
    if minute > 59 or second > 59 or (found["half"] and hour > 23) or (found["days"] and hour > 23):
        return "is no time"
    total = Decimal(int(found["days"] or 0) * 86400 + hour * 3600 + minute * 60 + second)
    total = EXACT.add(total, Decimal(f"0.{found['part']}")) if found["part"] else total
    negative = found["sign"] in ("-", "−")
    hours = int(total // 3600)
    return Clock(total.copy_negate() if negative else total, 3 if found["c"] else 2, hours, bool(found["half"]))


def span(text: str) -> Span | None:
    """Return a duration such as `1h 30m`, `90 min`, `2 Stunden` or `PT1H30M`; None if the text is none."""
    text = text.strip()
    if len(text) > 80 or not text:
        return None
    if iso := _ISO.fullmatch(text):
        return _iso(iso)
    negative, text = text[0] in "-−", text.lstrip("-−+")
    parts, position = [], 0
    while position < len(text):
        found = _PARTS.match(text, position)
        if not found:
            return None
        parts.append((found[1], found[2]))
        position = found.end()
    if not parts:  # a sign alone
        return None
    names = [name for _, name in parts]
    if all(name in _MONTHS for name in names):
        table = {name: Decimal(months) for name, months in _MONTHS.items()}
    elif all(name in _SECONDS or name == "m" for name in names):
        table = {**_SECONDS, "m": _MINUTE}
    else:
        return None
    sizes = [table[name] for name in names]
    if sizes != sorted(set(sizes), reverse=True):
        return None
    total = Decimal(0)
    for amount, name in parts:
        read = figure(amount)
        if read is None or read.doubtful:
            return None
        value = read.point if read.point is not None else read.comma
        total = EXACT.add(total, EXACT.multiply(value or Decimal(0), table[name]))
    return Span(total.copy_negate() if negative else total, names[0] in _MONTHS, tuple(names))


def _iso(found: re.Match[str]) -> Span | None:
    fixed = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
    months = int(found["y"] or 0) * 12 + int(found["mo"] or 0)
    if (found["y"] or found["mo"]) and any(found[name] for name in fixed):
        return None
    total = Decimal(months)
    for name, seconds in fixed.items():
        if found[name]:
            total = EXACT.add(total, EXACT.multiply(Decimal(found[name].replace(",", ".")), Decimal(seconds)))
    if found["sign"]:
        total = total.copy_negate()
    return Span(
        total, bool(found["y"] or found["mo"]), ("mo",) if found["y"] or found["mo"] else ("h", "m", "s"), iso=True
    )


def as_clock(seconds: Fraction, parts: int) -> str:
    """Return seconds as `2:05` or `02:05:00`, as the column has them; what is less than a second only with three parts."""
    sign, seconds = "-" if seconds < 0 else "", abs(seconds)
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, seconds - whole // 60 * 60
    if parts == 2 and not rest:
        return f"{sign}{hours}:{minutes:02}"
    text = number_text(rest)
    return f"{sign}{hours:02}:{minutes:02}:{text if rest >= 10 else '0' + text}"


def as_span(amount: Fraction, spans: Sequence[Span]) -> str:
    """Return a duration in the units that the column has."""
    months = spans[0].months
    sign, amount = "-" if amount < 0 else "", abs(amount)
    if all(one.iso for one in spans):
        if months:
            return f"{sign}P{number_text(amount)}M"
        hours, minutes = Fraction(amount // 3600), Fraction(amount // 60 % 60)
        told = [(hours, "H"), (minutes, "M"), (amount - hours * 3600 - minutes * 60, "S")]
        return f"{sign}PT" + ("".join(f"{number_text(n)}{name}" for n, name in told if n) or "0S")
    table = (
        {name: Fraction(n) for name, n in _MONTHS.items()}
        if months
        else {name: Fraction(n) for name, n in {**_SECONDS, "m": _MINUTE}.items()}
    )
    # the longest name of each unit: hours rather than hour
    named = {table[name]: name for name in sorted({name for one in spans for name in one.units}, key=len)}
    units = sorted(named.items(), reverse=True)
    if len(units) == 1:
        size, name = units[0]
        gap = " " if len(name) > 1 else ""
        return f"{sign}{number_text(amount / size)}{gap}{name}"
    parts = []
    for place, (size, name) in enumerate(units):
        count: Fraction = amount / size if place == len(units) - 1 else Fraction(amount // size)
        amount -= count * size
        if count:
            parts.append(f"{number_text(count)}{' ' if len(name) > 1 else ''}{name}")
    return sign + (" ".join(parts) or f"0 {units[-1][1]}")


def as_size(size_bytes: Fraction, units: Iterable[str]) -> str:
    """Return a size in the largest of the units that the column has."""
    unit = max(units, key=lambda name: SIZES[name])
    return f"{number_text(size_bytes / SIZES[unit])} {unit}"


def number_text(value: Fraction) -> str:
    """Return a number as a text: exactly where decimals can, else to 15 digits."""
    if value.denominator == 1:
        return str(value.numerator)
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest == 1 and value.denominator < 10**30:
        digits = max(len(bin(value.denominator)), 1)
        text = format(EXACT.multiply(Decimal(value.numerator), _inverse(value.denominator, digits)), "f")
        return text.rstrip("0").rstrip(".")
    return format(float(value), ".15g")


def _inverse(denominator: int, digits: int) -> Decimal:
    """Return 1/denominator, which ends within that many decimals."""
    return Decimal(10**digits // denominator).scaleb(-digits, EXACT)
