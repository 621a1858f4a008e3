"""Questions on a made table, each with what it means as a function of the values.

Every meaning has several ways to be put. Where one question can be meant in two ways, both answers are right.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from random import Random
from statistics import median
from typing import Any

from tests.agent.planner.score.judge import Case, Cell, Ordered, Several
from tests.agent.planner.score.locales import MONTHS
from tests.agent.planner.score.made_tables import Column, Table

Rows = Sequence[int]
Question = tuple[str, str, tuple[Any, ...]]
"""The kind, the words, and what is right."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Words that choose rows, and the rows; more than one choice where missing cells may be in or out."""

    words: str
    choices: tuple[Rows, ...]
    kind: str


def ask_about(table: Table, random: Random) -> Iterator[Case]:
    """Yield one question of each kind that the table has columns for."""
    for ask in _KINDS:
        made = ask(table, random)
        if made:
            kind, words, rights = made
            yield Case(kind=f"made: {kind}", task=_laid_out(_said(words, kind, random), table, random), rights=rights)


# --- how a question is put ---


def _said(words: str, kind: str, random: Random) -> str:
    chance = random.random()
    if chance < 0.05 and '"' not in words:
        return _mistyped(words, random)
    if chance < 0.12:
        return f"Please tell me: {words}"
    if chance < 0.16:
        return f"{words} Thanks!"
    if chance < 0.2:
        return f"hi, {words[0].lower()}{words[1:]}" if not words.startswith("I ") else words
    return words


