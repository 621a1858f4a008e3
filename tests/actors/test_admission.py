"""How a task comes to be."""

from datetime import UTC, datetime

from callboard import RedriveTask, TaskRecord
from callboard.actors.admission import redrive_of
from callboard.task_spec import RetryPolicy, TaskSpec

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_redriven_task_is_asked_all_that_the_dead_one_was() -> None:
    dead = TaskRecord(
        task_id="dead",
        session_id="session",
        task="Charge the card.",
        created_at=datetime(2025, 1, 1, tzinfo=UTC),
        system_prompt="Be brief.",
        available_skills=("calculate",),
        agent="master",
        labels={"order": 4711},
        timeout_ms=60_000,
        priority=7,
        retry=RetryPolicy(max_attempts=2),
        callback_url="https://example.com/hook",
        attempt=3,
        crashes=3,
    )
    record = redrive_of(dead, RedriveTask(task_id="dead", caller="key:1", request_id="r"), NOW).record
    for field in TaskSpec.model_fields:
        assert getattr(record, field) == getattr(dead, field), field
    assert (record.redrive_of, record.attempt, record.crashes, record.created_at) == ("dead", 0, 0, NOW)
    assert (record.caller, record.request_id) == ("key:1", "r")
    assert record.task_id != "dead"
