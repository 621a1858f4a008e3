"""The names of units, as people write them, and what each may stand for.

Only names stand here; what a unit is worth is for pint to say. A name that stands for several (a gallon of the US or an
imperial one) has several meanings, and the skill answers only where all of them agree. Pure data and its reader; any
thread; imported by `convert_units` and by the planner.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from callboard.agent.skills._written import RUN, in_ascii, is_clear, plain


@dataclass(frozen=True, slots=True)
class Meaning:
    """One unit that a name may stand for: its kind, pint's name for it, how many of that, and whose unit it is."""

    kind: str
    unit: str
    times: int = 1
    system: str = ""


# Kind, pint's name, how many of it, whose, and the spellings; `_` is a space in them.
_TABLE = """
length|nanometer|1||nm nanometer nanometre
length|micrometer|1||µm um micrometer micrometre micron
length|millimeter|1||mm millimeter millimetre
length|centimeter|1||cm centimeter centimetre
length|decimeter|1||dm decimeter decimetre
length|meter|1||m meter metre
length|kilometer|1||km kilometer kilometre
length|inch|1||in inch inches " ″
length|foot|1||ft foot feet ' ′
length|yard|1||yd yard
length|mile|1||mi mile
length|nautical_mile|1||nmi nautical_mile
length|light_year|1||light_year light-year lightyear
mass|microgram|1||µg mcg microgram
mass|milligram|1||mg milligram
mass|gram|1||g gram gramme
mass|kilogram|1||kg kilo kilogram kilogramme
mass|metric_ton|1||t tonne metric_ton metric_tonne
mass|ton|1||short_ton us_ton
mass|long_ton|1||long_ton imperial_ton uk_ton
mass|metric_ton|1|metric|ton
mass|ton|1|US|ton
mass|long_ton|1|imperial|ton
mass|pound|1||lb pound
mass|ounce|1||oz ounce
mass|stone|1||st stone
volume|milliliter|1||ml milliliter millilitre cc
volume|centiliter|1||cl centiliter centilitre
volume|deciliter|1||dl deciliter decilitre
volume|liter|1||l liter litre
volume|US_liquid_gallon|1||us_gallon us_gal american_gallon
volume|US_liquid_gallon|1|US|gallon gal
volume|imperial_gallon|1||imperial_gallon imp_gallon uk_gallon british_gallon
volume|imperial_gallon|1|imperial|gallon gal
volume|US_liquid_quart|1||us_quart
volume|US_liquid_quart|1|US|quart qt
volume|imperial_quart|1||imperial_quart uk_quart
volume|imperial_quart|1|imperial|quart qt
volume|US_pint|1||us_pint
volume|US_pint|1|US|pint
volume|imperial_pint|1||imperial_pint uk_pint british_pint
volume|imperial_pint|1|imperial|pint
volume|US_fluid_ounce|1||us_fluid_ounce us_fl_oz
volume|US_fluid_ounce|1|US|fluid_ounce fl_oz floz oz ounce
volume|imperial_fluid_ounce|1||imperial_fluid_ounce imperial_fl_oz uk_fluid_ounce uk_fl_oz
volume|imperial_fluid_ounce|1|imperial|fluid_ounce fl_oz floz oz ounce
volume|cup|1||us_cup
volume|cup|1|US|cup
volume|milliliter|250||metric_cup
volume|milliliter|250|metric|cup
volume|imperial_cup|1||imperial_cup uk_cup
volume|imperial_cup|1|imperial|cup
volume|tablespoon|1||us_tablespoon us_tbsp
volume|tablespoon|1|US|tablespoon tbsp
volume|milliliter|15||metric_tablespoon metric_tbsp
volume|milliliter|15|metric|tablespoon tbsp
volume|teaspoon|1||us_teaspoon us_tsp
volume|teaspoon|1|US|teaspoon tsp
volume|milliliter|5||metric_teaspoon metric_tsp
volume|milliliter|5|metric|teaspoon tsp
area|hectare|1||ha hectare
area|foot ** 2|43560||acre
speed|kilometer / hour|1||km/h kph kmh kmph kilometer_per_hour kilometre_per_hour km_per_hour
speed|mile / hour|1||mph mi/h mile_per_hour
speed|meter / second|1||m/s meter_per_second metre_per_second
speed|foot / second|1||ft/s foot_per_second feet_per_second
speed|knot|1||kn kt knot
temperature|degC|1||c °c celsius centigrade
temperature|degF|1||f °f fahrenheit
temperature|kelvin|1||k kelvin
energy|joule|1||j joule
energy|kilojoule|1||kj kilojoule
energy|megajoule|1||MJ megajoule
energy|watt_hour|1||wh watt_hour watt-hour
energy|kilowatt_hour|1||kwh kilowatt_hour kilowatt-hour
energy|megawatt_hour|1||MWh megawatt_hour megawatt-hour
energy|kilocalorie|1||kcal kilocalorie
energy|calorie|1|small|calorie cal
energy|kilocalorie|1|food|calorie cal
power|watt|1||w watt
power|kilowatt|1||kw kilowatt
power|megawatt|1||MW megawatt
power|horsepower|1||mechanical_horsepower
power|metric_horsepower|1||metric_horsepower
power|horsepower|1|mechanical|hp horsepower
power|metric_horsepower|1|metric|hp horsepower
pressure|pascal|1||pa pascal
pressure|hectopascal|1||hpa hectopascal
pressure|kilopascal|1||kpa kilopascal
pressure|megapascal|1||MPa megapascal
pressure|bar|1||bar
pressure|millibar|1||mbar millibar
pressure|psi|1||psi
pressure|atmosphere|1||atm atmosphere
pressure|mmHg|1||mmhg
pressure|torr|1||torr
angle|degree|1||degree deg °
angle|radian|1||rad radian
data|bit|1||bit
data|byte|1||B byte
"""
_PREFIXES = (("k", "kilo", "kibi", "Ki"), ("M", "mega", "mebi", "Mi"), ("G", "giga", "gibi", "Gi"), ("T", "tera", "tebi", "Ti"))  # fmt: skip
_LENGTHS = frozenset({"millimeter", "centimeter", "meter", "kilometer", "inch", "foot", "yard", "mile"})