def _mistyped(words: str, random: Random) -> str:
    """Swap two letters within one of the question's own longer words."""
    parts = words.split(" ")
    long = [n for n, word in enumerate(parts) if len(word) > 4 and word.isalpha() and word.islower()]
    if not long:
        return words
    place = random.choice(long)
    word, at = parts[place], random.randrange(1, len(parts[place]) - 2)
    parts[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(parts)


def _laid_out(words: str, table: Table, random: Random) -> str:
    return random.choice(_LAYOUTS).format(words=words, data=table.text, fence=table.fence)


_LAYOUTS = (
    "{words}\n\n{data}", "{words}\n{data}", "{data}\n\n{words}", "{words}\n```{fence}\n{data}\n```",
    "```\n{data}\n```\n{words}", "Here is my data:\n\n{data}\n\n{words}", "{words} Use this table:\n{data}",
)  # fmt: skip


def _pick(random: Random, *ways: str) -> str:
    return random.choice(ways)


# --- conditions ---


def _condition(table: Table, random: Random, without: Column | None = None) -> Condition | None:
    """Return a condition on a column, or none."""
    made = random.choice(_CONDITIONS)(table, random, without)
    return made if made else None


def _equal(table: Table, random: Random, without: Column | None) -> Condition | None:
    column = _any(random, [c for c in table.of("text", "version", "zip") if c is not without])
    if not column:
        return None
    # A cell None is a text or a gap; nobody can say, so it is not asked for.
    row = _any(random, [n for n, v in enumerate(column.values) if v is not None and v != "None"])
    if row is None:
        return None
    value, name = column.texts[row], column.shown
    words = _pick(
        random, f'where {name} is "{value}"', f"where {name} is {value}", f"where {name} = {value}", f"with {name} {value}",
        f"whose {name} is {value}", f'where the column "{column.name}" is "{value}"', f"for {value}", f"in {value}", f"of {value}",
    )  # fmt: skip
    if words.split()[0] in ("for", "in", "of") and (
        column.kind != "text"
        or any(value in c.texts or value.casefold() in c.name.casefold() for c in table.columns if c is not column)
        or value in MONTHS
        or value.startswith("Top")
    ):
        words = f'where {name} = "{value}"'
    return Condition(words, (_where(column, lambda v: v == column.values[row]),), f"equal {column.kind}")


def _unequal(table: Table, random: Random, without: Column | None) -> Condition | None:
    column = _any(random, [c for c in table.of("text") if c is not without and "None" not in c.values])
    value = _any(random, [v for v in column.values if v is not None]) if column else None
    if not column or value is None:
        return None
    words = _pick(
        random, f'where {column.shown} is not "{value}"', f"where {column.shown} is not {value}", f"where {column.shown} != {value}",
        f"except where {column.shown} is {value}", f"whose {column.shown} is anything but {value}", f"with a {column.shown} other than {value}",
    )  # fmt: skip
    gaps_in = [n for n, v in enumerate(column.values) if v != value]
    return Condition(words, (_where(column, lambda v: v != value), gaps_in), "not")


def _either(table: Table, random: Random, without: Column | None) -> Condition | None:
    column = _any(random, [c for c in table.of("text") if c is not without and "None" not in c.values])
    values = sorted({v for v in column.values if v is not None}) if column else []
    if not column or len(values) < 2:
        return None
    one, two = random.sample(values, 2)
    words = _pick(
        random, f'where {column.shown} is "{one}" or "{two}"', f"where {column.shown} is {one} or {two}",
        f"where {column.shown} = {one} or {column.shown} = {two}", f"where {column.shown} is either {one} or {two}",
    )  # fmt: skip
    return Condition(words, (_where(column, lambda v: v in (one, two)),), "or")


def _compared(table: Table, random: Random, without: Column | None) -> Condition | None:
    column = _any(random, table.of("number"))
    row = _any(random, [n for n, v in enumerate(column.values) if v is not None]) if column else None
    if not column or row is None:
        return None
    bound, name = column.values[row], column.shown
    text = random.choice((table.locale.number(bound), table.locale.number(bound, grouped=False), f"{bound:f}"))
    ways: dict[str, Callable[[Any], bool]] = {
        f"where {name} > {text}": lambda v: v > bound, f"where {name} is more than {text}": lambda v: v > bound,
        f"where {name} is above {text}": lambda v: v > bound, f"with {name} over {text}": lambda v: v > bound,
        f"where {name} is at least {text}": lambda v: v >= bound, f"where {name} >= {text}": lambda v: v >= bound,
        f"where {name} is {text} or more": lambda v: v >= bound, f"where {name} is no less than {text}": lambda v: v >= bound,
        f"where {name} < {text}": lambda v: v < bound, f"where {name} is below {text}": lambda v: v < bound,
        f"where {name} is at most {text}": lambda v: v <= bound, f"where {name} does not exceed {text}": lambda v: v <= bound,
        f"where {name} is not above {text}": lambda v: v <= bound, f"where {name} is exactly {text}": lambda v: v == bound,
    }  # fmt: skip
    words = random.choice(list(ways))
    if _reads_twice(text):
        return None
    return Condition(words, (_where(column, ways[words]),), "comparison")


def _between(table: Table, random: Random, without: Column | None) -> Condition | None:
    column = _any(random, table.of("number"))
    values = sorted(v for v in column.values if v is not None) if column else []
    if not column or len(values) < 2:
        return None
    low, high = sorted(random.sample(values, 2))
    first, second = table.locale.number(low, grouped=False), table.locale.number(high, grouped=False)
    if _reads_twice(first) or _reads_twice(second):
        return None
    words = _pick(
        random, f"where {column.shown} is between {first} and {second}", f"where {column.shown} is from {first} to {second}",
        f"where {column.shown} >= {first} and {column.shown} <= {second}",
    )  # fmt: skip
    return Condition(words, (_where(column, lambda v: low <= v <= high),), "between")


def _in_month(table: Table, random: Random, without: Column | None) -> Condition | None:
    column = _any(random, table.of("date"))
    day = _any(random, [v for v in column.values if v is not None]) if column else None
    if not column or day is None:
        return None
    month, name = MONTHS[day.month - 1], column.shown
    ways: dict[str, Callable[[date], bool]] = {
        f"where {name} is in {month} {day.year}": lambda v: (v.year, v.month) == (day.year, day.month),
        f"with a {column.shown} in {month} {day.year}": lambda v: (v.year, v.month) == (day.year, day.month),
        f"where {name} is in {month}": lambda v: v.month == day.month,
        f"where {name} is in {day.year}": lambda v: v.year == day.year,
        f"where {name} is before {day.isoformat()}": lambda v: v < day,
        f"where {name} is after {day.isoformat()}": lambda v: v > day,
        f"where {name} is on or after {day.isoformat()}": lambda v: v >= day,
        f"where {name} is {day.isoformat()}": lambda v: v == day,
        f"where {name} >= {day.isoformat()}": lambda v: v >= day,
        f"where {name} is in {day.year} or later": lambda v: v.year >= day.year,
    }
    words = random.choice(list(ways))
    return Condition(words, (_where(column, ways[words]),), "dates")


def _filled(table: Table, random: Random, without: Column | None) -> Condition | None:
    column = _any(random, [c for c in table.columns if None in c.values and "None" not in c.values])
    if not column:
        return None
    missing = [n for n, v in enumerate(column.values) if v is None]
    words = _pick(
        random, f"where {column.shown} is missing", f"where {column.shown} is empty", f"without a {column.shown}"
    )
    if random.random() < 0.4:
        filled = [n for n, v in enumerate(column.values) if v is not None]
        return Condition(f"where {column.shown} is not missing", (filled,), "missing")
    return Condition(words, (missing,), "missing")


def _two_conditions(table: Table, random: Random, without: Column | None) -> Condition | None:
    one, two = _equal(table, random, without), (_compared(table, random, without) or _in_month(table, random, without))
    if not one or not two or not two.words.startswith("where "):
        return None
    start = one.words if one.words.startswith("where ") else None
    if not start:
        return None
    rows = [n for n in one.choices[0] if n in two.choices[0]]
    return Condition(f"{start} and {two.words.removeprefix('where ')}", (rows,), "and")


_CONDITIONS = (_equal, _equal, _equal, _unequal, _either, _compared, _compared, _between, _in_month, _filled, _two_conditions)  # fmt: skip


def _where(column: Column, test: Callable[[Any], bool]) -> Rows:
    return [n for n, value in enumerate(column.values) if value is not None and test(value)]


def _reads_twice(text: str) -> bool:
    """Tell whether a number in a question may be one with thousands or one with decimals."""
    head, _, tail = text.replace(",", ".").rpartition(".")
    return len(tail) == 3 and head.lstrip("-").isdigit() and head.lstrip("-") != "0"


def _any(random: Random, some: Sequence[Any]) -> Any:
    return random.choice(some) if some else None


# --- aggregates ---

Fold = Callable[[list[Decimal]], Any]
_FOLDS: dict[str, tuple[Fold, tuple[str, ...]]] = {
    "sum": (sum, ("What is the total {c}{w}?", "sum of {c}{w}", "Add up {c}{w}", "What is the sum of {c}{w}?", "total {c}{w}")),
    "mean": (lambda v: sum(map(Fraction, v)) / len(v), ("What is the average {c}{w}?", "mean {c}{w}", "What is the mean of {c}{w}?", "average of {c}{w}")),
    "median": (lambda v: Fraction(median(map(Fraction, v))), ("What is the median {c}{w}?", "median of {c}{w}", "the median of {c}{w}, please")),
    "max": (max, ("What is the highest {c}{w}?", "maximum of {c}{w}", "What is the maximum {c}{w}?", "largest {c}{w}", "max {c}{w}")),
    "min": (min, ("What is the lowest {c}{w}?", "minimum of {c}{w}", "What is the minimum {c}{w}?", "smallest {c}{w}", "min {c}{w}")),
    "range": (lambda v: max(v) - min(v), ("What is the range of {c}{w}?", "difference between the highest and the lowest {c}{w}")),
}  # fmt: skip


def _of(column: Column, rows: Rows) -> list[Any]:
    return [column.values[row] for row in rows if column.values[row] is not None]


def _folded(name: str, column: Column, rows: Rows) -> tuple[Any, ...]:
    values = _of(column, rows)
    if not values:
        return (0, None) if name == "sum" else (None,)
    right = _FOLDS[name][0](values)
    if name in ("min", "max"):
        return tuple(
            Cell(right, text) for text, value in zip(column.texts, column.values, strict=True) if value == right
        )
    return (right,)


def _say(template: str, column: Column, condition: Condition | None) -> str:
    return template.format(c=column.shown, w=f" {condition.words}" if condition else "")


def _aggregate(table: Table, random: Random) -> Question:
    column, name = random.choice(table.of("number")), random.choice(list(_FOLDS))
    template = random.choice(_FOLDS[name][1])
    return f"aggregate {name}", _say(template, column, None), _folded(name, column, range(table.size))


def _aggregate_where(table: Table, random: Random) -> Question | None:
    column, name = random.choice(table.of("number")), random.choice(list(_FOLDS))
    condition = _condition(table, random, column)
    if not condition:
        return None
    rights = tuple(right for rows in condition.choices for right in _folded(name, column, rows))
    return f"where {condition.kind}", _say(random.choice(_FOLDS[name][1]), column, condition), rights


def _count_where(table: Table, random: Random) -> Question | None:
    condition = _condition(table, random)
    if not condition:
        return None
    template = _pick(random, "How many rows are there{w}?", "count rows{w}", "number of rows{w}", "How many rows{w}?")
    words = template.format(w=f" {condition.words}")
    return f"count where {condition.kind}", words, tuple({len(rows) for rows in condition.choices})


def _count(table: Table, random: Random) -> Question:
    words = _pick(
        random, "How many rows are there?", "count the rows", "number of rows", "How many records does this table have?"
    )
    return "count", words, (table.size,)


def _changed(table: Table, random: Random) -> Question | None:
    """Ask for a sum with words that change what is meant."""
    column = random.choice(table.of("number"))
    values = column.values
    filled = [v for v in values if v is not None]
    if len(filled) < 4 or values[0] is None or values[1] is None or values[-1] is None:
        return None
    total = sum(filled)
    ways: dict[str, Any] = {
        "without the highest one": total - max(filled), "excluding the lowest": total - min(filled), "of the first 2 rows": values[0] + values[1],
        "excluding the first row": total - values[0], "of the last row": Cell(values[-1], column.texts[-1]), "times 2": total * 2,
        "divided by 4": Fraction(total) / 4, "plus 10%": total * Decimal("1.1"), "as a negative number": -total,
        "if every one were doubled": total * 2, "of every other row": (sum(_of(column, range(0, table.size, 2))), sum(_of(column, range(1, table.size, 2)))),
        "not counting the last row": total - values[-1], "squared": (total * total, sum(v * v for v in filled)), "but only of the rows that matter": (),
        "for the whole of next year": (), "rounded to the nearest million": round(total / 1_000_000) * 1_000_000,
    }  # fmt: skip
    change = random.choice(list(ways))
    right = ways[change]
    template = _pick(
        random, "What is the total of {c} {x}?", "sum of {c} {x}", "What is the sum of {c}, {x}?", "Add up {c} {x}"
    )
    rights = right if isinstance(right, tuple) else (right,)
    return "changed", template.format(c=column.shown, x=change), rights


# --- groups, top, most ---


def _group(table: Table, random: Random) -> Question | None:
    by, column = random.choice(table.of("text")), random.choice(table.of("number"))
    name = random.choice(("sum", "mean", "max", "min"))
    if None in by.values and "None" in by.values:
        return None
    condition = _condition(table, random, by) if random.random() < 0.3 else None
    if condition and (len(condition.choices) > 1 or not condition.words.startswith("where")):
        return None
    joint = _pick(random, "by {b}", "per {b}", "for each {b}", "grouped by {b}").format(b=by.shown)
    words = {"sum": "sum of", "mean": "average of", "max": "maximum of", "min": "minimum of"}[name]
    where = f" {condition.words}" if condition else ""
    rows = condition.choices[0] if condition else range(table.size)
    right = {group: _one(_folded(name, column, members)) for group, members in _groups(by, rows).items()}
    return f"group{' where' if condition else ''}", f"{words} {column.shown} {joint}{where}", (right,)


def _one(rights: tuple[Any, ...]) -> Any:
    return rights[0] if rights else None


def _groups(by: Column, rows: Rows) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault("" if by.values[row] is None else by.texts[row], []).append(row)
    return groups


def _group_count(table: Table, random: Random) -> Question | None:
    by = random.choice(table.of("text"))
    if None in by.values and "None" in by.values:
        return None
    words = _pick(
        random, "count rows by {b}", "How many rows are there per {b}?", "number of rows for each {b}", "count by {b}"
    )
    counts = {group: len(members) for group, members in _groups(by, range(table.size)).items()}
    return "group count", words.format(b=by.shown), (counts,)


def _group_of_two(table: Table, random: Random) -> Question | None:
    texts = table.of("text")
    if len(texts) < 2 or any(None in c.values or "None" in c.values for c in texts):
        return None
    one, two, column = texts[0], texts[1], random.choice(table.of("number"))
    pairs: dict[tuple[str, str], list[int]] = {}
    for row in range(table.size):
        pairs.setdefault((one.texts[row], two.texts[row]), []).append(row)
    sums = {pair: sum(_of(column, rows)) for pair, rows in pairs.items()}
    nested: dict[str, dict[str, Any]] = {}
    for (first, second), value in sums.items():
        nested.setdefault(first, {})[second] = value
    flat = [
        {joint.join(pair): value for pair, value in sums.items()}
        for joint in (" / ", ", ", " | ", " - ", " ", "/", "|", ",")
    ]
    return "group of two", f"sum of {column.shown} by {one.shown} and {two.shown}", (nested, *flat)


def _most(table: Table, random: Random) -> Question | None:
    by = random.choice(table.of("text"))
    if "None" in by.values:
        return None
    counts = Counter(_of(by, range(table.size)))
    best = [value for value, n in counts.items() if n == max(counts.values())]
    words = _pick(
        random,
        "Which {b} has the most rows?",
        "What is the most common {b}?",
        "Which {b} appears most often?",
        "mode of {b}",
        "most frequent {b}",
    )
    return "most common", words.format(b=by.shown), (best,)


def _most_in_total(table: Table, random: Random) -> Question | None:
    by, column = random.choice(table.of("text")), random.choice(table.of("number"))
    if None in by.values or "None" in by.values or None in column.values:
        return None
    fold = random.choice(("sum", "mean"))
    sums = {group: _FOLDS[fold][0](_of(column, rows)) for group, rows in _groups(by, range(table.size)).items()}
    word = {"sum": "sum of", "mean": "average of"}[fold]
    words = _pick(
        random,
        "Which {b} has the highest {f} {c}?",
        "{b} with the highest {f} {c}",
        "Which {b} has the largest {f} {c}?",
    )
    best = [group for group, value in sums.items() if value == max(sums.values())]
    return "most in total", words.format(b=by.shown, c=column.shown, f=word), (best,)


def _who(table: Table, random: Random) -> Question | None:
    column = random.choice(table.of("number", "percent", "date", "size", "duration"))
    high = random.random() < 0.5
    best = (max if high else min)(_of(column, range(table.size)))
    key = table.columns[0]
    pairs = {"number": ("highest", "lowest"), "percent": ("highest", "lowest"), "date": ("latest", "earliest"), "size": ("largest", "smallest"), "duration": ("longest", "shortest")}  # fmt: skip
    way = pairs[column.kind][0 if high else 1]
    words = _pick(
        random, "Which {k} has the {way} {c}?", "{k} with the {way} {c}", "What is the {k} with the {way} {c}?"
    )
    if key.name != "who" and random.random() < 0.2:
        words = "Who has the {way} {c}?"
    right = [key.values[row] for row in _where(column, lambda v: v == best)]
    return f"who {column.kind}", words.format(k=key.shown, way=way, c=column.shown), (right,)


def _ranked(table: Table, column: Column, *, high: bool) -> list[list[int]]:
    """Return the rows by their value, those that tie together."""
    order = sorted(set(_of(column, range(table.size))), reverse=high)
    return [[n for n, value in enumerate(column.values) if value == one] for one in order]


def _top(table: Table, random: Random) -> Question | None:
    column, key, high = random.choice(table.of("number")), table.columns[0], random.random() < 0.6
    ranked = _ranked(table, column, high=high)
    taken = ranked[: random.randint(1, len(ranked))]
    count = sum(map(len, taken))
    if count < 2 or count == table.size:
        return None
    way = "highest" if high else "lowest"
    words = _pick(
        random,
        "{t} {n} {k} by {c}",
        "the {n} {k} with the {way} {c}",
        "Which {n} {k} have the {way} {c}?",
        "list the {n} {k} with the {way} {c}",
    )
    right = Ordered([tuple(key.values[row] for row in rows) for rows in taken])
    return "top", words.format(t="top" if high else "bottom", n=count, k=key.shown, c=column.shown, way=way), (right,)


def _fold_of_top(table: Table, random: Random) -> Question | None:
    column = random.choice(table.of("number"))
    values = sorted(_of(column, range(table.size)), reverse=True)
    count = random.randint(2, 3)
    if len(values) <= count:
        return None
    name, low = random.choice(("sum", "mean")), random.random() < 0.3
    words = _pick(
        random, "What is the {f} of the {n} {way} values of {c}?", "{f} of the {n} {way} {c}", "{f} of the {t} {n} of {c}",
        "{f} of {c} of the {t} {n} rows by {c}",
    )  # fmt: skip
    right = _FOLDS[name][0](values[-count:] if low else values[:count])
    put = words.format(f={"sum": "sum", "mean": "average"}[name], n=count, way="lowest" if low else "highest", t="bottom" if low else "top", c=column.shown)  # fmt: skip
    return "aggregate of top", put, (right,)


def _second(table: Table, random: Random) -> Question | None:
    column = random.choice(table.of("number"))
    ranked = _ranked(table, column, high=True)
    if len(ranked) < 3 or len(ranked[0]) > 1:
        return None
    right = column.values[ranked[1][0]]
    words = _pick(random, "What is the second highest value of {c}?", "second largest {c}", "the 2nd highest {c}")
    return "second", words.format(c=column.shown), tuple(Cell(right, column.texts[row]) for row in ranked[1])


def _top_percent(table: Table, random: Random) -> Question | None:
    column, key = random.choice(table.of("number")), table.columns[0]
    if table.size % 2 or None in column.values:
        return None
    ranked, rows = _ranked(table, column, high=True), 0
    groups: list[list[int]] = []
    while rows < table.size // 2:
        groups.append(ranked[len(groups)])
        rows += len(groups[-1])
    if rows != table.size // 2:
        return None
    words = _pick(
        random, "top 50% of {k} by {c}", "the top half of {k} by {c}", "Which {k} are in the top 50 percent by {c}?"
    )
    right = Ordered([tuple(key.values[row] for row in group) for group in groups])
    return "top percent", words.format(k=key.shown, c=column.shown), (right,)


# --- shares, distinct, sorted, looked up ---


def _share(table: Table, random: Random) -> Question | None:
    by = random.choice(table.of("text"))
    if None in by.values or "None" in by.values:
        return None
    value = random.choice(by.values)
    if any(value in column.texts for column in table.columns if column is not by):
        return None
    rows = _where(by, lambda v: v == value)
    share = Fraction(len(rows), table.size)
    words = _pick(
        random,
        "What percentage of rows have {b} {v}?",
        'What share of the rows has the {b} "{v}"?',
        "What percent of the rows are {v}?",
        "What fraction of rows have {b} = {v}?",
    )
    return "share of rows", words.format(b=by.shown, v=value), (share, share * 100)


def _share_of_sum(table: Table, random: Random) -> Question | None:
    by, column = random.choice(table.of("text")), random.choice(table.of("number"))
    if None in by.values or "None" in by.values or None in column.values or min(column.values) <= 0:
        return None
    value = random.choice(by.values)
    if any(value in column.texts for column in table.columns if column is not by):
        return None
    share = Fraction(sum(_of(column, _where(by, lambda v: v == value)))) / Fraction(sum(column.values))
    words = _pick(
        random,
        'What share of the sum of {c} has the {b} "{v}"?',
        "What percentage of the total of {c} comes from {v}?",
        "What percent of the sum of {c} is from {b} {v}?",
    )
    return "share of sum", words.format(b=by.shown, v=value, c=column.shown), (share, share * 100)


def _distinct(table: Table, random: Random) -> Question | None:
    by = random.choice(table.of("text", "version", "zip"))
    values = {text for text, value in zip(by.texts, by.values, strict=True) if value is not None}
    either = (values, values - {"None"})
    if random.random() < 0.5:
        words = _pick(
            random,
            "How many different values of {b} are there?",
            "number of distinct {b}",
            "How many unique values does {b} have?",
            "count the distinct values of {b}",
        )
        return "distinct count", words.format(b=by.shown), tuple(len(some) for some in either)
    words = _pick(
        random, "list the distinct values of {b}", "unique values of {b}", "Which different values of {b} are there?"
    )
    return "distinct", words.format(b=by.shown), tuple(sorted(some) for some in either)


def _sorted(table: Table, random: Random) -> Question:
    column = random.choice(table.of("number", "date", "size", "duration", "percent"))
    key, high = table.columns[0], random.random() < 0.5
    ranked = [tuple(key.values[row] for row in rows) for rows in _ranked(table, column, high=high)]
    gaps = tuple(key.values[row] for row, value in enumerate(column.values) if value is None)
    words = _pick(
        random,
        "list {k} sorted by {c}{d}",
        "list {k} ordered by {c}{d}",
        "sort by {c}{d} and list {k}",
        "{k} sorted by {c}{d}",
    )
    put = words.format(
        k=key.shown,
        c=column.shown,
        d=_pick(random, " descending", ", highest first", " from high to low") if high else "",
    )
    return f"sorted {column.kind}", put, (Ordered([*ranked, gaps]) if gaps else Ordered(ranked), Ordered(ranked))


def _looked_up(table: Table, random: Random) -> Question | None:
    key, column = table.columns[0], random.choice(table.columns[1:])
    row = random.choice([n for n, v in enumerate(column.values) if v is not None])
    who = key.values[row]
    if any(who in other.texts for other in table.columns[1:]):
        return None
    words = _pick(
        random, "What is {c} of {k}?", "What is {c} where {n} is {k}?", '{c} where {n} = "{k}"', "find {c} of {k}"
    )
    put = words.format(c=f"the {column.shown}", k=who, n=key.shown)
    value = column.values[row]
    return (
        f"look up {column.kind}",
        put,
        (Cell(value if column.kind == "number" else column.texts[row], column.texts[row]),),
    )


def _of_other_kinds(table: Table, random: Random) -> Question | None:
    """Ask for the highest or lowest of what is no plain number, or for a sum that has no meaning."""
    column = _any(random, table.of("date", "size", "duration", "version", "percent"))
    if not column:
        return None
    high = random.random() < 0.5
    best = (max if high else min)(_of(column, range(table.size)))
    ways = {"date": ("latest", "earliest"), "size": ("largest", "smallest"), "duration": ("longest", "shortest"), "version": ("highest", "lowest"), "percent": ("highest", "lowest")}  # fmt: skip
    words = _pick(random, "What is the {way} {c}?", "{way} {c}", "the {way} {c}, please").format(
        way=ways[column.kind][0 if high else 1], c=column.shown
    )
    rights: list[Any] = [text for text, value in zip(column.texts, column.values, strict=True) if value == best]
    rights += [best] if column.kind in ("date", "percent") else []
    rights += [best / 100] if column.kind == "percent" else []
    return f"highest {column.kind}", words, tuple(rights)


def _no_sum(table: Table, random: Random) -> Question | None:
    column = _any(random, table.of("version", "zip", "key"))
    words = _pick(random, "What is the average of {c}?", "sum of {c}", "What is the median of {c}?")
    return "no sum", words.format(c=column.shown), ()


def _no_column(table: Table, random: Random) -> Question:
    word = _pick(random, "weight", "temperature", "altitude", "profit margin")
    words = _pick(
        random,
        "What is the average {x}?",
        "sum of {x}",
        "Which row has the highest {x}?",
        "How many rows have a {x} above 5?",
    )
    return "no such column", words.format(x=word), ()


def _two_at_once(table: Table, random: Random) -> Question:
    column = random.choice(table.of("number"))
    values = _of(column, range(table.size))
    words = _pick(
        random,
        "What is the sum of {c}? And how many rows are there?",
        "What is the sum of {c}, and how many rows are there?",
    )
    return "two at once", words.format(c=column.shown), (Several((sum(values), table.size)),)


_KINDS: tuple[Callable[[Table, Random], Question | None], ...] = (
    _aggregate, _aggregate_where, _aggregate_where, _count_where, _count_where, _count, _changed, _group, _group_count, _group_of_two,
    _most, _most_in_total, _who, _top, _fold_of_top, _second, _top_percent, _share, _share_of_sum, _distinct, _sorted, _looked_up,
    _of_other_kinds, _no_sum, _no_column, _two_at_once,
)  # fmt: skip
