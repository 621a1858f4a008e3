"""Arithmetic as people write it: `What is 12 times 7?`, `15% of 80`, `(17 + 4) * 2`, `square root of 144`.

Signs alone go to `calculate` as they stand, so that a slip gets its error; words are translated first. Any thread;
imported by the offline planner.
"""

import re

from callboard.agent.planner.base import Plan, PlanRequest, call_plan, no_fit
from callboard.agent.planner.phrases import to_expression
from callboard.agent.planner.reading import Reading
from callboard.agent.skills._written import check_points, in_ascii

_OPENING = re.compile(
    r"(?:what(?:'s|s| is| are| does| do| would| will)\b|how (?:much|many) (?:is|are|does|do|would|will)\b|(?:the )?answer to\b|"
    r"what (?:do|would|will) (?:you|i|we) get (?:if|when) (?:you|i|we)\b|know (?:what|how much)\b|"
    r"(?:calculate|calc|compute|eval|evaluate|work out|solve|find|determine|tell me|give me|show me|do)\b|"
    r"the (?:result|value|answer) (?:of|to|for)\b|what\b(?= \d)|math(?:s)?:|=)[\s:,]*"
)
_CLOSINGS = (
    " together",
    " please",
    " thanks",
    " thank you",
    " for me",
    " equal to",
    " equals",
    " equal",
    " make",
    " come to",
    " be",
    " is",
    "=",
)
_SIGNS_ONLY = re.compile(r"[\d\s.,+\-*/^%!()x]+")
_BINARY = re.compile(r"[\d)!%]\.?\s*(?:[-+*/^x]|%(?=\s*[\d(]))|\d!")
_DATE_LIKE = re.compile(r"\s*(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4})\s*")
# Signs between digits that are no arithmetic: dates, telephone numbers, hexadecimal numbers.
_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE_INSIDE = re.compile(
    rf"(?<![\d.])(?:{_YEAR}([-/.]){_MONTH}\1{_DAY}|(?:{_DAY}([-/.]){_MONTH}\2|{_MONTH}([-/.]){_DAY}\3){_YEAR})(?!\.?\d)"
    rf"|(?<![^\s(,])(?:{_DAY}([-/.]){_MONTH}\4|{_MONTH}([-/.]){_DAY}\5)\d\d(?![^\s),])"
)
_TELEPHONE = re.compile(r"\+?(?:\d{1,3}[- ])?(?:\(\d{3}\) ?|\d{3}[- ])?\d{3}-\d{4}|\d{3}-\d{2}-\d{4}|0\d+(?:-\d+)+")
_HEXADECIMAL = re.compile(r"(?<![\w.])0x[\da-f]")
_DIGIT_OR_SIGN = re.compile(r"[\d+*/^%√]")
_MAX_WORDED_CHARS = 400


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    if reading.fences:
        return None
    text = _bare(in_ascii(reading.ask))
    if text is not None:
        try:
            check_points(text)
        except ValueError as error:
            raise no_fit(f"{error}.") from error
    if text is None or _DATE_INSIDE.search(text) or _HEXADECIMAL.search(text) or _TELEPHONE.fullmatch(text.strip()):
        return None
    if _SIGNS_ONLY.fullmatch(text):
        if _BINARY.search(text) and not _DATE_LIKE.fullmatch(text) and any(map(str.isdigit, text)):
            return call_plan(request, "arithmetic", "calculate", text.replace("x", "*").strip())
        return None
    if len(text) > _MAX_WORDED_CHARS:
        return None
    # `12 times 7!` may be a factorial or an exclamation: neither is taken for granted.
    if text.endswith("!") and " " in text and not _SIGNS_ONLY.fullmatch(text.split()[-2]):
        return None
    expression = to_expression(" ".join(_unhyphenated(text).split()))
    return None if expression is None else call_plan(request, "arithmetic", "calculate", expression)


def _bare(text: str) -> str | None:
    """Return the text without what opens and closes a question, in lower case; None if it cannot be arithmetic."""
    if len(text) > _MAX_WORDED_CHARS and not _SIGNS_ONLY.fullmatch(text, 20, len(text) - 2):
        return None
    text = text.lower().strip()
    for _ in range(3):
        found = _OPENING.match(text)
        if not found:
            break
        text = text[found.end() :]
    text = text.rstrip(" .").removesuffix("?!").rstrip(" ?.")
    for closing in _CLOSINGS:
        text = text.removesuffix(closing).rstrip(" ?.,")
    return text


_HYPHEN = re.compile(r"(?<=[a-z])-(?=[a-z])")


def _unhyphenated(text: str) -> str:
    return _HYPHEN.sub(" ", text)
