"""What an attempt makes of the calls that earlier ones have left."""

from datetime import UTC, datetime

import pytest

from callboard.agent.ledger import Ledger
from callboard.agent.sealing import Left
from callboard.errors import TaskError
from callboard.limits import LEDGER_BYTES
from callboard.messages.ledger import CallState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_failed_call_that_was_answered_from_the_ledger_is_reopened_for_a_retry() -> None:
    """The server died between the failure's commit and that of the retry; the next attempt hears of it again."""
    first = Ledger("t", 1, Left())
    row = first.begin("skill", "flaky", "safe", ["a"], NOW, None)
    left = first.failed(row, TaskError("skill_unavailable", "not now", retryable=True), NOW)
    second = Ledger("t", 2, Left(calls=(left,)))
    assert second.take("skill", "flaky", ["a"]) == left
    [reopened] = second.reopened(left.number)
    assert (reopened.state, reopened.error) == (CallState.OPEN, None)


def test_calls_that_are_made_at_once_have_the_room_of_one_ledger() -> None:
    """None has been written when all of them have been looked at."""
    ledger, large = Ledger("t", 1, Left()), ("x" * (LEDGER_BYTES // 2 - 100),)
    assert [ledger.admit((large, {})), ledger.admit((large, {}))] == [None, None]
    refused = ledger.admit((large, {}))
    assert refused is not None
    assert refused.code == "ledger_limit"
    assert ledger.admit() is None, "one that keeps no arguments"
    rows = [ledger.begin("skill", "send", "never", [n], NOW, None, whole=(large, {})) for n in range(2)]
    assert rows[0].arguments is not None
    with pytest.raises(TaskError, match="cannot be kept"):
        ledger.done(rows[0], "y" * 1000, NOW)
