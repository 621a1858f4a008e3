"""Whether a question on a table makes sense for the table, and has one answer.

What makes no sense, as the average of names, is dropped where another reading does; what is not clear, as the top 2 of
three equal ones, is refused. Pure; any thread; imported by `questions` only.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from callboard.agent.planner.table_facts import Facts, Row, is_missing, plain
from callboard.agent.planner.table_picks import check_count_by, check_each, check_nouns, extreme, nth, picked
from callboard.agent.planner.table_question import Condition, NonsenseError, Question, UnclearError
from callboard.agent.skills._calendar import MONTHS, WEEKDAYS

_MONTHS = {name[:3] for name in MONTHS if name}
_NUMERIC = frozenset({"sum", "mean", "median", "range"})
_EACH = re.compile(r"\b(?:price|salary|amount|score|rating|age|grade|cost|wage|income|temperature|value)$")
_RANKED = re.compile(r"\b(?:priority|size|level|severity|grade|rank|quarter|version)$")
_DATE_LIKE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}.*|\d{1,2} \w{3,9} \d{4}|\w{3,9} \d{1,2},? \d{4}")


def checked(question: Question, facts: Facts) -> Question:
    """Return the question, with how many rows are picked; raise `NonsenseError` or `UnclearError`."""
    question = _one_of(question)
    conditions = [*question.where, *question.either, *question.against]
    for condition in conditions:
        _check_condition(condition, facts)
    _check_together(question)
    if question.either and (len(question.groups) > 1 or question.kind in ("difference", "share")):
        raise UnclearError("Conditions joined by or do not go with this question; give one of them.")
    try:
        rows = facts.rows(where_of(question, facts))
    except ValueError as error:
        raise UnclearError(str(error)) from None
    check_nouns(question, facts)
    _check_years(question, rows, facts)
    check_each(question, rows, facts)
    for group in question.groups:
        _check_group(group, facts, many=len(question.groups) > 1)
    match question.kind:
        case "fold" | "difference":
            _check_folds(question, facts)
            _check_mode(question, rows, facts)
            return picked(question, rows, facts)
        case "unsaid":
            raise UnclearError(
                f"The question does not say what is wanted of {question.columns[0]}: its total, average, or how many."
            )
        case "ordinal":
            raise UnclearError(
                f"The question does not say by which column the {question.folds[0]} one is meant; say the lowest or the highest of it."
            )
        case "count":
            _check_count(question, facts)
        case "distinct":
            _check_distinct(question, rows, facts)
        case "rows" | "values":
            _check_list(question, rows, facts)
            return picked(question, rows, facts)
        case "nth":
            return nth(question, rows, facts)
        case "extreme":
            return extreme(question, rows, facts)
        case "group_extreme":
            _check_folds(question, facts)
            check_count_by(question, facts)
            group = question.groups[0]
            if facts.gaps(group):
                raise UnclearError(f"Some rows have no {group}; say which rows count.")
            for column in question.columns:
                if {str(row[group]) for row in rows} != {str(row[group]) for row in facts.filled(rows, column)}:
                    raise UnclearError(f"Some {group} has no {column} at all; say which rows count.")
        case "share":
            _check_share(question, facts)
        case "value" | "columns" | "column_count":
            pass
    return question


def _one_of(question: Question) -> Question:
    """Read `rows in North and South` as rows in either; a number for both may be one for each, or one for all."""
    both = [condition for condition in question.where if condition.operator == "both"]
    if both and question.kind not in ("rows", "values", "distinct"):
        values = " and ".join(both[0].values)
        raise UnclearError(
            f"For {values}: one for each {both[0].column}, or for all together? Ask for each alone, for one or the other, or by {both[0].column}."
        )
    changed = {Condition(c.column, "in", c.values) if c.operator == "both" else c for c in question.where}
    return replace(question, where=frozenset(changed))


def where_of(question: Question, facts: Facts) -> str | None:
    if question.either:
        return facts.where(sorted(question.either, key=str), "or")
    return facts.where(sorted(question.where, key=str))


def _check_years(question: Question, rows: Sequence[Row], facts: Facts) -> None:
    """Refuse a month by its name where the rows are of several years."""
    columns = {condition.column for condition in (*question.where, *question.either)}
    years = [column for column in facts.columns if plain(column) == "year" and column not in columns]
    for condition in question.where:
        named = condition.operator in ("=", "in") and all(value.lower()[:3] in _MONTHS for value in condition.values)
        for year in years if named else ():
            found = sorted({str(row.get(year)) for row in rows})
            if len(found) > 1 and year not in question.groups:
                raise UnclearError(
                    f"The question does not say {condition.values[0]} of which year: {year} has {' and '.join(found)}."
                )


def _check_condition(condition: Condition, facts: Facts) -> None:
    if condition.operator == "?":
        raise UnclearError(f"The question does not say {condition.values[0]}.")
    if any('"' in text for text in (condition.column, *condition.values)):
        raise UnclearError(f"Quotes within {condition} cannot be written in a filter.")
    if condition.operator == "!=" and facts.gaps(condition.column):
        raise UnclearError(
            f"Some rows have no {condition.column}, and whether they are other than {condition.values[0]} is not said."
        )
    if facts.kind(condition.column) != "text" or condition.operator not in ("=", "!=", "in"):
        return
    for value in condition.values:
        if len(spellings := facts.spellings(condition.column, value)) > 1:
            raise UnclearError(
                f"The column {condition.column} has {' and '.join(map(repr, spellings[:4]))}; say which."
            )
        if condition.operator == "in" and re.search(r",|\b(?:and|or)\b", value, re.IGNORECASE):
            raise UnclearError(f"{value!r} cannot be one of several values in a filter; ask for one value.")


def _check_together(question: Question) -> None:
    fixed = [condition.column for condition in question.where if condition.operator in ("=", "in", "empty")]
    barred = {condition.column for condition in question.where if condition.operator == "!="}
    for column in fixed:
        if fixed.count(column) > 1 or column in barred:
            values = " and ".join(sorted(v for c in question.where if c.column == column for v in c.values))
            raise NonsenseError(
                f"No row has two values of {column} at once ({values}); ask for each alone, for one or the other, or by {column}."
            )


def _check_group(column: str, facts: Facts, many: bool) -> None:
    cells = [str(cell) for cell in facts.cells(column)]
    if len({cell.strip().casefold() for cell in cells}) < len(set(cells)):
        raise UnclearError(f"The column {column} writes some values in two ways, such as in capitals and without.")
    if many and (
        facts.gaps(column) or facts.kind(column) not in ("text", "boolean", "number", "date") or '"' in "".join(cells)
    ):
        raise UnclearError(f"The column {column} cannot be one of several to group by: cells are missing or not plain.")


def _check_folds(question: Question, facts: Facts) -> None:
    for column in question.columns:
        kind = facts.kind(column)
        for fold in question.folds:
            if (fold in _NUMERIC and kind not in ("number", "mixed")) or (
                fold in ("max", "min") and kind not in ("number", "mixed", "date", "moment")
            ):
                raise NonsenseError(f"The {fold} of {column} makes no sense: it is not a column of numbers.")
            if fold in _NUMERIC - {"range"} and facts.is_label(column):
                raise NonsenseError(f"The {fold} of {column} makes no sense: its numbers are names of something.")
            if fold in ("mode", "range") and question.groups and question.kind != "group_extreme":
                raise UnclearError(
                    f"The {fold} for each {question.groups[0]} is not worked out; ask for one at a time."
                )
            if fold in ("mode", "range") and (kind == "mixed" or len(question.folds) > 1 or question.kind != "fold"):
                raise UnclearError(f"The {fold} of {column} is only worked out alone, of cells of one kind.")
            if fold == "mode" and not facts.are_plain(column) and kind == "number":
                raise UnclearError(f"The numbers in {column} are not plain, so equal ones may look different.")


def _check_mode(question: Question, rows: Sequence[Row], facts: Facts) -> None:
    """Refuse the most frequent of values that are all there once."""
    column = question.columns[0]
    if question.folds == ("mode",) and len(rows) > 1 and not facts.repeats(column, facts.filled(rows, column)):
        raise UnclearError(f"No value of {column} is there more often than another.")


def _check_count(question: Question, facts: Facts) -> None:
    check_count_by(question, facts)
    for column in question.columns:
        if facts.kind(column) == "number" and not _EACH.search(plain(column)):
            raise UnclearError(
                f"How many {column} may be their total or the number of rows; say total {column}, or rows."
            )


def _check_distinct(question: Question, rows: Sequence[Row], facts: Facts) -> None:
    column = question.columns[0]
    if question.groups and not question.folds:
        raise UnclearError(f"The different values of {column} are not listed by group; ask how many there are.")
    if question.where and any(is_missing(row.get(column)) for row in rows):
        raise UnclearError(f"Some of the rows that are meant have no {column}; ask for rows, or say which rows count.")
    spelled = {str(cell).strip().casefold() for cell in facts.cells(column)}
    if len(spelled) < len({str(cell) for cell in facts.cells(column)}):
        raise UnclearError(f"The column {column} writes some values in two ways, such as in capitals and without.")
    if facts.kind(column) == "number" and not facts.are_plain(column):
        raise UnclearError(f"The numbers in {column} are not plain, so equal ones may look different.")
    if question.folds and "name" in plain(column).split() and facts.repeats(column, rows):
        raise UnclearError(
            f"Some values of {column} repeat; ask for rows, or for different {column} values with a condition."
        )


def _check_list(question: Question, rows: Sequence[Row], facts: Facts) -> None:
    if question.by:
        _check_order(question.by, facts)
    if question.kind == "values" and len(question.columns) == 1 and not question.pick:
        column = question.columns[0]
        named = "name" in plain(column).split() or facts.kind(column) in ("number", "mixed", "date", "moment")
        if not named and facts.repeats(column, rows):
            raise UnclearError(
                f"Some values of {column} repeat; ask for the distinct {column} values, or for the rows."
            )


def _check_order(column: str, facts: Facts) -> None:
    cells = [str(cell).strip().lower() for cell in facts.cells(column)]
    if facts.kind(column) in ("number", "mixed", "date"):
        return
    names = {name[:3] for name in (*MONTHS, *WEEKDAYS) if name}
    odd = (
        _RANKED.search(plain(column))
        or facts.kind(column) not in ("text", "moment")
        or any(_DATE_LIKE.fullmatch(cell) for cell in cells if facts.kind(column) == "text")
        or (cells and all(cell[:3] in names for cell in cells))
        or (
            facts.kind(column) == "text"
            and any(re.search(r"\d", c) for c in cells)
            and len({len(c) for c in cells}) > 1
        )
    )
    if odd:
        raise UnclearError(f"How the values of {column} are ordered is not plain from how they are written.")


def _check_share(question: Question, facts: Facts) -> None:
    if "?" in question.columns:
        raise UnclearError(f"The total of which column is not said: {' or '.join(facts.measures())}.")
    check_count_by(question, facts)
    whole = facts.rows(facts.where(question.against))
    columns = {condition.column for condition in (*question.where, *question.either)}
    if question.groups and (columns or len(question.groups) > 1):
        raise UnclearError("A share by group is only worked out of all rows, by one column.")
    if not question.groups and not columns:
        raise NonsenseError("The question does not say the share of what.")
    if len(columns) > 1:
        raise NonsenseError(
            f"The share is under several conditions ({' and '.join(sorted(columns))}), and it is not clear of what; give one."
        )
    if question.columns:
        values = facts.ordered(whole, question.columns[0], False)
        if len(values) > 2 and values == list(range(int(values[0]), int(values[0]) + len(values))):
            raise UnclearError(
                f"{question.columns[0]} counts the rows, so a share can be one of rows or of its total; name rows."
            )
        if min(values, default=Decimal(0)) < 0 or not sum(values):
            raise UnclearError(f"The total of {question.columns[0]} has no shares: it is 0, or some of it is below 0.")
    if not whole:
        raise UnclearError("There are no rows to take a share of.")
