"""Greetings, thanks, and what this planner can do. Any thread; imported by the offline planner."""

import re

from callboard.agent.planner.base import Plan, PlanRequest, own_plan
from callboard.agent.planner.reading import Reading

ABILITIES = (
    ("calculate", "work out arithmetic", "What is 12 times 7?"),
    ("date-difference", "count days between dates", "How many days until Christmas?"),
    ("add-to-date", "find the date some time before or after another", "What date is 45 days after March 3, 2025?"),
    ("weekday", "tell the weekday of a date", "What day of the week is 2026-07-04?"),
    ("convert-duration", "convert durations", "How many minutes in 3 days?"),
    ("convert-units", "convert units", "How many feet are in 3 miles?"),
    ("convert-number", "write numbers in other numerals", "255 in hex"),
    ("factorize", "find prime factors and divisors", "Is 97 prime?"),
    ("summarize", "summarise a text that you include", "Summarize: …"),
    ("text-statistics", "count words, sentences and characters of a text", "How many words are in: …"),
    ("code-analysis", "analyse code that you include", "Analyze this code: ```python … ```"),
    ("security-scan", "scan Python that you include for weaknesses", "Security audit of this Python: ```python … ```"),
    ("find-secrets", "find credentials in a text that you include", "Find secrets in this text: …"),
    ("describe-table", "describe CSV or JSON that you include", "Describe this CSV: …"),
    ("query-table", "answer questions on CSV or JSON that you include", "What is the average price in this CSV: …"),
    ("web-search", "search the web, if a search server is set up", "Search the web for actor systems"),
)
"""What each built-in skill lets the planner do, with a task that asks for it."""

_HELLO = re.compile(
    r"(?:hi|hello|hey|hiya|howdy|yo|greetings|good (?:morning|afternoon|evening|day)|hello world|ping)(?: (?:there|again|callboard|everyone|all|friend))?(?:,? (?:how are you|how's it going|nice to meet you)(?: today| doing)?)?"
)
_HOW_ARE_YOU = re.compile(r"how are (?:you|things)(?: doing)?(?: today)?|how's it going|how do you do")
_THANKS = re.compile(
    r"(?:(?:ok|okay|great|perfect|cool|nice|awesome)[,.!]? )?(?:many )?(?:thanks|thank you|thx|cheers)(?: (?:a lot|so much|very much|again|callboard|for (?:your|the|all) (?:help|answer)))?|well done|good job"
)
_BYE = re.compile(
    r"(?:good ?bye|bye(?:[ -]bye)?|see you(?: later| soon)?|good night|farewell)(?: (?:callboard|then|for now))?"
)
_ABOUT = re.compile(
    r"(?:who|what) are you|what(?:'s| is) your name|introduce yourself|(?:tell me )?about yourself|tell me about you|are you (?:a |an )?(?:bot|ai|robot|human|model|llm|chatgpt|real|language model)"
    r"|what (?:can|do|could) (?:you|i) (?:do|ask(?: you)?|help(?: me)? with)(?: for me)?|what are you able to do|how can you help(?: me)?|help(?: me)?|what are your (?:skills|abilities|capabilities)"
    r"|what (?:skills|abilities|tools) do you have|list (?:your |the |all )?(?:skills|abilities|tools)|which skills (?:do you have|are there)|can you help(?: me)?"
)


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    line = reading.line or reading.text.lower()[:1]
    if reading.fences or len(line) > 80:
        return None
    whole = (
        " ".join(reading.text.lower().replace("’", "'").split()).rstrip(" ?.!") if len(reading.text) <= 100 else line
    )
    for text in dict.fromkeys((whole, line)):
        answer = _answer(text, request)
        if answer:
            return own_plan(repr(answer), "greeting")
    return None


def _answer(text: str, request: PlanRequest) -> str | None:
    if _ABOUT.fullmatch(text):
        return (
            "I am Callboard's built-in offline planner, a program of fixed rules and not a language model. "
            + _abilities(request)
        )
    if _THANKS.fullmatch(text):
        return "You are welcome."
    if _BYE.fullmatch(text):
        return "Goodbye."
    if _HOW_ARE_YOU.fullmatch(text):
        return "I am a program, and I am working. What is the task?"
    if _HELLO.fullmatch(text):
        return "Hello! I am Callboard's built-in planner. Ask 'What can you do?' to see what I can work out."
    return None


def _abilities(request: PlanRequest) -> str:
    """Say only what this task may really do."""
    able = [f"{what} ({example!r})" for skill, what, example in ABILITIES if skill in request.skills]
    return (
        "I can "
        + "; ".join([*able, "run a block of Python in the sandbox", "remember what you tell me in this session"])
        + "."
    )
