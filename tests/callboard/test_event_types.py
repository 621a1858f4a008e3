"""Events and their wire form: what is made is what is stored and shown, and what older versions stored can be read."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from callboard.messages.event_types import TYPES, ModelCompleted, SkillCompleted, StepStarted, TaskExecute, read
from callboard.messages.events import TaskEvent, Topic
from callboard.messages.pauses import Decision, Pause, PauseReason
from callboard.messages.wire import ABSENT
from tests.callboard.test_old_histories import HISTORIES
from tests.samples import sample

AT = datetime(2026, 1, 1, tzinfo=UTC)
OTHERWISE: dict[str, Any] = {
    "not_before": AT,
    "decision": Decision.EDIT,
    "available_skills": ("a", "b"),
    "attachments": ("a.csv",),
    "exception": {"type": "KeyError"},
    "edited": {"amount": 2},
    "result": [1, None],
    "cost_usd": None,
}
"""What fields get that are no texts."""


def entry(topic: Topic, data: dict[str, Any]) -> TaskEvent:
    return TaskEvent(task_id="t", seq=1, topic=topic, at=AT, data=data)


@pytest.mark.parametrize("topic", Topic)
def test_what_is_read_back_is_what_was_made(topic: Topic) -> None:
    bare = sample(topic, AT)
    more = {
        field.name: OTHERWISE.get(field.name, True if field.default is False else "some")
        for field in fields(bare)
        if "beside" not in field.metadata and getattr(bare, field.name) in (None, False, ABSENT)
    }
    for event in (bare, replace(bare, **more)):
        stored = json.loads(json.dumps(event.data()))
        again = read(entry(topic, {**stored, "ofALaterVersion": 1}))
        assert list(again.data().items()) == list(stored.items())
        assert again == event
    with pytest.raises(FrozenInstanceError):
        bare.at = AT  # type: ignore[misc]


def test_every_topic_has_its_type() -> None:
    assert set(TYPES) == set(Topic)


def test_what_may_be_null_is_told_apart_from_what_is_not_there() -> None:
    returned = SkillCompleted(at=AT, ok=True, result=None, call=1, skill="some", duration_ms=1.5)
    assert returned.data() == {"ok": True, "result": None, "call": 1, "skill": "some", "durationMs": 1.5}
    assert "result" not in replace(returned, ok=False, result=ABSENT, error="No.", error_code="skill_failed").data()


def test_a_call_that_was_refused_or_failed_keeps_the_order_it_always_had() -> None:
    refused = SkillCompleted(at=AT, ok=False, call=1, skill="some", error="No.", error_code="skill_not_allowed")
    assert list(refused.data()) == ["call", "skill", "ok", "error", "errorCode"]
    failed = ModelCompleted(
        at=AT, step=1, purpose="plan", model="some/model", ok=False, input_tokens=5, output_tokens=0, turns_left_out=2,
        duration_ms=1.5, error="No.", error_code="model_refused",
    )  # fmt: skip
    assert list(failed.data()) == [
        *("step", "purpose", "model", "turnsLeftOut", "durationMs", "ok", "error", "errorCode"),
        *("inputTokens", "outputTokens"),
    ]


def test_an_event_without_what_it_quotes_says_so() -> None:
    step = StepStarted(at=AT, step=1, agent="master", planner="offline", intent="python", code="1 + 1", bare=True)
    assert step.data() == {"step": 1, "agent": "master", "planner": "offline", "intent": "python", "truncated": True}
    nothing_quoted = sample(Topic.STEP_COMPLETED, AT, bare=True)
    assert nothing_quoted.data() == {"step": 1, "durationMs": 1.5, "ok": True}


def test_what_was_not_told_yet_is_read_as_none() -> None:
    told = read(entry(Topic.TASK_EXECUTE, {"task": "Hello", "ofALaterVersion": 1}))
    assert told == TaskExecute(at=AT, task="Hello", session_id=None)  # type: ignore[arg-type]


WAITS = Pause(
    reason=PauseReason.APPROVAL,
    message="It waits.",
    call=2,
    skill="pay",
    effect_id="t:2",
    attempt=1,
    args=[1],
    kwargs={},
    args_truncated=True,
    decisions=(Decision.APPROVE, Decision.REJECT),
    since=AT,
)


def test_a_pause_keeps_its_order_with_the_whole_arguments_known_and_without() -> None:
    about = ["reason", "message", "call", "skill", "effectId", "attempt"]
    assert list(WAITS.data()) == [*about, "args", "kwargs", "argsTruncated", "decisions", "since"]
    whole = replace(WAITS, edited={"amount": 2}, defaults={}, args_bytes=9, digest="d", args_truncated=False)
    shown = ["argsTruncated", "args", "kwargs", "edited", "defaults", "argsBytes", "digest"]
    assert list(whole.data()) == [*about, *shown, "decisions", "since"]
    for pause in (WAITS, whole):
        stored = json.loads(json.dumps(pause.data()))
        assert Pause.read({**stored, "ofALaterVersion": 1}) == pause
        told = sample(Topic.TASK_PAUSED, AT, pause=pause).data()
        assert list(told.items()) == list(stored.items())[:-1], "the event has the time itself"


@pytest.mark.parametrize("revision", ["0002", "0003", "0004", "0005"])
def test_pauses_of_every_older_version_are_shown_as_they_were_stored(revision: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((HISTORIES / f"{revision}.sql").read_text())
        found = [json.loads(stored) for [stored] in connection.execute("SELECT pause FROM tasks WHERE pause NOTNULL")]
    assert found
    for stored in found:
        again = json.loads(json.dumps(Pause.read(stored).data()))
        assert list(again.items()) == list(stored.items())


def _stored(revision: str) -> Iterator[tuple[Topic, dict[str, Any]]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((HISTORIES / f"{revision}.sql").read_text())
        for topic, data in connection.execute("SELECT topic, data FROM events"):
            yield Topic(topic), json.loads(data)


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005"])
def test_events_of_every_older_version_are_read(revision: str) -> None:
    found = list(_stored(revision))
    assert found
    for topic, data in found:
        told = read(entry(topic, data)).data()
        assert told.items() >= {key: value for key, value in data.items() if key in TYPES[topic].keys()}.items()  # noqa: SIM118
