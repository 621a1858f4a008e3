"""Sums of everyday life: tips, bills that are split, discounts, taxes, interest. Any thread; imported by the offline planner.

What is asked for has to be said: a tip is the tip, and a total the total. Where two sums could be meant, such as a
`20% discount on 80`, there is no pattern, or a refusal that names both.
"""

import re

from callboard.agent.planner.base import Plan, PlanRequest, call_plan, no_fit
from callboard.agent.planner.numbers import whole_number
from callboard.agent.planner.reading import Reading, matched
from callboard.agent.skills._written import RUN, check_points, in_ascii, is_clear, plain

_MAX_CHARS = 200
_COUNT = r"(?P<n>\d{1,4}|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_MONEY = rf"(?P<sign>[$£€¥]?) ?(?P<m>{RUN})(?: (?:dollars?|euros?|pounds|bucks|usd|eur|gbp))?"
_PERCENT = rf"(?P<p>{RUN}) ?(?:%|percent|per cent|pct)"
_A = r"(?:(?:a|an|the|my|our) )?"
_BILL = r"(?:bill|meal|dinner|lunch|breakfast|check|tab|order|restaurant bill|item|purchase)"
_SUM = rf"{_A}(?:{_BILL} of )?{_MONEY}(?: {_BILL})?"
_OFF = r"(?:discount|off|reduction)"
_TAX = r"(?:vat|gst|sales tax|tax)"
_PEOPLE = (
    rf"(?:(?:between|among|amongst|by|across) |(?=\S+ ways)){_COUNT}(?: (?:people|persons|friends|ways|guests|of us))?"
)
_PER = r"(?:per year|a year|per annum|annually|yearly|p\.a\.?|compounded (?:annually|yearly|once a year)|annual interest|a year compounded annually)"
_YEARS = r"(?:for|over|after) (?P<y>\d{1,3}|two|three|four|five|six|seven|eight|nine|ten) years?"
_PRICE = r"(?:(?:sale|final|discounted|new|reduced|total) )?(?:price|cost)"
_TOTAL = r"(?:(?:final|grand|full|overall) )?(?:total|amount)(?: (?:bill|amount|cost|price|to pay|payable))?"
_TIMES = {"annually": 1, "yearly": 1, "quarterly": 4, "monthly": 12, "daily": 365}
_OPENING = re.compile(
    r"(?:what(?:'s|s| is| are| would be| will be)|how much (?:is|are|would be|will be)|calculate|compute|find|work out|give me|tell me|figure out|determine)(?: the| a| an)? "
)

