"""What the validation of a skill says about it. Imported by all of this package and by the validation of skills."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about a skill: an `error` keeps it from being loaded, a `note` does not. `line` counts from 1."""

    level: Literal["error", "note"]
    message: str
    line: int | None = None

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


def error(message: str, line: int | None = None) -> Finding:
    return Finding(level="error", message=message, line=line)


def note(message: str, line: int | None = None) -> Finding:
    return Finding(level="note", message=message, line=line)
