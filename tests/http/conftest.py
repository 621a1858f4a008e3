"""A real server on a real port over a real system, one shared by the tests that leave no trace, or a test's own."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from callboard import AgentSystem, Settings
from callboard.http.server import Server
from callboard.http.waiting import Waiting
from callboard.messages.tasks import NewTask
from callboard.shares import Places
from tests.http.conformance import check_documented, check_response
from tests.template import lay_history

JSON = {"Content-Type": "application/json"}
BLOCKING_SKILL = '''
from pathlib import Path

from callboard import SkillContext, skill


@skill(replay="safe")
def wait_for_file(path: str, *, ctx: SkillContext) -> str:
    """Wait until a file exists."""
    while not Path(path).exists() and not ctx.cancelled:
        ctx.cancel_event.wait(0.01)
    return "found"
'''


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer read from a socket to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is being run, and a client for it."""

    system: AgentSystem
    server: Server
    client: httpx.Client
    thread: threading.Thread = field(repr=False)

    def execute(self, task: str, **fields: Any) -> httpx.Response:
        return self.client.post("/agent/execute", json={"task": task, **fields})

    def result(self, task: str, **fields: Any) -> dict[str, Any]:
        """Post a task, wait for its end, return the answer."""
        reply = self.client.post("/agent/execute", json={"task": task, **fields}, headers={"Prefer": "wait=20"})
        assert reply.status_code == 200, reply.text
        view: dict[str, Any] = reply.json()
        assert "output" in view, view
        return view

    def raw(self, request: bytes, *, half_close: bool = False) -> RawAnswer:
        """Send bytes as they are, say no more if `half_close`, and read to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as connection:
            connection.sendall(request)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as stream:
                answer = _parse(stream.read())
        method, path = _asked(request)
        if answer.status:
            check_documented(method, path, answer.status, answer.headers, answer.body or None)
        return answer

    def stop(self) -> None:
        self.client.close()
        self.server.close()
        self.thread.join(20)


def _asked(request: bytes) -> tuple[str, str]:
    """Return the method and the path of what may be no request at all."""
    words = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (words[0], words[1].partition("?")[0]) if len(words) > 1 else ("", "")


def _parse(answer: bytes) -> RawAnswer:
    if not answer:
        return RawAnswer(0, {}, b"")
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return RawAnswer(int(first.split(" ")[1]), headers, body)


def run(system: AgentSystem, **headers: str) -> Running:
    server = Server(system)
    thread = threading.Thread(target=server.run, name="http-loop")
    thread.start()
    hooks = {"response": [check_response]}
    # PERF: an http:// address needs no CAs, and they take 27 ms to read
    client = httpx.Client(base_url=server.url, timeout=30, headers=headers, event_hooks=hooks, verify=False)
    return Running(system, server, client, thread)


@pytest.fixture
def start_server(start_system: Callable[..., AgentSystem]) -> Iterator[Callable[..., Running]]:
    """Return a function that starts a system and a server over it; all are stopped after the test."""
    running: list[Running] = []

    def start(**settings: Any) -> Running:
        running.append(run(start_system(**{"http_threads": 4, "max_waiting": 4, **settings})))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture(scope="session")
def skills_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the skill that waits for a file."""
    folder = tmp_path_factory.mktemp("skills")
    (folder / "wait_for_file.py").write_text(BLOCKING_SKILL)
    return folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, skills_dir: Path) -> Iterator[Running]:
    """A server in development without keys or limits, for tests that only look or that add tasks."""
    folder = tmp_path_factory.mktemp("shared")
    settings = Settings(
        data_dir=folder,
        port=0,
        rate_limit_max_requests=0,
        workers=4,
        skills_dir=skills_dir,
        allowed_hosts=("example.com",),  # that tests/http/test_http_standard.py asks for
    )
    with AgentSystem.start(lay_history(settings)) as system:
        running = run(system)
        # those that streams will want: they stay, and a thread that a test leaves behind is taken for a leak
        dispatcher = running.server._waitress.task_dispatcher
        dispatcher.set_thread_count(len(dispatcher.threads) + 16)
        yield running
        running.stop()


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Return a function that starts a server for the tests of a module, with settings of its own."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Running:
            given = {"data_dir": tmp_path_factory.mktemp("own"), "port": 0, "rate_limit_max_requests": 0, **settings}
            system = stack.enter_context(AgentSystem.start(lay_history(Settings(**given))))
            running = run(system)
            stack.callback(running.stop)
            dispatcher = running.server._waitress.task_dispatcher
            dispatcher.set_thread_count(len(dispatcher.threads) + running.system.settings.max_streams)  # see `shared`
            return running

        yield start


@dataclass(frozen=True, slots=True)
class Gate:
    """Holds tasks that run until it is opened."""

    path: Path

    @property
    def task(self) -> str:
        """A task that ends when the gate is opened, or when it is cancelled."""
        return f"```python\nfrom skills import wait_for_file\nwait_for_file({str(self.path)!r})\n```"

    def open(self) -> None:
        self.path.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate that is opened when the test ends."""
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open()


@pytest.fixture
def blocked(shared: Running, gate: Gate) -> Callable[..., str]:
    """Return a function that submits a task which runs until the test ends (or it is cancelled); returns its id."""

    def submit(**fields: Any) -> str:
        task_id: str = shared.execute(gate.task, **fields).json()["taskId"]
        return task_id

    return submit


@pytest.fixture
def assert_problem() -> Callable[..., dict[str, Any]]:
    """Return a function that asserts the one shape every error has, and returns its body."""

    def check(answer: httpx.Response | RawAnswer, status: int, code: str) -> dict[str, Any]:
        found = answer.status_code if isinstance(answer, httpx.Response) else answer.status
        body: dict[str, Any] = answer.json()
        assert (found, body.get("code")) == (status, code), body
        assert set(body) >= {"error", "message", "code", "requestId"}
        assert set(body) <= {"error", "message", "code", "requestId", "details", "retryAfter"}
        assert body["message"].strip()
        assert answer.headers["x-request-id"] == body["requestId"]
        return body

    return check


@pytest.fixture
def fail_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes a gateway raise when it is asked one kind of message; `after` it was carried out."""

    def fail(running: Running, error: BaseException, kind: type[Any] = NewTask, *, after: bool = False) -> None:
        gateway = running.system.gateway
        real = type(gateway).ask

        def ask(self: Any, message: Any, **envelope: Any) -> Any:
            if self is gateway and isinstance(message, kind):
                if after:
                    real(self, message, **envelope)
                raise error
            return real(self, message, **envelope)

        monkeypatch.setattr(type(gateway), "ask", ask)

    return fail


@pytest.fixture
def held_now(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return a function that counts the requests that are held, each with a place."""
    found: list[Places] = []
    hold_by = Waiting.hold_by

    def noting(self: Waiting, *args: Any) -> Any:
        found.append(self._places)
        return hold_by(self, *args)

    monkeypatch.setattr(Waiting, "hold_by", noting)
    return lambda: found[-1].taken if found else 0
