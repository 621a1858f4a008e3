"""Questions without a table that are made from a seed: arithmetic in some country's writing, dates, durations, letters."""

import calendar
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from tests.agent.planner.score.judge import Case
from tests.agent.planner.score.locales import FRENCH, GERMAN, SWISS, UK, US, Locale, in_words, short

Question = tuple[str, str, tuple[Any, ...]]

_WORDS = (
    "strawberry banana Mississippi committee bookkeeper level queue rhythm onomatopoeia success parallel address Tennessee"
).split()
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()


def ask_plainly(random: Random) -> Iterator[Case]:
    """Yield one question of each kind."""
    for ask in _KINDS:
        kind, words, rights = ask(random)
        yield Case(kind=f"made: {kind}", task=words, rights=rights)


def _amount(random: Random, locale: Locale) -> tuple[Decimal, str]:
    """Return a number and its text, which has one meaning only: three digits behind one sign may be thousands."""
    places = random.choice((0, 0, 1, 2, 2))
    value = Decimal(random.randint(1, random.choice((20, 999, 99_999, 9_999_999)) * 10**places)).scaleb(-places)
    grouped = places > 0 or value < 1000 or value >= 1_000_000 or locale in (US, UK, SWISS)
    return value, locale.number(value, grouped=grouped and random.random() < 0.7)


def _signs(random: Random) -> Question:
    locale = random.choice((GERMAN, GERMAN, FRENCH, SWISS, US))
    (a, first), (b, second), (c, third) = (_amount(random, locale) for _ in range(3))
    ways: dict[str, Any] = {
        f"{first} + {second}": a + b, f"What is {first} - {second}?": a - b, f"{first} * {second}": a * b,
        f"What is {first} times {second}?": a * b, f"calculate {first} / {second}": Fraction(a) / Fraction(b),
        f"{first} plus {second} minus {third}": a + b - c, f"({first} + {second}) * {third}": (a + b) * c,
        f"{first} + {second} * {third}": a + b * c, f"add {first} to {second}": a + b, f"subtract {first} from {second}": b - a,
        f"half of {first}": a / 2, f"double {first}": a * 2, f"{first} squared": a * a, f"divide {first} by {second}": Fraction(a) / Fraction(b),
        f"the sum of {first} and {second}": a + b, f"the difference between {first} and {second}": abs(a - b),
    }  # fmt: skip
    words = random.choice(list(ways))
    return f"arithmetic, {locale.name}", words, (ways[words],)


def _small_decimals(random: Random) -> Question:
    """Ask with 0,125 and the like, where a group of three digits cannot be thousands."""
    value = Decimal(random.randint(1, 999)).scaleb(-3)
    text, times = f"{value:.3f}".replace(".", ","), random.randint(2, 9)
    words = random.choice(
        (
            f"{text} * {times}",
            f"What is {text} times {times}?",
            f"{times} * {text}",
            f"multiply {text} by {times}",
            f"{text} × {times}",
        )
    )
    return "arithmetic, 0,125", words, (value * times,)


def _percent(random: Random) -> Question:
    rate, base = random.randint(1, 60), random.randint(10, 900)
    part = Fraction(rate * base, 100)
    ways: dict[str, Any] = {
        f"{rate}% of {base}": part, f"What is {rate} percent of {base}?": part, f"increase {base} by {rate}%": base + part,
        f"{base} plus {rate}%": base + part, f"{rate}% off {base}": base - part, f"decrease {base} by {rate} percent": base - part,
        f"{base} minus {rate}%": base - part, f"{rate}% more than {base}": base + part, f"{rate} is what percent of {base}?": Fraction(rate * 100, base),
        f"What is a {rate}% tip on ${base}?": part, f"What do I pay for ${base} with a {rate}% tip?": base + part,
        f"What is left of {base} after {rate}% are taken off?": base - part, f"{base} is {rate}% of what?": Fraction(base * 100, rate),
        f"{rate}% of {base}, and then half of that": part / 2, f"{rate}% of {base} times 2": part * 2,
    }  # fmt: skip
    words = random.choice(list(ways))
    return "percent", words, (ways[words],)


