"""How a task comes to be."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from callboard import Principal, Settings, SubmitTask, TaskRecord
from callboard.actors.admission import Admission, idempotency_of
from callboard.actors.mailbox import Delivery
from callboard.agent.catalogue import Catalogue
from callboard.agent.roster import Roster
from callboard.budget import Budget
from callboard.clock import Clock
from callboard.errors import InvalidRequest
from callboard.messages.tasks import RetryTask, Status, Task, TaskState
from callboard.task_spec import KeptSpec, RetryPolicy
from callboard.values import Json

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def admission(make_settings: Callable[..., Settings]) -> Callable[..., Admission]:
    """Return a function that makes an admission to a server with these settings."""

    def make(**settings: Any) -> Admission:
        catalogue = Catalogue.load()
        roster = Roster.load(None, catalogue.names)
        return Admission(
            catalogue=lambda: catalogue,
            roster=lambda: roster,
            settings=make_settings(**settings),
            clock=Clock(now=lambda: NOW),
            takes_images=lambda _: False,
            draining=lambda: False,
        )

    return make


ASKED = KeptSpec(
    task="Charge the card.",
    session_id="session",
    system_prompt="Be brief.",
    available_skills=("calculate",),
    agent="master",
    labels={"order": 4711},
    timeout_ms=60_000,
    priority=7,
    retry=RetryPolicy(max_attempts=2),
    callback_url="https://example.com/hook",
    budget=Budget(model_calls=3),
)
FILES: tuple[Mapping[str, Json], ...] = ({"name": "a.csv", "mediaType": "text/csv", "size": 3},)
DEAD = TaskRecord(
    task=Task(task_id="dead", created_at=datetime(2025, 1, 1, tzinfo=UTC), spec=ASKED, attachments=FILES),
    state=TaskState(status=Status.FAILED, attempt=3, crashes=3),
)


def test_a_redriven_task_is_asked_all_that_the_dead_one_was(admission: Callable[..., Admission]) -> None:
    redrive = admission(max_subagents=4).redriven(DEAD, Delivery(None, principal=Principal(id="key:1"), request_id="r"))
    task = redrive.task
    assert (task.spec, task.attachments) == (ASKED, FILES)
    assert (task.redrive_of, task.created_at) == ("dead", NOW)
    assert (task.caller, task.request_id) == ("key:1", "r")
    assert task.task_id != "dead"
    assert redrive.most_below == 4


def test_each_field_makes_a_request_with_the_same_key_another_one() -> None:
    said = [(name, value) for name, value in ASKED if value != KeptSpec.model_fields[name].default]
    asked = [SubmitTask(**{"task": "x", "idempotency_key": "k", name: value}) for name, value in [("task", "x"), *said]]
    found = [key.fingerprint for task in asked if (key := idempotency_of(task, Principal(id="key:1")))]
    assert len(set(found)) == len(asked)


def test_a_priority_above_the_setting_is_refused_by_its_name(admission: Callable[..., Admission]) -> None:
    limited = admission(max_priority=5)
    for priority in (-100, 0, 5):
        assert limited.admit(SubmitTask(task="x", priority=priority), Delivery(None)).task.spec.priority == priority
    with pytest.raises(
        InvalidRequest, match=r"priority is 6, .* takes is 5 \(CALLBOARD_MAX_PRIORITY\); ask for that or less"
    ):
        limited.admit(SubmitTask(task="x", priority=6), Delivery(None))
    assert admission().admit(SubmitTask(task="x", priority=100), Delivery(None)).task.spec.priority == 100


def test_who_does_a_task_again_says_no_priority_so_it_is_lowered(admission: Callable[..., Admission]) -> None:
    limited = admission(max_priority=0)
    assert limited.again(DEAD, (), RetryTask(task_id="dead"), Delivery(None)).task.spec.priority == 0
    assert limited.redriven(DEAD, Delivery(None)).task.spec.priority == 0
