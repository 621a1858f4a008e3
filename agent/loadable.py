"""What a server with certain settings would load, found out without starting one or any MCP server.

Files of skills are imported, which runs them. Imported by the command line and by the validation of agents.
"""

from collections.abc import Container
from functools import cached_property

from callboard.agent.catalogue import Catalogue
from callboard.agent.delegation import DELEGATE
from callboard.agent.roster import Roster
from callboard.settings import Settings, environment


class KnownSkills(Container[str]):
    """The names of the skills that a server would have, and of an MCP server's every name that it may have."""

    def __init__(self, catalogue: Catalogue, prefixes: tuple[str, ...]) -> None:
        self._names = frozenset((*catalogue.names, DELEGATE))
        self._prefixes = prefixes

    def __contains__(self, name: object) -> bool:
        return name in self._names or self.may_come(name)

    def may_come(self, name: object) -> bool:
        """Say whether a skill of this name would be a tool of an MCP server, which only that can tell."""
        return isinstance(name, str) and name not in self._names and name.startswith(self._prefixes)


class Loadable:
    """The skills and agents of a server with these settings, and what it could not load, in sentences.

    The tools of MCP servers and `delegate` are not among the skills. Each part is loaded when it is asked for; raises
    `ConfigurationError` for a setting that cannot work.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue.load(self.settings.skills_dir, approve=self.settings.approve_skills)

    @cached_property
    def roster(self) -> Roster:
        return Roster.load(self.settings.agents_dir, self.known_skills)

    @cached_property
    def known_skills(self) -> KnownSkills:
        return KnownSkills(self.catalogue, self._servers[0])

    @property
    def skill_problems(self) -> tuple[str, ...]:
        return (*self.catalogue.problems, *self._servers[1])

    @property
    def agent_problems(self) -> tuple[str, ...]:
        return self.roster.problems

    @cached_property
    def _servers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What the names of MCP servers' tools begin with, and what is wrong with their configuration."""
        if self.settings.mcp_config is None:
            return (), ()
        from callboard.agent.mcp.config import load_config

        config = load_config(self.settings.mcp_config, environment())
        return tuple(f"{server.prefix}-" for server in config.servers), config.problems
