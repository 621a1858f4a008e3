"""Whether it is plain which rows a question picks, and what a row is: ties, customers with several rows, the top 10%.

Pure; any thread; imported by `table_checks` only.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from callboard.agent.planner.table_facts import Facts, Row, one_of, plain
from callboard.agent.planner.table_grammar import DEALS, PERSONS, THINGS
from callboard.agent.planner.table_question import Condition, NonsenseError, Pick, Question, UnclearError

_LIMITS: dict[str, Callable[[Decimal, list[Decimal]], bool]] = {
    ">": lambda total, bounds: total > bounds[0], ">=": lambda total, bounds: total >= bounds[0], "<": lambda total, bounds: total < bounds[0],
    "<=": lambda total, bounds: total <= bounds[0], "between": lambda total, bounds: bounds[0] <= total <= bounds[1],
}  # fmt: skip


def check_each(question: Question, rows: Sequence[Row], facts: Facts) -> None:
    """Refuse `which customers have an amount above 300` where one with less in each row has more in all."""
    limits = [
        c
        for c in question.where
        if c.operator in _LIMITS and facts.kind(c.column) == "number" and plain(c.column) != "age"
    ]
    asked = question.columns[:1] if question.kind in ("distinct", "values") else ()
    for column in asked:
        if not limits or facts.kind(column) not in ("text", "boolean") or not facts.repeats(column):
            continue
        rest = [condition for condition in question.where if condition not in limits]
        if len(limits) > 1 or not _same_in_all(column, limits[0], facts.rows(facts.where(rest)), rows, facts):
            limit = limits[0].column
            raise UnclearError(
                f"The {limit} of one row, or of all rows of a {column} together? Ask for the rows, or for total {limit} by {column}."
            )


def _same_in_all(column: str, limit: Condition, every: Sequence[Row], rows: Sequence[Row], facts: Facts) -> bool:
    totals: dict[str, Decimal] = {}
    for row in every:
        name = str(row.get(column)).strip().casefold()
        totals[name] = totals.get(name, Decimal(0)) + sum(facts.ordered([row], limit.column, False), Decimal(0))
    fits = _LIMITS[limit.operator]
    bounds = [Decimal(value) for value in limit.values]
    return {name for name, total in totals.items() if fits(total, bounds)} == {
        str(row.get(column)).strip().casefold() for row in rows
    }


def picked(question: Question, rows: Sequence[Row], facts: Facts) -> Question:
    """Return the question with its pick as a number of rows; raise where the border runs between equal ones."""
    pick = question.pick
    if not pick or pick.column is None:
        return question
    check_count_by(question, facts)
    for column in question.columns if question.kind == "values" else ():
        if facts.kind(column) == "text" and facts.repeats(column, rows):
            raise UnclearError(
                f"Some values of {column} repeat, so {pick} may be rows or values of {column}; ask for the rows."
            )
    count = pick.count
    keys = _keys(rows, pick.column, facts, pick.descending)
    if pick.percent:
        count, rest = divmod(len(rows) * pick.count, 100)
        if rest or not count or pick.count > 100:
            raise UnclearError(f"{pick.count}% of {len(rows)} rows is not a whole number of rows.")
        if len(keys) < len(rows):
            raise UnclearError(f"Some rows have no {pick.column}, so it is not clear what {pick.count}% of them are.")
    if count > len(keys):
        raise UnclearError(f"There are only {len(keys)} rows with {pick.column} to take {count} of.")
    if count < len(keys) and keys[count - 1] == keys[count]:
        raise UnclearError(
            f"Which rows are {replace(pick, percent=False, count=count)} is not clear: several have the same {pick.column} there."
        )
    if question.kind == "fold" and not all(map(facts.are_plain, question.columns)):
        raise UnclearError(
            f"The numbers in {question.columns[0]} are not plain, so some of them cannot be added up alone."
        )
    if question.kind == "fold" and not set(question.folds) <= {"sum", "mean", "median", "min", "max"}:
        raise UnclearError(f"The {question.folds[0]} of {pick} is not worked out.")
    return replace(question, pick=Pick(pick.column, pick.descending, count))


def _keys(rows: Sequence[Row], column: str, facts: Facts, descending: bool) -> list[Any]:
    if facts.kind(column) not in ("number", "date", "moment"):
        raise NonsenseError(f"The highest of {column} makes no sense: it is not a column of numbers or dates.")
    keys = facts.ordered(rows, column, descending)
    if not keys:
        raise UnclearError(f"No row that fits has a {column}.")
    return keys


def nth(question: Question, rows: Sequence[Row], facts: Facts) -> Question:
    pick = question.pick
    if pick is None or facts.kind(question.columns[0]) != "number":
        raise NonsenseError(f"{question.columns[0]} is not a column of numbers.")
    keys = _keys(rows, question.columns[0], facts, pick.descending)
    if pick.count > len(keys) or len(set(keys[: pick.count])) < pick.count:
        raise UnclearError(
            f"Which is number {pick.count} of {pick.column} is not clear: there are equal ones, or too few."
        )
    if not facts.are_plain(question.columns[0]):
        raise UnclearError(f"The numbers in {question.columns[0]} are not plain.")
    return question


def extreme(question: Question, rows: Sequence[Row], facts: Facts) -> Question:
    """Return the question with how many rows share the extreme."""
    column = question.by or ""
    if column in question.columns:
        raise NonsenseError(f"{column} cannot be both asked for and what decides.")
    keys = _keys(rows, column, facts, question.descending)
    count = keys.count(keys[0])
    filled = [row for row in rows if str(row.get(column) or "").strip()]
    for asked in question.columns:
        if facts.gaps(asked):
            raise UnclearError(f"Some rows have no {asked}; say which rows count.")
        several = facts.kind(asked) in ("text", "boolean") and facts.repeats(asked, filled)
        if several and not question.of_row and facts.kind(column) == "number":
            _check_totals(question, asked, column, filled, facts)
    return replace(question, pick=Pick(column, question.descending, count))


def _check_totals(question: Question, asked: str, column: str, rows: Sequence[Row], facts: Facts) -> None:
    """Refuse `which customer has the highest amount` where a customer's total would give another one."""
    totals: dict[str, Decimal] = {}
    best: dict[str, Decimal] = {}
    choose = max if question.descending else min
    for row in rows:
        name, value = str(row.get(asked)).strip().casefold(), facts.ordered([row], column, False)
        if value:
            totals[name] = totals.get(name, Decimal(0)) + value[0]
            best[name] = choose(best.get(name, value[0]), value[0])
    first = {name for name, value in best.items() if value == choose(best.values())}
    if first != {name for name, value in totals.items() if value == choose(totals.values())}:
        raise UnclearError(
            f"The {question.folds[0]} {column} of one row, or of all rows of a {asked} together? Say total {column}, or ask for the row."
        )


