"""The arithmetic under `calculate`: exact while it can be, and never larger than its limits.

A value is an int or a `Fraction` as long as it is exact and a float afterwards. Every operation refuses what would
take long or could not be printed, with a `ValueError` in a plain sentence. Pure functions; any thread; imported by
`calculate` only.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

Number = int | Fraction | float

MAX_DIGITS = 1000
_MAX_BITS = math.ceil(MAX_DIGITS * math.log2(10)) + 1
_LIMIT = 10**MAX_DIGITS
_NEGLIGIBLE = 1e-15


def exact(value: Number) -> Number:
    """Return a value within the limits, whole fractions as integers; raise `ValueError` beyond them."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("the result is too large, or is not a number")
        return value
    if isinstance(value, Fraction):
        if value.denominator != 1:
            bits = max(value.numerator.bit_length(), value.denominator.bit_length())
            return value if bits <= _MAX_BITS else as_float(value)
        value = value.numerator
    if abs(value) > _LIMIT:
        raise ValueError(f"the numbers grow beyond 10**{MAX_DIGITS}, which is the limit")
    return value


def as_float(value: Number) -> float:
    try:
        nearest = float(value)
    except OverflowError:
        raise ValueError("a number is too large: without exact fractions the limit is about 10**308") from None
    if nearest == 0 and value != 0:
        raise ValueError("a result is not 0, but closer to 0 than a number can show")
    return nearest


def finish(value: Number) -> int | float:
    """Return the value as a caller should see it: whole numbers as int, float noise rounded away.

    Exact fractions give the nearest float; what passed through floats is rounded to 15 significant digits.
    """
    if isinstance(value, int):
        return value
    if isinstance(value, Fraction):
        return as_float(value)
    rounded = float(f"{value:.15g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def divide(left: Number, right: Number) -> Number:
    _not_zero(right)
    if isinstance(left, float) or isinstance(right, float):
        return as_float(left) / as_float(right)
    return Fraction(left) / right


def floor_divide(left: Number, right: Number) -> Number:
    _not_zero(right)
    return left // right


def modulo(left: Number, right: Number) -> Number:
    _not_zero(right)
    return left % right


def power(base: Number, exponent: Number) -> Number:
    """Raise to a power; exact for whole exponents, refused where the result would be huge or not real."""
    if base == 0 and exponent < 0:
        raise ValueError("0 cannot be raised to a negative power: that divides by zero")
    if isinstance(exponent, int) and not isinstance(base, float):
        return _whole_power(base, exponent)
    if base < 0 and not as_float(exponent).is_integer():
        raise ValueError("a negative number raised to a fraction is not a real number")
    try:
        result = as_float(base) ** as_float(exponent)
    except OverflowError:
        raise ValueError("the power is too large") from None
    if result == 0 and base != 0:
        raise ValueError("the power is not 0, but closer to 0 than a number can show")
    return float(result)


def _whole_power(base: int | Fraction, exponent: int) -> Number:
    size = Fraction(base)
    bits = max(size.numerator.bit_length(), size.denominator.bit_length())
    if size in (0, 1, -1):
        return 1 if exponent == 0 or (size == -1 and exponent % 2 == 0) else int(size)
    # PERF: checked before computing, because 9**9**9 alone would take longer than any task has.
    if (bits - 1) * abs(exponent) <= 2 * _MAX_BITS:
        return Fraction(size**exponent)
    if size.denominator == 1 and exponent > 0:
        raise ValueError(f"the power is larger than 10**{MAX_DIGITS}, which is the limit")
    return power(as_float(size), float(min(abs(exponent), 10**18) * (1 if exponent > 0 else -1)))


def factorial(n: Number) -> int:
    if not isinstance(n, int) or n < 0:
        raise ValueError("a factorial needs a whole number of at least 0")
    if n > MAX_DIGITS:
        raise ValueError(f"{n} factorial is larger than 10**{MAX_DIGITS}, which is the limit")
    return math.factorial(n)


def _not_zero(value: Number) -> None:
    if value == 0:
        raise ValueError("this divides by zero")


def _root(value: Number) -> Number:
    if value < 0:
        raise ValueError("the square root of a negative number is not a real number")
    if not isinstance(value, float):
        ratio = Fraction(value)
        top, bottom = math.isqrt(ratio.numerator), math.isqrt(ratio.denominator)
        if top * top == ratio.numerator and bottom * bottom == ratio.denominator:
            return Fraction(top, bottom)
    return math.sqrt(as_float(value))


def _cube_root(value: Number) -> Number:
    root = math.cbrt(as_float(value))
    return round(root) if abs(root) < 1e15 and round(root) ** 3 == value else root


def _round(value: Number, places: Number = 0) -> Number:
    if not isinstance(places, int) or abs(places) > 100:
        raise ValueError("round takes a whole number of places, at most 100")
    # Halves go away from 0, as people are taught; Python's own round takes them to the even digit.
    scale = Fraction(10) ** places
    size = Fraction(math.floor(abs(Fraction(value)) * scale + Fraction(1, 2))) / scale
    return -size if value < 0 else size


def _log(value: Number, base: Number | None = None) -> Number:
    if base is None:
        raise ValueError("log needs its base here: write log(x, 10), log10(x), log2(x) or ln(x)")
    if base <= 0 or base == 1:
        raise ValueError("the base of a logarithm must be above 0 and not 1")
    if base in (2, 10):
        return (math.log2 if base == 2 else math.log10)(_positive(value))
    return math.log(_positive(value)) / math.log(_positive(base))


def _positive(value: Number) -> int | float:
    if value <= 0:
        raise ValueError("a logarithm needs a number above 0")
    return value if isinstance(value, int) else as_float(value)


def _exp(value: Number) -> Number:
    return power(math.e, value) if value != 1 else math.e


def _wave(function: Callable[[float], float]) -> Callable[[Number], Number]:
    """Return sine or cosine with what is only the error of π taken as 0."""

    def wave(value: Number) -> Number:
        result = function(as_float(value))
        tiny = -_NEGLIGIBLE < value < _NEGLIGIBLE
        return 0 if abs(result) < _NEGLIGIBLE and not tiny else result

    return wave


def _tan(value: Number) -> Number:
    if _wave(math.cos)(value) == 0:
        raise ValueError("the tangent is not defined there")
    return divide(_wave(math.sin)(value), math.cos(as_float(value)))


def _arc(function: Callable[[float], float]) -> Callable[[Number], Number]:
    def arc(value: Number) -> Number:
        if not -1 <= value <= 1:
            raise ValueError("asin and acos need a number from -1 to 1")
        return function(as_float(value))

    return arc


def _mean(*values: Number) -> Number:
    return divide(sum(values), len(values))


def _median(*values: Number) -> Number:
    ordered = sorted(values)
    return divide(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2], 2)


