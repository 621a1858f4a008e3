"""The client against a real server on a real port: every method, and the errors that the server answers with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callboard import AgentSystem, AwaitTask, CallboardError, Client, Settings, Status
from callboard.client.errors import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
)
from callboard.clock import Clock
from callboard.messages.event_types import TaskFailed
from callboard.messages.records import RecordResult
from tests.callboard.conftest import serving
from tests.receiver import answer, receiving
from tests.template import lay_history

KEY = "the-key"
LOOP = "```python\nwhile True: pass\n```"
PAY = '''
from callboard import skill


@skill(replay="never", approval=True)
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"
'''
Start = Callable[..., tuple[AgentSystem, str]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AgentSystem, str]]:
    """One server for the tests that only add tasks; it asks for a key, and one skill of it for approval."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "pay.py").write_text(PAY)
    settings = Settings(
        data_dir=folder / "data", port=0, rate_limit_max_requests=0, workers=4, api_key=(KEY,), skills_dir=folder
    )
    with serving(lay_history(settings)) as shared:
        yield shared


@pytest.fixture
def client(shared: tuple[AgentSystem, str]) -> Iterator[Client]:
    with Client(shared[1], api_key=KEY) as client:
        yield client


@pytest.fixture
def ended(shared: tuple[AgentSystem, str], client: Client) -> Callable[..., str]:
    """Return a function that submits a task, waits for its end and returns its id."""

    def run(task: str = "What is 12 times 7?", **fields: object) -> str:
        task_id = client.submit(task, **fields).task_id  # type: ignore[arg-type]  # as the test has them
        shared[0].gateway.ask(AwaitTask(task_id=task_id, wait_s=60), timeout_s=65)
        return task_id

    return run


# --- tasks ---


def test_a_task_is_submitted_and_its_result_found(client: Client, ended: Callable[..., str]) -> None:
    accepted = client.submit("What is 12 times 7?", session_id="accepted", labels={"order": 4711})
    assert (accepted.task, accepted.session_id, accepted.status) == ("What is 12 times 7?", "accepted", "pending")
    result = client.result(ended())
    assert (result.ok, result.output, result.status, result.error) == (True, 84, "completed", None)
    assert result.execution_time is not None
    assert result.metadata["planner"] == "offline"


def test_a_key_makes_one_task_of_two_submissions(client: Client) -> None:
    first, second = (client.submit("What is 12 times 7?", idempotency_key="once") for _ in range(2))
    assert first.task_id == second.task_id
    with pytest.raises(InvalidRequestError) as caught:
        client.submit("What is 12 times 8?", idempotency_key="once")
    assert caught.value.code == "idempotency_conflict"


def test_all_that_was_asked_is_told(client: Client) -> None:
    accepted = client.submit(
        "What is 12 times 7?",
        system_prompt="Be brief.",
        available_skills=["calculate"],
        agent="master",
        labels={"order": 4711, "rate": 0.5, "who": "ana"},
        timeout_ms=60_000,
        priority=3,
        budget={"skill_calls": 10},
        retry={"max_attempts": 2},
    )
    task = client.task(accepted.task_id)
    assert (task.system_prompt, task.available_skills, task.agent) == ("Be brief.", ["calculate"], "master")
    assert (task.labels, task.timeout_ms) == ({"order": 4711, "rate": 0.5, "who": "ana"}, 60_000)
    assert (task.priority, task.budget) == (3, {"skillCalls": 10})
    assert task.retry is not None
    assert (task.retry["maxAttempts"], task.created_at.tzinfo is not None) == (2, True)


