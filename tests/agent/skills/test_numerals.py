"""`convert-number` agrees with Python's own formats, and `factorize` with multiplication."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.skills.numerals import convert_number, factorize

WHOLE = st.integers(-(10**20), 10**20)


@given(WHOLE)
def test_a_number_is_written_as_python_writes_it_and_read_back(number: int) -> None:
    for base, mark in (("binary", "b"), ("octal", "o"), ("hexadecimal", "X")):
        written = convert_number(str(number), base)  # type: ignore[arg-type]
        assert written == format(number, mark)
        assert convert_number(str(written), "decimal", base) == number  # type: ignore[arg-type]


def test_roman_numerals_go_from_1_to_3999_and_back() -> None:
    written = [convert_number(str(number), "roman") for number in range(1, 4000)]
    assert [convert_number(str(numeral), "decimal", "roman") for numeral in written] == list(range(1, 4000))
    assert [written[number - 1] for number in (4, 9, 14, 40, 90, 400, 1994, 2024, 3999)] == [
        "IV", "IX", "XIV", "XL", "XC", "CD", "MCMXCIV", "MMXXIV", "MMMCMXCIX",
    ]  # fmt: skip


@given(st.integers(1, 10**6))
def test_the_prime_factors_multiply_to_the_number_and_are_prime(number: int) -> None:
    found = factorize(number)
    assert math.prod(found["primeFactors"]) == number
    assert all(factorize(factor)["isPrime"] for factor in found["primeFactors"])
    assert found["isPrime"] == (found["divisors"] == [1, number] and number > 1)


@given(st.integers(1, 3000))
def test_the_divisors_are_all_that_divide(number: int) -> None:
    assert factorize(number)["divisors"] == [n for n in range(1, number + 1) if number % n == 0]


@pytest.mark.parametrize(
    ("number", "to", "written", "reason"),
    [
        ("12", "decimal", "binary", "not a whole number in binary digits"),
        ("2.5", "binary", "decimal", "not a whole number in decimal digits"),
        ("1,250", "binary", "decimal", "not a whole number in decimal digits"),
        ("0xg", "decimal", "hexadecimal", "not a whole number in hexadecimal digits"),
        ("IIII", "decimal", "roman", "not a Roman numeral"),
        ("", "decimal", "roman", "not a Roman numeral"),
        ("", "binary", "decimal", "not a whole number"),
        ("0", "roman", "decimal", "from 1 to 3999"),
        ("4000", "roman", "decimal", "from 1 to 3999"),
        ("9" * 301, "binary", "decimal", "the limit is 300"),
        ("٣", "binary", "decimal", "not a whole number"),
    ],
)
def test_what_is_no_such_number_is_said_in_a_sentence(number: str, to: str, written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        convert_number(number, to, written)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, -7, 10**12 + 1])
def test_only_what_is_divided_in_time_is_divided(number: int) -> None:
    with pytest.raises(ValueError, match="the limit"):
        factorize(number)
    assert factorize(999_999_999_989)["isPrime"]
