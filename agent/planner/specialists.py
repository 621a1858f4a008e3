"""What the agents that ship do with material and hardly a word: their own work, whatever else the words may mean.

Python alone would be run, and a table alone refused; addressed to a code reviewer or an analyst it is clear what is
wanted. Words that say more are left to the families that read them. Any thread; imported by the offline planner.
"""

import re

from callboard.agent.planner import code, describe, security
from callboard.agent.planner.base import Plan, PlanRequest, call_plan
from callboard.agent.planner.reading import MAX_LINE_CHARS, Reading
from callboard.agent.planner.tables import find_data

_WORD = re.compile(r"[\w+#'/.-]+")
_FILE = re.compile(r"[\w/-]{1,100}\.\w{1,8}")
_PLAIN = frozenset(
    "a an the this that these those my our your following below above attached here here's is are it its in of on at over "
    "for from with and to me us you i we do does have take give let know please kindly can could would will quick quickly "
    "short brief full thorough careful carefully look check review reviews audit scan analyze analyse analysis inspect "
    "examine assess go through report feedback comment comments thoughts opinion opinions think what any findings issues "
    "problems bugs mistakes code function functions class method module script file files snippet program change changes "
    "patch diff commit pr pull request python config configuration settings log text data csv json tsv table dataset "
    "spreadsheet records describe profile explore about wrong there find".split()
)


def recognise(reading: Reading, request: PlanRequest) -> Plan | None:
    if request.agent.name == "data-analyst":
        found = find_data(reading)
        return describe.plan(found[1], request) if found and _says_little(found[0]) else None
    if request.agent.name not in ("code-reviewer", "security-auditor") or not reading.fences:
        return None
    if not _says_little(reading.outside):
        return None
    if request.agent.name == "code-reviewer":
        return code.review(reading, request)
    text = "\n\n".join(fence.content for fence in reading.fences)
    return security.scan(reading, text, request) or call_plan(request, "find-secrets", "find-secrets", text)


def _says_little(words: str) -> bool:
    """Tell whether the words only point at the material, or ask for what the agent does anyway."""
    if len(words) > MAX_LINE_CHARS:
        return False
    return all(
        word in _PLAIN or _FILE.fullmatch(word)
        for word in (found.strip(".'") for found in _WORD.findall(words.lower().replace("’", "'")))
        if word
    )
