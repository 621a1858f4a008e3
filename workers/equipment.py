"""What a worker's process has of its own for every run: skills, agents, planner, sandbox; and its way to what exists once a node.

Loaded in the process's main thread, where the listing of tools is renewed too; any thread reads `tools`. Imported by `child.py`.
"""

import os
from collections.abc import Callable
from typing import Any, cast

from callboard.abilities import Abilities
from callboard.agent.job import Control, Tools
from callboard.agent.mcp.remote import McpControl, RemoteServers
from callboard.agent.models.breaker import Circuits
from callboard.agent.spending import Spending
from callboard.clock import Clock
from callboard.settings import Settings

Ask = Callable[..., Any]
"""Calls a method of the control side by its name; returns what it returns, raises what it raises."""


class Equipment:
    """Loaded once; `close` ends what it has open."""

    def __init__(self, settings: Settings, ask: Ask, listing: Any) -> None:
        self._mcp = cast("McpControl", Remote(ask, "mcp."))
        self._servers = RemoteServers(listing, self._mcp)
        circuits = cast("Circuits", Remote(ask, "breakers."))
        self._abilities = Abilities(settings, breakers=circuits, holder=str(os.getpid()), servers=self._servers)
        self._abilities.equip(
            accounts=cast("Spending", Remote(ask, "accounts.")),
            clock=Clock(),
            workspace_root=settings.data_dir / "workspaces",
            control=cast("Control", Remote(ask, "control.")),
        )

    @property
    def tools(self) -> Tools:
        return self._abilities.tools

    def renew(self, listing: Any) -> None:
        """Have what begins from now on use the tools that servers have now."""
        self._servers = RemoteServers(listing, self._mcp, before=self._servers)
        self._abilities.renew(self._servers)

    def close(self) -> None:
        self._abilities.close()


class Remote:
    """An object of the control side: its methods take and return values."""

    def __init__(self, ask: Ask, prefix: str) -> None:
        self._ask = ask
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arguments: self._ask(f"{self._prefix}{name}", *arguments)
