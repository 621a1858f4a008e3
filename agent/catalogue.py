"""Every skill there is: built in, from installed packages, and from the operator's folder.

Loaded once at start, then only read, so any thread may use it. What cannot be loaded is reported and left out: one
broken file must not keep a server from starting. Imported by the runner, by the wiring and by the planner's tests.
"""

import ast
import hashlib
import importlib
import importlib.util
import keyword
import pkgutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from callboard.agent.skill import Skill
from callboard.errors import ConfigurationError, SkillNotFound, UnknownSkill

ENTRY_POINTS = "callboard.skills"
_BUILT_IN = "callboard.agent.skills"
_STUB_NAMES = frozenset({"str", "int", "float", "bool", "bytes", "object", "list", "dict", "tuple", "set"})

AnySkill = Skill[..., Any]


class Catalogue:
    """The skills by their wire names, in alphabetical order; immutable.

    `problems` says in sentences what could not be loaded and what to do about it.
    """

    __slots__ = ("_skills", "problems")

    def __init__(self, skills: Iterable[AnySkill] = (), problems: Iterable[str] = ()) -> None:
        self._skills = MappingProxyType({skill.name: skill for skill in sorted(skills, key=lambda skill: skill.name)})
        self.problems = tuple(problems)

    @classmethod
    def load(cls, skills_dir: Path | None = None) -> "Catalogue":
        """Find all skills; raise `ConfigurationError` if the folder is missing."""
        loader = _Loader()
        loader.add_built_in()
        loader.add_entry_points()
        if skills_dir is not None:
            loader.add_folder(skills_dir)
        return cls(loader.skills.values(), loader.problems)

    def __contains__(self, name: object) -> bool:
        return name in self._skills

    def __len__(self) -> int:
        return len(self._skills)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._skills)

    @property
    def skills(self) -> Mapping[str, AnySkill]:
        return self._skills

    def get(self, name: str) -> AnySkill:
        """Return a skill; raise `SkillNotFound` naming the known ones."""
        if name not in self._skills:
            raise SkillNotFound(f"There is no skill {name[:64]!r}; there are {', '.join(self.names)}.")
        return self._skills[name]

    def require(self, names: Iterable[str]) -> Mapping[str, AnySkill]:
        """Return the skills of these names; raise `UnknownSkill` naming the unknown and the known ones."""
        wanted = list(names)
        unknown = [name for name in dict.fromkeys(wanted) if name not in self._skills]
        if unknown:
            listed = ", ".join(repr(name[:64]) for name in unknown[:10]) + (", …" if len(unknown) > 10 else "")
            raise UnknownSkill(
                f"Not known as {'a skill' if len(unknown) == 1 else 'skills'}: {listed}; "
                f"there are {', '.join(self.names)}.",
                details={"unknown": unknown, "known": list(self.names)},
            )
        return {name: self._skills[name] for name in wanted}

    def stubs(self, names: Iterable[str] | None = None) -> str:
        """Return the text of `skills.pyi`: what code may import from `skills`, all of it or only these names."""
        chosen = self._skills if names is None else self.require(names)
        return "\n\n".join(["from typing import Any, Literal", *(skill.stub for skill in chosen.values())]) + "\n"


class _Loader:
    """Collects skills in their order of precedence; a name that is taken stays with the first."""

    def __init__(self) -> None:
        self.skills: dict[str, AnySkill] = {}
        self.problems: list[str] = []

    def add_built_in(self) -> None:
        package = importlib.import_module(_BUILT_IN)
        for info in pkgutil.iter_modules(package.__path__):
            if not info.name.startswith("_"):
                for skill in _skills_of(importlib.import_module(f"{_BUILT_IN}.{info.name}")):
                    self.skills[skill.name] = replace(skill, origin="builtin")

    def add_entry_points(self) -> None:
        for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
            origin = f"entry point {entry.name}"
            try:
                loaded = entry.load()
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a package's import may raise anything
                self.problems.append(f"{origin} cannot be loaded ({_told(error)}); update or uninstall its package.")
                continue
            self.add([loaded] if isinstance(loaded, Skill) else _skills_of(loaded), origin)

    def add_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConfigurationError(
                f"CALLBOARD_SKILLS_DIR names {folder}, which is not a folder; make it or unset it."
            )
        for path in sorted(folder.resolve().glob("*.py")):
            if path.name.startswith("_"):
                continue
            try:
                module = _import_file(path)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # an operator's file may raise anything
                self.problems.append(f"{path} cannot be loaded ({_told(error)}); mend it and restart.")
                continue
            self.add(_skills_of(module), str(path))

    def add(self, found: Iterable[AnySkill], origin: str) -> None:
        skills = list(found)
        if not skills:
            self.problems.append(f"{origin} has no skill in it; decorate a function with @skill.")
        for skill in skills:
            problem = self.fault(skill)
            if problem:
                self.problems.append(f"{origin}: the skill {skill.name!r} is left out, since {problem}.")
            else:
                self.skills[skill.name] = replace(skill, origin=origin)

    def fault(self, skill: AnySkill) -> str | None:
        """Say why a skill cannot be offered; its stub stands in one file with all others, so it must not break that."""
        if skill.name in self.skills:
            return f"the name is taken by {self.skills[skill.name].origin}; rename it"
        if keyword.iskeyword(skill.python_name) or skill.python_name in _STUB_NAMES:
            return "the name means something else in Python; rename it"
        try:
            ast.parse(skill.stub)
            _ = skill.schema
        except Exception as error:  # noqa: BLE001  # resolving annotations runs the file's own names
            return f"its types cannot be described ({_told(error)}); use types that JSON has"
        return None


def _skills_of(module: ModuleType | Any) -> list[AnySkill]:
    """Return the skills defined in a module, not those it imports."""
    name = getattr(module, "__name__", None)
    found = (
        [value for value in vars(module).values() if isinstance(value, Skill)] if isinstance(module, ModuleType) else []
    )
    return list({skill.name: skill for skill in found if skill.function.__module__ == name}.values())


def _import_file(path: Path) -> ModuleType:
    """Import a file under a name that no package and no other file has."""
    name = f"callboard_skill_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("Python cannot import it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _told(error: BaseException) -> str:
    where = f" at line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}{where}"[:300]
