"""What a server's agent can do: its model, its skills, its agents; loaded at start, from the settings.

In the thread that starts the system. Imported by the wiring, and by the command line for what it lists.
"""

import logging
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from callboard import __version__
from callboard.agent.catalogue import Catalogue
from callboard.agent.delegation import Delegate
from callboard.agent.models.loading import LoadedModel, load_model
from callboard.agent.planner import OfflinePlanner, Planner
from callboard.agent.planner.model import ModelPlanner
from callboard.agent.roster import AgentDefinition, Roster
from callboard.errors import ConfigurationError
from callboard.settings import Settings, environment

if TYPE_CHECKING:
    from callboard.agent.mcp import McpServers

logger = logging.getLogger("callboard.system")


class Abilities:
    """The planner, the catalogue of skills and the roster of agents of one server; `close` lets go of connections."""

    def __init__(self, settings: Settings) -> None:
        """Load everything; raise `ConfigurationError` for what cannot work. What is broken in itself is left out and logged."""
        self._model: LoadedModel | None = load_model(settings)
        self._mcp = _mcp_servers(settings)
        delegate, tools = Delegate(__version__), () if self._mcp is None else self._mcp.skills
        self.catalogue = Catalogue.load(settings.skills_dir, more=(delegate, *tools), approve=settings.approve_skills)
        self.roster = Roster.load(settings.agents_dir, self.catalogue.names)
        delegate.agents = self.roster.delegates
        self.planner: Planner = OfflinePlanner()
        if self._model is not None:
            self.planner = ModelPlanner(self._model, settings, self._model.named)
        for problem in (*self.skill_problems, *self.agent_problems):
            logger.warning("%s", problem)
        for note in self.roster.notes:
            logger.info("%s", note)
        self._check_approvals()

    def _check_approvals(self) -> None:
        """Raise `ConfigurationError` if a skill that needs approval is not known by that name: its calls would need none.

        A pattern may stand for nothing yet, and the tools of an MCP server that is down are not known.
        """
        servers = () if self._mcp is None else self._mcp.names
        for name in self.catalogue.unmatched:
            if set(name) & set("*?[") or name.startswith(tuple(f"{server}-" for server in servers)):
                continue
            self.close()
            near = get_close_matches(name.lower().replace("_", "-"), self.catalogue.names, n=1)
            hint = f"did you mean {near[0]}?" if near else "`callboard skills` lists those there are."
            raise ConfigurationError(f"CALLBOARD_APPROVE_SKILLS names {name!r}, and no skill is called that; {hint}")

    @property
    def skill_problems(self) -> tuple[str, ...]:
        """What is wrong with skills and with the MCP servers they come from, in sentences; grows while servers come and go."""
        return (*self.catalogue.problems, *(() if self._mcp is None else self._mcp.problems))

    @property
    def agent_problems(self) -> tuple[str, ...]:
        """What is wrong with agents' files, in sentences."""
        return self.roster.problems

    def takes_images(self, agent: AgentDefinition) -> bool:
        """Return whether the model that an agent is worked with takes pictures; any thread."""
        return isinstance(self.planner, ModelPlanner) and self.planner.model_of(agent).takes_images

    @property
    def probes(self) -> dict[str, Callable[[], object]]:
        """What the health monitor probes: each raises why something does not work."""
        probes: dict[str, Callable[[], object]] = {"llm": self._probe_model}
        if (mcp := self._mcp) is not None:
            probes |= {f"mcp:{name}": partial(mcp.probe, name) for name in mcp.names}
        return probes

    def _probe_model(self) -> None:
        if self._model is not None:  # the built-in planner always works
            self._model.check()

    def close(self) -> None:
        if self._mcp is not None:
            self._mcp.close()
        if self._model is not None:
            self._model.close()


def _mcp_servers(settings: Settings) -> "McpServers | None":
    """Connect to the MCP servers that are configured, if there are any."""
    if settings.mcp_config is None:
        return None
    # PERF: what speaks to them takes a second to import, which a server without them need not wait for
    from callboard.agent.mcp import McpServers, load_config

    servers = McpServers(load_config(settings.mcp_config, environment()), data_dir=settings.data_dir)
    servers.start()
    return servers