def _in_words(random: Random) -> Question:
    a, b = random.randint(1, 12), random.randint(1, 12)
    first, second = _NUMBERS[a], _NUMBERS[b]
    ways: dict[str, Any] = {
        f"what is {first} times {second}": a * b, f"{first} plus {second}": a + b, f"{first} minus {second}": a - b,
        f"add {first} and {second}": a + b, f"{first} multiplied by {second}": a * b, f"{first} divided by {second}": Fraction(a, b),
        f"{first} to the power of two": a * a, f"{first} less than {second}": b - a, f"{first} and a half times {second}": Fraction(2 * a + 1, 2) * b,
        f"{first} hundred and {second}, times two": (a * 100 + b) * 2, f"{first} dozen plus {second}": a * 12 + b, f"twice {first} plus {second}": 2 * a + b,
        f"{first} times {second} in words": (), f"not {first} plus {second}": (),
    }  # fmt: skip
    words = random.choice(list(ways))
    right = ways[words]
    return "arithmetic in words", words, right if isinstance(right, tuple) else (right,)


def _day(random: Random) -> tuple[date, str]:
    day = date(2020, 1, 1) + timedelta(days=random.randint(0, 4000))
    return day, random.choice(
        (day.isoformat(), in_words(day), short(day), f"{day:%d.%m.%Y}" if day.day > 12 else day.isoformat())
    )


def _dates(random: Random) -> Question:
    (one, first), (two, second) = _day(random), _day(random)
    days = random.randint(1, 400)
    ways: dict[str, Any] = {
        f"How many days are between {first} and {second}?": abs((two - one).days), f"days from {first} to {second}": (two - one).days,
        f"What weekday is {first}?": _WEEKDAYS[one.weekday()], f"On what day of the week does {first} fall?": _WEEKDAYS[one.weekday()],
        f"What date is {days} days after {first}?": one + timedelta(days), f"{first} plus {days} days": one + timedelta(days),
        f"What is the date {days} days before {first}?": one - timedelta(days), f"{first} minus {days} days": one - timedelta(days),
        f"What date is {days % 40 + 1} weeks after {first}?": one + timedelta(weeks=days % 40 + 1),
        f"How many days does {calendar.month_name[one.month]} {one.year} have?": calendar.monthrange(one.year, one.month)[1],
        f"Is {one.year} a leap year?": calendar.isleap(one.year), f"How many weekdays are between {first} and {second}?": _between(one, two, range(5)),
        f"How many Sundays are between {first} and {second}?": _between(one, two, (6,)), f"What date is {days % 20 + 1} business days after {first}?": _worked(one, days % 20 + 1),
        f"How many days are between {first} and {second}, weekends excluded?": _between(one, two, range(5)),
        f"How many days are between {first} and {second}, both included?": abs((two - one).days) + 1,
    }  # fmt: skip
    words = random.choice(list(ways))
    right = ways[words]
    return "dates", words, right if isinstance(right, tuple) else (right,)


def _between(one: date, two: date, weekdays: Any) -> tuple[int, ...]:
    """Return how many such days lie between, with none, one or both of the ends."""
    low, high = sorted((one, two))
    inner = [low + timedelta(n) for n in range(1, (high - low).days)]
    count = sum(day.weekday() in weekdays for day in inner)
    ends = sum(day.weekday() in weekdays for day in (low, high))
    return tuple(range(count, count + ends + 1))


def _worked(day: date, count: int) -> date:
    while count:
        day += timedelta(1)
        count -= day.weekday() < 5
    return day


def _durations(random: Random) -> Question:
    hours, minutes, days = random.randint(1, 30), random.randint(1, 59), random.randint(1, 20)
    ways: dict[str, Any] = {
        f"How many minutes are in {hours} hours?": hours * 60, f"{hours} hours {minutes} minutes in minutes": hours * 60 + minutes,
        f"{days} days in hours": days * 24, f"convert {minutes} minutes to seconds": minutes * 60, f"{minutes} minutes in hours": Fraction(minutes, 60),
        f"{hours},5 hours in minutes": hours * 60 + 30, f"0,{minutes:02}0 hours in minutes": Fraction(minutes, 100) * 60,
        f"How many seconds are in {hours} hours and {minutes} minutes?": hours * 3600 + minutes * 60, f"{hours}:{minutes:02} hours in minutes": hours * 60 + minutes,
        f"How many hours are {days} working days of 8 hours?": days * 8, f"{days} weeks in days": days * 7, f"{hours} hours minus {minutes} minutes, in minutes": hours * 60 - minutes,
    }  # fmt: skip
    words = random.choice(list(ways))
    return "durations", words, (ways[words],)


