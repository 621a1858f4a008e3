"""What a server's agent can do: its model, its skills, its agents, and what every run of it is given (`tools`).

Loaded in the thread that starts the system. Where tools of MCP servers come and go, `_renew` puts others in their place, in the
MCP loop's thread; any thread reads. Imported by the wiring.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from callboard import __version__
from callboard.agent.catalogue import Catalogue
from callboard.agent.delegation import Delegate
from callboard.agent.job import Control, Tools
from callboard.agent.models.breaker import Breakers, Circuits
from callboard.agent.models.loading import LoadedModel, load_model
from callboard.agent.roster import AgentDefinition, Roster
from callboard.agent.spending import Spending
from callboard.clock import Clock
from callboard.errors import ConfigurationError
from callboard.messages.health import HealthReport
from callboard.settings import Settings, environment

if TYPE_CHECKING:
    from callboard.agent.mcp import McpServers
    from callboard.agent.mcp.remote import RemoteServers
    from callboard.agent.planner.model import ModelPlanner
    from callboard.agent.sandbox import Sandbox

logger = logging.getLogger("callboard.system")


class Abilities:
    """The planner, the skills and the agents of one server, and from `equip` on its `tools`; `close` ends what they have open.

    `tools` is replaced as a whole: whoever has taken it has skills, agents and a sandbox that go with each other.
    """

    tools: Tools

    def __init__(
        self,
        settings: Settings,
        *,
        breakers: Circuits | None = None,
        holder: str = "",
        servers: "RemoteServers | None" = None,
    ) -> None:
        """Load everything; raise `ConfigurationError` for what cannot work. What is broken in itself is left out and logged.

        A worker's process gives what the control side has for it: `breakers`, which know it as `holder`, and `servers`.
        """
        self._settings = settings
        self.breakers = Breakers()
        self._model: LoadedModel | None = load_model(settings, breakers=breakers or self.breakers, holder=holder)
        self._by_model = _model_planner(self._model, settings)
        delegate = Delegate(__version__)
        self._own = self._catalogue = Catalogue.load(
            settings.skills_dir, more=(delegate,), approve=settings.approve_skills
        )
        self._roster = Roster.load(settings.agents_dir, self._own)
        delegate.agents = self._roster.delegates
        self._sandbox: Sandbox | None = None
        self._said: frozenset[str] = frozenset()
        # Guards renewals: the thread that starts the system and the MCP loop's both come to them, and neither has a
        # mailbox. Who reads takes no lock.
        self._lock = threading.Lock()
        self._told: Callable[[object], None] | None = None
        self._listing: object = None
        self._remote = servers
        self._mcp = _mcp_servers(settings) if servers is None else None
        if self._mcp is not None:
            self._mcp.follow(self._renew)
        self._renew()
        if servers is not None:
            return  # the control side has said what is wrong
        for problem in self._server_problems(self._troubles):
            logger.warning("%s", problem)
        for note in self._roster.notes:
            logger.info("%s", note)
        self._check_approvals()

    def equip(self, *, accounts: Spending, control: Control, clock: Clock, workspace_root: Path) -> None:
        """Start the sandbox, and put together what every run in this process is given.

        PERF: what only runs need is imported here: without it a server with worker processes takes 8 MB less and a quarter less to load.
        """
        from callboard.agent.planner.offline import OfflinePlanner
        from callboard.agent.sandbox import Sandbox

        sandbox = Sandbox(self._settings)
        sandbox.start()
        with self._lock:
            self._sandbox = sandbox
            self.tools = Tools(
                planner=self._by_model or OfflinePlanner(),
                roster=self._roster,
                accounts=accounts,
                sandbox=_offering(sandbox, self._catalogue),
                catalogue=self._catalogue,
                settings=self._settings,
                clock=clock,
                workspace_root=workspace_root,
                control=control,
            )

    @property
    def catalogue(self) -> Catalogue:
        """The skills there are now."""
        return self._catalogue

    @property
    def roster(self) -> Roster:
        """The agents there are, with the skills that they have now."""
        return self._roster

    def follow(self, told: Callable[[object], None]) -> None:
        """Have `told` called with the listing of MCP servers, for worker processes, now and whenever it has become another."""
        with self._lock:
            self._told = told
            self._tell(self._catalogue)

    def renew(self, servers: "RemoteServers") -> None:
        """Take up what the control side has said of MCP servers."""
        self._remote = servers
        self._renew()

    def _tell(self, catalogue: Catalogue) -> None:
        if self._told is not None and self._mcp is not None:
            listing = self._mcp.listing(catalogue.has)
            if listing != self._listing:
                self._listing = listing
                self._told(listing)

    def _renew(self) -> None:
        """Have all that begins from now on make use of the skills there are now, and log what is newly wrong with them.

        The one place where skills come and go.
        """
        with self._lock:
            catalogue, roster = self._catalogue, self._roster
            if (servers := self._mcp or self._remote) is not None:
                catalogue = self._own.with_tools(servers.skills, servers.late, before=catalogue)
                roster = roster.knowing(catalogue, catalogue.late)
                self._tell(catalogue)
            if self._sandbox is not None:
                self.tools = replace(
                    self.tools,
                    roster=roster,
                    catalogue=catalogue,
                    sandbox=_offering(self._sandbox, catalogue),
                )
            # last: of a skill that is seen to be there, runs that begin know
            self._catalogue, self._roster = catalogue, roster
            problems = (*self._catalogue.problems, *self._roster.problems)
            for problem in problems:
                if problem not in self._said and self._remote is None:
                    logger.warning("%s", problem)
            self._said = frozenset(problems)

    def _check_approvals(self) -> None:
        """Raise `ConfigurationError` if a skill that needs approval is not known by that name: its calls would need none.

        A pattern may stand for nothing yet, and the tools of an MCP server that is down are not known.
        """
        servers = () if self._mcp is None else self._mcp.names
        for name in self._catalogue.unmatched:
            if set(name) & set("*?[") or name.startswith(tuple(f"{server}-" for server in servers)):
                continue
            self.close()
            near = get_close_matches(name.lower().replace("_", "-"), self._catalogue.names, n=1)
            hint = f"did you mean {near[0]}?" if near else "`callboard skills` lists those there are."
            raise ConfigurationError(f"CALLBOARD_APPROVE_SKILLS names {name!r}, and no skill is called that; {hint}")

    # --- what is wrong, any thread ---

    @property
    def servers(self) -> "McpServers | None":
        """The MCP servers, where any are configured."""
        return self._mcp

    @property
    def skill_problems(self) -> tuple[str, ...]:
        """What is wrong now with skills and with the MCP servers they come from, in sentences."""
        told = () if self._mcp is None else self._mcp.warnings
        return (*self._catalogue.problems, *self._server_problems(self._troubles), *told)

    @property
    def agent_problems(self) -> tuple[str, ...]:
        """What is wrong now with agents' files, in sentences."""
        return self._roster.problems

    @property
    def _troubles(self) -> Mapping[str, str | None]:
        return {} if self._mcp is None else self._mcp.troubles

    def _server_problems(self, troubles: Mapping[str, str | None]) -> tuple[str, ...]:
        """Return which servers' entries are broken, and why servers cannot be used."""
        return (*(() if self._mcp is None else self._mcp.problems), *filter(None, troubles.values()))

    def added_to(self, report: HealthReport, *, details: bool) -> HealthReport:
        """Return the report with how skills, agents and MCP servers stand; at once.

        What is not there although it is configured makes it `degraded`. Without `details` only numbers are told.
        """
        troubles = self._troubles
        problems = (*self._catalogue.failures, *self._server_problems(troubles), *self._roster.problems)
        told = () if self._mcp is None else self._mcp.warnings
        warnings = (*self._catalogue.warnings, *told, *self._roster.notes)
        if not details:
            problems, warnings = _numbered(problems, "problem"), _numbered(warnings, "warning")
        return replace(
            report,
            status="degraded" if problems and report.status == "healthy" else report.status,
            services={**report.services, **{f"mcp:{name}": why is None for name, why in troubles.items()}},
            problems=(*report.problems, *problems),
            warnings=warnings,
        )

    # --- what the health monitor does, in its thread ---

    @property
    def probes(self) -> dict[str, Callable[[], object]]:
        """What the health monitor probes: each raises why something does not work."""
        return {"llm": self._probe_model}

    def _probe_model(self) -> None:
        if self._model is not None:  # the built-in planner always works
            self._model.check()

    def look(self) -> None:
        """Have MCP servers connected to, and asked whether they are there, where that is due; never waits."""
        if self._mcp is not None:
            self._mcp.look()

    # --- the rest ---

    def takes_images(self, agent: AgentDefinition) -> bool:
        """Return whether the model that an agent is worked with takes pictures; any thread."""
        return self._by_model is not None and self._by_model.model_of(agent).takes_images

    def close(self) -> None:
        if self._sandbox is not None:
            self._sandbox.close()
        if self._mcp is not None:
            self._mcp.close()
        if self._model is not None:
            self._model.close()


