"""Durations: `how many minutes in 3 days`, `2 hours 30 minutes in seconds`. Any thread; imported by the offline planner."""

import re

from callboard.agent.planner.base import Plan, PlanRequest, call_plan, no_fit
from callboard.agent.planner.numbers import NUMBER, whole_number
from callboard.agent.planner.reading import Reading, matched
from callboard.agent.skills._written import RUN, is_clear, plain
from callboard.agent.skills.durations import UNITS

_NAMES = "|".join(sorted((name for name in UNITS if len(name) > 2), key=len, reverse=True))
_SHORT = "|".join(sorted(UNITS, key=len, reverse=True))
_AMOUNT = (
    rf"(?:{RUN} ?(?:{_SHORT})|half an? (?:{_NAMES})|{NUMBER} (?:{_NAMES})|(?:a|one) (?:single )?(?:{_NAMES}))(?![a-z])"
)
_SPAN = rf"(?P<span>{_AMOUNT}(?:(?:,? and |, | ?){_AMOUNT}){{0,5}})"
_UNIT = rf"(?P<unit>{_NAMES})"
_PATTERNS = (
    rf"(?:how many|number of|what is the number of) {_UNIT} (?:(?:are|is|do|does|make|makes|there|we|you|have|contained) ){{0,4}}(?:in|make up|make) {_SPAN}",
    rf"(?:how many|number of) {_UNIT} (?:is|are|does) {_SPAN}(?: have)?",
    rf"(?:(?:convert|change|turn|express|put|translate|what is|what's|what are|how long is|how much is|give me) )?{_SPAN} (?:in|to|into|as) {_UNIT}",
    rf"{_SPAN} (?:is|are|equals|equal|makes?|=) how many {_UNIT}",
)
_JOINT = re.compile(r",? and |, ")
_PIECE = re.compile(rf"({RUN}) ?({_SHORT})(?![a-z])|(half an?|{NUMBER}) (?:single )?({_NAMES})(?![a-z])")


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    line = reading.line
    if not line or len(line) > 200:
        return None
    found = matched(_PATTERNS, line)
    return found and call_plan(request, "duration", "convert-duration", _digits(found["span"]), UNITS[found["unit"]])


def _digits(span: str) -> str:
    """Return the span with its numbers in digits, as the skill reads it."""
    parts, clear = [], is_clear(span)
    for digits, short, words, name in _PIECE.findall(_JOINT.sub(" ", span)):
        amount = (digits and _plain(digits, clear)) or ("0.5" if words.startswith("half") else str(whole_number(words)))
        parts.append(f"{amount} {short or name}")
    return " ".join(parts)


def _plain(digits: str, clear: bool) -> str:
    try:
        return plain(digits, clear=clear)
    except ValueError as error:
        raise no_fit(f"{error}.") from error
