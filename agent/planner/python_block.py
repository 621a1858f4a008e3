"""Python that the task brings along, to be run: the block itself is the plan. Any thread; imported by the offline planner."""

import re

from callboard.agent.planner.base import Plan, PlanRequest, no_fit
from callboard.agent.planner.reading import Reading

_PYTHON = frozenset({"python", "py", "python3", "py3"})
_RUN = re.compile(
    r"(?:run|execute|eval(?:uate)?|interpret|try|test|compute|calculate)\b|what (?:does|do|will|would) (?:this|the following|that)\b[^\n]{0,60}\b(?:print|output|return|give|do|evaluate to)\b"
    r"|what(?:'s| is) the (?:output|result|value|return value) of\b",
    re.IGNORECASE,
)
_RUN_PYTHON = re.compile(
    r"(?:run|execute|eval(?:uate)?|interpret) (?:(?:this|the|the following|my|some|following)\s+)?(?:piece of )?(?:python3?|py)\b[^\n:]{0,60}(?::|\n)\s*",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:(?:this |the )?(?:following )?(?:python|code|script)(?: code| script| block)?)?\s*:?", re.IGNORECASE
)


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    del request  # code that is run as it stands needs no skill; the sandbox checks those it calls
    if not reading.fences:
        found = _RUN_PYTHON.match(reading.ask)
        rest = reading.ask[found.end() :].strip() if found else ""
        return Plan(code=rest, intent="python") if rest else None
    asked = bool(_RUN.match(reading.outside))
    tags = {fence.tag for fence in reading.fences}
    if tags <= _PYTHON and (asked or _LABEL.fullmatch(reading.outside)):
        return _plan(reading)
    if not asked:
        return None
    if tags <= _PYTHON | {""}:
        return _plan(reading)
    raise no_fit(
        f"Only Python can be run here, and the block is marked {', '.join(sorted(tags - _PYTHON)) or 'otherwise'}. "
        "Mark it ```python if it is Python, or ask for it to be analysed."
    )


def _plan(reading: Reading) -> Plan:
    return Plan(code="\n\n".join(fence.content for fence in reading.fences), intent="python")
