"""Searching the web, where the task says so in words. Any thread; imported by the offline planner."""

import re

from callboard.agent.planner.base import Plan, PlanRequest, call_plan, no_fit
from callboard.agent.planner.reading import Reading
from callboard.agent.planner.wishes import beside_query

_WHERE = r"(?:the )?(?:web|internet|net)|online"
_SEARCH = re.compile(
    rf"(?:(?:search|look|browse|scan|check)(?: on| in| through)? (?:{_WHERE}) (?:for|about)|web[ -]search(?: for| about)?:?|google(?: for)?|do a (?:web|google) search (?:for|on|about)"
    rf"|(?:search|look)(?: up)?(?: for)? (?P<early>.{{1,300}}?) (?:on|in|over) (?:{_WHERE})$"
    rf"|(?:look up|search(?: for)?|find) (?P<online>.{{1,300}}?) online$|search for)\s*:?\s*(?P<query>.*)",
    re.IGNORECASE,
)
_MAX_CHARS = 400


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    ask = reading.ask
    if reading.fences or len(ask) > _MAX_CHARS or "\n" in ask:
        return None
    found = _SEARCH.fullmatch(ask.rstrip(" ?.!"))
    query = (found["early"] or found["online"] or found["query"]).strip(" '\"“”") if found else ""
    if query and (wish := beside_query(query)):
        raise no_fit(f"The web can be searched, and nothing else done with what is found: {wish!r} is not understood.")
    return call_plan(request, "web-search", "web-search", query) if query else None
