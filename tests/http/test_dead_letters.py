"""Dead letters over REST and from the command line, and what is asked of a decision."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from callboard import DecideTask, RedriveTask, Status
from callboard.cli.main import main
from callboard.clock import Clock
from callboard.errors import DeadLetterNotFound, Unavailable
from callboard.messages.event_types import TaskExecute, TaskFailed
from callboard.messages.ledger import CallRecord, CallState
from callboard.messages.pauses import Pause, PauseReason
from callboard.messages.records import RecordAcceptance, RecordEvents, RecordPause, RecordResult, RecordStart
from callboard.messages.tasks import AwaitTask, TaskRecord
from callboard.persistence.store import SqlStore
from tests.http.test_openapi import described
from tests.tasks import make_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from callboard import Settings
    from tests.http.conftest import Running

NO_TASK = "0198c0de-0000-7000-8000-000000000000"


def kill_off(running: Running, task_id: str) -> None:
    """End a task that waits as the master agent ends one under which the server died too often."""
    now = Clock().now()
    event = TaskFailed(at=now, error="It died.", error_code="dead_letter")
    end = RecordResult(
        task_id=task_id,
        attempt=None,
        status=Status.FAILED,
        at=now,
        events=(event,),
        error="It died.",
        error_code="dead_letter",
    )
    running.system._addresses["result logger"].ask(end, timeout_s=30)


@pytest.fixture
def make_dead(shared: Running, blocked: Callable[..., str]) -> Callable[..., str]:
    """Return a function that makes a dead letter of a task, and returns its id."""

    def make(task: str = "What is 6 * 7?", **fields: Any) -> str:
        session = f"dead-{blocked()}"
        blocked(sessionId=session)  # so that the task waits
        task_id: str = shared.execute(task, sessionId=session, **fields).json()["taskId"]
        kill_off(shared, task_id)
        return task_id

    return make


def redrive(running: Running, task_id: str) -> Any:
    return running.client.post(f"/agent/dead-letters/{task_id}/redrive")


def letters(running: Running, **params: Any) -> Any:
    return running.client.get("/agent/dead-letters", params=params).json()


# --- over REST ------------------------------------------------------------------------------------------------------


def test_dead_letters_are_listed_newest_first_a_page_at_a_time(shared: Running, make_dead: Callable[..., str]) -> None:
    made = [make_dead() for _ in range(3)]
    first = letters(shared, limit=2)
    assert [letter["taskId"] for letter in first["results"]] == [made[2], made[1]]
    assert (first["success"], first["count"]) == (True, 2)
    second = letters(shared, limit=1, cursor=first["nextCursor"])
    assert second["results"][0]["taskId"] == made[0]
    assert second["results"][0]["errorCode"] == "dead_letter"
    assert second["results"][0]["redrivenAs"] is None


def test_a_task_that_failed_for_another_reason_is_no_dead_letter(
    shared: Running, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    failed = shared.result("Please paint the fence.")["taskId"]
    assert failed not in [letter["taskId"] for letter in letters(shared, limit=100)["results"]]
    for task_id in (failed, NO_TASK, "no.id"):
        body = assert_problem(redrive(shared, task_id), 404, "dead_letter_not_found")
        assert task_id in body["message"]


def test_a_redriven_task_runs_as_a_new_one_with_all_that_was_asked(
    shared: Running, make_dead: Callable[..., str]
) -> None:
    asked: dict[str, Any] = {
        "systemPrompt": "Be brief.",
        "availableSkills": ["calculate"],
        "agent": "master",
        "labels": {"order": 4711},
        "timeoutMs": 60_000,
        "priority": 7,
        "retry": {"maxAttempts": 2, "backoffMs": 10, "maxBackoffMs": 100},
    }
    dead_id = make_dead(**asked)
    dead = shared.client.get(f"/agent/tasks/{dead_id}").json()
    shared.client.post(f"/agent/tasks/{dead['sessionId'].removeprefix('dead-')}/cancel")
    accepted = redrive(shared, dead_id).json()
    assert accepted.keys() == {"success", "message", "taskId", "task", "sessionId", "status"}
    assert accepted["taskId"] != dead_id
    redriven = shared.client.get(f"/agent/tasks/{accepted['taskId']}").json()
    assert {name: redriven[name] for name in asked} == asked
    assert (redriven["redriveOf"], redriven["sessionId"], redriven["task"]) == (
        dead_id,
        dead["sessionId"],
        dead["task"],
    )
    assert shared.client.get(f"/agent/tasks/{dead_id}").json()["redrivenAs"] == accepted["taskId"]
    events = shared.client.get(f"/agent/tasks/{accepted['taskId']}/events").json()["events"]
    assert (events[0]["topic"], events[0]["data"]["sessionId"]) == ("agent.task.execute", dead["sessionId"])


def test_redriving_twice_answers_the_task_of_the_first_time(
    start_server: Callable[..., Running], skills_dir: Any, gate: Any
) -> None:
    running = start_server(skills_dir=skills_dir, max_backlog=3)
    running.execute(gate.task, sessionId="s")
    dead_id = running.execute("What is 6 * 7?", sessionId="s").json()["taskId"]
    kill_off(running, dead_id)
    first, again = (redrive(running, dead_id).json() for _ in range(2))
    assert again["taskId"] == first["taskId"]
    # it counts as one of the backlog, once: two of one caller, whose share of three that is
    assert running.execute("Hello").status_code == 503
    gate.open()
    record = running.system.gateway.ask(AwaitTask(task_id=first["taskId"], wait_s=60), timeout_s=65)
    assert record.output == 42
    assert running.result("What is 1 + 1?")["output"] == 2


def test_a_full_backlog_refuses_a_redrive(
    start_server: Callable[..., Running],
    skills_dir: Any,
    gate: Any,
    assert_problem: Callable[..., dict[str, Any]],
) -> None:
    running = start_server(skills_dir=skills_dir, max_backlog=3)  # of which two are the share of one caller
    running.execute(gate.task, sessionId="s")
    dead_id = running.execute("What is 6 * 7?", sessionId="s").json()["taskId"]
    kill_off(running, dead_id)
    running.execute(gate.task, sessionId="other")
    assert_problem(redrive(running, dead_id), 503, "overloaded")
    assert_problem(redrive(running, NO_TASK), 404, "dead_letter_not_found")
    gate.open()


def test_real_answers_fit_their_descriptions(
    shared: Running, make_dead: Callable[..., str], decided: list[DecideTask]
) -> None:
    dead_id = make_dead(retry={})
    redriven = redrive(shared, dead_id)
    described("POST", "/agent/dead-letters/{taskId}/redrive", 200).validate(redriven.json())
    described("GET", "/agent/dead-letters", 200).validate(letters(shared))
    for task_id in (dead_id, redriven.json()["taskId"]):
        described("GET", "/agent/tasks/{taskId}", 200).validate(shared.client.get(f"/agent/tasks/{task_id}").json())
    described("POST", "/agent/tasks/{taskId}/decide", 200).validate(decide(shared, {"decision": "retry"}).json())
    assert decided


def test_a_dead_letter_can_be_redriven_from_python(shared: Running, make_dead: Callable[..., str]) -> None:
    dead_id = make_dead()
    record: TaskRecord = shared.system.gateway.ask(RedriveTask(task_id=dead_id), timeout_s=30)
    assert record.task.redrive_of == dead_id
    with pytest.raises(DeadLetterNotFound):
        shared.system.gateway.ask(RedriveTask(task_id=record.task_id), timeout_s=30)


def test_a_server_that_drains_redrives_nothing(start_server: Callable[..., Running]) -> None:
    running = start_server()
    running.system.drain()
    with pytest.raises(Unavailable, match="shutting down"):
        running.system.gateway.ask(RedriveTask(task_id=NO_TASK), timeout_s=30)


# --- what a task may ask for ----------------------------------------------------------------------------------------


def test_a_retry_policy_is_kept_with_its_defaults(shared: Running) -> None:
    task_id = shared.execute("Hello", retry={"maxAttempts": 5.0}).json()["taskId"]
    task = shared.client.get(f"/agent/tasks/{task_id}").json()
    assert task["retry"] == {"maxAttempts": 5, "backoffMs": 1000, "maxBackoffMs": 60_000}


@pytest.mark.parametrize(
    ("retry", "field"),
    [
        (3, "retry"),
        ({"maxAttempts": 0}, "retry.maxAttempts"),
        ({"maxAttempts": "3"}, "retry.maxAttempts"),
        ({"backoffMs": -1}, "retry.backoffMs"),
        ({"max_attempts": 3}, "retry.max_attempts"),
        ({"often": True}, "retry.often"),
    ],
)
def test_a_retry_policy_that_cannot_be_is_refused_by_its_field(
    shared: Running, retry: Any, field: str, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    body = assert_problem(shared.execute("Hello", retry=retry), 400, "invalid_request")
    assert [fault["field"] for fault in body["details"]["fields"]] == [field]


# --- decisions ------------------------------------------------------------------------------------------------------


def decide(running: Running, body: Any, task_id: str = NO_TASK) -> Any:
    return running.client.post(f"/agent/tasks/{task_id}/decide", json=body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "decision"),
        ({"decision": "maybe"}, "decision"),
        ({"decision": None}, "decision"),
        ({"decision": "retry", "result": 1}, "result"),
        ({"decision": "fail", "result": {}}, "result"),
        ({"decision": "fail", "result": None}, "result"),
        ({"decision": "retry", "result": None}, "result"),
        ({"decision": "fail", "reason": 5}, "reason"),
        ({"decision": "fail", "reason": "r" * 1001}, "reason"),
        ({"decision": "fail", "reason": "a\0b"}, "reason"),
        ({"decision": "fail", "why": "x"}, "why"),
    ],
)
def test_a_decision_that_cannot_be_is_refused_by_its_field(
    shared: Running, body: Any, field: str, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    problem = assert_problem(decide(shared, body), 400, "invalid_request")
    assert [fault["field"] for fault in problem["details"]["fields"]] == [field]


@pytest.mark.parametrize("result", [2**64, "a\0b", [[["x\0"]]]])
def test_a_result_that_cannot_be_stored_is_refused(
    shared: Running, result: Any, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    body = assert_problem(decide(shared, {"decision": "assume_done", "result": result}), 400, "invalid_request")
    assert "result" in body["message"]


def test_an_unknown_decision_is_answered_with_the_known_ones(shared: Running) -> None:
    message = decide(shared, {"decision": "maybe"}).json()["message"]
    assert all(known in message for known in ("retry", "assume_done", "fail"))


@pytest.fixture
def decided(shared: Running, monkeypatch: pytest.MonkeyPatch) -> list[DecideTask]:
    """The decisions that reach the gateway of the shared server, which answers them with a task of its history."""
    seen: list[DecideTask] = []
    record = shared.system.execute("What is 6 * 7?")
    gateway = shared.system.gateway
    real = type(gateway).ask

    def ask(self: Any, message: Any, **envelope: Any) -> Any:
        if self is not gateway or not isinstance(message, DecideTask):
            return real(self, message, **envelope)
        seen.append(message)
        return record

    monkeypatch.setattr(type(gateway), "ask", ask)
    return seen


def test_a_decision_is_passed_on_and_answered_with_how_the_task_stands(
    shared: Running, decided: list[DecideTask]
) -> None:
    body = {"decision": "assume_done", "result": {"charged": True}, "reason": "seen on the statement"}
    answer = decide(shared, body).json()
    assert answer.keys() == {"success", "message", "taskId", "status"}
    assert (answer["success"], answer["message"]) == (True, "Decision taken: assume_done")
    wish = decided[0]
    assert (wish.task_id, wish.decision, wish.result, wish.reason) == (NO_TASK, *body.values())


def test_a_task_that_is_not_paused_is_409_and_an_unknown_one_404(
    shared: Running, blocked: Callable[..., str], assert_problem: Callable[..., dict[str, Any]]
) -> None:
    for task_id in (blocked(), shared.result("What is 1 + 1?")["taskId"]):
        assert_problem(decide(shared, {"decision": "retry"}, task_id), 409, "task_not_paused")
    for task_id in (NO_TASK, "no.id"):
        assert_problem(decide(shared, {"decision": "retry"}, task_id), 404, "task_not_found")


@pytest.fixture
def paused(start_server: Callable[..., Running], make_settings: Callable[..., Settings], tmp_path: Path) -> Running:
    """A server whose history holds the task `paused`, of which a dead server had begun a call that must not be repeated."""
    now = Clock().now()
    task = make_task("paused", "Charge the card.", session_id="s", created_at=now)
    call = CallRecord(
        number=1,
        kind="skill",
        name="charge",
        replay="never",
        digest="d",
        effect_id="paused:1",
        attempt=1,
        state=CallState.STARTED,
        started_at=now,
    )
    pause = Pause(reason=PauseReason.OUTCOME_UNKNOWN, call=1, skill="charge", since=now)
    event = TaskExecute(at=now, task=task.spec.task, session_id="s")
    store = SqlStore.open(make_settings())
    store.writer.write(
        [
            RecordAcceptance(task=task, event=event),
            RecordStart(task_id="paused", attempt=1, at=now, owner="dead"),
            RecordEvents(task_id="paused", attempt=1, events=(), calls=(call,)),
            RecordPause(task_id="paused", attempt=1, at=now, pause=pause, events=()),
        ]
    )
    store.close()
    folder = tmp_path / "charging"
    folder.mkdir()
    (folder / "charge.py").write_text(
        'from callboard import skill\n\n\n@skill()\ndef charge() -> str:\n    """Charge it."""\n'
    )
    return start_server(skills_dir=folder)


def test_a_paused_task_is_decided_once(paused: Running, assert_problem: Callable[..., dict[str, Any]]) -> None:
    task = paused.client.get("/agent/tasks/paused").json()
    assert (task["status"], task["pause"]["skill"]) == ("paused", "charge")
    described("GET", "/agent/tasks/{taskId}", 200).validate(task)
    answer = decide(paused, {"decision": "fail", "reason": "no such charge"}, "paused")
    assert answer.json() == {
        "success": True, "message": "Decision taken: fail", "taskId": "paused", "status": "failed",
    }  # fmt: skip
    task = paused.client.get("/agent/tasks/paused").json()
    assert (task["errorCode"], task["pause"]) == ("outcome_unknown", None)
    assert_problem(decide(paused, {"decision": "retry"}, "paused"), 409, "task_not_paused")


@pytest.mark.parametrize("body", [{"decision": "retry"}, {"decision": "assume_done", "result": {"paid": True}}])
def test_a_paused_task_goes_on_after_the_decision(paused: Running, body: Any) -> None:
    answer = decide(paused, body, "paused")
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    record = paused.system.gateway.ask(AwaitTask(task_id="paused", wait_s=60), timeout_s=65)
    assert (record.state.attempt, record.status) == (2, Status.FAILED)  # the planner knows no way to charge a card


# --- from the command line ------------------------------------------------------------------------------------------


def call(running: Running, *arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, [*arguments, "--url", running.server.url])


def test_the_command_line_lists_and_redrives(shared: Running, make_dead: Callable[..., str]) -> None:
    dead_id = make_dead("What is\n" + "1 + " * 40 + "1?")
    line = call(shared, "dead-letters", "list").stdout.splitlines()[0]
    assert line.startswith(dead_id)
    assert line.split("\t")[2:] == ["-", "What is " + "1 + " * 40 + "1?"]
    done = call(shared, "dead-letters", "redrive", dead_id)
    new_id = letters(shared, limit=1)["results"][0]["redrivenAs"]
    assert (done.exit_code, done.stdout) == (0, f"{dead_id} goes on as {new_id}, which is pending.\n")
    assert f"\t{new_id}\t" in call(shared, "dead-letters").stdout
    listed = json.loads(call(shared, "dead-letters", "list", "--json").stdout)
    assert listed[0]["redrivenAs"] == new_id


def test_the_command_line_lists_every_page(
    shared: Running, make_dead: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.client.client._PAGE", 1)
    made = [make_dead() for _ in range(3)]
    listed = call(shared, "dead-letters", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed[:3]] == made[::-1]


def test_no_dead_letters_are_said_to_be_none(start_server: Callable[..., Running]) -> None:
    running = start_server()
    told = call(running, "dead-letters", "list")
    assert (told.stdout, told.stderr.splitlines()[-1]) == ("", "There are no dead letters.")
    assert json.loads(call(running, "dead-letters", "list", "--json").stdout) == []


SEEN = ("--digest", "5" * 64)
"""What the arguments were that somebody has seen; without it the command looks at the task first."""


def test_the_command_line_decides(shared: Running, decided: list[DecideTask]) -> None:
    arguments = ("decide", NO_TASK, "assume_done", "--result", '{"charged": true}', "--reason", "seen", *SEEN)
    done = call(shared, *arguments)
    assert (done.exit_code, done.stdout) == (0, "Decision taken: assume_done; the task is completed.\n")
    assert (decided[0].result, decided[0].reason) == ({"charged": True}, "seen")


def test_the_command_line_edits_a_calls_arguments(shared: Running, decided: list[DecideTask]) -> None:
    done = call(shared, "decide", NO_TASK, "edit", "--arguments", '{"cents": 500}', *SEEN)
    assert (done.exit_code, done.stdout) == (0, "Decision taken: edit; the task is completed.\n")
    assert decided[0].arguments == {"cents": 500}
    wrong = call(shared, "decide", NO_TASK, "edit", "--arguments", "cents=500")
    assert (wrong.exit_code, "Invalid value for --arguments: is not JSON" in wrong.stderr) == (2, True)


def test_a_refusal_is_said_with_its_exit_status(shared: Running) -> None:
    for status, *arguments in (
        (4, "dead-letters", "redrive", "no such thing"),
        (1, "decide", NO_TASK, "fail", "--result", "1", *SEEN),
    ):
        done = call(shared, *map(str, arguments))
        assert (done.exit_code, done.stdout) == (status, "")
        assert done.stderr.splitlines()[-1].startswith("callboard: ")  # behind the log of the server, which is ours
    assert "There is no dead letter" in call(shared, "dead-letters", "redrive", NO_TASK).stderr


def test_the_first_api_key_of_the_settings_is_sent(start_server: Callable[..., Running]) -> None:
    running = start_server(api_key=("right",))
    assert call(running, "dead-letters", "list", API_KEY="right,other").exit_code == 0
    refused = call(running, "dead-letters", "list", API_KEY="wrong,right")
    assert (refused.exit_code, "X-API-Key" in refused.stderr) == (77, True)


def test_no_server_is_said_with_exit_status_69(start_server: Callable[..., Running]) -> None:
    running = start_server()
    running.stop()
    done = call(running, "dead-letters", "list")
    assert done.exit_code == 69
    assert f"No server answers at {running.server.url}" in done.stderr
    assert "callboard serve" in done.stderr


def test_the_address_comes_from_the_settings(start_server: Callable[..., Running]) -> None:
    running = start_server()
    there = {"CALLBOARD_PORT": str(running.server.port), "CALLBOARD_HOST": "0.0.0.0"}
    assert CliRunner(env=there).invoke(main, ["dead-letters", "list"]).exit_code == 0
    for environment in ({"CALLBOARD_PORT": "0"}, {"CALLBOARD_PORT": "http"}):
        done = CliRunner(env=environment).invoke(main, ["dead-letters", "list"])
        assert (done.exit_code, "CALLBOARD_PORT" in done.stderr) == (78, True)


@pytest.mark.parametrize(
    "arguments",
    [("decide", "x", "maybe"), ("decide", "x", "assume_done", "--result", "{"), ("dead-letters", "list", "--url", "x")],
)
def test_a_command_that_cannot_be_read_is_2(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == 2
