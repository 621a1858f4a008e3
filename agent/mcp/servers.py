"""The MCP servers of a configuration, and their tools as skills.

Started and closed by the wiring; skills call from worker threads; `look` is for the health monitor's thread and never
waits; how they stand may be asked in any thread. The SDK is imported when there is a server to start. Imported by the wiring.
"""

import asyncio
import importlib.util
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callboard.agent.cancel import CancelToken
from callboard.agent.mcp.config import McpConfig, ServerConfig
from callboard.agent.mcp.line import ServerLine
from callboard.agent.mcp.loop import LoopThread
from callboard.agent.mcp.remote import Plain, said_of
from callboard.agent.mcp.tool import McpTool
from callboard.clock import Clock
from callboard.errors import ConfigurationError
from callboard.installing import install_command
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
    """All servers of a configuration; `start` connects to them, `close` ends every child process and connection."""

    def __init__(
        self,
        config: McpConfig,
        *,
        data_dir: Path,
        clock: Clock | None = None,
        start_s: float | None = None,
    ) -> None:
        """Raise `ConfigurationError` if there are servers and the package for them is not installed."""
        if config.servers and not _installed():
            raise ConfigurationError(
                "CALLBOARD_MCP_CONFIG names MCP servers, and the packages for them are not installed; "
                f"unset it, or run {install_command('mcp')}"
            )
        self._config = config
        self._data_dir = data_dir
        self._clock = clock or Clock()
        self._start_s = START_S if start_s is None else start_s
        self._changed: Callable[[], None] | None = None
        self._loop = LoopThread(self._run)
        self._tasks: anyio.abc.TaskGroup | None = None
        self._lines: dict[str, ServerLine] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The servers that are configured and enabled, whether they are up or not."""
        return tuple(server.prefix for server in self._config.servers)

    @property
    def skills(self) -> tuple[McpTool, ...]:
        """The tools of all servers as skills: as each has listed them last, be that before the start."""
        return tuple(skill for line in self._lines.values() for skill in line.skills)

    @property
    def late(self) -> Mapping[str, ServerLine]:
        """The servers, by what their skills' names begin with, that have not listed their tools since the start."""
        return {prefix: line for prefix, line in self._lines.items() if line.late}

    @property
    def problems(self) -> tuple[str, ...]:
        """Which entries were left out, in sentences with the next step."""
        return self._config.problems

    @property
    def troubles(self) -> Mapping[str, str | None]:
        """Why a server cannot be used, in a sentence, by its name; None for one that can."""
        return {prefix: line.trouble for prefix, line in self._lines.items()}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator may want to know of servers that can be used, in sentences."""
        return tuple(sentence for line in self._lines.values() for sentence in line.warnings)

    def start(self) -> None:
        """Connect to all servers at once, and wait for that for at most `start_s`.

        A server has the skills of its last list, if that is known, until it lists its tools.
        """
        if not self._config.servers:
            return
        self._lines = {server.prefix: self._line(server) for server in self._config.servers}
        self._loop.start()
        for line in self._lines.values():
            line.recall()
        wait([line.connecting() for line in self._lines.values()], timeout=self._start_s)

    def follow(self, changed: Callable[[], None]) -> None:
        """Have `changed` called, in the loop's thread, whenever `skills` or `late` have become others."""
        self._changed = changed

    # --- for runs in other processes: see `McpControl`, and `RemoteServers` for what is made of a listing ---

    def listing(self, offered: Callable[[McpTool], bool] = lambda _tool: True) -> Plain:
        """Return what other processes are told of the servers, as a whole and without secrets; any thread.

        `offered` says which tools are skills here: of two that come to one name, there must be the same one everywhere.
        """
        return [line.told(offered).plain() for line in self._lines.values()]

    def call_tool(
        self,
        token: CancelToken,
        server: str,
        tool: str,
        arguments: dict[str, Any],
        effect_id: str,
        deadline_s: float | None,
        /,
    ) -> Plain:
        """Carry a call out, in a thread that may wait for it; the token is that of its run here."""
        line = self._lines[server]
        return said_of(lambda: line.send(tool, arguments, effect_id, deadline_s, token.event), line.hide)

    def wait_for_server(self, token: CancelToken, server: str, /) -> Plain:
        """Do so in a thread that may wait for it; raise `Cancelled` where the token is set."""
        line = self._lines[server]
        return [line.wait(token), line.trouble]

    # --- the rest ---

    def look(self) -> None:
        """Have servers connected to, and asked whether they are there, where that is due; at once."""
        for line in self._lines.values():
            line.look()

    def protocol_version(self, name: str) -> str | None:
        """Return the version of the protocol that is spoken with a server, None while there is no connection."""
        return self._lines[name].connection.protocol_version

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """End all connections and children; calls under way fail. False if something did not end in time."""
        ended = self._loop.close(timeout_s)
        if not ended:
            logger.error("the MCP servers did not end within %.1f s", timeout_s)
        return ended

    def _line(self, server: ServerConfig) -> ServerLine:
        return ServerLine(
            server,
            loop=self._loop,
            connect=self._connection,
            changed=self._tell_changed,
            data_dir=self._data_dir,
            clock=self._clock,
        )

    def _connection(self, line: ServerLine) -> "Connection":
        from callboard.agent.mcp.connection import Connection

        return Connection(
            line.server,
            clock=self._clock,
            tasks=self._running_tasks,
            begun=line.begun,
            listed=line.listed,
            told=line.tell,
        )

    def _tell_changed(self) -> None:
        if self._changed is None:
            return
        try:
            self._changed()
        except Exception:  # a fault of ours, which must not be taken for the server's
            logger.exception("the skills of MCP servers could not be taken up; those of before stay")

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
