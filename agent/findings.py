"""What is said about files that define skills or agents, as they are loaded and as they are validated.

Imported by the loaders, the packages they read with, the validation and the command line.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about a file: an `error` keeps what it defines, or a part of that, from being loaded; a `note` does not.

    `line` counts from 1.
    """

    level: Literal["error", "note"]
    message: str
    line: int | None = None

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What there is to say about one file or folder; `names` are the skills, or the agents, that are loaded from it."""

    path: Path
    names: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def valid(self) -> bool:
        return all(finding.level != "error" for finding in self.findings)


def error(message: str, line: int | None = None) -> Finding:
    return Finding(level="error", message=message, line=line)


def note(message: str, line: int | None = None) -> Finding:
    return Finding(level="note", message=message, line=line)
