"""The agents that a task can be addressed to, or delegated to: who they are, what they may call and spend.

The files are read once, at start (`roster_files`); where skills come and go, the whole is replaced (`knowing`), never changed, so
any thread may use one.
Imported by the runner, by the wiring and by `http/`.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from callboard.agent.findings import Finding, Report, error, note
from callboard.agent.roster_files import SUFFIXES, AgentFile, BrokenFile, beside_agents, read_agent
from callboard.budget import Budget
from callboard.errors import UnknownAgent
from callboard.messages.tasks import MASTER
from callboard.paths import readable_folder

BUILT_IN = "builtin"
_SHIPPED = files(__package__) / "agents"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDefinition:
    """One agent. `skills` None: all there are; `model` None: the server's own; `max_rounds` None: the setting's."""

    name: str
    description: str
    system_prompt: str = ""
    skills: tuple[str, ...] | None = None
    model: str | None = None
    budget: Budget | None = None
    max_rounds: int | None = None
    origin: str = BUILT_IN


MASTER_AGENT = AgentDefinition(
    name=MASTER, description="Works a task out: plans, writes Python that calls skills, delegates, answers."
)


class Roster:
    """The agents by name; immutable.

    `problems` says in sentences what could not be loaded and what to do about it, `notes` what an operator may want to
    know all the same; `reports` says both of the operator's files by path and line, beside who was loaded from each.
    """

    def __init__(
        self,
        agents: Iterable[AgentDefinition] = (),
        problems: Iterable[str] = (),
        notes: Iterable[str] = (),
        reports: Iterable[Report] = (),
        *,
        skills: Container[str] = (),
        may_come: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Take agents as their files have them, and the names of the skills there are; see `knowing`."""
        self._written, self._broken = tuple(agents), tuple(problems)
        self._agents: Mapping[str, AgentDefinition] = MappingProxyType(
            {agent.name: _having(agent, skills) for agent in (MASTER_AGENT, *self._written)}
        )
        self.problems = (*self._broken, *filter(None, (_missing(agent, skills, may_come) for agent in self._written)))
        self.notes = tuple(notes)
        self.reports = tuple(reports)

    @classmethod
    def load(cls, agents_dir: Path | None, skills: Container[str]) -> "Roster":
        """Read the agents that ship and those of the operator's folder; `skills` are the names in the catalogue.

        Raises `ConfigurationError` if the folder is missing; a file that is broken is reported and left out.
        """
        own = () if agents_dir is None else sorted(readable_folder(agents_dir, "CALLBOARD_AGENTS_DIR").iterdir())
        return cls.of_files(own, skills)

    @classmethod
    def of_files(cls, own: Iterable[Path], skills: Container[str]) -> "Roster":
        """Read the agents that ship and those of these files of the operator's."""
        loader = _Loader()
        loader.add(sorted(_SHIPPED.iterdir(), key=lambda path: path.name))
        loader.add(own, own=True)
        return cls(loader.agents.values(), loader.problems, loader.notes, loader.reports, skills=skills)

    def knowing(self, skills: Container[str], may_come: Callable[[str], object]) -> "Roster":
        """Return the agents, each with those of the skills its file names that there are; the others are reported.

        All but those that `may_come`: an agent has them as soon as they are there.
        """
        return Roster(self._written, self._broken, self.notes, self.reports, skills=skills, may_come=may_come)

    def __iter__(self) -> Iterator[AgentDefinition]:
        return iter(self._agents.values())

    @property
    def delegates(self) -> tuple[str, ...]:
        """The agents that code can delegate to."""
        return tuple(name for name in self._agents if name != MASTER)

    def get(self, name: str | None) -> AgentDefinition:
        """Return an agent, the master for None; raise `UnknownAgent` naming the known ones."""
        agent = self._agents.get(name or MASTER)
        if agent is None:
            known = ", ".join(sorted(self._agents))
            raise UnknownAgent(f"There is no agent {name!r}; the known ones are: {known}.")
        return agent


@cache
def _read_shipped(name: str, stem: str) -> AgentFile:
    """Return what a file that ships says. PERF: 9 ms that a second system in a process need not take."""
    return read_agent(_SHIPPED / name, stem)


class _Loader:
    """Collects agents; an operator's file takes the place of a built-in agent of its name, and of nothing else."""

    def __init__(self) -> None:
        self.agents: dict[str, AgentDefinition] = {}
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.reports: list[Report] = []

    def add(self, paths: Iterable[Traversable], *, own: bool = False) -> None:
        """Add the agents of these files, leaving out files of other kinds; `own` are the operator's."""
        for path in paths:
            stem, dot, suffix = path.name.rpartition(".")
            if (dot + suffix).lower() in SUFFIXES and stem and not stem.startswith((".", "_")):
                try:
                    found = read_agent(path, stem) if own else _read_shipped(path.name, stem)
                    replaces = found.name in self.agents
                    self._add(found, str(path) if own else BUILT_IN, str(path))
                except BrokenFile as broken:
                    self.problems.append(f"{path}{broken.where}: {broken.problem}")
                    self._report(path, error(broken.problem.removesuffix("."), broken.line))
                    continue
                if own:
                    taken = [note(f"it takes the place of the built-in agent {found.name!r}")] if replaces else []
                    self._report(path, *taken, names=(found.name,))
            elif own:
                self._leave_out(path)

    def _leave_out(self, path: Traversable) -> None:
        for place, finding in beside_agents(Path(str(path))):
            self._report(place, finding)
            if finding.level == "error":
                self.problems.append(f"{place} is not loaded: {finding.message}.")

    def _report(self, path: Traversable, *findings: Finding, names: tuple[str, ...] = ()) -> None:
        self.reports.append(Report(path=Path(str(path)), names=names, findings=findings))

    def _add(self, found: AgentFile, origin: str, path: str) -> None:
        if found.name == MASTER:
            raise BrokenFile(f"the name {MASTER!r} is the server's own agent; give this one another name.")
        taken = self.agents.get(found.name)
        if taken is not None and taken.origin != BUILT_IN:
            raise BrokenFile(f"the name {found.name!r} is taken by {taken.origin}; rename one of the two.")
        if taken is not None:
            self.notes.append(f"{path} takes the place of the built-in agent {found.name!r}.")
        self.agents[found.name] = AgentDefinition(
            name=found.name,
            description=found.description,
            system_prompt=found.system_prompt,
            skills=found.skills,
            model=found.model,
            budget=found.budget,
            max_rounds=found.max_rounds,
            origin=origin,
        )


def _having(agent: AgentDefinition, skills: Container[str]) -> AgentDefinition:
    """Return the agent with those of its skills that there are."""
    if agent.skills is None:
        return agent
    # SECURITY: a list of which nothing is left stays a list, since None would allow every skill
    return replace(agent, skills=tuple(dict.fromkeys(name for name in agent.skills if name in skills)))


def _missing(agent: AgentDefinition, skills: Container[str], may_come: Callable[[str], object]) -> str | None:
    """Say which of an agent's skills there are not, and will not be."""
    unknown = [name for name in agent.skills or () if name not in skills and not may_come(name)]
    if not unknown:
        return None
    return (
        f"{agent.origin}: the agent {agent.name!r} does without {', '.join(map(repr, unknown))}, which no skill here is "
        "called; `callboard skills list` shows those there are."
    )
