"""What an attempt makes of the calls that earlier ones have left."""

from datetime import UTC, datetime

from callboard.agent.ledger import Ledger
from callboard.errors import TaskError
from callboard.records import CallState, TaskLedger

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_failed_call_that_was_answered_from_the_ledger_is_reopened_for_a_retry() -> None:
    """The server died between the failure's commit and that of the retry; the next attempt hears of it again."""
    first = Ledger("t", 1, TaskLedger())
    row = first.begin("skill", "flaky", "safe", ["a"], NOW, None)
    left = first.failed(row, TaskError("skill_unavailable", "not now", retryable=True), NOW)
    second = Ledger("t", 2, TaskLedger(calls=(left,)))
    assert second.take("skill", "flaky", ["a"]) == left
    [reopened] = second.reopened(left.number)
    assert (reopened.state, reopened.error) == (CallState.OPEN, None)
