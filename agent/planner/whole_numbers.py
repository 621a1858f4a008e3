"""Questions on whole numbers: sums of many, primes and divisors, other numerals, ratios. Any thread; imported by the offline planner."""

import math
import re

from callboard.agent.planner.base import Plan, PlanRequest, call, call_plan, no_fit, own_plan, script
from callboard.agent.planner.reading import Reading, matched
from callboard.agent.skills._written import in_ascii

_MAX_CHARS = 200
_OPENING = re.compile(
    r"(?:(?:what(?:'s|s| is| are)|calculate|compute|find|work out|give me|tell me|list|convert|write|express|change|turn|show me)(?: the| all| all the)? |the )"
)
_N = r"\d{1,15}"
_KIND = r"(?:(?P<kind>even|odd) )?"
_NUMBERS = r"(?:(?:whole |natural |positive )?(?:numbers|integers))"
_RANGES = (
    rf"(?P<what>sum|total)(?: of)?(?: all)?(?: the)? {_KIND}(?:{_NUMBERS} )?(?:from )?(?P<a>{_N}) (?:to|through|up to|until) (?P<b>{_N})(?P<inclusive> inclusive)?",
    rf"(?P<what>add)(?: up)?(?: all)?(?: the)? {_KIND}{_NUMBERS} (?:from )?(?P<a>{_N}) (?:to|through|up to) (?P<b>{_N})(?P<inclusive> inclusive)?",
    rf"(?P<what>average|mean|product)(?: of)?(?: all)?(?: the)? {_KIND}{_NUMBERS} (?:from )?(?P<a>{_N}) (?:to|through) (?P<b>{_N})(?P<inclusive> inclusive)?",
    rf"(?P<what>sum|total|average|mean)(?: of)?(?: all)?(?: the)? {_KIND}{_NUMBERS} (?P<between>between) (?P<a>{_N}) and (?P<b>{_N})(?P<inclusive>,? inclusive)?",
    rf"how (?P<what>many) {_KIND}{_NUMBERS} (?:are )?(?:there )?(?:from (?P<a>{_N}) to|(?P<between>between) (?P<c>{_N}) and) (?P<b>{_N})(?P<inclusive>,? inclusive)?",
)
_FIRST = re.compile(
    rf"sum of (?:the )?first (?P<n>{_N}) (?P<kind>odd|natural|positive even|even positive|even|positive)(?: (?:numbers|integers|whole numbers))"
)
_PRIME = re.compile(rf"is (?P<n>{_N}) (?:a )?prime(?: number)?(?: or not)?")
_PRIMES_OF = re.compile(
    rf"(?:prime factors|prime factori[sz]ation|prime decomposition) (?:of|for) (?P<n>{_N})|factori[sz]e (?P<m>{_N})(?: into primes)?"
)
_DIVISORS = re.compile(rf"(?:factors|divisors) of (?P<n>{_N})|(?:numbers )?(?:that )?divide (?P<m>{_N}) evenly")
_DIVISIBLE = re.compile(rf"is (?P<a>{_N}) (?:divisible by|a multiple of) (?P<b>{_N})")
_PARITY = re.compile(rf"is (?P<n>{_N}) (?:an )?(?P<kind>even|odd)(?: number)?")
_RATIO = re.compile(
    rf"(?:simplify(?: the)?(?: ratio| fraction)?|reduce(?: the)?(?: ratio| fraction)?|ratio(?: of)?) (?P<a>{_N}) ?(?P<sign>:|/|to) ?(?P<b>{_N})(?: (?:simplified|in (?:its )?(?:simplest|lowest) (?:form|terms)|to (?:its )?(?:simplest|lowest) (?:form|terms)))?"
)
_SHARED = re.compile(
    rf"(?:divide|split|share) [$£€]?(?P<whole>{_N}(?:\.\d+)?) (?:in|into|by)(?: the| a)? ratio(?: of)? (?P<parts>{_N}(?: ?: ?{_N}){{1,5}})"
)
_NUMERALS = {
    "hex": "hexadecimal", "hexadecimal": "hexadecimal", "base 16": "hexadecimal", "binary": "binary", "base 2": "binary", "octal": "octal",
    "base 8": "octal", "decimal": "decimal", "base 10": "decimal", "denary": "decimal", "roman": "roman", "roman numerals": "roman",
    "roman numeral": "roman", "a roman numeral": "roman", "arabic numerals": "decimal", "a decimal number": "decimal", "arabic": "decimal",
}  # fmt: skip
_NAMES = "|".join(sorted(_NUMERALS, key=len, reverse=True))
_DIGITS = r"(?:0[xob][0-9a-f]{1,60}|[0-9a-f]{1,60}|[ivxlcdm]{1,15})"
_INTO = (
    rf"(?P<n>{_DIGITS})(?: (?P<from>{_NAMES}))? (?:in|to|into|as) (?P<to>{_NAMES})(?: (?:number|form|notation|system))?",
    rf"(?:the )?(?P<from>hex|hexadecimal|binary|octal|decimal|roman numeral|roman)(?: number)? (?P<n>{_DIGITS}) (?:in|to|into|as) (?P<to>{_NAMES})",
    rf"(?P<n>{_DIGITS}) from (?P<from>{_NAMES}) (?:in)?to (?P<to>{_NAMES})",
    rf"(?:the )?(?P<to>roman numeral|roman numerals|binary|hexadecimal|hex|octal|decimal)(?: number| form| equivalent| value| representation)? (?:of|for) (?:(?:the )?(?P<from>hex|hexadecimal|binary|octal|decimal|roman numeral)(?: number)? )?(?P<n>{_DIGITS})",
)
_PREFIXES = {"0x": "hexadecimal", "0o": "octal", "0b": "binary"}


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    line = reading.line
    if not line or len(line) > _MAX_CHARS or reading.fences:
        return None
    line = in_ascii(line)
    opening = _OPENING.match(line)
    for text in (line, line[opening.end() :]) if opening else (line,):
        for read in (_many, _divisors, _numerals, _ratio):
            plan = read(text, request)
            if plan:
                return plan
    return None


