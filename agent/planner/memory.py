"""Remembering within a session: `My name is Alice`, and later `What is my name?`.

What was told is kept in the sandbox variable `memory`, a dict, so it lives and dies with the session's variables.
`the door code` is only looked up if it was told; `my …` is always a question to the memory. Any thread; imported by
the offline planner.
"""

import re

from callboard.agent.planner.base import Plan, PlanRequest, own_plan, script
from callboard.agent.planner.reading import MAX_LINE_CHARS, Reading, read

VARIABLE = "memory"
_NOTES = "_notes"
_CONVERSATION_MAY_BE_CUT = 20

_KEY = r"(?P<key>[^\W\d_][\w'’-]{0,30}(?: [\w'’-]{1,30}){0,4}?)"
_VALUE = r"(?P<value>\S(?:.{0,300}?\S)?)"
_NAME_IS = re.compile(
    r"(?:my name is|my name's|the name's|call me|you can call me|i am called|i'm called|people call me) (?P<value>[^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*){0,3}?)[.!]*",
    re.IGNORECASE,
)
_I_AM = re.compile(r"(?i:i'm|i’m|i am|im|this is) (?P<value>[A-Z][\w'’-]+(?: [A-Z][\w'’-]+){0,2})[.!]*")
_REMEMBER = r"(?:remember|note|memori[sz]e|keep in mind|don'?t forget|don’t forget|make a note|take note|store|save)"
_FACT_TOLD = re.compile(
    rf"{_REMEMBER}(?: down)?(?: that|:|,)* (?P<whose>my|the|our) {_KEY}(?: is| are| was|:| =|'s) {_VALUE}[.!]*",
    re.IGNORECASE,
)
_FACT_MINE = re.compile(rf"(?P<whose>my|our) {_KEY} (?:is|are) {_VALUE}[.!]*", re.IGNORECASE)
_NOTE = re.compile(rf"{_REMEMBER}(?: down)?(?: that|:|,| this:)* {_VALUE}[.!]*", re.IGNORECASE)
_NAME_WORD = r"(?:[^\W\d_]\.|(?:dr|mr|mrs|ms|prof|st)\.|[^\W\d_][\w'’-]*)"
_A_NAME = re.compile(rf"{_NAME_WORD}(?: {_NAME_WORD}){{0,3}}(?: (?:jr|sr)\.?)?", re.IGNORECASE)
_NO_NAME = frozenset(
    "and or but not never so what what's is isn't are was my i i'm you your who how when where why please can if no nobody none "
    "unknown later back tomorrow today now maybe soon very hard long a an".split()
)
_DENIED = re.compile(r"(?:not|never|no longer|neither|none of|no)\b|(?:is|are)n['’]t\b", re.IGNORECASE)
_NEXT_CLAUSE = re.compile(
    r"(?:[.,;!?]|\b(?:and|but|or|so|then|also|because|while)\b)\s+(?:(?:and|but|so|then|also|please|now)\s+)*"
    r"(?:(?:my|our|i|i['’]m|you|what|what['’]s|who|how|when|where|why|which|tell|calculate|compute|remember|forget|can|could"
    r"|please|call|run|summari[sz]e|count|list|is|are|do|does)\b|the [\w -]{1,40} (?:is|are|was)\b)",
    re.IGNORECASE,
)
_NOT_A_FACT = frozenset(
    {
        "question",
        "problem",
        "task",
        "request",
        "point",
        "guess",
        "idea",
        "understanding",
        "bad",
        "goodness",
        "issue",
        "code",
        "goal",
    }
)

_AGAIN = r"(?: again| please| now)*"
_WHO_AM_I = re.compile(
    rf"who am i{_AGAIN}|(?:do you (?:know|remember)|what am i called|tell me) (?:who i am|what i am called|what my name is)|what am i called"
)
_RECALL = re.compile(
    rf"(?:what(?:'s|s| is| are| was| were)|who(?:'s| is| are)|where(?:'s| is)|when(?:'s| is)|do you (?:know|remember|recall)(?: what)?|tell me|say|repeat|remind me(?: of| what)?|what did i (?:say|tell you)(?: that)?|recall)"
    rf" (?P<whose>my|our|the) {_KEY}(?: is| are| was| were)?{_AGAIN}"
)
_CALLED = re.compile(r"(?<=\w) (?:called|named)$")
_RECALL_ALL = re.compile(
    r"what (?:do|did|can|have) (?:you|i) (?:remember|recall|tell you|told you|know about me|remembered)(?: about me| so far| to remember| for me)?|what (?:have|did) i (?:told|tell|asked|ask) you(?: to remember)?(?: so far)?"
    r"|(?:list|show|tell me)(?: me)? (?:everything|all|what) you (?:remember|know about me)|what do you know(?: about me)?"
)
_FORGET = re.compile(
    rf"forget (?:(?P<all>everything|it all|all of it|all that)(?: you know(?: about me)?| i (?:said|told you))?|(?P<whose>my|the|our) {_KEY})"
)


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    if reading.fences or not reading.line:
        return None
    lines = remember(reading, request) or _recall(reading.line, request)
    return own_plan(script(*lines), "memory") if lines else None


