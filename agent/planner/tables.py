"""Questions on CSV or JSON that the task brings along. Any thread; imported by the offline planner.

This module finds the data and makes the plan; `questions` reads what is asked.
"""

import re

from callboard.agent.planner.base import Plan, PlanRequest, no_fit
from callboard.agent.planner.reading import Reading

_MAX_QUESTION_CHARS = 600
_MAX_LINES_BEFORE = 20
_SAMPLE_LINES = 50
_DATA_TAGS = frozenset({"", "csv", "json", "tsv", "table", "markdown", "md", "text", "txt", "jsonl"})
_SAYS_DATA = re.compile(r"\b(?:csv|json|tsv|table|spreadsheet|dataset)\b", re.IGNORECASE)
_END_OF_WORDS = re.compile(r"[?!.]\s+|:\s*")
_JSON = re.compile(r"\[\s*\{|\{\s*\"")


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    found = find_data(reading)
    if found is None:
        return None
    words, data = found
    if len(words) > _MAX_QUESTION_CHARS or not words.strip():
        return None
    # PERF: as `_when_asked` of the offline planner: most tasks bring no table
    from callboard.agent.planner import table_plans
    from callboard.agent.planner.questions import CLUE, NotUnderstoodError, ask
    from callboard.agent.planner.table_facts import Facts, read_table

    said = bool(_SAYS_DATA.search(words))
    try:
        table = read_table(data)
    except ValueError as error:
        if said:
            raise no_fit(f"The data in this task cannot be read. {error}") from error
        return None
    try:
        question = ask(words, table)
    except NotUnderstoodError as error:
        is_table = reading.fences or (len(table.columns) > 1 and len(table.rows) > 1)
        asked = said or (is_table and (error.named or CLUE.search(words)))
        if not asked:
            return None
        raise no_fit(str(error)) from error
    return table_plans.plan(question, data, Facts(table), request)


def sample(data: str) -> str:
    """Return enough of the data to know its columns; JSON is read whole, and fast."""
    # PERF: reading 33,000 rows takes 60 ms, and the skill will do it anyway.
    if data[:1] in "[{":
        return data
    first = "\n".join(data.split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES])
    return data if first.count('"') % 2 else first  # a cell in quotes may go on for lines


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
            return _both(text[: start.start()], text[end:]), text[start.start() : end]
    return _lines(text) if "\n" in text else None


def _lines(text: str) -> tuple[str, str] | None:
    """Split off the first lines that all hold the separator their header has, and the words around them.

    The header may stand behind a colon on the question's own line. A line of words with a comma is no header, and none
    of the rows: `In IT, what is the average?`
    """
    lines = text.split("\n")
    starts = {delimiter: start for delimiter in ",;\t|" if (start := _first_row(lines, delimiter))}
    if not starts:
        return None
    delimiter, second = min(starts.items(), key=lambda item: item[1])
    before, header = _cut_header(lines[second - 1])
    words = " ".join([*lines[: second - 1], before])
    end = second
    while end < len(lines) and delimiter in lines[end]:
        end += 1
    if end - second > 1 and _is_prose(lines[end - 1], delimiter) and not _is_prose(lines[end - 2], delimiter):
        end -= 1
    if len(words) > _MAX_QUESTION_CHARS:
        return None
    after = " ".join(lines[end : end + _MAX_QUESTION_CHARS])
    return _both(words, after), "\n".join([header, *lines[second:end]])


def _first_row(lines: list[str], delimiter: str) -> int | None:
    for second in range(1, min(len(lines), _MAX_LINES_BEFORE)):
        if delimiter in lines[second] and _goes_with(lines, second, delimiter):
            header = _cut_header(lines[second - 1])[1]
            if not (
                _is_prose(header, delimiter)
                and not _has_number(lines[second], delimiter)
                and second + 1 < len(lines)
                and delimiter in lines[second + 1]
                and _goes_with(lines, second + 1, delimiter)
            ):
                return second
    return None


def _is_prose(line: str, delimiter: str) -> bool:
    """Tell a line of words that happens to hold a separator."""
    from callboard.agent.planner.questions import CLUE  # PERF: as above

    words = max(len(cell.split()) for cell in line.split(delimiter))
    return line.rstrip().endswith("?") or (words > 3 and bool(CLUE.search(line)) and not _has_number(line, delimiter))


def _has_number(line: str, delimiter: str) -> bool:
    return any(cell.strip().strip('"$€£%').replace(".", "").isdigit() for cell in line.split(delimiter))


def _both(before: str, after: str) -> str:
    """Return the words at both sides of the data, as two sentences where there are two."""
    before, after = before.strip().removesuffix(",").rstrip(), after.strip()
    return f"{before}{'' if before[-1] in '.?!:;,' else '.'} {after}" if before and after else before or after


def _cut_header(line: str) -> tuple[str, str]:
    """Return the words of a question and the header behind them, as in `the average of: name,price`."""
    found = list(_END_OF_WORDS.finditer(line))
    return (line[: found[-1].start()], line[found[-1].end() :]) if found else ("", line)


def _goes_with(lines: list[str], second: int, delimiter: str) -> bool:
    """Tell whether a line is the first row under a header, the line before it."""
    wanted = _cut_header(lines[second - 1])[1].count(delimiter)
    return wanted > 0 and (lines[second].count(delimiter) == wanted or '"' in lines[second])
