"""The MCP servers of a configuration, and their tools as skills.

Started and closed by the wiring; skills call from worker threads; `probe` is for the health monitor's thread and
never waits. The SDK is imported when there is a server to start. Imported by the wiring.
"""

import asyncio
import importlib.util
from concurrent.futures import wait
from pathlib import Path
from typing import TYPE_CHECKING

from callboard.agent.mcp.config import McpConfig
from callboard.agent.mcp.line import ServerLine
from callboard.agent.mcp.loop import LoopThread
from callboard.agent.mcp.tool import McpTool
from callboard.clock import Clock
from callboard.errors import ConfigurationError, Unavailable
from callboard.logs import get_logger

if TYPE_CHECKING:
    import anyio.abc

    from callboard.agent.mcp.connection import Connection

logger = get_logger("callboard.agent.mcp")

START_S = 5.0
"""How long a start waits for its servers; slower ones go on connecting without holding it up."""

CLOSE_S = 8.0
_GRACE_S = 2.0
"""How long connections have to end in good order before they are cancelled; a child has a little longer."""


class McpServers:
    """All servers of a configuration; `start` makes `skills`, `close` ends every child process and connection."""

    def __init__(
        self, config: McpConfig, *, data_dir: Path, clock: Clock | None = None, start_s: float = START_S
    ) -> None:
        """Raise `ConfigurationError` if there are servers and the package for them is not installed."""
        if config.servers and not _installed():
            raise ConfigurationError(
                "CALLBOARD_MCP_CONFIG names MCP servers, and the packages for them are not installed; "
                "run pip install 'callboard[mcp]', or unset it."
            )
        self._config = config
        self._data_dir = data_dir
        self._clock = clock or Clock()
        self._start_s = start_s
        self._lines: dict[str, ServerLine] = {}
        self._loop = LoopThread(self._run)
        self._tasks: anyio.abc.TaskGroup | None = None
        self.skills: tuple[McpTool, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The servers that are configured and enabled, whether they are up or not."""
        return tuple(server.prefix for server in self._config.servers)

    @property
    def problems(self) -> tuple[str, ...]:
        """What the operator should know, in sentences; grows when a server changes."""
        return (*self._config.problems, *(problem for line in self._lines.values() for problem in line.problems))

    def start(self) -> None:
        """Connect to all servers at once, for at most `start_s`, and make skills of their tools.

        A server that is not there by then has the tools it had last time, if that is known.
        """
        if not self._config.servers:
            return
        self._lines = {
            server.prefix: ServerLine(
                server, loop=self._loop, connect=self._connection, data_dir=self._data_dir, clock=self._clock
            )
            for server in self._config.servers
        }
        self._loop.start()
        wait([line.connecting() for line in self._lines.values()], timeout=self._start_s)
        self.skills = tuple(skill for line in self._lines.values() for skill in line.make_skills())

    def probe(self, name: str) -> None:
        """Raise `Unavailable` saying why a server is not usable; at once.

        Now and then it also has the server asked whether it is there; the answer shows in a later probe.
        """
        line = self._lines.get(name)
        if line is None:
            raise KeyError(f"there is no MCP server {name!r}; there are {', '.join(self.names) or 'none'}")
        line.look()
        if (why := line.connection.status) is not None:
            raise Unavailable(f"The MCP server {line.server.name} is not usable: {why}.")

    def protocol_version(self, name: str) -> str | None:
        """Return the version of the protocol that is spoken with a server, None while there is no connection."""
        return self._lines[name].connection.protocol_version

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """End all connections and children; calls under way fail. False if something did not end in time."""
        ended = self._loop.close(timeout_s)
        if not ended:
            logger.error("the MCP servers did not end within %.1f s", timeout_s)
        return ended

    def _connection(self, line: ServerLine) -> "Connection":
        from callboard.agent.mcp.connection import Connection

        return Connection(
            line.server,
            clock=self._clock,
            tasks=self._running_tasks,
            listed=line.listed,
            told=line.tell,
            changed=line.changed,
        )

    def _running_tasks(self) -> "anyio.abc.TaskGroup":
        assert self._tasks is not None
        return self._tasks

    async def _run(self, stop: asyncio.Event) -> None:
        """Hold what the connections run in, until the end; the loop's thread."""
        import anyio

        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            await stop.wait()
            for line in self._lines.values():
                line.connection.close()
            tasks.cancel_scope.deadline = anyio.current_time() + _GRACE_S


def _installed() -> bool:
    return all(importlib.util.find_spec(package) is not None for package in ("mcp", "jsonschema_rs"))
