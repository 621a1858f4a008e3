"""The skills `convert-number` and `factorize`: whole numbers in other numerals, and what divides them. Any thread."""

import re
from typing import Any, Literal

from callboard.agent.skill import skill

Numerals = Literal["decimal", "binary", "octal", "hexadecimal", "roman"]

_MAX_CHARS = 300
_MOST_TO_FACTORIZE = 10**12
_MOST_ROMAN = 3999
_BASES = {"decimal": 10, "binary": 2, "octal": 8, "hexadecimal": 16}
_FORMATS = {"decimal": "d", "binary": "b", "octal": "o", "hexadecimal": "X"}
_PREFIXES = {"binary": "0b", "octal": "0o", "hexadecimal": "0x"}
_DIGITS = {"decimal": r"\d+", "binary": "[01]+", "octal": "[0-7]+", "hexadecimal": "[0-9a-f]+"}
_ROMAN = (
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"),
    (5, "V"), (4, "IV"), (1, "I"),
)  # fmt: skip


@skill(replay="pure")
def convert_number(number: str, to: Numerals, written: Numerals = "decimal") -> int | str:
    """Write a whole number in other numerals: `convert_number("255", "hexadecimal")` is `FF`.

    `written` says what `number` is in; 0b, 0o and 0x in front of it are left out if they fit. Decimal gives an int, anything
    else a str without such a mark. Raises ValueError for what is no such number; Roman numerals go from 1 to 3999.
    """
    value = _read(number.strip(), written)
    if to == "decimal":
        return value
    if to != "roman":
        return format(value, _FORMATS[to])
    if not 1 <= value <= _MOST_ROMAN:
        raise ValueError(f"{value} has no Roman numeral; they go from 1 to {_MOST_ROMAN}.")
    return _roman(value)


@skill(replay="pure")
def factorize(number: int) -> dict[str, Any]:
    """Say what divides a whole number from 1 to 10**12: keys isPrime, primeFactors (the smallest first, repeated) and divisors."""
    if not 1 <= number <= _MOST_TO_FACTORIZE:
        raise ValueError(f"{number} is not from 1 to {_MOST_TO_FACTORIZE}, which is the limit.")
    factors, rest, divisor = [], number, 2
    while divisor * divisor <= rest:
        while rest % divisor == 0:
            factors.append(divisor)
            rest //= divisor
        divisor += 1 if divisor == 2 else 2
    factors += [rest] if rest > 1 else []
    divisors = {1}
    for factor in factors:
        divisors |= {known * factor for known in divisors}
    return {"isPrime": len(factors) == 1, "primeFactors": factors, "divisors": sorted(divisors)}


def _read(number: str, written: Numerals) -> int:
    if len(number) > _MAX_CHARS:
        raise ValueError(f"The number has {len(number)} characters and the limit is {_MAX_CHARS}.")
    text = number.lower()
    if written == "roman":
        value = _roman_value(number.upper())
        if value is None:
            raise ValueError(f"{number!r} is not a Roman numeral as they are written, such as MCMXCIV.")
        return value
    minus = text.startswith("-")
    text = text.removeprefix("-").removeprefix(_PREFIXES.get(written, ""))
    if not text.isascii() or not re.fullmatch(_DIGITS[written], text):
        raise ValueError(f"{number!r} is not a whole number in {written} digits.")
    return int(text, _BASES[written]) * (-1 if minus else 1)


def _roman(value: int) -> str:
    found = ""
    for worth, letters in _ROMAN:
        count, value = divmod(value, worth)
        found += letters * count
    return found


def _roman_value(numeral: str) -> int | None:
    value, rest = 0, numeral
    for worth, letters in _ROMAN:
        while rest.startswith(letters) and value < _MOST_ROMAN:
            value, rest = value + worth, rest.removeprefix(letters)
    return value if value and not rest and _roman(value) == numeral else None
