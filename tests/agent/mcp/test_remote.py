"""Tools of real servers where their connections are not: what crosses between the two is what msgpack has, and no secret."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.catalogue import Catalogue
from callboard.agent.mcp.remote import RemoteServers
from callboard.agent.mcp.results import ToolFailed
from callboard.agent.skill import RetryableError, SkillContext
from callboard.errors import TaskError
from tests.agent.mcp.changing import ANNOUNCE, tool
from tests.agent.mcp.conftest import (
    PLAIN,
    SOON_S,
    Crossing,
    Running,
    Server,
    Start,
    context,
    crossed,
    started,
    stdio,
    until,
)
from tests.agent.mcp.test_servers import listed


class Worker:
    """What another process makes of the servers: a catalogue, made anew whenever it is told that they have changed."""

    def __init__(self, running: Running) -> None:
        self.way = Crossing(running.servers)
        self._here = running.servers
        self._own = Catalogue()
        self.here = self._own
        self._servers: RemoteServers | None = None
        self.hear()

    def hear(self) -> None:
        self.here = self._own.with_tools(self._here.skills, self._here.late, before=self.here)
        self.told = crossed(self._here.listing(self.here.has))
        self._servers = RemoteServers(self.told, self.way, self._servers)
        self.catalogue = self._own.with_tools(self._servers.skills, self._servers.late)

    def call(self, name: str, *args: Any, ctx: SkillContext | None = None) -> Any:
        return self.catalogue.get(name).call(args, {}, ctx or context(cancel_event=self.way.token.event))


def looks(catalogue: Catalogue) -> list[tuple[Any, ...]]:
    """Return all that anybody sees of skills."""
    return [
        (
            s.name,
            s.description,
            s.stub,
            s.schema,
            s.replay,
            s.origin,
            s.version,
            s.kind,
            catalogue.needs_approval(s.name),
        )
        for s in catalogue.skills.values()
    ]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The SDK's server, which takes a second to start: it does not change by what the tests with `apart` ask of it."""
    entry = stdio(approval=["put"], replay={"work": "safe"}, env={"TOKEN": "s3cret-token"})
    servers = started(tmp_path_factory.mktemp("mcp"), {"tools": entry}, {})
    servers.start()
    yield Running(servers)
    servers.close()


@pytest.fixture
def apart(shared: Running) -> Worker:
    return Worker(shared)


# --- the skills ---


def test_a_worker_has_the_skills_that_there_are(apart: Worker) -> None:
    assert looks(apart.catalogue) == looks(apart.here)
    assert apart.catalogue.needs_approval("tools-put")


def test_it_has_those_of_odd_servers_too(start: Start, server: Server) -> None:
    plain: dict[str, Any] = {"type": "object"}
    huge = {"type": "object", "properties": {"a": {"type": "integer", "maximum": 2**80}, "b": {"const": "\ud800"}}}
    odd = server(
        {"name": "read_file", "inputSchema": plain},
        {"name": "readFile", "inputSchema": plain},
        {"name": "huge", "inputSchema": huge},
        {"name": "broken", "inputSchema": {"type": "object", "properties": {"a": {"type": "nonsense"}}}},
        {"name": "unchecked", "inputSchema": plain, "outputSchema": {"$ref": "https://example.com/schema"}},
        {"name": "日本"},
    )
    worker = Worker(start({"odd": odd.entry}))
    assert looks(worker.catalogue) == looks(worker.here)
    assert {"odd-huge", "odd-read-file", "odd-unchecked"} <= set(worker.catalogue.names)
    assert "odd-broken" not in worker.catalogue


def test_of_two_servers_skills_of_one_name_it_has_the_one_that_was_first(start: Start, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    entries = {"a": listed(tmp_path / "one", {"name": "b-c"}), "a-b": listed(tmp_path / "two", {"name": "c"})}
    running = start(entries)
    worker = Worker(running)
    assert worker.catalogue.get("a-b-c").origin == "mcp server a"
    later = Worker(running)
    later.here = Catalogue().with_tools([s for s in running.servers.skills if s.origin.endswith("a-b")], {})
    later.hear()
    assert later.catalogue.get("a-b-c").origin == later.here.get("a-b-c").origin == "mcp server a-b"


def test_it_is_told_of_changes_as_a_whole_and_makes_what_is_the_same_once(start: Start, server: Server) -> None:
    odd = server(tool("echo"), tool("gone"), ANNOUNCE)
    running = start({"odd": odd.entry, "plain": PLAIN})
    worker = Worker(running)
    running.servers.follow(worker.hear)
    before = worker.catalogue
    odd.has(tool("echo", word="string"), tool("new"), ANNOUNCE)
    worker.call("odd-announce", 1)
    until(lambda: "odd-new" in worker.catalogue)
    assert looks(worker.catalogue) == looks(worker.here)
    assert "odd-gone" not in worker.catalogue
    assert worker.catalogue.get("plain-add") is before.get("plain-add")


def test_nothing_secret_of_an_entry_crosses(start: Start, http_server: Any) -> None:
    web = http_server()
    entry = {**web.entry, "url": web.entry["url"] + "?key=in-the-address", "headers": {"X-Key": "in-a-header"}}
    running = start({"tools": stdio(env={"TOKEN": "s3cret-token"}), "web": entry})
    told = json.dumps(crossed(running.servers.listing()))
    assert '"web"' in told
    for secret in ("s3cret-token", "in-the-address", "in-a-header", "127.0.0.1", sys.executable, "TOKEN"):
        assert secret not in told


# --- calls ---


def test_what_a_tool_says_of_its_failure_has_lost_its_secrets_before_it_crosses(apart: Worker) -> None:
    with pytest.raises(ToolFailed, match=r"no such .*the token is \[hidden\]"):
        apart.call("tools-fail")
    said = apart.way.call_tool("tools", "fail", {}, "t1:4", None)
    assert "s3cret" not in json.dumps(said)


@pytest.mark.parametrize("structure", [{"n": 2**80}, {"deep": json.loads("[" * 600 + "]" * 600)}], ids=["long", "deep"])
def test_an_answer_may_hold_what_msgpack_does_not(start: Start, tmp_path: Path, structure: Any) -> None:
    pong = '{"content": [{"type": "text", "text": "pong"}]}'
    written = (
        Path(PLAIN["args"][-1])
        .read_text()
        .replace(pong, f"json.loads({json.dumps({'structuredContent': structure})!r})")
    )
    (tmp_path / "huge.py").write_text(written)
    running = start({"huge": {"command": sys.executable, "args": [str(tmp_path / "huge.py")]}})
    outcomes = []
    for skill in (running.skill("huge-pong"), Worker(running).catalogue.get("huge-pong")):
        try:
            outcomes.append(skill.call((), {}, context()))
        except Exception as error:  # noqa: BLE001  # whatever it is, it must be the same
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0] == {"n": str(2**80)} or "deep" in structure


