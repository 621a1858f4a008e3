"""The skill `convert-units`: quantities in other units, by pint, exactly. Any thread."""

from fractions import Fraction
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from callboard.agent.skill import skill
from callboard.agent.skills._units import Meaning, clear_name, meanings, parts

if TYPE_CHECKING:
    from pint import UnitRegistry

_LIMIT = Fraction(10) ** 300


MAX_CHARS = 1000


@skill(replay="pure")
def convert_units(quantity: str, unit: str) -> int | float:
    """Convert a quantity such as `3 miles`, `5 ft 11 in`, `-40 °F` or `10 Mbit/s` into another unit.

    Knows length, mass, volume, area, speed, temperature, energy, power, pressure, angles and data. Raises ValueError for
    what it cannot read, for units of different kinds, and where a name stands for several units that give different
    answers, such as gallon, cup, ton, calorie or MB; then it says what to write.
    """
    if len(quantity) + len(unit) > MAX_CHARS:
        raise ValueError(f"The quantity and the unit have more than {MAX_CHARS} characters, which is the limit.")
    found = parts(quantity)
    choices = [meanings(name) for _, name in found] + [meanings(unit)]
    if not choices[-1]:
        raise ValueError(f"{unit[:60]!r} is not known as a unit; there are such as km, miles, kg, pounds, °C or MiB.")
    names = [name for _, name in found] + [unit]
    kinds = set.intersection(*({meaning.kind for meaning in choice} for choice in choices))
    if not kinds:
        raise ValueError(f"{quantity[:80]!r} cannot be put into {unit}: they measure different things.")
    answers: dict[Fraction, tuple[Meaning, ...]] = {}
    for chosen in _readings(choices, kinds):
        answers.setdefault(_convert([amount for amount, _ in found], chosen), chosen)
    if len(answers) > 1:
        raise ValueError(_several(names, choices, answers, kinds))
    (value,) = answers
    if abs(value) > _LIMIT:
        raise ValueError("The result is too large; the limit is 10**300.")
    if value.denominator == 1:
        return value.numerator
    if float(value) == 0:
        raise ValueError("The result is not 0, but closer to 0 than a number can show.")
    return float(value)


def _readings(choices: list[tuple[Meaning, ...]], kinds: set[str]) -> list[tuple[Meaning, ...]]:
    """Return what the names may stand for together: nobody mixes gallons of the US with imperial pints unsaid."""
    of_kind = [tuple(meaning for meaning in choice if meaning.kind in kinds) for choice in choices]
    if any(_says_binary(meaning) for choice in of_kind if len(choice) == 1 for meaning in choice):
        of_kind = [tuple(m for m in choice if m.system != "binary") for choice in of_kind]
    together = [
        chosen
        for chosen in product(*of_kind)
        if len({meaning.kind for meaning in chosen}) == 1
        and len({meaning.system for meaning in chosen if meaning.system}) < 2
    ]
    return together or [chosen for chosen in product(*of_kind) if len({meaning.kind for meaning in chosen}) == 1]


def _says_binary(meaning: Meaning) -> bool:
    """Tell whether a unit beside MB shows that MB is the decimal one: MiB does, and Mbit."""
    return meaning.kind == "data" and meaning.unit not in ("bit", "byte")


def _convert(amounts: list[Fraction], chosen: tuple[Meaning, ...]) -> Fraction:
    target = chosen[-1]
    if target.kind == "temperature":
        if len(amounts) > 1:
            raise ValueError("Several temperatures cannot be added; give one.")
        if _registry().convert(amounts[0], chosen[0].unit, "kelvin") < 0:
            raise ValueError("That is colder than absolute zero, which is -273.15 °C.")
    total = sum(
        (
            Fraction(_registry().convert(amount * meaning.times, meaning.unit, target.unit))
            for amount, meaning in zip(amounts, chosen, strict=False)
        ),
        Fraction(0),
    )
    return total / target.times


def _several(
    names: list[str],
    choices: list[tuple[Meaning, ...]],
    answers: dict[Fraction, tuple[Meaning, ...]],
    kinds: set[str],
) -> str:
    """Say which name stands for several units, what each comes to, and how to say which is meant."""
    place = next(
        n for n, choice in enumerate(choices) if len({m.system for m in choice if m.system and m.kind in kinds}) > 1
    )
    shown = ", ".join(f"{_said(chosen[place])} gives {float(value):.6g}" for value, chosen in answers.items())
    return f"{names[place]!r} stands for several units ({shown}); write which is meant."


def _said(meaning: Meaning) -> str:
    system = f"{meaning.system} " if meaning.system else ""
    return f"the {system}one" + (f", written {name!r}," if (name := clear_name(meaning)) else "")


@cache
def _registry() -> "UnitRegistry[Fraction]":
    """Return pint's units, exact; PERF: to load them takes 0.4 s, so the first conversion does it and no start."""
    from pint import UnitRegistry

    return UnitRegistry(non_int_type=Fraction)
