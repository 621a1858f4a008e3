"""What `allowed-tools` lets a task call: names of Callboard's skills, and of the tools that public collections name.

Collections are written for agents with a shell and a disk. Tools whose like Callboard has are taken for that skill;
every other name grants nothing, and validation says so. Pure functions; imported by document.py.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

SKILL_OF_TOOL: Mapping[str, str] = MappingProxyType(
    {
        "Read": "read-file",
        "Write": "write-file",
        "Glob": "list-files",
        "LS": "list-files",
        "WebFetch": "web-fetch",
        "WebSearch": "web-search",
    }
)
"""Tools of the public collections and the skills they stand for; docs/skills.md lists them and a test compares."""

_TOKEN = re.compile(r"[^\s,()]*\([^)]*\)|[^\s,]+")
_SCOPED = re.compile(r"([^()]*)\((.*)\)", re.DOTALL)
_SKILL = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The skills by their wire names, whether this server has them or not, and sentences on what grants nothing."""

    skills: frozenset[str]
    ignored: tuple[str, ...] = ()


def granted(texts: Iterable[str]) -> Granted:
    """Read the value of `allowed-tools`: names with blanks or commas between them, in one text or several."""
    skills: set[str] = set()
    ignored: list[str] = []
    for token in dict.fromkeys(token for text in texts for token in _TOKEN.findall(text)):
        skill, why = _granted_by(token)
        if skill:
            skills.add(skill)
        else:
            ignored.append(f"`allowed-tools`: {token[:80]} grants nothing, since {why}")
    return Granted(skills=frozenset(skills), ignored=tuple(ignored))


def _granted_by(token: str) -> tuple[str | None, str]:
    """Return the skill that a token grants, or None and why it grants none."""
    scoped = _SCOPED.fullmatch(token)
    name, scope = (scoped[1], scoped[2].strip()) if scoped else (token, "*")
    skill = SKILL_OF_TOOL.get(name) or (name.replace("_", "-") if _SKILL.fullmatch(name) else None)
    if skill is None:
        return None, "Callboard has no such tool"
    if scope != "*":
        # SECURITY: the whole skill would be more than what was granted
        return None, f"{skill} cannot be narrowed to {scope[:60]!r}"
    return skill, ""