@cache
def _meanings() -> dict[str, tuple[Meaning, ...]]:
    """Return the names and what each may stand for; PERF: 15 ms, so the first question does it and no start."""
    found: dict[str, list[Meaning]] = {}

    def add(meaning: Meaning, *names: str) -> None:
        for name in names:
            for spelling in (name, f"{name}s") if len(name) > 2 and name[-1].isalpha() else (name,):
                found.setdefault(spelling, []).append(meaning)

    for line in _TABLE.strip().splitlines():
        kind, unit, times, system, spellings = line.split("|")
        names = [name.replace("_", " ") for name in spellings.split()]
        add(Meaning(kind, unit, int(times), system), *names)
        if kind == "speed":
            add(
                Meaning(kind, unit),
                *(name.replace(" per", "s per") for name in names if " per" in name and "feet" not in name),
            )
        if kind == "temperature":
            add(
                Meaning(kind, unit),
                *(f"{degree} {name}" for name in names for degree in ("degree", "degrees", "deg", "°")),
            )
        if unit in _LENGTHS:
            words = [name for name in names if name.isalpha()]
            add(
                Meaning("area", f"{unit} ** 2"), *(f"{square} {n}" for n in words for square in ("square", "sq", "sq."))
            )
            add(Meaning("volume", f"{unit} ** 3"), *(f"{cubic} {n}" for n in words for cubic in ("cubic", "cu")))
            symbol = names[0]
            add(Meaning("area", f"{unit} ** 2"), f"{symbol}2", f"{symbol}^2", f"sq{symbol}")
            add(Meaning("volume", f"{unit} ** 3"), f"{symbol}3", f"{symbol}^3")
    found["lbs"] = found["lb"]
    for short, decimal, binary, mark in _PREFIXES:
        for symbol, word in (("bit", "bit"), ("b", "bit")):
            add(Meaning("data", decimal + word), short + symbol)
        add(Meaning("data", f"{decimal}bit"), f"{decimal}bit")
        add(Meaning("data", f"{binary}byte"), f"{mark}B", f"{binary}byte")
        bytes_ = [f"{short}B", f"{short.upper()}B"] if short == "k" else [f"{short}B"]
        add(Meaning("data", f"{decimal}byte", system="decimal"), *bytes_, f"{decimal}byte")
        add(Meaning("data", f"{binary}byte", system="binary"), *bytes_, f"{decimal}byte")
        add(Meaning("data", f"{decimal}byte"), f"decimal {short}B", f"si {short}B", f"decimal {decimal}byte")
        bits = (f"{short}bit/s", f"{short}b/s", f"{short}bps", f"{short.lower()}bps", f"{decimal}bits per second")
        add(Meaning("rate", f"{decimal}bit / second"), *dict.fromkeys(bits))
        add(Meaning("rate", f"{decimal}byte / second"), f"{short}B/s", f"{short}Bps", f"{decimal}bytes per second")
        add(Meaning("rate", f"{binary}byte / second"), f"{mark}B/s", f"{binary}bytes per second")
    add(Meaning("rate", "bit / second"), "bit/s", "bps", "bits per second")
    return {name: tuple(dict.fromkeys(meanings)) for name, meanings in found.items()}


