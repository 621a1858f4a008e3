"""The documents as data: their fenced blocks with the notes in front of them, their links and their tables.

A note is an HTML comment right before a fence. `not run: REASON` keeps a block from being run, `file: PATH` has a
block saved under that name before the servers start, `server: NAME` runs it against one of the other servers of
serving.py.
A block of JSON, text or HTTP right behind one that is run is its answer.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")))
ALL = (*DOCUMENTS, *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "ARCHITECTURE.md")))
RUN = ("bash", "python", "javascript")
ANSWERS = ("json", "text", "http")

_NOTE = re.compile(r"<!-- ([a-z ]+): (.+) -->")
_FENCE = re.compile(r"(`{3,})(\w*)")
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(slots=True)
class Block:
    """One fenced block; `answer` is the block right behind it, if that shows what it answers."""

    path: Path
    line: int
    language: str
    code: str
    notes: dict[str, str] = field(default_factory=dict)
    answer: "Block | None" = None

    @property
    def name(self) -> str:
        return f"{self.path.name}:{self.line}"

    @property
    def server(self) -> str:
        """The name of the server that it is run against."""
        return self.notes.get("server", "default")

    @property
    def is_run(self) -> bool:
        return self.language in RUN and "not run" not in self.notes


def blocks(path: Path) -> list[Block]:
    """Return a document's fenced blocks in order; an answer hangs on its question and is not listed itself."""
    found: list[Block] = []
    notes: dict[str, str] = {}
    fresh: Block | None = None  # the last block, as long as only blank lines have followed it
    lines = iter(enumerate(path.read_text().splitlines(), 1))
    for number, line in lines:
        if fence := _FENCE.match(line):
            block = Block(path, number, fence[2], _fenced(lines, fence[1]), notes)
            if fresh is not None and fresh.is_run and fresh.answer is None and block.language in ANSWERS and not notes:
                fresh.answer = block
            else:
                found.append(block)
                fresh = block
            notes = {}
        elif note := _NOTE.fullmatch(line.strip()):
            notes[note[1]] = note[2]
        elif line.strip():
            notes, fresh = {}, None
    return found


def _fenced(lines: "object", fence: str) -> str:
    code: list[str] = []
    for _, line in lines:  # type: ignore[attr-defined]  # the iterator the caller goes on with
        if line.strip() == fence:
            break
        code.append(line)
    return "\n".join(code) + "\n"


def links(path: Path) -> list[str]:
    """Return the targets of the document's links, code left out."""
    return _LINK.findall(_prose(path))


def anchors(path: Path) -> set[str]:
    """Return the names a link can have behind its #, made from the headings as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in _HEADING.findall(_prose(path))}


def headings(path: Path) -> list[str]:
    return _HEADING.findall(_prose(path))


def rows(path: Path) -> list[list[str]]:
    """Return the cells of every table row of the document."""
    found = re.findall(r"^\|(.+)\|$", _prose(path), re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in found]


def _prose(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