def remember(reading: Reading, request: PlanRequest) -> list[str] | None:
    """Return the code that keeps what a statement tells, ending in its confirmation; None if it tells nothing."""
    told = _told(reading)
    if told is None:
        return None
    whose, label, value = told
    start = [] if VARIABLE in request.variables else [f"{VARIABLE} = {{}}"]
    if not label:
        kept = f"{VARIABLE}.setdefault({_NOTES!r}, []).append({value!r})"
        return [*start, kept, repr(f"I will remember in this session: {value}")]
    kept = f"{VARIABLE}[{_key(label)!r}] = {value!r}"
    if _key(label) == "name":
        return [*start, kept, repr(f"Nice to meet you, {value}. I will remember your name in this session.")]
    return [*start, kept, repr(f"I will remember in this session that {whose} {label} is {value}.")]


def _told(reading: Reading) -> tuple[str, str, str] | None:
    """Return whose thing is told (`your`, `the`), its name (empty for a mere note) and what it is."""
    text = " ".join(reading.ask.split())
    if text.endswith("?") or len(text) > MAX_LINE_CHARS:
        return None
    if (found := _NAME_IS.fullmatch(text) or _I_AM.fullmatch(text)) and _is_name(found["value"]):
        return "your", "name", found["value"].rstrip(".")
    found = _FACT_TOLD.fullmatch(text) or _FACT_MINE.fullmatch(text)
    if found and _key(found["key"]).split()[-1] not in _NOT_A_FACT - ({"code"} if found.re is _FACT_TOLD else set()):
        value = found["value"]
        if _DENIED.match(value) or _NEXT_CLAUSE.search(value) or (_key(found["key"]) == "name" and not _is_name(value)):
            return None  # what else is said would be kept as part of it
        return _turned(found["whose"]), found["key"], value
    found = _NOTE.fullmatch(text)
    return ("", "", found["value"]) if found else None


def _is_name(value: str) -> bool:
    plain = value.rstrip(".")
    return bool(_A_NAME.fullmatch(plain)) and _NO_NAME.isdisjoint(plain.lower().replace("’", "'").split())


def _recall(line: str, request: PlanRequest) -> list[str] | None:
    if _WHO_AM_I.fullmatch(line):
        return _looked_up("your", "name", request)
    if found := _FORGET.fullmatch(line):
        return _forget(found, request)
    if _RECALL_ALL.fullmatch(line):
        return _everything(request)
    found = _RECALL.fullmatch(line)
    if not found:
        return None
    label = _CALLED.sub("", found["key"])  # what is my sister called
    if found["whose"] == "the" and not _was_told(label, request):
        return None
    return _looked_up(_turned(found["whose"]), label, request)


def _looked_up(whose: str, label: str, request: PlanRequest) -> list[str]:
    unknown = repr(f"You have not told me {whose} {label} in this session, so I do not know it.")
    if VARIABLE not in request.variables:
        return [unknown]
    key, subject = (
        _key(label),
        f"{whose} {label} is ".capitalize() if label.islower() else f"{whose.title()} {label} is ",
    )
    return [f"{subject!r} + str({VARIABLE}[{key!r}]) + '.' if {key!r} in {VARIABLE} else {unknown}"]


def _everything(request: PlanRequest) -> list[str]:
    nothing = repr("You have not told me anything to remember in this session.")
    if VARIABLE not in request.variables:
        return [nothing]
    facts = f"[str(key) + ': ' + str(value) for key, value in {VARIABLE}.items() if key != {_NOTES!r}]"
    notes = f"[str(note) for note in {VARIABLE}.get({_NOTES!r}, [])]"
    return [f"'In this session you told me: ' + '; '.join({facts} + {notes}) + '.' if {VARIABLE} else {nothing}"]


def _forget(found: re.Match[str], request: PlanRequest) -> list[str]:
    if VARIABLE not in request.variables:
        return [repr("There is nothing to forget: you have told me nothing in this session.")]
    if found["all"]:
        return [f"{VARIABLE}.clear()", repr("I have forgotten everything you told me in this session.")]
    label = f"{_turned(found['whose'])} {found['key']}"
    return [f"{VARIABLE}.pop({_key(found['key'])!r}, None)", repr(f"I no longer know {label}.")]


def _was_told(key: str, request: PlanRequest) -> bool:
    """Tell whether an earlier turn told it; where turns may have been dropped, take the memory's word for it."""
    if VARIABLE not in request.variables:
        return False
    told = [
        _told(read(turn.content))
        for turn in request.conversation
        if turn.role == "user" and len(turn.content) <= MAX_LINE_CHARS
    ]
    return any(fact is not None and _key(fact[1]) == _key(key) for fact in told)


def _turned(whose: str) -> str:
    return {"my": "your", "our": "your"}.get(whose.lower(), whose.lower())


def _key(label: str) -> str:
    """Return the name under which a thing is kept: lower case, one spelling for British and American."""
    words = label.lower().replace("’", "'").replace("-", " ").split()
    return " ".join(word.replace("colour", "color").replace("favourite", "favorite") for word in words)
