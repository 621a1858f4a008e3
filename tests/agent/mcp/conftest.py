"""Real MCP servers, made with the official SDK, over both transports, and what starts ours against them."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from callboard.agent.cancel import CancelToken
from callboard.agent.mcp import McpServers, load_config
from callboard.agent.mcp.remote import RemoteServers
from callboard.agent.mcp.tool import McpTool
from callboard.agent.skill import SkillContext
from tests.agent.mcp.changing import Changing

HERE = Path(__file__).parent
TOOLS_SERVER = str(HERE / "tools_server.py")
PLAIN = {"command": sys.executable, "args": ["-S", "-E", str(HERE / "plain_server.py")]}
"""The entry of a server that starts fast, for one that only has to be there; its skills are add, process, pong, and those that fail: die, die_reading, wait."""

PATIENCE_S = 20.0
Server = Callable[..., Changing]
SOON_S = 0.05
"""For a start that is not to wait for a server that is late anyway."""


def until(true: Callable[[], bool]) -> None:
    """Wait until something has become true; for what tells nobody when it happens."""
    end_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end_s, "it did not happen"
        threading.Event().wait(0.01)


def context(**changes: Any) -> SkillContext:
    return SkillContext(**{"task_id": "t1", "session_id": "s1", "effect_id": "t1:4", **changes})


def stdio(**fields: Any) -> dict[str, Any]:
    """The entry of a server that is started as a child."""
    return {"command": sys.executable, "args": [TOOLS_SERVER, "stdio"], **fields}


def crossed(value: Any) -> Any:
    """Return a value as it comes out of a pipe between two processes."""
    return msgpack.unpackb(msgpack.packb(value))


class Crossing:
    """A run's way from a worker to the servers, where its token is; fulfils `McpControl`."""

    def __init__(self, servers: McpServers, token: CancelToken | None = None) -> None:
        self._servers = servers
        self.token = token or CancelToken()

    def call_tool(self, *arguments: Any) -> Any:
        return crossed(self._servers.call_tool(self.token, *crossed(arguments)))

    def wait_for_server(self, *arguments: Any) -> Any:
        return crossed(self._servers.wait_for_server(self.token, *crossed(arguments)))


class Running:
    """Our side: the servers of a configuration, started, and their skills by name; `apart`, as a worker's process has them."""

    def __init__(self, servers: McpServers, *, apart: bool = False) -> None:
        self.servers = servers
        self._apart = apart

    def skill(self, name: str) -> McpTool:
        return {skill.name: skill for skill in self._skills}[name]

    @property
    def _skills(self) -> tuple[McpTool, ...]:
        if self._apart:
            return RemoteServers(crossed(self.servers.listing()), Crossing(self.servers)).skills
        return self.servers.skills

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        return self.skill(name).call(args, kwargs, context())

    def why(self, name: str) -> str | None:
        """What a look says, None if the server is usable."""
        self.servers.look()
        return self.servers.troubles[name]


Start = Callable[..., Running]


def started(folder: Path, entries: dict[str, Any], environment: dict[str, str], **options: Any) -> McpServers:
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": entries}))
    return McpServers(load_config(path, environment), **{"data_dir": folder / "data", "start_s": PATIENCE_S, **options})


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts the servers of these entries; all are closed after the test."""
    running: list[McpServers] = []

    def begin(entries: dict[str, Any], *, environment: dict[str, str] | None = None, **options: Any) -> Running:
        servers = started(tmp_path, entries, environment or {}, **options)
        running.append(servers)
        servers.start()
        return Running(servers)

    yield begin
    for servers in running:
        assert servers.close()


@pytest.fixture
def server(start: Start, tmp_path: Path) -> Iterator[Server]:
    """Return a function that makes a server; none of them waits any longer when the test is over."""
    made: list[Changing] = []

    def make(*tools: dict[str, Any], name: str = "odd", gated: bool = False) -> Changing:
        made.append(Changing(tmp_path / name, *tools, gated=gated))
        return made[-1]

    yield make
    for one in made:
        one.let_go()


class HttpServers:
    """What starts servers over HTTP, each in a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, TOOLS_SERVER, "http"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def start(self, port: str, *words: str) -> tuple[str, str]:
        """Start a server; return the id of its process and its port."""
        pid, port = self._ask("start", port, *words)
        return pid, port

    def kill(self, pid: str) -> None:
        """Kill a server, if it has not ended by itself, and wait until it is gone."""
        self._ask("kill", pid)

    def _ask(self, *words: str) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        assert answer, f"what starts servers has ended over {words}"
        return answer

    def close(self) -> None:
        self._process.communicate(timeout=20)


@pytest.fixture(scope="session")
def http_servers() -> Iterator[HttpServers]:
    """What starts servers over HTTP."""
    servers = HttpServers()
    yield servers
    servers.close()


class HttpServer:
    """The tools' server behind an address; can be killed and started again there."""

    def __init__(self, servers: HttpServers, *words: str) -> None:
        self._servers = servers
        self._words = words
        self._port = "0"
        self.start()

    def start(self) -> None:
        pid, self._port = self._servers.start(self._port, *self._words)
        self._pid: str | None = pid

    def kill(self) -> None:
        if self._pid is not None:
            self._servers.kill(self._pid)
            self._pid = None

    @property
    def entry(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self._port}/mcp"}


@pytest.fixture
def http_server(http_servers: HttpServers) -> Iterator[Callable[..., HttpServer]]:
    """Return a function that starts a server over HTTP; all are killed after the test."""
    servers: list[HttpServer] = []

    def begin(*words: str) -> HttpServer:
        servers.append(HttpServer(http_servers, *words))
        return servers[-1]

    yield begin
    for server in servers:
        server.kill()


@pytest.fixture(
    scope="module", params=["stdio", "stdio 2025-11-25", "http", "http 2025-11-25", "http json", "stdio apart"]
)
def tools(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, http_servers: HttpServers
) -> Iterator[Running]:
    """The tools' server, in each way that it can be reached; the same one for all tests of a module."""
    transport, _, more = request.param.partition(" ")
    with contextlib.ExitStack() as undo:
        entry = stdio()
        if transport == "http":
            web = HttpServer(http_servers, *["json"] * (more == "json"))
            undo.callback(web.kill)
            entry = web.entry
        versions = {"protocolVersion": more} if more.startswith("2025") else {}
        servers = started(tmp_path_factory.mktemp("mcp"), {"tools": {**entry, **versions}}, {})
        undo.callback(servers.close)
        servers.start()
        yield Running(servers, apart=more == "apart")


def is_alive(pid: int) -> bool:
    """Say whether there is such a process that has not ended; it may end while we look."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
