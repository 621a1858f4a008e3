"""The client against a real server of the test's own: streams, searches, sessions, retries, use, statistics."""

import threading
from collections.abc import Callable, Iterator

import pytest

from callboard import AgentSystem, AwaitTask, Client
from callboard.client.errors import ConflictError
from callboard.http.server import Server


@pytest.fixture
def client(system: AgentSystem) -> Iterator[Client]:
    """A client of a server of this test's own."""
    server = Server(system)
    thread = threading.Thread(target=server.run, name="http-loop")
    thread.start()
    with Client(server.url) as client:
        yield client
    server.close()
    thread.join(20)


@pytest.fixture
def ended(system: AgentSystem, client: Client) -> Callable[..., str]:
    """Return a function that submits a task, waits for its end and returns its id."""

    def run(task: str, *, session_id: str | None = None, agent: str | None = None) -> str:
        task_id = client.submit(task, session_id=session_id, agent=agent).task_id
        system.gateway.ask(AwaitTask(task_id=task_id, wait_s=60), timeout_s=65)
        return task_id

    return run


def test_a_stream_and_a_log_of_an_ended_task_tell_the_same(client: Client, ended: Callable[..., str]) -> None:
    task_id = ended("What is 12 times 7?")
    streamed = list(client.stream(task_id))
    assert [event.seq for event in streamed] == [1, 2, 3, 4, 5, 6]
    assert streamed == list(client.log(task_id))
    assert streamed[3:] == list(client.stream(task_id, after=3)) == list(client.log(task_id, after=3))
    assert list(client.stream(task_id, after=6)) == []


def test_execute_returns_what_the_history_has(client: Client) -> None:
    topics: list[str] = []
    result = client.execute("What is 12 times 7?", on_event=lambda event: topics.append(event.topic))
    assert result == client.result(result.task_id)
    assert (topics[0], topics[-1]) == ("agent.task.execute", "agent.task.completed")


def test_the_history_is_searched(client: Client, ended: Callable[..., str]) -> None:
    first = ended("What is 12 times 7?")
    second = ended("15% of 80", agent="data-analyst")
    assert [task.task_id for task in client.tasks(q="TIMES")] == [first]
    assert [task.task_id for task in client.tasks(q=second)] == [second]
    assert [task.task_id for task in client.tasks(agent="data-analyst")] == [second]
    assert list(client.tasks(q="times", agent="data-analyst")) == []


def test_sessions_are_listed_last_used_first_over_as_many_pages_as_there_are(
    client: Client, ended: Callable[..., str]
) -> None:
    names = [f"session-{number}" for number in range(102)]
    for name in names:
        client.submit("1 + 1", session_id=name)
    ended("What is 12 times 7?", session_id="session-0")
    for name in names:
        ended("2 + 2", session_id=name)
    listed = list(client.sessions())
    assert [session.session_id for session in listed] == names[::-1]
    assert (listed[-1].tasks, listed[-1].preview) == (3, "2 + 2")


def test_a_task_that_has_ended_is_done_again(system: AgentSystem, client: Client, ended: Callable[..., str]) -> None:
    again = client.retry(ended("What is 12 times 7?", session_id="alice"))
    assert (again.task, again.session_id) == ("What is 12 times 7?", "alice")
    system.gateway.ask(AwaitTask(task_id=again.task_id, wait_s=60), timeout_s=65)
    assert [task.output for task in client.tasks(session_id="alice")] == [84, 84]
    running = client.submit("```python\nwhile True: pass\n```").task_id
    with pytest.raises(ConflictError) as caught:
        client.retry(running)
    assert caught.value.code == "task_not_ended"
    client.cancel(running)


def test_agents_say_how_much_they_were_used(client: Client, ended: Callable[..., str]) -> None:
    ended("What is 12 times 7?")
    ended("Write a poem about the sea")
    master = next(agent for agent in client.agents() if agent.name == "master")
    assert (master.tasks, master.failures) == (2, 1)
    assert master.max_rounds is not None


def test_statistics_are_of_the_last_hour_by_minutes(client: Client, ended: Callable[..., str]) -> None:
    ended("What is 12 times 7?")
    statistics = client.statistics()
    while not any(point.completed for point in statistics.points):  # until whoever counts has heard of the end
        statistics = client.statistics()
    assert (statistics.step_s, len(statistics.points)) == (60, 60)
    assert sum(point.accepted for point in statistics.points) == 1
    assert sum(point.completed for point in statistics.points) == 1
    busy = next(point for point in statistics.points if point.completed)
    assert busy.p95_ms is not None
    assert (statistics.points[1].at - statistics.points[0].at).total_seconds() == 60
