"""Numbers as people write them in tables, with a decimal point or a decimal comma, and the unit that goes with them.

A number is read in both ways, and what tells them apart is the whole column: `settle`. Pure functions; any thread;
imported by the modules of tables.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Literal, NamedTuple

Notation = Literal["point", "comma"]
"""Which mark stands before the decimals; the other one may group thousands, and so may blanks and apostrophes."""

EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Arithmetic that never rounds. Never divide in it."""

_MAX_CHARS = 20_000
_CURRENCIES = {
    "$": "$", "US$": "USD", "USD": "USD", "€": "€", "EUR": "€", "Euro": "€", "£": "£", "GBP": "£", "¥": "¥", "JPY": "JPY", "CNY": "CNY",
    "RMB": "CNY", "CHF": "CHF", "Fr.": "CHF", "SFr.": "CHF", "sFr.": "CHF", "kr": "kr", "kr.": "kr", "Kr": "kr", "SEK": "SEK", "NOK": "NOK",
    "DKK": "DKK", "ISK": "ISK", "zł": "zł", "PLN": "zł", "Kč": "Kč", "CZK": "Kč", "Ft": "Ft", "HUF": "Ft", "₹": "₹", "INR": "₹", "R$": "R$",
    "BRL": "R$", "₽": "₽", "RUB": "₽", "₺": "₺", "TRY": "₺", "₩": "₩", "KRW": "₩", "A$": "AUD", "AU$": "AUD", "AUD": "AUD", "C$": "CAD",
    "CA$": "CAD", "CAD": "CAD", "NZ$": "NZD", "NZD": "NZD", "HK$": "HKD", "HKD": "HKD", "S$": "SGD", "SGD": "SGD", "MXN": "MXN", "ZAR": "ZAR",
    "₪": "₪", "ILS": "₪", "₫": "₫", "VND": "₫", "₴": "₴", "UAH": "₴", "฿": "฿", "THB": "฿", "lei": "RON", "RON": "RON", "лв": "BGN",
    "BGN": "BGN", "AED": "AED", "SAR": "SAR", "₿": "BTC", "BTC": "BTC",
}  # fmt: skip
CURRENCIES = frozenset(_CURRENCIES.values())
_PERCENT = {"%": "%", "percent": "%", "pct": "%", "Prozent": "%", "‰": "‰"}
MAGNITUDES = {
    **dict.fromkeys(("k", "K"), 10**3),
    **dict.fromkeys(("m", "M", "mn", "MM", "mio", "Mio", "Mio.", "million"), 10**6),
    **dict.fromkeys(("b", "B", "bn", "Mrd", "Mrd.", "billion"), 10**9),
    "T": 10**12,
}
"""What stands behind an amount of money, as in $1.2M."""

_ROUND = re.compile("(?<=[0-9])[.,][-–—](?![0-9])")  # CHF 12.– is CHF 12.00
_BLANK = "[ \u00a0\u2007\u2009\u202f]"
_HEAD = "[1-9][0-9]{0,2}"
_ALIKE = rf"{_HEAD}(?P<gap>{_BLANK}|['’])[0-9]{{3}}(?:(?P=gap)[0-9]{{3}})*"
_WHOLE = "0|[1-9][0-9]*"
_POINT = re.compile(
    rf"(?:{_ALIKE}|{_HEAD}(?:,[0-9]{{3}})+|[1-9][0-9]?(?:,[0-9]{{2}})+,[0-9]{{3}}|{_WHOLE})?(?:\.[0-9]+)?"
)
_COMMA = re.compile(rf"(?:{_ALIKE}|{_HEAD}(?:\.[0-9]{{3}})+|{_WHOLE})?(?:,[0-9]+)?")
_GROUPING = re.compile(rf"{_BLANK}|['’]")
_MONEY = "|".join(sorted(map(re.escape, _CURRENCIES), key=len, reverse=True))
_BODY = rf"(?:[0-9](?:[0-9.,]|(?:{_BLANK}|['’])(?=[0-9]))*|[.,][0-9]+)"
_FIGURE = re.compile(
    rf"(?P<open>\()?(?P<sign>[-+−–])?{_BLANK}?(?P<front>{_MONEY})?{_BLANK}?(?P<sign2>[-+−–])?"
    rf"(?P<body>{_BODY})(?P<power>[eE][-+]?[0-9]{{1,3}})?"
    rf"(?:(?P<apart>{_BLANK}?)(?P<behind>[^\W\d_][^\W\d_²³µ/]{{0,14}}\.?|[^\w\s()'’.,+−–-]{{1,3}}|(?:US|A|C|R|S|HK|NZ)\$))?(?P<sign3>[-−–])?(?P<close>\))?"
)
_PLAIN = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


