"""Questions on CSV or JSON that the task brings along. Any thread; imported by the offline planner.

This module finds the data and makes the plan; `questions` reads what is asked.
"""

import re

from callboard.agent.planner.base import Plan, PlanRequest, call, no_fit, script
from callboard.agent.planner.questions import CLUE, Question, ask
from callboard.agent.planner.reading import Reading
from callboard.agent.skills._tables import Table, read_table

_SKILL = "query-table"
_MAX_QUESTION_CHARS = 600
_DATA_TAGS = frozenset({"", "csv", "json", "tsv", "table", "markdown", "md", "text", "txt", "jsonl"})
_SAYS_DATA = re.compile(r"\b(?:csv|json|tsv|table|spreadsheet|dataset)\b", re.IGNORECASE)
_JSON = re.compile(r"\[\s*\{|\{\s*\"")


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    found = _find(reading)
    if found is None:
        return None
    words, data = found
    if len(words) > _MAX_QUESTION_CHARS or not CLUE.search(words):
        return None
    try:
        table = read_table(data)
    except ValueError as error:
        if _SAYS_DATA.search(words):
            raise no_fit(f"The data in this task cannot be read. {error}") from error
        return None
    if not table.rows and not _SAYS_DATA.search(words):
        return None
    question = ask(words, table)
    if question is None:
        if not (_SAYS_DATA.search(words) or reading.fences or (len(table.columns) > 1 and len(table.rows) > 1)):
            return None
        raise no_fit(
            "The question on the data is not understood. Ask for a count, sum, average, median, minimum or maximum of "
            f"a column, by another column or where a column has some value; the columns are {_columns(table)}."
        )
    return _plan(question, data, table, request)


def _find(reading: Reading) -> tuple[str, str] | None:
    """Return the question and the data; the data is fenced, JSON in brackets, or lines that look like a table."""
    if reading.fences:
        fence = reading.fences[0]
        return (reading.outside, fence.content) if len(reading.fences) == 1 and fence.tag in _DATA_TAGS else None
    text = reading.ask
    start = _JSON.search(text)
    if start and start.start() <= _MAX_QUESTION_CHARS:
        end = max(text.rfind("]"), text.rfind("}")) + 1
        if end > start.start():
            return f"{text[: start.start()]} {text[end:]}", text[start.start() : end]
    return _lines(text) if "\n" in text else None


def _lines(text: str) -> tuple[str, str] | None:
    """Split off the longest run of lines that all hold as many separators as the first of them.

    The header may stand behind a colon on the question's own line.
    """
    lines = text.split("\n")
    for delimiter in ",;\t|":
        counts = [line.count(delimiter) for line in lines]
        second = next((n for n in range(1, min(len(lines), 20)) if counts[n] and _goes_with(counts, lines, n, delimiter)), None)
        if second is None:
            continue
        before, colon, header = lines[second - 1].rpartition(": ")
        if not colon and ":" in lines[second - 1]:
            before, colon, header = lines[second - 1].rpartition(":")
        words = [*lines[: second - 1], before] if colon else lines[: second - 1]
        header = header if colon else lines[second - 1]
        end = second
        while end < len(lines) and counts[end]:
            end += 1
        return " ".join([*words, *lines[end:]]).strip(), "\n".join([header, *lines[second:end]])
    return None


def _goes_with(counts: list[int], lines: list[str], n: int, delimiter: str) -> bool:
    """Tell whether line `n` is the first row under a header, the line before it."""
    header = lines[n - 1].rpartition(":")[2] if ":" in lines[n - 1] else lines[n - 1]
    return header.count(delimiter) > 0 and (counts[n] == header.count(delimiter) or '"' in lines[n])


def _columns(table: Table) -> str:
    return ", ".join(table.columns)[:500]


def _plan(question: Question, data: str, table: Table, request: PlanRequest) -> Plan:
    operation = question.operations[0]
    if operation == "columns":
        return Plan(code=repr(list(table.columns)), intent="table")
    if operation == "columnCount":
        return Plan(code=repr(len(table.columns)), intent="table")
    if operation == "distinctCount":
        asked = call(request, _SKILL, data, "distinct", **_given(column=question.column, where=question.where))
        return _of(f"len({asked})")
    if operation in ("argmax", "argmin"):
        return _extreme(question, data, request)
    options = _given(
        column=question.column,
        group_by=question.group_by,
        where=question.where,
        sort_by=question.sort_by,
        descending=question.descending,
        limit=question.limit,
    )
    if len(question.operations) == 1:
        return _of(call(request, _SKILL, data, operation, **options))
    parts = [f"{name!r}: {call(request, _SKILL, data, name, **options)}" for name in question.operations]
    return _of("{" + ", ".join(parts) + "}")


def _extreme(question: Question, data: str, request: PlanRequest) -> Plan:
    """Plan `which product has the highest price`: one value, or a list of those that share the extreme."""
    descending = question.operations == ("argmax",)
    options = _given(where=question.where, sort_by=question.sort_by, descending=descending)
    lines = [
        f"_rows = {call(request, _SKILL, data, 'rows', **options)}",
        f"_best = [row.get({question.column!r}) for row in _rows if row.get({question.sort_by!r}) == _rows[0].get({question.sort_by!r})]",
        "_best[0] if len(_best) == 1 else _best",
    ]
    return Plan(code=script(*lines, skills=(_SKILL,)), intent="table")


def _of(expression: str) -> Plan:
    return Plan(code=script(expression, skills=(_SKILL,)), intent="table")


def _given(**options: str | int | bool | None) -> dict[str, str | int | bool]:
    """Leave out what is not asked for, so that the code reads as a person would write it."""
    return {name: value for name, value in options.items() if value is not None and value is not False}
