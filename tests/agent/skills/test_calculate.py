"""`calculate` agrees with Python's own arithmetic, reads what people write, and stays within its limits."""

import contextlib
import math
import time
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from callboard.agent.skills.calculate import calculate

WHOLE = st.integers(-(10**6), 10**6)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 4) -> str:
    """Draw an expression that Python reads the same way."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        number = draw(WHOLE)
        return str(number) if number >= 0 else f"({number})"
    left, right = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    operator = draw(st.sampled_from(["+", "-", "*", "//", "%", "/"]))
    shape = draw(st.sampled_from(["{0} {1} {2}", "({0} {1} {2})", "(-{0} {1} {2})"]))
    return shape.format(left, operator, right)


def truth(expression: str) -> Fraction:
    """Return Python's own answer, with every integer a fraction so that nothing is rounded."""
    source = "".join(f"F({token})" if token.isdigit() else token for token in _split(expression))
    return Fraction(eval(source, {"F": Fraction}))


def _split(expression: str) -> list[str]:
    tokens, digits = [], ""
    for character in expression:
        if character.isdigit():
            digits += character
            continue
        tokens += [digits, character] if digits else [character]
        digits = ""
    return [*tokens, digits] if digits else tokens


@given(expressions())
def test_it_agrees_with_python_exactly(expression: str) -> None:
    try:
        expected = truth(expression)
    except ZeroDivisionError:
        with pytest.raises(ValueError, match="divides by zero"):
            calculate(expression)
        return
    assume(expected == 0 or abs(expected) > 1e-300)
    found = calculate(expression)
    assert found == (int(expected) if expected.denominator == 1 else float(expected))


@given(st.integers(-50, 50), st.integers(0, 40))
def test_whole_powers_are_exact(base: int, exponent: int) -> None:
    assert calculate(f"({base}) ** {exponent}") == base**exponent
    assert calculate(f"({base})^{exponent}") == base**exponent


@given(st.floats(0.001, 1000), st.floats(0.001, 1000))
def test_decimals_come_close_to_the_floats(a: float, b: float) -> None:
    assert calculate(f"{a!r} + {b!r}") == pytest.approx(a + b, rel=1e-14)
    assert calculate(f"{a!r} / {b!r}") == pytest.approx(a / b, rel=1e-14)
    assert calculate(f"sqrt({a!r}) * ln(1 + {b!r})") == pytest.approx(math.sqrt(a) * math.log(1 + b), rel=1e-12)


def reads(text: str) -> None:
    """Try an expression: a finite number or a `ValueError`, nothing else."""
    with contextlib.suppress(ValueError):
        assert math.isfinite(calculate(text))


@given(st.text(max_size=60))
def test_any_text_gives_a_number_or_a_value_error(text: str) -> None:
    reads(text)


@given(st.text("0123456789.+-*/^%!(), epi", max_size=40))
def test_any_signs_give_a_number_or_a_value_error(text: str) -> None:
    reads(text)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", 0.3),
        ("1.1 * 1.1", 1.21),
        ("10 / 4", 2.5),
        ("10 / 5", 2),
        ("1/3", 1 / 3),
        ("2^10", 1024),
        ("2^3^2", 512),
        ("-2**2", -4),
        ("2**-1", 0.5),
        ("4**0.5", 2),
        ("0**0", 1),
        ("12 × 7 ÷ 2 − 1", 41),
        ("3² + 4²", 25),
        ("5!", 120),
        ("3! + 2", 8),
        ("(3!)!", 720),
        ("15% of 80", 12),
        ("15% * 80", 12),
        ("15%", 0.15),
        ("80 + 15%", 92),
        ("80 - 15%", 68),
        ("10% + 5%", 0.15),
        ("100% - 15%", 0.85),
        ("17 % 5", 2),
        ("17 % (-5)", -3),
        ("1,234.5 + 2", 1236.5),
        ("1,234,567", 1234567),
        ("max(1,234)", 234),
        ("1e3 + 1.5e-1", 1000.15),
        ("sqrt(144)", 12),
        ("sqrt(2.25)", 1.5),
        ("cbrt(-8)", -2),
        ("abs(-5)", 5),
        ("round(2.675, 2)", 2.68),
        ("round(7/2)", 4),
        ("floor(-2.5)", -3),
        ("ceil(2.1)", 3),
        ("min(3, 1, 2) + max(4, 5)", 6),
        ("mean(1, 2, 3, 4)", 2.5),
        ("sum(0.1, 0.2)", 0.3),
        ("gcd(12, 18) + lcm(4, 6)", 18),
        ("ln(e)", 1),
        ("log(8, 2)", 3),
        ("log10(1000)", 3),
        ("log2(1024)", 10),
        ("exp(0)", 1),
        ("sin(pi)", 0),
        ("cos(pi/2)", 0),
        ("sin(pi/6)", 0.5),
        ("tan(pi/4)", 1),
        ("asin(1) * 2", 3.14159265358979),
        ("tau / pi", 2),
        ("PI > 3".replace(" > 3", ""), 3.14159265358979),
        ("10**1000 / 10**999", 10),
        ("-" * 900 + "1", 1),
    ],
)
def test_it_reads_what_people_write(expression: str, value: float) -> None:
    assert calculate(expression) == value