class Figure(NamedTuple):
    """A number read with a decimal point and with a decimal comma (None where that does not fit), and its unit.

    `fronted` says that a currency stands in front; `apart`, that a blank stands before the unit.
    """

    point: Decimal | None
    comma: Decimal | None
    unit: str = ""
    fronted: bool = False
    apart: bool = False

    def read(self, notation: Notation) -> Decimal | None:
        return self.point if notation == "point" else self.comma

    @property
    def doubtful(self) -> bool:
        return self.point is not None and self.comma is not None and self.point != self.comma


def figure(text: str) -> Figure | None:
    """Return the number that a text is, in either notation; None if it is none."""
    text = text.strip()
    if len(text) > _MAX_CHARS:
        return None
    if _PLAIN.fullmatch(text):  # PERF: nearly all cells of nearly all tables
        return Figure(*_readings(text))
    found = _FIGURE.fullmatch(_ROUND.sub("", text, 1))
    if not found:
        return None
    signs = [sign for sign in (found["sign"], found["sign2"], found["sign3"]) if sign]
    enclosed = bool(found["open"])
    if len(signs) + enclosed > 1 or enclosed != bool(found["close"]):
        return None
    unit = _unit(found["front"], found["behind"])
    if unit is None:
        return None
    point, comma = _readings(found["body"], found["power"] or "")
    if point is None and comma is None:
        return None
    if enclosed or (signs and signs[0] != "+"):
        point, comma = point and point.copy_negate(), comma and comma.copy_negate()
    return Figure(point, comma, unit, bool(found["front"]), bool(found["apart"]))


def _unit(front: str | None, behind: str | None) -> str | None:
    """Return the one unit in front and behind; None where they do not go together."""
    money, after = _CURRENCIES.get(front or "", ""), behind or ""
    after = _CURRENCIES.get(after, _PERCENT.get(after, after))
    if not money or not after:
        return money or after
    if after in MAGNITUDES:
        return f"{money} {after}"
    return money if {money, after} in ({"$", "USD"}, {money}) else None


def _readings(body: str, power: str = "") -> tuple[Decimal | None, Decimal | None]:
    """Return what digits and marks are with a decimal point, and with a decimal comma."""
    if body.isdigit():  # PERF: nothing in it can be read in two ways
        whole = Decimal(body + power) if body[0] != "0" or len(body) == 1 else None
        return whole, whole
    point = comma = None
    if _POINT.fullmatch(body):
        point = Decimal(_GROUPING.sub("", body).replace(",", "") + power)
    if _COMMA.fullmatch(body):
        comma = Decimal(_GROUPING.sub("", body).replace(".", "").replace(",", ".") + power)
    return point, comma


class Settled(NamedTuple):
    """The notation of a column, or why there is none; `firm` says that its own cells tell it."""

    notation: Notation | None
    firm: bool = False
    why: str = ""


def settle(figures: Mapping[str, Figure], separator: str, hint: Notation | None = None) -> Settled:
    """Return the notation that fits all of a column's numbers.

    `hint` is that of the table's other columns. Where both fit and differ, a point is a decimal point unless semicolons
    separate the cells (as programs write them that have decimal commas); a comma says nothing but behind $, £ or ¥.
    """
    no_point = next((text for text, one in figures.items() if one.point is None), None)
    no_comma = next((text for text, one in figures.items() if one.comma is None), None)
    if no_point is not None and no_comma is not None:
        return Settled(None, why=f"{no_comma[:60]!r} has a decimal point and {no_point[:60]!r} a decimal comma")
    if no_point is not None:
        return Settled("comma", firm=True)
    if no_comma is not None:
        return Settled("point", firm=True)
    doubtful = {text: one for text, one in figures.items() if one.doubtful}
    if not doubtful:
        return Settled("point")
    if hint is not None:
        return Settled(hint, firm=hint == "comma")  # so that a filter's 1.000 is held against it
    if all(one.fronted and one.unit in ("$", "USD", "£", "¥") and "," in text for text, one in doubtful.items()):
        return Settled("point")
    if separator != ";" and all("," not in text and one.unit not in CURRENCIES for text, one in doubtful.items()):
        return Settled("point")
    text, one = next(iter(doubtful.items()))
    return Settled(
        None,
        why=f"{text[:60]!r} can be read as {one.point} or as {one.comma}, and no other cell of the column tells which",
    )


def is_money(units: Iterable[str]) -> bool:
    return all(unit.split(" ")[0] in CURRENCIES for unit in units)


def shown(value: Decimal) -> int | float | str:
    """Return a number exactly as JSON has it: whole ones as int, others as float, or as text where a float would round."""
    if value == value.to_integral_value():
        return int(value) if value.adjusted() < 4000 else format(value, "f")
    near = float(value)
    return near if Decimal(repr(near)) == value else format(value, "f").rstrip("0")