def check_nouns(question: Question, facts: Facts) -> None:
    """Refuse a noun that may not be what the rows are: orders in a table of people."""
    columns = [set(plain(column).split()) for column in facts.columns]
    words = {word for names in columns for word in names}
    deals = [names & _DEAL_WORDS for names in columns if names & {"id", "no", "nr", "number"} and names & _DEAL_WORDS]
    for noun in question.nouns:
        single = one_of(noun)
        other = deals and not any(single in names or {single, *names} <= _SALES for names in deals)
        if single in words or noun in words:
            continue
        if (
            (noun in PERSONS and not words & (PERSONS | _OF_PERSONS))
            or (noun in PERSONS - _EMPLOYEES and words & _HIRED)
            or (noun in THINGS and (words & _OF_PERSONS_ONLY or not words & (THINGS | _OF_THINGS)))
            or (noun in DEALS and (words & _OF_PERSONS_ONLY or other))
        ):
            raise UnclearError(f"Whether {noun!r} are the rows is not plain from the columns; say rows.")


_HIRED = frozenset({"salary", "wage", "wages", "department", "hired"})
_EMPLOYEES = frozenset(
    "person people persons employee employees member members worker workers staff colleague colleagues earner earners".split()
)
_DEAL_WORDS = {one_of(noun) for noun in DEALS}
_SALES = frozenset({"order", "purchase", "sale", "transaction", "deal"})
_OF_PERSONS_ONLY = frozenset({"age", "salary", "birthday", "gender", "married", "gpa"})
_OF_PERSONS = _OF_PERSONS_ONLY | {"name", "team", "department", "seller", "buyer", "rep", "owner", "email"}
_OF_THINGS = frozenset({"name", "title", "sku", "price", "cost"})


def check_count_by(question: Question, facts: Facts) -> None:
    """Refuse to count rows by a noun that may be fewer than the rows: customers, where each has several."""
    for noun in question.nouns:
        single = one_of(noun)
        keys = [c for c in facts.columns if re.fullmatch(rf"{single} ?(?:id|no|nr|number|code|key)?|id", plain(c))]
        if any(not facts.repeats(column) for column in keys if plain(column) != "id"):
            continue
        if noun in PERSONS:
            keys += [
                c
                for c in facts.columns
                if set(plain(c).split()) & (PERSONS | {"name", "seller", "buyer", "rep", "owner"})
            ]
        elif noun in THINGS:
            keys += [c for c in facts.columns if set(plain(c).split()) & (THINGS | {"name", "title", "sku"})]
        elif noun not in DEALS:
            continue
        for column in keys:
            if facts.repeats(column):
                raise UnclearError(
                    f"{noun!r} may be the rows, or the different values of {column}, which repeat; say rows, or {column}."
                )