_TEMPLATES = (
    ("{p}% * {m}", (
        rf"{_A}{_PERCENT} (?:tip|gratuity) (?:on|for|of) {_SUM}",
        rf"{_A}{_PERCENT} {_TAX} (?:on|of) {_SUM}",
        rf"(?:how much )?(?:should i |do i |to )?tip (?:on|for) {_SUM} (?:at|of|with) {_PERCENT}",
        rf"how much (?:do i|would i|will i|can i) save (?:on {_SUM} )?(?:with|at|if it is|when it is) {_A}{_PERCENT} {_OFF}",
        rf"how much (?:do i|would i|will i|can i) save with {_A}{_PERCENT} {_OFF}(?: of| on)? {_SUM}",
    )),
    ("{m} + {p}%", (
        rf"{_TOTAL} (?:for |of |on )?{_SUM} (?:with|plus|after|and) {_A}{_PERCENT} (?:tip|gratuity|{_TAX})",
        rf"{_TOTAL} (?:with|including|after|plus) {_A}{_PERCENT} (?:tip|gratuity|{_TAX}) (?:on|for) {_SUM}",
        rf"{_SUM} (?:with|plus|and) {_A}{_PERCENT} (?:tip|gratuity|sales tax)(?:,? (?:total|in total|altogether))?",
        rf"{_SUM} plus {_PERCENT} {_TAX}",
        rf"add {_A}{_PERCENT} (?:tip|gratuity|{_TAX}) to {_SUM}",
        rf"gross(?: price| amount)? (?:of|for) {_MONEY} (?:at|with|plus) {_PERCENT} {_TAX}",
    )),
    ("{m} - {p}%", (
        rf"{_SUM} (?:with|after|at|less|minus) {_A}{_PERCENT} {_OFF}",
        rf"{_PRICE} (?:of |for )?{_SUM} (?:after|with|at) {_A}{_PERCENT} {_OFF}",
        rf"{_PRICE} (?:after|with) {_A}{_PERCENT} {_OFF} (?:of |on |from )?{_SUM}",
        rf"(?:apply|give) {_A}{_PERCENT} {_OFF} (?:to|on) {_SUM}",
        rf"take {_PERCENT} off (?:of )?{_SUM}",
    )),
    ("{m} / (1 + {p}%)", (
        rf"remove {_PERCENT} {_TAX} from {_SUM}",
        rf"net(?: price| amount)? (?:of|for) {_MONEY} (?:including|incl\.?|with) {_PERCENT} {_TAX}",
        rf"{_MONEY} (?:including|incl\.?) {_PERCENT} {_TAX},? (?:net|without (?:the )?{_TAX}|before {_TAX})",
        rf"(?:price|amount) (?:without|before|excluding) {_TAX} (?:of|if) {_MONEY} (?:including|includes|incl\.?) {_PERCENT}(?: {_TAX})?",
    )),
    ("{m} - {m} / (1 + {p}%)", (
        rf"(?:how much )?{_TAX} (?:is )?(?:in|included in|contained in) {_MONEY} (?:at|including|incl\.?) {_PERCENT}(?: {_TAX})?",
    )),
    ("{m} / {n}", (
        rf"(?:split|divide|share) {_SUM} {_PEOPLE}",
        rf"{_SUM} (?:split|divided|shared) {_PEOPLE}",
        rf"how much (?:does|do|will|would|should) each(?: person| of us)? (?:pay|owe) (?:if|when) {_COUNT} (?:people |friends |of us )?(?:split|share) {_SUM}",
    )),
    ("({m} + {p}%) / {n}", (
        rf"(?:split|divide|share) {_SUM} (?:with|plus|and) {_A}{_PERCENT} tip {_PEOPLE}",
        rf"(?:split|divide|share) {_SUM} {_PEOPLE} (?:with|plus) {_A}{_PERCENT} tip",
        rf"{_SUM} (?:with|plus) {_A}{_PERCENT} tip,? (?:split|divided|shared) {_PEOPLE}",
        rf"how much (?:does|do|will|would|should) each(?: person| of us)? (?:pay|owe) (?:if|when) {_COUNT} (?:people |friends |of us )?(?:split|share) {_SUM} (?:with|plus) {_A}{_PERCENT} tip",
    )),
    ("{m} * {p}% * {y}", (
        rf"simple interest (?:on|of|for) {_MONEY} at {_PERCENT}(?: interest)?(?: {_PER})? {_YEARS}",
    )),
    ("{m} * (1 + {p}%) ^ {y} - {m}", (
        rf"compound interest (?:on|of|for) {_MONEY} at {_PERCENT}(?: interest)?,? {_PER} {_YEARS}",
        rf"compound interest (?:on|of|for) {_MONEY} at {_PERCENT}(?: interest)? {_YEARS},? compounded (?:annually|yearly)",
    )),
    ("{m} * (1 + {p}% / {k}) ^ ({k} * {y})", (
        rf"(?:value of )?{_MONEY} (?:invested )?at {_PERCENT}(?: interest)?(?: {_PER})?,? compounded (?P<k>{'|'.join(_TIMES)}),? {_YEARS}",
    )),
    ("{m} / {w} * 100", (
        rf"{_MONEY} out of (?P<w>{RUN}) (?:as|in) (?:a |an )?(?:%|percent|percentage|per cent)",
    )),
)  # fmt: skip
_TWO_MEANINGS = re.compile(rf"{_A}{_PERCENT} discount (?:on|of|for|from) {_SUM}")
_CLUE = re.compile(r"%|\bper ?cent|\bpct\b|\b(?:split|divide|share)d?\b")


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    line = reading.line
    if not line or len(line) > _MAX_CHARS or not _CLUE.search(line):
        return None
    line = in_ascii(line)
    try:
        check_points(line)
    except ValueError as error:
        raise no_fit(f"{error}.") from error
    opening = _OPENING.match(line)
    texts = [line, line[opening.end() :]] if opening else [line]
    for text in texts:
        for template, patterns in _TEMPLATES:
            if found := matched(patterns, text):
                return call_plan(request, "arithmetic", "calculate", _filled(template, found, line))
        if _TWO_MEANINGS.fullmatch(text):
            raise no_fit(
                "A discount may be what is taken off or what is left to pay. Write '20% of 80' for the one, or "
                "'20% off 80' for the other."
            )
    return None


def _filled(template: str, found: re.Match[str], line: str) -> str:
    """Return the expression with the numbers that were found."""
    named, clear = found.groupdict(), is_clear(line)
    money = named.get("sign") in ("$", "£", "¥")
    try:
        values = {
            name: _TIMES[value]
            if name == "k"
            else (whole_number(value) if value.isalpha() else plain(value, clear=clear, money=money and name == "m"))
            for name, value in named.items()
            if value and name != "sign"
        }
    except ValueError as error:
        raise no_fit(f"{error}.") from error
    return template.format(**values)