def _letters(random: Random) -> Question:
    word = random.choice(_WORDS)
    letter = random.choice(word)
    count = word.lower().count(letter.lower())
    ways: dict[str, Any] = {
        f"How many {letter}'s are in {word}?": count, f"How many times does {letter} occur in {word}?": count, f"count the letter {letter} in {word}": count,
        f'How many letters "{letter}" are in "{word}"?': count, f"How many letters are in {word}?": len(word), f'How many letters has the word "{word}"?': len(word),
        f"How many different letters are in {word}?": len(set(word.lower())), f"How many vowels are in {word}?": sum(word.lower().count(v) for v in "aeiou"),
        f"What is {word} spelled backwards?": word[::-1], f"How many letters are in {word} without its {letter}s?": len(word) - count,
    }  # fmt: skip
    words = random.choice(list(ways))
    return "letters", words, (ways[words],)


def _counted(random: Random) -> Question:
    some = [random.choice(_WORDS) for _ in range(random.randint(2, 9))]
    text = " ".join(some)
    ways: dict[str, Any] = {
        f"How many words are in: {text}": len(some), f'How many words are in "{text}"?': len(some), f'How many characters are in "{text}"?': len(text),
        f'How many letters are in "{text}"?': sum(map(len, some)), f'How many different words are in "{text}"?': len({word.lower() for word in some}),
        f'How often does {some[0]} appear in "{text}"?': some.count(some[0]), f'How many words with more than six letters are in "{text}"?': sum(len(word) > 6 for word in some),
        f'How many characters are in "{text}", without spaces?': sum(map(len, some)), f'How many words are in "{text}", not counting {some[0]}?': len(some) - some.count(some[0]),
        f'How many words are in "{text}" if each is written twice?': 2 * len(some),
    }  # fmt: skip
    words = random.choice(list(ways))
    return "words", words, (ways[words],)


def _wishes(random: Random) -> Question:
    sentences = [
        f"The {random.choice(_WORDS)} was {random.choice(('long', 'hard', 'new'))}."
        for _ in range(random.randint(3, 6))
    ]
    wish = random.choice(
        (
            "In French, please.", "As a poem.", "Only the part on the weather.", "Then translate it.", "Use bullet points and emojis.",
            "Leave out all names.", "In the style of a pirate.", "And count its words.", "Make it rhyme.", "For a child of five.",
        )
    )  # fmt: skip
    text = " ".join(sentences)
    words = random.choice(
        (
            f"Summarize: {text}\n\n{wish}",
            f"{wish} Summarize: {text}",
            f"Summarize this. {wish}\n\n{text}",
            f"Summarize:\n```\n{text}\n```\n{wish}",
            f"{text}\n\nSummarize this. {wish}",
        )
    )
    return "wishes", words, ()


def _units(random: Random) -> Question:
    n = random.randint(1, 90)
    ways: dict[str, Any] = {
        f"{n} km in metres": n * 1000, f"How many centimetres are {n} inches?": Fraction(254, 100) * n, f"{n} miles in km": Fraction(1_609_344, 1_000_000) * n,
        f"{n} kg in grams": n * 1000, f"convert {n} Celsius to Fahrenheit": Fraction(n * 9, 5) + 32, f"{n} pounds in kg": Fraction(45_359_237, 100_000_000) * n,
        f"{n} feet in metres": Fraction(3048, 10_000) * n, f"{n} km in kg": (), f"{n} euros in dollars": (), f"{n} hours in litres": (),
        f"{n},5 km in metres": n * 1000 + 500, f"How many millilitres are in {n} litres?": n * 1000,
    }  # fmt: skip
    words = random.choice(list(ways))
    right = ways[words]
    return "units", words, right if isinstance(right, tuple) else (right,)


_KINDS: tuple[Callable[[Random], Question], ...] = (
    _signs, _signs, _small_decimals, _percent, _in_words, _dates, _dates, _durations, _letters, _counted, _wishes, _units,
)  # fmt: skip
