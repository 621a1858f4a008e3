"""For the tests of the command line and of the client.

A server as a process and one in this process, with skills that wait and that need approval; servers that fail as told; clients whose pauses are
noted and not waited for.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from callboard import AgentSystem, Client, Settings
from callboard.http.server import Server
from tests.callboard.harness import Killed
from tests.callboard.unreliable import Step, Unreliable
from tests.docs.serving import Served

SKILLS = '''
from pathlib import Path

from callboard import SkillContext, skill


@skill(replay="safe")
def wait_for_file(path: str, *, ctx: SkillContext) -> str:
    """Wait until a file exists."""
    Path(path + ".entered").touch()
    while not Path(path).exists() and not ctx.cancelled:
        ctx.cancel_event.wait(0.01)
    return "found"


@skill(replay="never", approval=True)
def pay(cents: int) -> str:
    """Pay, once somebody has approved it."""
    return f"paid {cents}"


@skill(replay="never", approval=True)
def post(letter: str, to: list[str], copies: int = 31) -> str:
    """Post a letter, once somebody has approved it."""
    return f"{len(letter)} {letter[-3:]} {len(to)} {to[-1]}"


@skill(replay="pure")
def rate(currency: str) -> float:
    """Return what a euro buys."""
    return {"USD": 1.09}[currency]
'''


def python(code: str) -> str:
    """Return a task that runs this code."""
    return f"```python\n{code}\n```"


PAY = python("from skills import pay\npay(500)")


class Gate:
    """Holds the task that waits at it until it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.task = python(f"from skills import wait_for_file\nwait_for_file({str(path)!r})")

    def open(self) -> None:
        self.path.touch()


@pytest.fixture(autouse=True)
def no_system_is_left_behind() -> Iterator[None]:
    """Kill the systems of a test that failed before it did: their pipes would fail another test when they are collected."""
    yield
    Killed.end_all()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate that is opened when the test ends."""
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open()


@pytest.fixture(scope="session")
def skills_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two skills."""
    folder = tmp_path_factory.mktemp("skills of the command line")
    (folder / "some.py").write_text(SKILLS)
    return folder


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, skills_folder: Path) -> Iterator[Served]:
    """A server without keys that the tests of the command line share."""
    folder = tmp_path_factory.mktemp("served")
    server = Served(folder, folder / "data", CALLBOARD_SKILLS_DIR=str(skills_folder), RATE_LIMIT_MAX_REQUESTS="0")
    server.wait_until_ready()
    yield server
    server.stop()


@pytest.fixture
def serve(tmp_path: Path, skills_folder: Path) -> Iterator[Callable[..., Served]]:
    """Return a function that starts a server of the test's own, with settings; all are stopped after the test."""
    started: list[Served] = []

    def start(data: str = "served", *, port: str = "0", **settings: str) -> Served:
        some = {"CALLBOARD_SKILLS_DIR": str(skills_folder), "RATE_LIMIT_MAX_REQUESTS": "0", **settings}
        server = Served(tmp_path, tmp_path / data, port=port, **some)
        started.append(server)
        server.wait_until_ready()
        return server

    yield start
    for server in started:
        if not server.ended:
            server.stop()


@contextmanager
def serving(settings: Settings) -> Iterator[tuple[AgentSystem, str]]:
    """Have a system and a server over it in this process, for what neither kills nor restarts it; and its address.

    It logs no requests: a command that is run in this process has the standard error that the lines would go to.
    """
    with AgentSystem.start(settings.model_copy(update={"log_level": "error"})) as system:
        server = Server(system)
        thread = threading.Thread(target=server.run, name="http-loop")
        thread.start()
        try:
            yield system, server.url
        finally:
            server.close()
            thread.join(20)


@pytest.fixture
def start_server(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., tuple[AgentSystem, str]]]:
    """Return a function that starts a server in this process, with settings; all are stopped after the test."""
    with ExitStack() as running:
        yield lambda **settings: running.enter_context(serving(make_settings(**settings)))


@pytest.fixture
def unreliable() -> Iterator[Callable[..., Unreliable]]:
    """Return a function that starts a server with a script; all are stopped after the test."""
    servers: list[Unreliable] = []

    def start(*script: Step) -> Unreliable:
        servers.append(Unreliable(*script))
        return servers[-1]

    yield start
    for server in servers:
        server.down()


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that clients of this test have made, in seconds."""
    return []


@pytest.fixture
def connect(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Client]]:
    """Return a function that makes a client of an address; `during` is called instead of each pause."""
    clients: list[Client] = []

    def make(url: str, *, during: Callable[[], object] = lambda: None, **options: Any) -> Client:
        client = Client(url, **options)

        def sleep(pause_s: float) -> None:
            pauses.append(pause_s)
            during()

        monkeypatch.setattr(client._transport, "_sleep", sleep)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
