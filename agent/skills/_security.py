"""What `security_scan` and `find_secrets` report: one shape of finding, one order, one summary.

Pure functions; any thread; imported by those two only.
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

Level = Literal["high", "medium", "low"]
MAX_FINDINGS = 200
_RANK = {"high": 0, "medium": 1, "low": 2}


class Weakness(NamedTuple):
    """One finding; lines count from 1, `cwe` is a number of the Common Weakness Enumeration."""

    line: int
    rule: str
    severity: Level
    confidence: Level
    message: str
    cwe: int | None = None


def report(what: str, text: str, found: Iterable[Weakness]) -> dict[str, Any]:
    """Return the findings in a text, the gravest first, as a skill answers them."""
    ordered = sorted(
        set(found), key=lambda one: (_RANK[one.severity], _RANK[one.confidence], one.line, one.rule, one.message)
    )
    counts = {level: sum(one.severity == level for one in ordered) for level in _RANK}
    told = ", ".join(f"{count} {level}" for level, count in counts.items() if count)
    head = f"{what}, {_counted(len(text.splitlines()), 'line')}"
    summary = f"{head}: {_counted(len(ordered), 'finding')} ({told})." if ordered else f"{head}: nothing found."
    if len(ordered) > MAX_FINDINGS:
        summary += f" The gravest {MAX_FINDINGS} are listed."
    return {
        "findings": [one._asdict() for one in ordered[:MAX_FINDINGS]],
        "counts": counts,
        "summary": summary,
    }


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