def test_a_file_is_attached_by_its_path(client: Client, ended: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    task = (
        '```python\nfrom skills import query_table, read_file\nquery_table(read_file("numbers.csv"), "mean", "b")\n```'
    )
    task_id = ended(task, attachments=[path])
    assert client.result(task_id).output == 3
    assert client.task(task_id).attachments[0]["name"] == "numbers.csv"


def test_files_come_by_name_and_bytes_and_two_of_one_name_are_told_apart(
    client: Client, ended: Callable[..., str]
) -> None:
    task_id = ended(
        "sum of b in Übersicht (2).csv", attachments=[("Übersicht.csv", b"b\n1\n"), ("U\u0308bersicht.csv", b"b\n2\n")]
    )
    assert client.result(task_id).output == 2
    assert [file["name"] for file in client.task(task_id).attachments] == ["Übersicht.csv", "Übersicht (2).csv"]


def test_the_history_is_read_over_as_many_pages_as_there_are(client: Client, ended: Callable[..., str]) -> None:
    submitted = [client.submit("1 + 1", session_id="pages").task_id for _ in range(103)]
    assert [task.task_id for task in client.tasks(session_id="pages")] == submitted[::-1]
    ended("1 + 1", session_id="pages")
    assert len(list(client.tasks(session_id="pages", status="completed"))) == 104
    assert list(client.tasks(parent_id=submitted[0])) == []


def test_a_task_is_cancelled_once_and_says_so_twice(client: Client, ended: Callable[..., str]) -> None:
    task_id = client.submit(LOOP).task_id
    assert [client.cancel(task_id).status for _ in range(2)] == ["cancelled", "cancelled"]
    over = client.cancel(ended())
    assert (over.success, over.status) == (False, "completed")


def _paused(client: Client, amount: int) -> tuple[str, int]:
    task_id = client.submit(f"```python\nfrom skills import pay\npay({amount})\n```").task_id
    while (task := client.task(task_id)).status != "paused":
        assert not task.ended, task
    assert task.pause is not None
    return task_id, task.pause["call"]


def test_a_person_decides(shared: tuple[AgentSystem, str], client: Client) -> None:
    task_id, call = _paused(client, 1)
    decided = client.decide(task_id, "edit", arguments={"amount": 2}, call=call, reason="Too little.")
    assert (decided.success, decided.task_id, decided.message) == (True, task_id, "Decision taken: edit")
    shared[0].gateway.ask(AwaitTask(task_id=task_id, wait_s=60), timeout_s=65)
    assert client.result(task_id).output == "paid 2"
    with pytest.raises(ConflictError) as caught:
        client.decide(task_id, "approve", call=call)
    assert caught.value.code == "task_not_paused"


def test_a_result_that_a_person_gives_may_be_null(client: Client) -> None:
    task_id, call = _paused(client, 1)
    for result in (None, {"charged": True}):
        with pytest.raises(InvalidRequestError, match="assume_done"):  # not for an approval, and the field was taken
            client.decide(task_id, "assume_done", result=result, call=call)
    client.cancel(task_id)


# --- sessions, skills, agents, health ---


def test_a_session_is_shown_and_forgotten(client: Client, ended: Callable[..., str]) -> None:
    ended("```python\nrate = 0.19\n```", session_id="bob")
    session = client.session("bob")
    assert (session.session_id, session.variables, session.tasks) == ("bob", ["rate"], 1)
    assert [turn.role for turn in session.conversation] == ["user", "assistant"]
    client.delete_session("bob")
    with pytest.raises(NotFoundError) as caught:
        client.session("bob")
    assert caught.value.code == "session_not_found"


def test_a_session_that_is_busy_is_not_forgotten(client: Client) -> None:
    task_id = client.submit(LOOP, session_id="busy").task_id
    with pytest.raises(ConflictError):
        client.delete_session("busy")
    client.cancel(task_id)


def test_skills_and_agents_are_listed(client: Client) -> None:
    skills = {skill.name: skill for skill in client.skills()}
    assert skills["pay"].approval
    assert skills["pay"].model_dump().items() >= client.skill("pay").model_dump().items()
    assert skills["pay"].json_schema["properties"]["amount"]["type"] == "integer"
    agents = {agent.name: agent for agent in client.agents()}
    assert (agents["master"].origin, agents["master"].model) == ("builtin", None)
    with pytest.raises(NotFoundError):
        client.skill("none")


def test_health_needs_no_key(shared: tuple[AgentSystem, str]) -> None:
    with Client(shared[1]) as client:
        health = client.health()
    assert (health.status, health.services["store"], health.problems) == ("healthy", True, [])
    assert health.metrics.total_tasks >= 0


# --- dead letters, webhooks ---


def test_a_dead_letter_is_listed_and_redriven(shared: tuple[AgentSystem, str], client: Client) -> None:
    blocker = client.submit(LOOP, session_id="dead").task_id
    dead = client.submit("What is 6 * 7?", session_id="dead").task_id
    now = Clock().now()
    event = TaskFailed(at=now, error="It died.", error_code="dead_letter")
    end = RecordResult(
        task_id=dead,
        attempt=None,
        status=Status.FAILED,
        at=now,
        events=(event,),
        error="It died.",
        error_code="dead_letter",
    )
    shared[0]._addresses["result logger"].ask(end, timeout_s=30)
    [letter] = client.dead_letters()
    assert (letter.task_id, letter.error_code, letter.redriven_as) == (dead, "dead_letter", None)
    again = client.redrive(dead)
    assert next(client.dead_letters()).redriven_as == again.task_id
    client.cancel(blocker)


def test_deliveries_are_listed(start_server: Start) -> None:
    _, url = start_server(webhook_allow_private=True)
    with receiving(answer(200)) as receiver, Client(url) as client:
        task_id = client.submit("What is 12 times 7?", callback_url=receiver.url).task_id
        receiver.messages.get(timeout=20)
        [delivery] = client.deliveries(task_id=task_id)
        assert (delivery.url, delivery.type) == (receiver.url, "agent.task.completed")
        assert list(client.deliveries(task_id=task_id, state="failed")) == []


# --- errors ---


def test_keys_are_asked_for_and_checked(shared: tuple[AgentSystem, str]) -> None:
    for key, kind in ((None, AuthenticationError), ("guessed", PermissionDeniedError)):
        with Client(shared[1], api_key=key) as client, pytest.raises(kind):
            client.agents()


def test_what_is_wrong_with_a_task_is_said(client: Client) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.submit("What is 2 + 2?", available_skills=["calculator"])
    error = caught.value
    assert (error.status, error.code) == (400, "unknown_skill")
    assert error.details is not None
    assert error.details["unknown"] == ["calculator"]
    assert error.request_id
    with pytest.raises(InvalidRequestError) as caught:
        client.submit("x" * 100_001)
    assert "100" in caught.value.message


def test_a_task_that_is_not_there_is_not_found(client: Client) -> None:
    for ask in (client.result, client.task, client.cancel, client.redrive):
        with pytest.raises(NotFoundError):
            ask("0198c0de-0000-7000-8000-000000000000")


def test_a_limit_says_how_long_to_wait(start_server: Start) -> None:
    _, url = start_server(rate_limit_max_requests=1)
    with Client(url, retries=0) as client:
        client.agents()
        with pytest.raises(RateLimitedError) as caught:
            client.agents()
    assert caught.value.retry_after_s is not None
    assert 0 < caught.value.retry_after_s <= 61


def test_many_threads_share_one_client(client: Client) -> None:
    outcomes: list[str | CallboardError] = []

    def ask() -> None:
        try:
            outcomes.append(client.submit("1 + 1", session_id=f"shared-{threading.get_ident()}").task_id)
        except CallboardError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({outcome for outcome in outcomes if isinstance(outcome, str)}) == 32, outcomes
