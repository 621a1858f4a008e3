"""Code that the task brings along, to be analysed: `Review this JavaScript: …`. Any thread; imported by the offline planner."""

import re

from callboard.agent.planner.base import Plan, PlanRequest, call_plan, no_fit
from callboard.agent.planner.reading import Reading, find_material
from callboard.agent.planner.wishes import behind_code, beside_code
from callboard.agent.skills._languages import find_language

_HEAD_CHARS = 300
_VERB = re.compile(
    r"\b(?:(?:re-?)?analy[sz]e|review|check|inspect|audit|lint|rate|score|assess|critique|judge|grade|static analysis|code[- ]analysis|code[- ]review"
    r"|(?:find|look for|spot|are there|detect|list|show)(?: [\w-]+){0,3} (?:bugs?|problems?|issues?|errors?|mistakes?|code smells|vulnerabilities)"
    r"|what(?:'s| is) wrong with|anything wrong with|(?:cyclomatic )?complexity of|how (?:good|complex|clean) is|quality of)\b",
    re.IGNORECASE,
)
_LANGUAGE = r"python3?|javascript|js|typescript|ts|java|c\+\+|cpp|c#|csharp|golang|go|rust|ruby|php|swift|kotlin|scala|lua|perl|objective-c|c|r"
_NOUN = r"code|function|method|class|script|snippet|program|module|file|source|component|implementation"
_NAMED = re.compile(
    rf"\b(?:this|following|the|my|some|of|a|in|is)\s+(?:piece of |bit of |block of )?(?P<a>{_LANGUAGE})(?![\w+#])(?=\s*(?:(?:{_NOUN})\b|[:\n,.]|$))"
    rf"|(?<![\w+#])(?P<b>{_LANGUAGE})\s+(?:{_NOUN})\b",
    re.IGNORECASE,
)
_CODE = re.compile(rf"\b(?:{_NOUN})\b", re.IGNORECASE)
_NO_TAG = frozenset({"", "text", "txt", "plaintext", "plain", "code", "output"})
_DATA_TAGS = frozenset({"csv", "json", "tsv", "text", "txt", "markdown", "md"})


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    head = reading.outside[:_HEAD_CHARS]
    instruction = head if reading.fences else re.split(r":(?!\S)|:(?=```)|\n", head, maxsplit=1)[0]
    verb = _VERB.search(instruction)
    if not verb:
        return None
    named, says_code = named_language(instruction)
    if (reading.fences or says_code) and (wish := beside_code(reading.outside if reading.fences else instruction)):
        raise no_fit(f"Code can be analysed here, and nothing else asked of it: {wish!r} is not understood.")
    if reading.fences:
        return review(reading, request, named, says_code=says_code)
    if verb.start() > 40 or not says_code:
        return None
    material = find_material(reading, verb.end())
    if material is None or not material.content.strip():
        raise no_fit(
            "There is no code to analyse in this task. Put the code itself behind the request, best between ``` marks, "
            "or attach a file; the built-in planner cannot look back at earlier tasks."
        )
    if not material.marked and (wish := behind_code(material.content)):
        raise no_fit(f"{wish!r} may be code or a wish. Put the code between ``` marks.")
    return _plan(request, material.content, named)


def named_language(instruction: str) -> tuple[str | None, bool]:
    """Return the language that the words name, if any, and whether they speak of code at all."""
    named = _NAMED.search(instruction)
    return (named[named.lastgroup or "a"] if named else None), bool(named or _CODE.search(instruction))


def review(reading: Reading, request: PlanRequest, named: str | None = None, *, says_code: bool = False) -> Plan | None:
    """Return the plan to analyse the fenced code; None if it is fenced as data and not said to be code."""
    tag = reading.fences[0].tag
    if tag in _DATA_TAGS and not says_code:
        return None
    language = named if named and tag in _NO_TAG else tag
    code = "\n\n".join(fence.content for fence in reading.fences)
    return _plan(request, code, language if language not in _NO_TAG else None)


def _plan(request: PlanRequest, code: str, language: str | None) -> Plan:
    if language is None:
        return call_plan(request, "code-analysis", "code-analysis", code)
    known = find_language(language)
    return call_plan(request, "code-analysis", "code-analysis", code, known.name if known else language)