def _many(text: str, request: PlanRequest) -> Plan | None:
    if found := _FIRST.fullmatch(text):
        n, kind = found["n"], found["kind"]
        if kind == "even":
            raise no_fit(
                "The even numbers may begin at 0 or at 2: write 'positive even numbers', or from where to where."
            )
        sums = {"odd": f"{n} ^ 2", "natural": f"{n} * ({n} + 1) / 2", "positive": f"{n} * ({n} + 1) / 2"}
        return call_plan(request, "arithmetic", "calculate", sums.get(kind, f"{n} * ({n} + 1)"))
    found = matched(_RANGES, text)
    if not found:
        return None
    named = found.groupdict()
    first, last = int(named["a"] or named["c"]), int(named["b"])
    expression = _of_range(named["what"], named["kind"], first, last)
    if named.get("between") and not named["inclusive"]:
        inner = _of_range(named["what"], named["kind"], first + 1, last - 1)
        if inner != expression:
            raise no_fit(
                f"Whether {first} and {last} count is not said: write 'from {first} to {last}', or 'inclusive'."
            )
    if expression is None:
        raise no_fit(f"There are no such numbers from {first} to {last}.")
    return call_plan(request, "arithmetic", "calculate", expression)


def _of_range(what: str, kind: str | None, first: int, last: int) -> str | None:
    """Return what the numbers from the first to the last come to; None where there are none."""
    step = 2 if kind else 1
    first += kind is not None and first % 2 != (kind == "odd")
    last -= kind is not None and last % 2 != (kind == "odd")
    if first > last:
        return "0" if what == "many" else None
    if what == "product":
        return f"{last}! / {first - 1}!" if step == 1 and first else None
    count = f"({last} - {first}) / {step} + 1"
    if what == "many":
        return count
    mean = f"({first} + {last}) / 2"
    return mean if what in ("average", "mean") else f"{mean} * ({count})"


def _divisors(text: str, request: PlanRequest) -> Plan | None:
    for pattern, key in ((_PRIME, "isPrime"), (_PRIMES_OF, "primeFactors"), (_DIVISORS, "divisors")):
        if found := pattern.fullmatch(text):
            number = int(next(value for value in found.groups() if value))
            return call_plan(request, "arithmetic", "factorize", number, then=f"[{key!r}]")
    if found := _DIVISIBLE.fullmatch(text):
        return call_plan(request, "arithmetic", "calculate", f"{found['a']} % {found['b']}", then=" == 0")
    if found := _PARITY.fullmatch(text):
        rest = 0 if found["kind"] == "even" else 1
        return call_plan(request, "arithmetic", "calculate", f"{found['n']} % 2", then=f" == {rest}")
    return None


def _numerals(text: str, request: PlanRequest) -> Plan | None:
    found = matched(_INTO, text)
    if not found:
        return None
    number, to = found["n"], _NUMERALS[found["to"]]
    marked = _PREFIXES.get(number[:2])
    said = _NUMERALS[found["from"]] if found["from"] else None
    written = said or marked or ("decimal" if number.isdigit() else None)
    if written is None and to == "decimal" and re.fullmatch("[ivxlcdm]+", number):
        # `cd` and the like are hexadecimal digits as well
        written = "roman" if re.search("[ivxlm]", number) or "arabic" in found["to"] else None
    if marked and said not in (None, marked) and not (said == "hexadecimal" and marked == "binary"):
        return None
    if written is None:
        raise no_fit(f"What {number!r} is written in is not said: write 'hex {number}' or 'Roman numeral {number}'.")
    return call_plan(request, "arithmetic", "convert-number", number, to, written)


def _ratio(text: str, request: PlanRequest) -> Plan | None:
    if found := _RATIO.fullmatch(text):
        a, b = int(found["a"]), int(found["b"])
        if not a or not b:
            return None
        common = math.gcd(a, b)
        sign = "/" if found["sign"] == "/" else ":"
        return own_plan(repr(f"{a // common}{sign}{b // common}"), "arithmetic")
    found = _SHARED.fullmatch(text)
    if not found:
        return None
    parts = [int(part) for part in found["parts"].split(":")]
    if not sum(parts):
        return None
    calls = [call(request, "calculate", f"{found['whole']} * {part} / {sum(parts)}") for part in parts]
    return own_plan(script(f"[{', '.join(calls)}]", skills=("calculate",)), "arithmetic")
