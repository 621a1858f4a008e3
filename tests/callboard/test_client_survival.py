"""The client while a real server is killed and started again, and behind a connection that is cut anywhere.

What was seen is compared with the log: no gap, nothing twice, no second task.
"""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callboard import Client
from callboard.client.models import Event
from tests.docs.serving import Served

GATES = 2
SKILL = '''
from pathlib import Path

from callboard import SkillContext, skill


@skill(replay="safe")
def wait_for_file(path: str, *, ctx: SkillContext) -> str:
    """Wait until a file exists."""
    while not Path(path).exists() and not ctx.cancelled:
        ctx.cancel_event.wait(0.005)
    return "found"
'''


class Mortal:
    """A server that is killed and started again at the same address, on the same history."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kills = 0
        (folder / "skills").mkdir()
        (folder / "skills" / "wait_for_file.py").write_text(SKILL)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._served = self._start()

    @property
    def task(self) -> str:
        """A task that calls a skill twice; each call lasts until its gate is opened."""
        calls = "\n".join(f"wait_for_file({str(self.folder / f'gate-{number}')!r})" for number in range(GATES))
        return f"```python\nfrom skills import wait_for_file\n{calls}\n```"

    def open(self, number: int) -> None:
        (self.folder / f"gate-{number}").touch()

    def die_and_return(self) -> None:
        """Kill the server, and return when another one listens in its place."""
        self._served.kill()
        self.kills += 1
        self._served = self._start()

    def _start(self) -> Served:
        served = Served(self.folder, self.folder / "data", port=str(self._port), CALLBOARD_SKILLS_DIR="skills")
        served.wait_until_ready()
        return served

    def stop(self) -> None:
        self._served.stop()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    server = Mortal(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def kill_in_each_call(mortal: Mortal) -> Callable[[Event], None]:
    """Return what is called with each event: in the middle of each call the server is killed; then the call may end."""
    killed_in: set[int] = set()

    def on_event(event: Event) -> None:
        if event.topic != "agent.skill.started":
            return
        call = event.data["call"]
        if call not in killed_in:
            killed_in.add(call)
            mortal.die_and_return()
        mortal.open(call - 1)

    return on_event


def logged(client: Client, task_id: str) -> list[tuple[int, str]]:
    """Return a task's log as the server has it, by the JSON interface."""
    return [(event.seq, event.topic) for event in client.log(task_id)]


def test_a_stream_has_no_gap_and_no_repeat_when_the_server_is_killed_in_the_middle(
    mortal: Mortal, kill_in_each_call: Callable[[Event], None]
) -> None:
    with Client(mortal.url, retries=8) as client:
        task_id = client.submit(mortal.task).task_id
        seen = []
        for event in client.stream(task_id):
            seen.append((event.seq, event.topic))
            kill_in_each_call(event)
        assert mortal.kills == GATES
        assert [seq for seq, _ in seen] == list(range(1, len(seen) + 1))
        assert seen == logged(client, task_id)
        assert seen[-1][1] == "agent.task.completed"


@pytest.mark.slow
def test_execute_makes_one_task_and_returns_its_result_when_the_server_is_killed_in_the_middle(
    mortal: Mortal, kill_in_each_call: Callable[[Event], None]
) -> None:
    seen = []

    def on_event(event: Event) -> None:
        seen.append((event.seq, event.topic))
        kill_in_each_call(event)

    with Client(mortal.url, retries=8) as client:
        result = client.execute(mortal.task, on_event=on_event)
        assert (result.status, result.output, mortal.kills) == ("completed", "found", GATES)
        assert seen == logged(client, result.task_id)
        assert [task.task_id for task in client.tasks()] == [result.task_id]


def test_the_feed_goes_on_where_it_was_when_the_server_is_killed(mortal: Mortal) -> None:
    for number in range(GATES):
        mortal.open(number)
    with Client(mortal.url, retries=8) as client:
        first, second = (client.execute("What is 12 times 7?", session_id=name).task_id for name in ("one", "two"))
        seen = []
        for event in client.events(after=0, topic="agent.task.*"):
            seen.append((event.task_id, event.topic, event.position))
            if len(seen) == 2:
                mortal.die_and_return()
                third = client.execute(mortal.task).task_id
            if event.topic == "agent.task.completed" and len(seen) > 4:
                break
        topics = ("agent.task.execute", "agent.task.completed")
        assert [entry[:2] for entry in seen] == [(id_, topic) for id_ in (first, second, third) for topic in topics]
        positions = [entry[2] for entry in seen]
        assert positions == sorted(set(positions))  # type: ignore[type-var]  # each has one


# --- a connection that is cut ---


class Cutter:
    """A proxy in front of a server that passes on so many bytes of an answer, then breaks the connection off."""

    def __init__(self, port: int, cuts: list[int]) -> None:
        self._port = port
        self._cuts = cuts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, name="cutter")
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", self._port)) as server:
                self._pass_on(client, server, self._cuts.pop(0) if self._cuts else 1 << 30)

    def _pass_on(self, client: socket.socket, server: socket.socket, left: int) -> None:
        while left:
            for ready in select.select([client, server], [], [])[0]:
                piece = ready.recv(left if ready is server else 65536)
                if not piece:
                    return
                (client if ready is server else server).sendall(piece)
                left -= len(piece) if ready is server else 0


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that stays."""
    folder = tmp_path_factory.mktemp("steady")
    served = Served(folder, folder / "data", RATE_LIMIT_MAX_REQUESTS="0")
    served.wait_until_ready()
    yield served
    served.stop()


@pytest.mark.parametrize("first", [0, 1, 300, 900, 1000, 1100, 1300, 1500, 1700, 2000, 2300])
def test_a_connection_that_is_cut_anywhere_makes_no_second_task_and_no_gap(
    first: int, steady: Served, connect: Callable[..., Client]
) -> None:
    cutter = Cutter(int(steady.url.rpartition(":")[2]), [first, first, 1200, 1400])
    seen: list[int] = []
    try:
        client = connect(cutter.url)
        result = client.execute("What is 12 times 7?", session_id=f"cut-{first}", on_event=lambda e: seen.append(e.seq))
        client.close()
    finally:
        cutter.stop()
    assert (result.output, seen) == (84, [1, 2, 3, 4, 5, 6])
    with Client(steady.url) as direct:
        assert [task.task_id for task in direct.tasks(session_id=f"cut-{first}")] == [result.task_id]