def _model_planner(model: LoadedModel | None, settings: Settings) -> "ModelPlanner | None":
    """Return the planner that asks this model; None where there is none, and the built-in planner works."""
    if model is None:
        return None
    from callboard.agent.planner.model import ModelPlanner  # PERF: with what reads answers, 25 ms

    return ModelPlanner(model, settings, model.named)


def _offering(sandbox: "Sandbox", catalogue: Catalogue) -> "Sandbox":
    names = [skill.python_name for skill in catalogue.skills.values()]
    return sandbox.offering(stubs=catalogue.stubs(twins=True), skills=names)


def _numbered(sentences: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return how many there are, for those who may not read them.

    SECURITY: they carry paths, and what files and servers of others have said.
    """
    if not sentences:
        return ()
    many = f"1 {what}" if len(sentences) == 1 else f"{len(sentences)} {what}s"
    return (f"{many} of skills, agents and MCP servers; ask with an API key for the details.",)


def _mcp_servers(settings: Settings) -> "McpServers | None":
    """Connect to the MCP servers that are configured, if there are any."""
    if settings.mcp_config is None:
        return None
    # PERF: what speaks to them takes a second to import, which a server without them need not wait for
    from callboard.agent.mcp import McpServers, load_config

    servers = McpServers(load_config(settings.mcp_config, environment()), data_dir=settings.data_dir)
    servers.start()
    return servers