_ONE_CAPITAL = re.compile(r"[ABDEGHIMNOPQRSTUVXYZ]")


@cache
def _lower() -> frozenset[str]:
    return frozenset(name for name in _meanings() if name == name.lower())


@cache
def names() -> str:
    """Return a pattern for any name, to be matched without regard to case; `meanings` has the last say: MB is not Mb."""
    return "|".join(map(re.escape, sorted({name.lower() for name in _meanings()}, key=len, reverse=True)))


AMOUNT = rf"(?:(?:-|minus |negative )?(?:\(\d+(?:\+\d+)?/\d+\)|\d+ \d+/\d+|\d+ ?/ ?\d+|{RUN}))"
_FEET = re.compile(r"(\d+)\s*['′]\s*(\d{1,2}(?:\.\d+)?)\s*(?:[\"″”]|'')?(?![\d.])")
_MOST_PARTS = 3


def meanings(name: str) -> tuple[Meaning, ...]:
    """Return what a name of a unit may stand for, nothing if it is not known."""
    name = " ".join(name.split())
    for spelling in (name, name.rstrip(".")):
        if spelling in _meanings():
            return _meanings()[spelling]
        if not _ONE_CAPITAL.fullmatch(spelling) and spelling.lower() in _lower():
            return _meanings()[spelling.lower()]
    return ()


def clear_name(meaning: Meaning) -> str | None:
    """Return a name that stands for this unit alone, the first of the table; None if there is none."""
    alone = (Meaning(meaning.kind, meaning.unit, meaning.times),)
    return next((name for name, found in _meanings().items() if found == alone), None)


@cache
def _part() -> re.Pattern[str]:
    return re.compile(rf"(?:,? and |, | ?)({AMOUNT})[ -]?({names()})(?![a-z0-9^/])", re.IGNORECASE)


def feet_and_inches(text: str) -> str:
    """Write `5'11"` as `5 ft 11 in`."""
    return _FEET.sub(r"\1 ft \2 in", text)


def parts(quantity: str) -> list[tuple[Fraction, str]]:
    """Return amounts and names of units; raise `ValueError` for what is no quantity, or has a number of no one meaning."""
    text = feet_and_inches(" ".join(in_ascii(quantity).split()))
    found: list[tuple[Fraction, str]] = []
    position, clear = 0, is_clear(text)
    while position < len(text) and len(found) < _MOST_PARTS:
        part = _part().match(text, position)
        if not part or (position == 0) != (part.start(1) == 0) or not meanings(part[2]):
            break
        if meanings(part[2]) in [meanings(name) for _, name in found]:
            raise ValueError(f"{quantity[:80]!r} names one unit twice.")
        found.append((_amount(part[1].lower(), clear), part[2]))
        position = part.end()
    if not found or text[position:].strip(" ."):
        raise ValueError(f"{quantity[:80]!r} is not a quantity; write it like 3 miles or 5 ft 11 in.")
    return found


def _amount(text: str, clear: bool) -> Fraction:
    body = re.sub(r"^(?:-|minus |negative )", "", text)
    value = sum((_single(piece, clear) for piece in re.split(r"[ +](?=\d+/)", body.strip("()"))), Fraction(0))
    return -value if body != text else value


def _single(text: str, clear: bool) -> Fraction:
    top, _, bottom = text.replace(" ", "").partition("/")
    if bottom and not int(bottom):
        raise ValueError(f"{text!r} divides by zero.")
    if len(text) > 40:
        raise ValueError(f"A number of {len(text)} characters is too long.")
    try:
        return Fraction(plain(top, clear=clear)) / (int(bottom) if bottom else 1)
    except ValueError as error:
        raise ValueError(f"{error}.") from error