def test_a_cancel_of_the_run_ends_its_call_on_both_sides(apart: Worker) -> None:
    timer = threading.Timer(0.3, apart.way.token.cancel)
    timer.start()
    began_s = time.monotonic()
    with pytest.raises(Cancelled):
        apart.call("tools-sleep", 60.0)
    assert time.monotonic() - began_s < 5
    timer.join()
    apart.way.token = CancelToken()
    assert apart.call("tools-was-cancelled") == {"result": True}


def test_a_run_that_is_handed_back_has_the_answer_of_its_call(apart: Worker) -> None:
    timer = threading.Timer(0.2, apart.way.token.hand_back)
    timer.start()
    assert apart.call("tools-work", 0.5) == {"result": "worked"}
    timer.join()


def test_the_deadline_holds_there(apart: Worker) -> None:
    with pytest.raises(TaskError, match="had not answered when the task's time was up") as caught:
        apart.call("tools-sleep", 60.0, ctx=context(deadline_s=time.monotonic() + 0.3))
    assert (caught.value.code, caught.value.retryable) == ("deadline_exceeded", False)


def test_a_server_that_dies_leaves_a_call_in_doubt_and_one_that_is_gone_was_not_asked(
    start: Start, http_server: Any
) -> None:
    web = http_server()
    worker = Worker(start({"tools": stdio(), "web": web.entry}))
    with pytest.raises(ToolFailed, match="ended the connection; whether the call was carried out is not known"):
        worker.call("tools-die")
    with pytest.raises(RetryableError, match="ended the connection"):
        worker.call("tools-die-reading")
    web.kill()
    with pytest.raises(RetryableError, match="the server cannot be reached"):
        worker.call("web-work", 0.0)


# --- late ---


def test_a_server_that_is_late_is_waited_for_there_and_then_has_its_skills(start: Start, server: Server) -> None:
    odd = server(tool("echo"), gated=True)
    running = start({"odd": odd.entry}, start_s=SOON_S)
    worker = Worker(running)
    running.servers.follow(worker.hear)
    late = worker.catalogue.late("odd_echo")
    assert late is not None
    assert str(late.trouble).startswith("The MCP server odd is still starting")
    timer = threading.Timer(0.2, odd.let_in)
    timer.start()
    assert late.wait(worker.way.token)
    timer.join()
    until(lambda: "odd-echo" in worker.catalogue)
    assert worker.catalogue.late("odd-echo") is None
    assert worker.call("odd-echo") == "echo {}"


def test_why_a_server_that_was_waited_for_did_not_come_is_told(start: Start) -> None:
    gone = {"command": sys.executable, "args": ["-c", "input()"]}
    worker = Worker(start({"gone": gone}))
    late = worker.catalogue.late("gone-tool")
    assert late is not None
    assert not late.wait(worker.way.token)
    assert "it ended the connection" in str(late.trouble)


def test_a_wait_ends_with_its_run(start: Start, server: Server) -> None:
    odd = server(tool("echo"), gated=True)
    worker = Worker(start({"odd": odd.entry}, start_s=SOON_S))
    late = worker.catalogue.late("odd-echo")
    assert late is not None
    timer = threading.Timer(0.2, worker.way.token.hand_back)
    timer.start()
    with pytest.raises(Cancelled):
        late.wait(worker.way.token)
    timer.join()


# --- what a worker loads ---


def test_a_worker_makes_tools_and_imports_no_sdk(apart: Worker) -> None:
    code = (
        "import json, sys\n"
        "from callboard.agent.catalogue import Catalogue\n"
        "from callboard.agent.mcp.remote import RemoteServers\n"
        "servers = RemoteServers(json.load(sys.stdin), None)\n"
        "catalogue = Catalogue().with_tools(servers.skills, servers.late)\n"
        "print(json.dumps([list(catalogue.names), [n for n in ('mcp', 'mcp_types', 'anyio') if n in sys.modules]]))"
    )
    listing = json.dumps(apart.told)
    done = subprocess.run([sys.executable, "-c", code], input=listing, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [list(apart.catalogue.names), []]
