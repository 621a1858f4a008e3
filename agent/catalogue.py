"""Every skill there is: built in, from installed packages, from the operator's folder, and from elsewhere.

Loaded once at start, then only read, so any thread may use it. What cannot be loaded is reported and left out: one
broken file must not keep a server from starting. Imported by the runner, by the wiring, by `http/` and the command line.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from callboard.agent.skill import AnySkill
from callboard.agent.skill_loader import SkillLoader
from callboard.agent.stubs import module_text
from callboard.errors import SkillNotFound, UnknownSkill


class Catalogue:
    """The skills by their wire names, in alphabetical order; immutable.

    `approve` are patterns of the names of skills whose calls need a person's approval, beside those that say so
    themselves. `problems` says in sentences what could not be loaded and what to do about it; `unmatched` are the patterns
    that fit no skill.
    """

    __slots__ = ("_approved", "_skills", "problems", "unmatched")

    def __init__(
        self, skills: Iterable[AnySkill] = (), problems: Iterable[str] = (), approve: Iterable[str] = ()
    ) -> None:
        self._skills = MappingProxyType({skill.name: skill for skill in sorted(skills, key=lambda skill: skill.name)})
        matched = {pattern: {name for name in self._skills if fnmatchcase(name, pattern)} for pattern in approve}
        self._approved = frozenset(skill.name for skill in self._skills.values() if skill.approval).union(
            *matched.values()
        )
        self.unmatched = unused = tuple(pattern for pattern, names in matched.items() if not names)
        self.problems = (*problems, *(_unused(pattern) for pattern in unused))

    @classmethod
    def load(
        cls, skills_dir: Path | None = None, more: Iterable[AnySkill] = (), approve: Iterable[str] = ()
    ) -> "Catalogue":
        """Find all skills, `more` being those of other origins; raise `ConfigurationError` if the folder is missing."""
        loader = SkillLoader()
        loader.add_built_in()
        loader.add_entry_points()
        if skills_dir is not None:
            loader.add_folder(skills_dir)
        for skill in more:
            loader.add(skill)
        return cls(loader.skills.values(), loader.problems, approve)

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
            raise SkillNotFound(f"There is no skill {name[:64]!r}; {self._choice([name])}.")
        return self._skills[name]

    def require(self, names: Iterable[str]) -> Mapping[str, AnySkill]:
        """Return the skills of these names; raise `UnknownSkill` naming the unknown and the known ones."""
        wanted = list(names)
        unknown = [name for name in dict.fromkeys(wanted) if name not in self._skills]
        if unknown:
            listed = ", ".join(repr(name[:64]) for name in unknown[:10]) + (", …" if len(unknown) > 10 else "")
            raise UnknownSkill(
                f"Not known as {'a skill' if len(unknown) == 1 else 'skills'}: {listed}; {self._choice(unknown)}.",
                details={"unknown": unknown, "known": list(self.names)},
            )
        return {name: self._skills[name] for name in wanted}

    def _choice(self, unknown: Iterable[str]) -> str:
        """Return which skills there are, first those that were meant, if code's name stands for one: `web_search`."""
        meant = dict.fromkeys(name.replace("_", "-").lower() for name in unknown)
        known = [name for name in meant if name in self._skills]
        listed = f"are {', '.join(self.names)}"
        return f"did you mean {', '.join(known)}? There {listed}" if known else f"there {listed}"

    def needs_approval(self, name: str) -> bool:
        """Return whether a person must approve each call of the skill; no skill of that name needs none."""
        return name in self._approved

    def stubs(self, names: Iterable[str] | None = None, *, twins: bool = False) -> str:
        """Return the text of `skills.pyi`: what code may import from `skills`, all of it or only these names.

        With `twins` each skill stands there twice, as `NAME` and as `async_NAME`: for the sandbox, not for a model.
        """
        chosen = self._skills if names is None else self.require(names)
        return module_text(chosen.values(), twins=twins)


def _unused(pattern: str) -> str:
    return f"CALLBOARD_APPROVE_SKILLS names {pattern!r}, and no skill is called that; correct or remove it."
