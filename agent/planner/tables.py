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
_MAX_LINES_BEFORE = 20
_SAMPLE_LINES = 50
_DATA_TAGS = frozenset({"", "csv", "json", "tsv", "table", "markdown", "md", "text", "txt", "jsonl"})
_SAYS_DATA = re.compile(r"\b(?:csv|json|tsv|table|spreadsheet|dataset)\b", re.IGNORECASE)
_END_OF_WORDS = re.compile(r"[?!.]\s+|:\s*")
_LOOSE_END = re.compile(r"(?:\s+(?:in|from|of|for|on|using|given|with))+\s*[:,]?\s*$", re.IGNORECASE)
_JSON = re.compile(r"\[\s*\{|\{\s*\"")


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    found = find_data(reading)
    if found is None:
        return None
    words, data = found
    if len(words) > _MAX_QUESTION_CHARS or not (CLUE.search(words) or _SAYS_DATA.search(words)):
        return None
    try:
        table = read_table(sample(data))
        question = ask(words, table, data)
    except ValueError as error:
        if _SAYS_DATA.search(words):
            raise no_fit(f"The data in this task cannot be read. {error}") from error
        return None
    if question is None:
        if not (_SAYS_DATA.search(words) or reading.fences or (len(table.columns) > 1 and len(table.rows) > 1)):
            return None
        raise no_fit(
            "The question on the data is not understood. Ask for a count, sum, average, median, minimum or maximum of "
            f"a column, by another column or where a column has some value; the columns are {_columns(table)}."
        )
    return _plan(question, data, table, request)


def sample(data: str) -> str:
    """Return enough of the data to know its columns; JSON is read whole, and fast."""
    # PERF: reading 33,000 rows takes 60 ms, and the skill will do it anyway.
    return data if data[:1] in "[{" else "\n".join(data.split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES])


def find_data(reading: Reading) -> tuple[str, str] | None:
    """Return the question and the data; the data is fenced, JSON in brackets, or lines that look like a table."""
    if reading.fences:
        fence = reading.fences[0]
        return (reading.outside, fence.content) if len(reading.fences) == 1 and fence.tag in _DATA_TAGS else None
    text = reading.ask
    start = _JSON.search(text)
    if start and start.start() <= _MAX_QUESTION_CHARS:
        end = max(text.rfind("]"), text.rfind("}")) + 1
        if end > start.start():
            return f"{_LOOSE_END.sub('', text[: start.start()])} {text[end:]}", text[start.start() : end]
    return _lines(text) if "\n" in text else None


def _lines(text: str) -> tuple[str, str] | None:
    """Split off the first lines that all hold the separator their header has, and the words around them.

    The header may stand behind a colon on the question's own line.
    """
    lines = text.split("\n")
    for delimiter in ",;\t|":
        for second in range(1, min(len(lines), _MAX_LINES_BEFORE)):
            if delimiter in lines[second] and _goes_with(lines, second, delimiter):
                break
        else:
            continue
        before, header = _cut_header(lines[second - 1])
        words = " ".join([*lines[: second - 1], before])
        end = second
        while end < len(lines) and delimiter in lines[end]:
            end += 1
        if len(words) > _MAX_QUESTION_CHARS:
            return None
        after = " ".join(lines[end : end + _MAX_QUESTION_CHARS])
        return f"{_LOOSE_END.sub('', words)} {after}".strip(), "\n".join([header, *lines[second:end]])
    return None


def _cut_header(line: str) -> tuple[str, str]:
    """Return the words of a question and the header behind them, as in `the average of: name,price`."""
    found = list(_END_OF_WORDS.finditer(line))
    return (line[: found[-1].start()], line[found[-1].end() :]) if found else ("", line)


def _goes_with(lines: list[str], second: int, delimiter: str) -> bool:
    """Tell whether a line is the first row under a header, the line before it."""
    wanted = _cut_header(lines[second - 1])[1].count(delimiter)
    return wanted > 0 and (lines[second].count(delimiter) == wanted or '"' in lines[second])


def _columns(table: Table) -> str:
    return ", ".join(table.columns)[:500]


def _plan(question: Question, data: str, table: Table, request: PlanRequest) -> Plan:
    operation = question.operations[0]
    if operation == "columns":
        return Plan(code=repr(list(table.columns)), intent="table")
    if operation == "columnCount":
        return Plan(code=repr(len(table.columns)), intent="table")
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
    rows = call(request, _SKILL, data, "rows", **options)
    asked, deciding = repr(question.column), repr(question.sort_by)
    # Functions instead of variables, which would stay in the session.
    best = f"lambda rows: [row.get({asked}) for row in rows if row.get({deciding}) == rows[0].get({deciding})]"
    return _of(f"(lambda best: best[0] if len(best) == 1 else best)(\n    ({best})(\n        {rows}\n    )\n)")


def _of(expression: str) -> Plan:
    return Plan(code=script(expression, skills=(_SKILL,)), intent="table")


def _given(**options: str | int | bool | None) -> dict[str, str | int | bool]:
    """Leave out what is not asked for, so that the code reads as a person would write it."""
    return {name: value for name, value in options.items() if value is not None and value is not False}
