"""Every skill there is: built in, from installed packages, from the operator's folder, and from elsewhere.

Files are loaded once, at start; the tools of servers come and go, and then another one takes its place (`with_tools`). One is
never changed, so any thread may use it. What cannot be loaded is reported and left out: one broken file must not keep a server
from starting. Imported by the runner, by the wiring, by `http/` and the command line.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from callboard.agent.cancel import CancelToken
from callboard.agent.skill import AnySkill
from callboard.agent.skill_loader import SkillLoader
from callboard.agent.stubs import module_text
from callboard.errors import SkillNotFound, SkillNotReady, UnknownSkill


class LateServer(Protocol):
    """A server whose skills are not all known, since it has not said yet what it has."""

    @property
    def trouble(self) -> str | None:
        """Why that is, in a sentence."""

    def wait(self, token: CancelToken) -> bool:
        """Wait until they are known, or the server could not be reached; say whether they are. Raises `Cancelled`."""


class Catalogue:
    """The skills by their wire names, in alphabetical order; immutable.

    `approve` are patterns of the names of skills whose calls need a person's approval, beside those that say so
    themselves. `failures` says in sentences what could not be loaded and what to do about it, `warnings` what else an
    operator may want to know; `unmatched` are the patterns that fit no skill. `late` are the servers that have not said yet
    what they have, by what the names of their skills begin with.
    """

    __slots__ = ("_approve", "_approved", "_given", "_late", "_skills", "failures", "unmatched", "warnings")

    def __init__(
        self,
        skills: Iterable[AnySkill] = (),
        failures: Iterable[str] = (),
        approve: Iterable[str] = (),
        *,
        warnings: Iterable[str] = (),
        late: Mapping[str, LateServer] = MappingProxyType({}),
    ) -> None:
        self._skills = MappingProxyType({skill.name: skill for skill in sorted(skills, key=lambda skill: skill.name)})
        self._approve = tuple(approve)
        self._late = {f"{prefix}-": server for prefix, server in late.items()}
        matched = {pattern: {name for name in self._skills if fnmatchcase(name, pattern)} for pattern in self._approve}
        # SECURITY: made with the skills, so that there is no moment in which one can be called and needs no approval yet
        self._approved = frozenset(skill.name for skill in self._skills.values() if skill.approval).union(
            *matched.values()
        )
        self.unmatched = tuple(pattern for pattern, names in matched.items() if not names)
        self.failures, self._given = tuple(failures), tuple(warnings)
        self.warnings = (
            *self._given,
            *(_unused(pattern) for pattern in self.unmatched if not self._may_match(pattern)),
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """The failures and the warnings."""
        return (*self.failures, *self.warnings)

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

    def with_tools(
        self, tools: Iterable[AnySkill], late: Mapping[str, LateServer], before: "Catalogue | None" = None
    ) -> "Catalogue":
        """Return these skills and tools of servers; a name that is taken stays with the first, also of those `before`."""
        loader = SkillLoader(self._skills.values())
        for tool in sorted(tools, key=lambda tool: before is None or not before.has(tool)):
            loader.add(tool)
        warnings = (*self._given, *loader.problems)
        return Catalogue(loader.skills.values(), self.failures, self._approve, warnings=warnings, late=late)

    def has(self, skill: AnySkill) -> bool:
        """Return whether a skill of this name and origin is here."""
        return skill.name in self._skills and self._skills[skill.name].origin == skill.origin

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
        """Return a skill; raise `SkillNotFound` naming the known ones, or `SkillNotReady` if its server is late."""
        if name not in self._skills:
            self._require_ready([name])
            raise SkillNotFound(f"There is no skill {name[:64]!r}; {self._choice([name])}.")
        return self._skills[name]

    def require(self, names: Iterable[str]) -> Mapping[str, AnySkill]:
        """Return the skills of these names; raise `UnknownSkill` naming the unknown and the known ones, or `SkillNotReady`."""
        wanted = list(names)
        missing = [name for name in dict.fromkeys(wanted) if name not in self._skills]
        if unknown := [name for name in missing if self.late(name) is None]:
            listed = ", ".join(repr(name[:64]) for name in unknown[:10]) + (", …" if len(unknown) > 10 else "")
            raise UnknownSkill(
                f"Not known as {'a skill' if len(unknown) == 1 else 'skills'}: {listed}; {self._choice(unknown)}.",
                details={"unknown": unknown, "known": list(self.names)},
            )
        self._require_ready(missing)
        return {name: self._skills[name] for name in wanted}

    def late(self, name: str) -> LateServer | None:
        """Return the server that may yet have a skill of this name, which is not here; the name may be code's."""
        if name in self._skills or not self._late:
            return None
        name = name.replace("_", "-")
        return next((server for prefix, server in self._late.items() if name.startswith(prefix)), None)

    def _require_ready(self, names: Iterable[str]) -> None:
        for name in names:
            if (server := self.late(name)) is not None:
                raise SkillNotReady(f"The skill {name[:64]!r} is not there yet. {server.trouble or 'Try again now.'}")

    def _may_match(self, pattern: str) -> bool:
        """Return whether a pattern that fits no skill may fit one of a server that is late."""
        return bool(self._late) and (bool(set(pattern) & set("*?[")) or self.late(pattern) is not None)

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
