"""Units: `how many feet in 3 miles`, `100 F in C`, `5'11" in cm`. Any thread; imported by the offline planner.

Durations have a family of their own. Case is kept, since MB and Mb differ.
"""

import re

from callboard.agent.planner.base import Plan, PlanRequest, call_plan
from callboard.agent.planner.numbers import WORDS, whole_number
from callboard.agent.planner.reading import Reading, matched
from callboard.agent.skills._units import AMOUNT, feet_and_inches, meanings, names
from callboard.agent.skills._written import in_ascii

_MAX_CHARS = 200
_NAMES = names()
_WORD = rf"(?:{'|'.join(sorted(WORDS, key=len, reverse=True))})"
_SPELLED = rf"(?:half an?|an?|{_WORD}(?:[ -](?:and )?{_WORD}){{0,6}})"
_END = r"(?![\w^/])"
_UNIT = rf"(?P<unit>{_NAMES})\.?{_END}"
_PART = rf"(?:{AMOUNT}[ -]?|{_SPELLED} (?:single )?)(?:{_NAMES}){_END}"
_QUANTITY = rf"(?P<quantity>{_PART}(?:(?:,? and |, | ?){AMOUNT}[ -]?(?:{_NAMES}){_END}){{0,2}})"
_ASK = (
    r"(?:(?:please )?(?:convert|change|turn|express|put|translate|what is|what's|whats|what are|what would|give me|calculate|work out|tell me|show me|"
    r"how (?:much|many|long|tall|far|heavy|big|hot|cold|warm|fast|high|wide|deep|large) (?:is|are)|the (?:value|size|length|weight|height) of) )*"
)
_PATTERNS = tuple(
    f"(?i:{pattern})"
    for pattern in (
        rf"{_ASK}{_QUANTITY} (?:be )?(?:in|to|into|as|expressed in|converted to|is how many|are how many|equals how many|equal to how many|= how many|= \?) {_UNIT}",
        rf"(?:convert (?:it )?)?(?:how (?:many|much)|(?:what is )?the number of|number of) {_UNIT} (?:(?:are|is|do|does|make|makes|there|we|you|have|equal|equals|contained|fit|go|inside) ){{0,4}}(?:in |into |make up |make |up )?{_QUANTITY}(?: have| make| contain| equal)?",
        rf"{_ASK}{_UNIT} in {_QUANTITY}",
        rf"(?:convert|express|give me|put) (?:to|into|in) {_UNIT}:? {_QUANTITY}",
    )
)
_SPELLED_FIRST = re.compile(rf"(?P<word>{_SPELLED}) (?:single )?(?=(?:{_NAMES}){_END})", re.IGNORECASE)
_CLUE = re.compile(r"\b(?:in|to|into|as|how|number)\b", re.IGNORECASE)


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    ask = reading.ask
    if reading.fences or len(ask) > _MAX_CHARS or not _CLUE.search(ask):
        return None
    text = feet_and_inches(" ".join(in_ascii(ask).split())).rstrip(" ?.!=")
    text = re.sub(r",? (?:please|thanks|thank you|for me)$", "", text, flags=re.IGNORECASE).rstrip(" ?.!")
    found = matched(_PATTERNS, text)
    if not found or not meanings(found["unit"]):
        return None
    return call_plan(request, "units", "convert-units", _digits(found["quantity"]), found["unit"])


def _digits(quantity: str) -> str:
    """Return the quantity with its first number in digits, as the skill reads it."""
    found = _SPELLED_FIRST.match(quantity)
    if not found:
        return quantity
    word = found["word"].lower()
    number = "0.5" if word.startswith("half") else str(whole_number(word))
    return f"{number} {quantity[found.end() :]}"
