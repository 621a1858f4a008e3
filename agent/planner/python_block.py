"""Python that the task brings along, to be run: the block itself is the plan.

Only a plain request runs it: any word more may be a condition that the block knows nothing of. Any thread; imported by
the offline planner.
"""

import re

from callboard.agent.planner.base import Plan, PlanRequest, no_fit
from callboard.agent.planner.reading import Reading
from callboard.agent.planner.syntax import PYTHON

_VERB = r"(?:run|execute|eval(?:uate)?|interpret|try|compute|calculate)"
_WORDS = r"(?:this|that|it|these|those|the|my|following|both|all|of|python3?|py|code|scripts?|snippets?|programs?|(?:code )?blocks?|piece|above|below)"
_OBJECT = rf"{_WORDS}(?: {_WORDS}){{0,5}}"
_RUN = re.compile(
    rf"{_VERB}(?: {_OBJECT})?"
    rf"|what (?:does|do|will|would) {_OBJECT} (?:print|output|return|give|evaluate to)"
    rf"|what(?:'s| is) the (?:output|result|value|return value)(?: of {_OBJECT})?"
)
_RUN_MORE = re.compile(r"(?:run|execute|eval(?:uate)?|interpret)\b", re.IGNORECASE)
_RUN_PYTHON = re.compile(
    r"(?:run|execute|eval(?:uate)?|interpret) (?:(?:this|the|the following|my|some|following)\s+)?(?:piece of )?(?:python3?|py)\b"
    r"(?: (?:code|script|snippet|program|block|expression))?(?: below)?[ \t]*(?::|\n)\s*",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?:(?:this |the )?(?:following )?(?:python|code|script)(?: code| script| block)?)?")
_JOINTS = re.compile(r"(?:[ :,]+(?:and|then))+$")


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    del request  # code that is run as it stands needs no skill; the sandbox checks those it calls
    if not reading.fences:
        found = _RUN_PYTHON.match(reading.ask)
        rest = reading.ask[found.end() :].strip() if found else ""
        return Plan(code=rest, intent="python") if rest else None
    line = reading.line if len(reading.fences) == 1 else _JOINTS.sub("", reading.line)
    line = line.rstrip(" :,").removesuffix(" for me").removesuffix(" please").rstrip(" ,")
    asked = bool(_RUN.fullmatch(line))
    tags = {fence.tag for fence in reading.fences}
    if tags <= PYTHON and (asked or (_LABEL.fullmatch(line) and (line or not _said(reading)))):
        return _plan(reading)
    if not asked:
        if tags <= PYTHON and _RUN_MORE.match(reading.outside):
            raise no_fit(
                "A block of Python is run for a plain request only, such as 'Run this:', and this task says more than "
                "that. Put what it says into the code, or leave it away."
            )
        return None
    if tags <= PYTHON | {""}:
        return _plan(reading)
    raise no_fit(
        f"Only Python can be run here, and the block is marked {', '.join(sorted(tags - PYTHON)) or 'otherwise'}. "
        "Mark it ```python if it is Python, or ask for it to be analysed."
    )


def _said(reading: Reading) -> bool:
    """Tell whether there are words beside the blocks; a long `outside` has no `line`."""
    return bool(re.search(r"\w", reading.outside))


def _plan(reading: Reading) -> Plan:
    return Plan(code="\n\n".join(fence.content for fence in reading.fences), intent="python")
