"""Finds the skills and collects those that can be offered; what cannot is said.

Runs once, at start, in the thread of the wiring or of the command line. Imported by the catalogue and by the
validation of skills, so that validating says what a server would do.
"""

import importlib
import keyword
import pkgutil
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from callboard import __version__
from callboard.agent.exceptions import log_import
from callboard.agent.findings import Finding, Report, error
from callboard.agent.python_trees import parse
from callboard.agent.skill import AnySkill, Skill
from callboard.agent.skill_files import import_file, line_of, skills_of, told
from callboard.agent.skill_folders.files import DOCUMENT, document_of
from callboard.agent.skill_folders.lookalikes import imports_callboard
from callboard.agent.skill_folders.search import search
from callboard.agent.stubs import TWIN_PREFIX
from callboard.agent.told_to_end import strangers_code
from callboard.paths import readable_folder

ENTRY_POINTS = "callboard.skills"
_BUILT_IN = "callboard.agent.skills"
_STUB_NAMES = frozenset({"str", "int", "float", "bool", "bytes", "object", "list", "dict", "tuple", "set"})
_RESERVED = "delegate"
_BUILT_IN_ORIGIN = "builtin"
_PLAIN = (str, int, float, bool, NoneType)


class SkillLoader:
    """Collects skills in their order of precedence; a name that is taken stays with the first.

    `problems` says in sentences what is left out, `reports` the same of files and folders by path and line, beside what
    was loaded from each.
    """

    def __init__(self, skills: Iterable[AnySkill] = ()) -> None:
        self.skills: dict[str, AnySkill] = {skill.name: skill for skill in skills}
        self.problems: list[str] = []
        self.reports: list[Report] = []

    def add_built_in(self) -> None:
        self.skills |= {skill.name: skill for skill in _built_in()}

    def add_entry_points(self) -> None:
        for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
            origin = f"entry point {entry.name}"
            with strangers_code() as ends_us:
                try:
                    loaded = entry.load()
                    found = [loaded] if issubclass(type(loaded), Skill) else skills_of(loaded)
                except BaseException as raised:  # a package's import may raise anything
                    if ends_us(raised):
                        raise
                    log_import(origin, raised)
                    self.problems.append(
                        f"{origin} cannot be loaded ({told(raised)}); update or uninstall its package."
                    )
                    continue
            version = entry.dist.version if entry.dist else ""
            self.add_python(found, origin, version)

    def add_folder(self, folder: Path) -> None:
        """Add the Python files of a folder, then the Agent Skills in it and below it; it may be one of these itself.

        Raises `ConfigurationError` if it is missing.
        """
        top = readable_folder(folder, "CALLBOARD_SKILLS_DIR")
        searched = search(top)
        for path in sorted(top.glob("*.py")):
            # SECURITY: the programs of an Agent Skill are not run in the server
            if not path.name.startswith("_") and (top not in searched.skills or imports_callboard(path)):
                self.add_file(path)
        for path in searched.skills:
            self.add_skill_folder(path, top, folder.name if path == top else path.name)
        for report in searched.left_out:
            self.reports.append(report)
            why = [finding.message for finding in report.findings if finding.level == "error"]
            self.problems.extend(f"{report.path} is not loaded: {message}." for message in why)

    def add_file(self, path: Path) -> None:
        """Import a Python file, which runs it, and add the skills in it."""
        with strangers_code() as ends_us:
            try:
                if not path.is_file():  # a pipe, which reading would wait for
                    raise ImportError("it is no file")
                found = skills_of(import_file(path))
            except BaseException as raised:  # an operator's file may raise anything
                if ends_us(raised):
                    raise
                self.problems.append(f"{path} cannot be loaded ({told(raised)}); mend it and restart.")
                self._report(path, error(told(raised), line_of(raised, path)))
                return
        if not found:
            self._report(path, error("it has no skill in it; decorate a function with @skill"))
        self.add_python(found, str(path), path=path)

    def add_skill_folder(self, path: Path, top: Path | None, name: str) -> None:
        """Add an Agent Skill of this name; `top` is the folder that was searched for it."""
        # PERF: PyYAML takes 20 ms to import, which a server without such folders need not wait for
        from callboard.agent.skill_folders.discovery import read_folder

        read = read_folder(path, top, name)
        if read.skill is None:
            document = path / (document_of(path) or DOCUMENT)
            self.problems.append(f"{document} is left out: {read.why}; mend it and restart.")
            self._report(document, *read.findings)
            return
        there = self.skills.get(read.skill.name)
        if isinstance(there, type(read.skill)) and there.folder == read.skill.folder:
            return  # a link to it: repositories have one for each agent
        problem = self.add(read.skill)
        own = (error(f"it would be left out, since {problem}"),) if problem else ()
        self._report(path / read.skill.file, *read.findings, *own, names=() if problem else (read.skill.name,))

    def add_python(
        self, found: Iterable[Skill[..., Any]], origin: str, version: str = "", path: Path | None = None
    ) -> None:
        """Add the skills of a module or file; a version of its own goes before that of its package."""
        skills = list(found)
        if not skills:
            self.problems.append(f"{origin} has no skill in it; decorate a function with @skill.")
        names, findings = [], []
        for skill in skills:
            problem = self.add(replace(skill, origin=origin, version=skill.version or version))
            if problem is None:
                names.append(skill.name)
            else:
                line = skill.function.__code__.co_firstlineno
                findings.append(error(f"the skill {skill.name!r} would be left out, since {problem}", line))
        if path is not None and skills:
            self._report(path, *findings, names=names)

    def add(self, skill: AnySkill) -> str | None:
        """Add a skill that knows its origin, or say why it is left out, and return that."""
        problem = self.fault(skill)
        if problem:
            self.problems.append(f"{skill.origin}: the skill {skill.name!r} is left out, since {problem}.")
        else:
            self.skills[skill.name] = skill
        return problem

    def _report(self, path: Path, *findings: Finding, names: Iterable[str] = ()) -> None:
        self.reports.append(Report(path=path, names=tuple(names), findings=findings))

    def fault(self, skill: AnySkill) -> str | None:
        """Say why a skill cannot be offered; its stub stands in one file with all others, so it must not break that."""
        name = skill.python_name
        if skill.name in self.skills:
            return f"the name is taken by {self.skills[skill.name].origin}; rename it"
        if not name.isidentifier():
            return "code cannot call it by that name, which begins with a digit; rename it"
        if keyword.iskeyword(name) or name in _STUB_NAMES:
            return "the name means something else in Python; rename it"
        if (name == _RESERVED and skill.origin != _BUILT_IN_ORIGIN) or name.startswith(TWIN_PREFIX):
            return "the name is Callboard's own, like all that begin with async-; rename it"
        with strangers_code() as ends_us:
            try:
                parse(skill.stub)
                if not _is_plain(skill):
                    _ = skill.schema
                if isinstance(skill, Skill) and not _is_plain_type(skill.returns):
                    _ = skill.answers
            except BaseException as error:  # resolving annotations runs the file's own names
                if ends_us(error):
                    raise
                return f"its types cannot be described ({told(error)}); use types that JSON has"
        return None


@cache
def _built_in() -> tuple[Skill[..., Any], ...]:
    """Return the skills that ship; they keep the stubs and schemas that have been made of them."""
    package = importlib.import_module(_BUILT_IN)
    names = (info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))
    return tuple(
        replace(skill, origin=_BUILT_IN_ORIGIN, version=__version__)
        for name in names
        for skill in skills_of(importlib.import_module(f"{_BUILT_IN}.{name}"))
    )


def _is_plain(skill: AnySkill) -> bool:
    """Return whether the types of a Python skill are such that a JSON schema can be made of them whenever it is needed.

    PERF: making it takes 0.7 ms, which counts at the start of a server with a hundred skills.
    """
    if not isinstance(skill, Skill):
        return False
    hints = get_type_hints(skill.function, include_extras=True)
    return all(_is_plain_type(hint) for name, hint in hints.items() if name not in ("ctx", "return"))


def _is_plain_type(hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (list, Union, UnionType):
        return all(_is_plain_type(one) for one in inner)
    if origin is dict:
        return inner[0] is str and _is_plain_type(inner[1])
    return hint in _PLAIN or hint is Any or origin is Literal