def test_whole_results_are_integers_and_big_ones_exact() -> None:
    assert repr(calculate("10 / 5")) == "2"
    assert calculate("2**1000") == 2**1000
    assert calculate("400!") == math.factorial(400)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "there is nothing in it"),
        ("2 +", "it ends too early"),
        ("(2", "a parenthesis is not closed"),
        ("2)", "not expected there"),
        ("2(3)", "an operator is missing before"),
        ("1 2", "an operator is missing before '2'"),
        ("2pi", "an operator is missing before 'pi'"),
        ("foo(2)", "'foo' is not known; there are sqrt"),
        ("love * 2", "'love' is not known"),
        ("__import__('os')", "is not arithmetic"),
        ("x = 3", "'=' is not arithmetic"),
        ("a.b", "'.b' is not arithmetic"),
        ("1_000", "is not arithmetic"),
        ("3,5", "decimals take a point"),
        ("1,23", "decimals take a point"),
        ("3!!", "two ways"),
        ("17 % -5", "two ways"),
        ("17%-5", "two ways"),
        ("1/0", "divides by zero"),
        ("1 % 0", "divides by zero"),
        ("1 // 0", "divides by zero"),
        ("0 ** -1", "divides by zero"),
        ("(-8) ** (1/3)", "not a real number"),
        ("sqrt(-1)", "not a real number"),
        ("ln(0)", "above 0"),
        ("log(100)", "log needs its base here"),
        ("log(8, 1)", "base of a logarithm"),
        ("asin(2)", "from -1 to 1"),
        ("tan(pi/2)", "not defined"),
        ("sqrt(1, 2)", "sqrt takes 1 numbers, not 2"),
        ("factorial(2.5)", "whole number"),
        ("factorial(-1)", "whole number"),
        ("gcd(1.5, 2)", "whole numbers"),
        ("9**9**9", "larger than 10"),
        ("10**1001", "beyond 10"),
        ("10**600 * 10**600", "beyond 10"),
        ("450!", "beyond 10"),
        ("99999999!", "larger than 10"),
        ("1e99999", "too large an exponent"),
        ("10**999 / 3", "too large"),
        ("1 / 10**900", "closer to 0"),
        ("(1/3) ** 5000", "closer to 0"),
        ("0.5 ** 10**300", "closer to 0"),
        ("exp(1000)", "too large"),
        ("(" * 60 + "1" + ")" * 60, "nested deeper"),
        ("2" + "^2" * 60, "nested deeper"),
        ("1" + "+1" * 600, "the limit is 1000; split it up"),
    ],
)
def test_what_it_cannot_do_it_says_in_a_sentence(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        calculate(expression)
    assert str(caught.value).startswith(("Cannot work out", "The expression"))


@pytest.mark.parametrize(
    "expression",
    [
        "9" * 1000,
        "(" * 1000,
        "1+" * 499 + "1",
        "9**" * 300 + "9",
        "9*" * 499 + "9",
        "1/7+" * 249 + "1",
        "!" * 1000,
        "1,111" * 200,
        "sqrt(" * 40 + "2" + ")" * 40,
        "1000!*" * 150 + "1",
        "1.1**999*" * 110 + "1",
        "mean(" + "1/7," * 90 + "1)",
        "%" * 1000,
    ],
)
def test_no_expression_takes_long(expression: str) -> None:
    started = time.thread_time()
    with contextlib.suppress(ValueError):
        calculate(expression)
    assert time.thread_time() - started < 2  # not how fast, but that nothing blows up: the collector may run in between
