"""A table that the task brings along, to be described: `Describe this CSV: …`. Any thread; imported by the offline planner.

Every word has to be understood, since another one may ask for something that the description does not answer.
"""

import re

from callboard.agent.planner.base import Plan, PlanRequest, call_plan, no_fit
from callboard.agent.planner.reading import Reading
from callboard.agent.planner.tables import find_data, sample
from callboard.agent.skills._tables import read_table

_MAX_WORDS_CHARS = 300
_WHICH = r"(?:(?:this|these|that|the|following|my|our|given|below|attached|all of)\s+)*"
_DATA = rf"{_WHICH}(?:(?:csv|json|tsv|markdown|sales|raw)\s+)?(?:csv|json|tsv|data ?sets?|data|tables?|spreadsheet|records)(?:\s+(?:data|file|table|below|above|here))*"
_LOOSE_END = re.compile(r"(?:\s+(?:in|from|of|for|on|using|given|with))+$")
_KINDS = r"(?:short|brief|quick|general|statistical|descriptive|basic|summary|data|quality|first)"
_GIVE = r"(?:(?:give|show|tell|get|make|write|create|compute|calculate|provide|i need|do)\s+(?:me\s+)?)?(?:(?:a|an|the|some|all)\s+)?"
_ASK = re.compile(
    rf"(?:describe|profile|explore|inspect|analy[sz]e|summari[sz]e|examine|look (?:at|into|over)|tell me about|report on)\s+{_DATA}"
    rf"|{_GIVE}(?:{_KINDS}\s+)*(?:overview|profile|summary|description|statistics|stats|analysis|report)\s+(?:of|for|about|on)\s+{_DATA}"
    rf"|what(?:'s| is)\s+in\s+{_DATA}|what\s+(?:does|do)\s+{_DATA}\s+look\s+like|how\s+(?:good|clean|complete)\s+(?:is|are)\s+{_DATA}"
    rf"|(?:check|assess)\s+the\s+quality\s+of\s+{_DATA}|what\s+(?:types|kinds)\s+(?:of\s+\w+\s+)?(?:are|do)\s+the\s+columns(?:\s+have)?(?:\s+(?:in|of)\s+{_DATA})?"
)


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    if not _ASK.match(_plain(reading.outside[:_MAX_WORDS_CHARS])) and not _ASK.search(
        _plain(reading.outside[-_MAX_WORDS_CHARS:])
    ):
        return None  # PERF: looking for the data takes longer than this
    found = find_data(reading)
    return plan(found[1], request) if found and _ASK.fullmatch(_plain(found[0])) else None


def plan(data: str, request: PlanRequest) -> Plan:
    """Return the plan; raise `TaskError` where the data cannot be read."""
    try:
        read_table(sample(data))
    except ValueError as error:
        raise no_fit(f"The data in this task cannot be read. {error}") from error
    return call_plan(request, "table", "describe-table", data)


def _plain(words: str) -> str:
    line = " ".join(words.lower().replace("’", "'").split()).rstrip(" ?.!:,")
    return _LOOSE_END.sub("", line).rstrip(" ?.!:,")
