"""Searches a folder, and what lies below it, for Agent Skills; says what it leaves out.

Any folder with a SKILL.md is a skill, however deep it lies: alone, in a collection (`team/onboarding`), in a repository
(`repo/skills/pdf`, `repo/plugins/office/skills/pdf`), in the folder of another agent (`.claude/skills/pdf`). What lies
nearer to the top comes first, then the alphabet.

Runs at start, in the thread of the wiring or of the command line. Imported by the loader of skills.
"""

import os
from collections import deque
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path

from callboard.agent.findings import Finding, Report, error, note
from callboard.agent.skill_folders.files import document_among
from callboard.agent.skill_folders.lookalikes import COLLECTION, Lookalikes

MAX_DEPTH = 12
MAX_FOLDERS = 5_000
MAX_ENTRIES = 100_000
"""How deep below the folder, and how many folders and files in it, are looked at: a disk is not searched at each start."""

AGENTS_FOLDERS = (".agents", ".claude", ".codex", ".cursor", ".gemini", ".github", ".opencode")
"""Hidden folders in which other agents have their skills, in `skills/`; docs/skills.md lists them and a test compares."""

_OF_COLLECTIONS = (".curated", ".experimental", ".system")  # in a public one, hidden for the agent it was made for
_NEVER = frozenset({"__pycache__", "__MACOSX", "node_modules", "site-packages"})
_OF_A_SKILL = frozenset({"assets", "examples", "references", "resources", "scripts", "template", "templates"})
_NEARER = "move it nearer to the top, or let CALLBOARD_SKILLS_DIR name the folder that it lies in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """The folders with a SKILL.md in the order in which their names are taken, and what was left out.

    The messages on what was left out speak of it as "it".
    """

    skills: tuple[Path, ...]
    left_out: tuple[Report, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A folder to look at. `real`: its path without links; `home`: that of the collection that links must not lead out of."""

    path: Path
    real: str
    home: str | None
    depth: int
    in_skill: bool = False
    only: str | None = None


def search(top: Path) -> Searched:
    """Return what there is in a folder, which may be a skill itself."""
    walk = _Walk(top)
    walk.run()
    return Searched(skills=tuple(walk.skills), left_out=(*walk.left_out, *walk.lookalikes.reports(walk.skills)))


class _Walk:
    def __init__(self, top: Path) -> None:
        self.skills: list[Path] = []
        self.left_out: list[Report] = []
        self.lookalikes = Lookalikes(top)
        real = os.path.realpath(top)
        self._seen = {real}  # links may lead in a circle
        self._waiting = deque([_Place(path=top, real=real, home=None, depth=0)])
        self._folders = self._entries = self._too_deep = 0

    def run(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if self._folders == MAX_FOLDERS or self._entries >= MAX_ENTRIES:
                self._leave_out(place.path, error(_too_many(len(self._waiting))))
                return
            self._folders += 1
            self._look_at(place)

    def _look_at(self, place: _Place) -> None:
        try:
            with os.scandir(place.path) as found:
                entries = sorted(islice(found, MAX_ENTRIES), key=attrgetter("name"))
        except OSError as raised:
            self._leave_out(place.path, error(f"it cannot be read ({raised.strerror}); mend its permissions"))
            return
        self._entries += len(entries)
        document = document_among(entries)
        if document is not None:
            self.skills.append(place.path)
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            return
        in_skill = place.in_skill or document is not None
        self.lookalikes.see(place.path, entries, is_skill=document is not None)
        for entry in entries:
            if place.only in (None, entry.name) and not (in_skill and entry.name in _OF_A_SKILL) and _is_folder(entry):
                self._go_into(entry, place, in_skill=in_skill)

    def _go_into(self, entry: "os.DirEntry[str]", place: _Place, *, in_skill: bool) -> None:
        if entry.name in _NEVER or (entry.name.startswith(".") and entry.name not in AGENTS_FOLDERS + _OF_COLLECTIONS):
            return
        path, real = place.path / entry.name, f"{place.real}/{entry.name}"
        if entry.is_symlink():
            real = os.path.realpath(path)
            if place.home is not None and not Path(real).is_relative_to(place.home):
                self._link_outward(path)
                return
        if real in self._seen:
            return
        if place.depth == MAX_DEPTH:
            self._too_deep += 1
            if self._too_deep == 1:  # one sentence, whatever else lies as deep
                self._leave_out(
                    path, error(f"it lies deeper than {MAX_DEPTH} folders, where nothing is read; {_NEARER}")
                )
            return
        self._seen.add(real)
        only = COLLECTION if entry.name in AGENTS_FOLDERS else None
        home = place.home or real
        self._waiting.append(
            _Place(
                path=path,
                real=real,
                home=home,
                depth=place.depth + 1,
                in_skill=in_skill and entry.name != COLLECTION and only is None,
                only=only,
            )
        )

    def _link_outward(self, path: Path) -> None:
        """What the operator links right in the folder is the operator's; a collection must not lead out of itself."""
        try:
            with os.scandir(path) as found:
                document = document_among(list(islice(found, MAX_ENTRIES)))
        except OSError:
            return
        if document is not None:
            self.skills.append(path)  # reading it says why it is left out
        else:
            self._leave_out(path, note("it is a link that leads out of its collection, and is not followed"))

    def _leave_out(self, path: Path, finding: Finding) -> None:
        self.left_out.append(Report(path=path, findings=(finding,)))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _too_many(waiting: int) -> str:
    return (
        f"it comes behind the first {MAX_FOLDERS:,} folders and {MAX_ENTRIES:,} files, where the search ends, and with "
        f"it {waiting:,} more that were found; {_NEARER}"
    )
