"""`convert-units` agrees with the definitions of the units, exactly, and answers no name that stands for several."""

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.skills._units import _meanings, clear_name, meanings
from callboard.agent.skills.convert_units import convert_units
from tests.profiles import examples

# What the units are worth by definition: the international yard and pound of 1959, the gallons of 231 cubic inches and of 4.54609 litres.
DEFINED = [
    ("inch", "m", Fraction(254, 10_000)),
    ("foot", "m", Fraction(3048, 10_000)),
    ("yard", "m", Fraction(9144, 10_000)),
    ("mile", "m", Fraction(1_609_344, 1000)),
    ("nautical mile", "m", Fraction(1852)),
    ("pound", "g", Fraction(45_359_237, 100_000)),
    ("ounce", "g", Fraction(45_359_237, 1_600_000)),
    ("stone", "pounds", Fraction(14)),
    ("short ton", "pounds", Fraction(2000)),
    ("long ton", "pounds", Fraction(2240)),
    ("US gallon", "cubic inches", Fraction(231)),
    ("imperial gallon", "litres", Fraction(454_609, 100_000)),
    ("US pint", "US fl oz", Fraction(16)),
    ("imperial pint", "imperial fl oz", Fraction(20)),
    ("US cup", "US tbsp", Fraction(16)),
    ("US tbsp", "US tsp", Fraction(3)),
    ("metric cup", "ml", Fraction(250)),
    ("metric tbsp", "ml", Fraction(15)),
    ("metric tsp", "ml", Fraction(5)),
    ("acre", "square yards", Fraction(4840)),
    ("hectare", "m2", Fraction(10_000)),
    ("knot", "km/h", Fraction(1852, 1000)),
    ("kcal", "J", Fraction(4184)),
    ("kWh", "J", Fraction(3_600_000)),
    ("atm", "Pa", Fraction(101_325)),
    ("MiB", "bytes", Fraction(1024**2)),
    ("decimal MB", "bytes", Fraction(1_000_000)),
    ("Gbit/s", "MB/s", Fraction(125)),
]


@pytest.mark.parametrize(("unit", "other", "worth"), DEFINED, ids=[f"{unit} in {other}" for unit, other, _ in DEFINED])
def test_a_unit_is_worth_what_it_is_defined_to_be(unit: str, other: str, worth: Fraction) -> None:
    assert convert_units(f"1 {unit}", other) == float(worth)
    assert convert_units(f"{worth.numerator} {other}", unit) == worth.denominator


@examples(100)
@given(st.fractions(-1000, 1000, max_denominator=1000).map(lambda value: value * 9))
def test_temperatures_are_exact_both_ways(celsius: Fraction) -> None:
    written = f"{float(celsius)!r}"
    if Fraction(written) < Fraction("-273.15"):
        with pytest.raises(ValueError, match="absolute zero"):
            convert_units(f"{written} °C", "°F")
    else:
        assert convert_units(f"{written} °C", "°F") == float(Fraction(written) * 9 / 5 + 32)


@pytest.mark.parametrize("name", ["gallon", "quart", "pint", "cup", "tablespoon", "teaspoon", "fl oz"])
def test_no_kitchen_measure_is_put_into_millilitres_unless_it_says_whose_it_is(name: str) -> None:
    with pytest.raises(ValueError, match=r"stands for several units .*the US one.*write which is meant"):
        convert_units(f"2 {name}", "ml")


@pytest.mark.parametrize("name", sorted(name for name, found in _meanings().items() if len(found) > 1))
def test_an_ambiguous_name_has_a_clear_one_for_each_of_its_meanings(name: str) -> None:
    for meaning in meanings(name):
        assert meaning.system in ("", "small") or clear_name(meaning)  # the small calorie has none; joules have


@pytest.mark.parametrize(
    ("quantity", "unit", "reason"),
    [
        ("3 miles", "kg", "measure different things"),
        ("3 miles", "parsnips", "'parsnips' is not known as a unit"),
        ("3 parsnips", "kg", "is not a quantity"),
        ("miles", "km", "is not a quantity"),
        ("", "km", "is not a quantity"),
        ("1,250 m", "km", r"1250 or as 1\.250"),
        ("0,5 m", "km", "decimals take a point"),
        ("1/0 m", "km", "divides by zero"),
        ("5 m 3 m", "km", "names one unit twice"),
        ("5 M", "km", "is not a quantity"),
        ("10 C 5 F", "K", "cannot be added"),
        ("1e999 km", "m", "too large"),
        ("1e-999 km", "m", "closer to 0"),
        ("9" * 50 + " m", "km", "too long"),
    ],
)
def test_what_it_cannot_do_it_says_in_a_sentence(quantity: str, unit: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        convert_units(quantity, unit)
    assert str(caught.value).endswith(".")


@given(st.text(max_size=40), st.text(max_size=10))
@examples(100)
def test_any_text_gives_a_number_or_a_value_error(quantity: str, unit: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(convert_units(quantity, unit), int | float)
