"""Code to be scanned for weaknesses, and texts for credentials: `Security audit of this Python: …`, `Find secrets in: …`.

Any thread; imported by the offline planner.
"""

import re

from callboard.agent.planner.base import Plan, PlanRequest, call_plan, no_fit
from callboard.agent.planner.code import named_language
from callboard.agent.planner.reading import Reading, find_material, quoted
from callboard.agent.planner.wishes import behind_code, beside_code
from callboard.agent.skills._languages import find_language, guess_language

_HEAD_CHARS = 300
_WEAK = re.compile(
    r"\bsecurity[- ](?:scan|audit|review|check|analysis|assessment|test|report|issues?|problems?|holes?|flaws?|bugs?|risks?|weaknesses|vulnerabilit\w+)\b"
    r"|\b(?:scan|audit|check|review|analy[sz]e|inspect|assess|test)\b[^.?!\n]{0,80}\b(?:security|vulnerabilit\w+|injections?)\b"
    r"|\b(?:find|look for|spot|detect|list|show|report|are there|is there|any)\b[^.?!\n]{0,40}\b(?:vulnerabilit\w+|security)\b"
    r"|\b(?:is|are) (?:this|the|my|these)\b[^.?!\n]{0,40}\b(?:secure|vulnerable|insecure|exploitable)\b|\bhow secure (?:is|are)\b",
    re.IGNORECASE,
)
_THING = r"(?:(?:leaked|exposed|committed|hard-?coded|any|the)\s+)*(?:secrets?|credentials?|passwords|passphrases|(?:api|access|private|secret)[- ]keys?|(?:access |api )?tokens|keys)"
_THINGS = rf"{_THING}(?:(?:\s*,\s*(?:and |or )?|\s+(?:and|or)\s+){_THING})*"
_WHICH = r"(?:(?:this|these|that|the|following|my|our|given|attached)\s+)*"
_TEXT = rf"{_WHICH}(?:[a-z+#.]+\s+)?(?:texts?|files?|code|logs?|snippet|script|config(?:uration)?|settings|diff|commit|message|yaml|json|toml|env|source|notes?|document|it|here|this)(?:\s+(?:file|below|above|here|code|text|output))*"
_SECRETS = re.compile(
    rf"(?:find|look for|search for|detect|spot|scan for|check for|are there|is there|do you see)\s+(?:(?:any|all|some)\s+)*{_THINGS}(?:\s+(?:in|inside|within|hidden in|left in)\s+{_TEXT})?"
    rf"|(?:scan|check|search|audit|inspect|review)\s+{_TEXT}\s+for\s+(?:(?:any|all|some)\s+)*{_THINGS}"
    rf"|does\s+{_TEXT}\s+(?:contain|have|leak|expose)\s+(?:(?:any|some)\s+)*{_THINGS}"
)


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    return _secrets(reading, request) or _weaknesses(reading, request)


def _secrets(reading: Reading, request: PlanRequest) -> Plan | None:
    material = find_material(reading, 0)
    before = reading.line if reading.fences or material is None else material.before
    if not _SECRETS.fullmatch(" ".join(before.lower().split()).rstrip(" ?.!:,")):
        return None
    if material is None or not material.content.strip():
        raise no_fit(
            "There is no text to search in this task. Put the text itself behind the request, best between ``` marks, "
            "or attach a file; the built-in planner cannot look back at earlier tasks."
        )
    material = quoted(material)
    wish = material.after.strip(" .!?") if material.marked else behind_code(material.content)
    if wish:
        raise no_fit(
            f"A text can be searched for credentials, and nothing else asked of it: {wish!r} is not understood."
        )
    return call_plan(request, "find-secrets", "find-secrets", material.content)


def _weaknesses(reading: Reading, request: PlanRequest) -> Plan | None:
    """Plan a scan of Python; code in other languages is left to the analysis of code."""
    material = find_material(reading, 0)
    if material is None or not material.content.strip():
        return None
    instruction = reading.outside[:_HEAD_CHARS] if reading.fences else material.before
    named, says_code = named_language(instruction)
    if not _WEAK.search(instruction) or not (reading.fences or says_code):
        return None
    if wish := beside_code(reading.outside if reading.fences else instruction):
        raise no_fit(f"Code can be scanned here, and nothing else asked of it: {wish!r} is not understood.")
    return scan(reading, material.content, request, named)


def scan(reading: Reading, code: str, request: PlanRequest, named: str | None = None) -> Plan | None:
    """Return the plan to scan the code if it is Python, by its fences, by its name, or by its looks."""
    tags = {fence.tag for fence in reading.fences} - {"", "text", "txt", "code"}
    name = next(iter(tags)) if len(tags) == 1 else named if not tags else ""
    language = find_language(name) if name else guess_language(code) if name is None else None
    if language is None or language.name != "python":
        return None
    return call_plan(request, "security-scan", "security-scan", code)
