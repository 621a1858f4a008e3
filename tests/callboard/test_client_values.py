"""What the client sends as a task and what it makes of answers, without a network."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from callboard import Attachment, Budget, CallboardError
from callboard.client.errors import TaskFailedError
from callboard.client.models import Event, FeedEvent, Result, SkillInfo, StatisticsPoint, Task
from callboard.client.spec import body_of
from callboard.task_spec import RetryPolicy, TaskFields, TaskSpec
from tests.callboard.unreliable import AT, TASK, result


def test_every_field_of_a_task_can_be_given() -> None:
    assert TaskFields.__annotations__.keys() == TaskSpec.model_fields.keys() - {"task"}


def test_fields_are_written_as_the_wire_has_them() -> None:
    body = body_of(
        "Do it.",
        {
            "session_id": "alice",
            "system_prompt": None,
            "available_skills": ("calculate",),
            "labels": {"order_number": 4711},
            "timeout_ms": 1000,
            "priority": 0,
            "budget": Budget(cost_usd=0.25),
            "retry": {"max_attempts": 2, "backoffMs": 5},
        },
    )
    assert body == {
        "task": "Do it.",
        "sessionId": "alice",
        "availableSkills": ["calculate"],
        "labels": {"order_number": 4711},
        "timeoutMs": 1000,
        "priority": 0,
        "budget": {"costUsd": 0.25},
        "retry": {"maxAttempts": 2, "backoffMs": 5},
    }
    TaskSpec.model_validate(body)


def test_a_retry_policy_and_a_budget_may_be_values_or_mappings() -> None:
    value = body_of("Do it.", {"retry": RetryPolicy(max_attempts=2), "budget": {"cost_usd": 1.5}})
    assert value["retry"]["maxAttempts"] == 2
    assert value["budget"] == {"costUsd": 1.5}


def test_a_field_that_no_task_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(TypeError, match=r"has no sesion_id; there are session_id"):
        body_of("Do it.", {"sesion_id": "alice"})  # type: ignore[typeddict-unknown-key]  # the misspelling is the test


@pytest.mark.parametrize("name", ["a.csv", "report (1).csv", "Übersicht.csv", "报告 #1 & 2's 100%.XLSX", ".env", "a"])
def test_a_path_is_attached_with_its_name_and_its_bytes(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x00\xff data")
    for given in (path, str(path), (name, b"\x00\xff data")):
        [attached] = body_of("Read it.", {"attachments": [given]})["attachments"]
        assert attached.keys() == {"name", "data"}  # the server tells what it is
        assert attached["name"] == name
        assert base64.b64decode(attached["data"], validate=True) == b"\x00\xff data"
        Attachment.model_validate(attached)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("pipe", "Not a regular file; write what it gives into one"), ("", "Is a directory")):
        with pytest.raises(OSError, match=why):
            body_of("Read it.", {"attachments": [tmp_path / name]})


def test_an_attachment_is_sent_as_it_is() -> None:
    given = Attachment(name="a.csv", media_type="text/csv", url="https://example.com/a.csv")
    [attached] = body_of("Read it.", {"attachments": [given]})["attachments"]
    assert attached == {"name": "a.csv", "mediaType": "text/csv", "url": "https://example.com/a.csv"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        body_of("Read it.", {"attachments": [tmp_path / "none.csv"]})


# --- answers ---


def test_an_answer_can_be_written_as_it_came() -> None:
    wire = result({"a_b": [1, None]}, metadata={"llmCalls": 0, "subagents": {"tasks": 1}})
    assert Result.model_validate(wire).model_dump(by_alias=True, mode="json") == wire


def test_what_a_later_server_adds_is_ignored() -> None:
    found = Result.model_validate(result(status="resting", shoeSize=43))
    assert (found.status, hasattr(found, "shoeSize")) == ("resting", False)


def test_answers_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Result.model_validate(result()).output = 1


def test_a_task_is_a_result_and_more() -> None:
    found = Task.model_validate({**result(), "createdAt": AT, "labels": {"a_b": 1}, "pause": {"call": 2}})
    assert isinstance(found, Result)
    assert (found.ok, found.labels, found.pause, found.depth) == (True, {"a_b": 1}, {"call": 2}, 0)


def test_an_event_on_the_wire_has_no_cursor() -> None:
    wire: dict[str, Any] = {"taskId": TASK, "seq": 1, "topic": "agent.task.execute", "timestamp": AT, "data": {}}
    assert Event.model_validate({**wire, "cursor": "1"}).model_dump(by_alias=True, mode="json") == wire
    fed = {**wire, "sessionId": "alice", "position": 7}
    assert FeedEvent.model_validate({**fed, "cursor": "7"}).model_dump(by_alias=True, mode="json") == fed


def test_names_that_do_not_follow_from_their_attribute_are_right() -> None:
    assert StatisticsPoint.model_validate({"at": AT, "p95Ms": 1.5}).p95_ms == 1.5
    wire = {"name": "a", "description": "b", "kind": "python", "origin": "builtin", "stub": "", "replay": "pure"}
    skill = SkillInfo.model_validate({**wire, "schema": {"type": "object"}})
    assert skill.json_schema == {"type": "object"}
    assert skill.model_dump(by_alias=True, mode="json")["schema"] == {"type": "object"}


def test_a_result_that_is_no_failure_is_passed_on() -> None:
    for wire in (result(), result(None, success=None, status="running")):
        found = Result.model_validate(wire)
        assert found.raise_for_failure() is found


@pytest.mark.parametrize(
    ("status", "code", "error", "said"),
    [
        ("failed", "script_error", "ValueError: no", rf"The task {TASK} failed: ValueError: no"),
        ("cancelled", None, None, rf"The task {TASK} was cancelled"),
    ],
)
def test_a_failure_can_be_raised(status: str, code: str | None, error: str | None, said: str) -> None:
    found = Result.model_validate(result(None, success=False, status=status, error=error, errorCode=code))
    with pytest.raises(TaskFailedError, match=said) as caught:
        found.raise_for_failure()
    assert isinstance(caught.value, CallboardError)
    assert (caught.value.task_id, caught.value.status, caught.value.code) == (TASK, status, code or status)