def _mode(*values: Number) -> Number:
    counts = Counter(values)
    most = max(counts.values())
    found = [value for value, count in counts.items() if count == most]
    if len(found) > 1:
        raise ValueError("there is no one mode: several numbers occur equally often")
    return found[0]


def _spread(*, sample: bool, root: bool) -> Callable[..., Number]:
    def spread(*values: Number) -> Number:
        if sample and len(values) < 2:
            raise ValueError("a sample needs two numbers at least")
        mean = _mean(*values)
        squares = sum(((value - mean) * (value - mean) for value in values), Fraction(0))
        variance = exact(divide(squares, len(values) - sample))
        return _root(variance) if root else variance

    return spread


def _whole(function: Callable[..., int]) -> Callable[..., Number]:
    def whole(*values: Number) -> Number:
        if not all(isinstance(value, int) for value in values):
            raise ValueError("gcd and lcm need whole numbers")
        return function(*values)

    return whole


FUNCTIONS: Mapping[str, tuple[Callable[..., Number], int, int]] = {
    "sqrt": (_root, 1, 1),
    "cbrt": (_cube_root, 1, 1),
    "abs": (abs, 1, 1),
    "round": (_round, 1, 2),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "min": (min, 1, 100),
    "max": (max, 1, 100),
    "sum": (lambda *values: sum(values), 1, 100),
    "mean": (_mean, 1, 100),
    "median": (_median, 1, 100),
    "mode": (_mode, 1, 100),
    "stdev": (_spread(sample=True, root=True), 1, 100),
    "pstdev": (_spread(sample=False, root=True), 1, 100),
    "variance": (_spread(sample=True, root=False), 1, 100),
    "pvariance": (_spread(sample=False, root=False), 1, 100),
    "gcd": (_whole(math.gcd), 2, 100),
    "lcm": (_whole(math.lcm), 2, 100),
    "factorial": (factorial, 1, 1),
    "exp": (_exp, 1, 1),
    "ln": (lambda value: math.log(_positive(value)), 1, 1),
    "log": (_log, 1, 2),
    "log10": (lambda value: _log(value, 10), 1, 1),
    "log2": (lambda value: _log(value, 2), 1, 1),
    "sin": (_wave(math.sin), 1, 1),
    "cos": (_wave(math.cos), 1, 1),
    "tan": (_tan, 1, 1),
    "asin": (_arc(math.asin), 1, 1),
    "acos": (_arc(math.acos), 1, 1),
    "atan": (lambda value: math.atan(as_float(value)), 1, 1),
}
"""Each function with the least and the most arguments it takes."""

CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}


def apply(name: str, arguments: Sequence[Number]) -> Number:
    """Call a function by name; raise `ValueError` for an unknown one or a wrong number of arguments."""
    if name not in FUNCTIONS:
        raise ValueError(f"{name!r} is not known; there are {', '.join([*FUNCTIONS, *CONSTANTS])}")
    function, least, most = FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        raise ValueError(
            f"{name} takes {least if least == most else f'{least} to {most}'} numbers, not {len(arguments)}"
        )
    return exact(function(*arguments))
