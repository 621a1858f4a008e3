"""When a webhook's delivery is tried again: pure arithmetic."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.delivery_schedule import JITTER, WAITS_S, Attempted, after_attempt, sent_again
from callboard.messages.deliveries import DELIVERY_LASTS, DeliveryState, WebhookDelivery
from callboard.messages.events import Topic

NOW = datetime(2026, 1, 8, 12, tzinfo=UTC)
FRESH = WebhookDelivery(
    delivery_id="d",
    task_id="t",
    url="https://example.com/hook",
    topic=Topic.TASK_COMPLETED,
    created_at=NOW,
    expires_at=NOW + DELIVERY_LASTS,
    next_at=NOW,
)


def attempt(status: int | None = 503, retry_after_s: float | None = None) -> Attempted:
    error = None if status == 200 else "no"
    return Attempted(status_code=status, error=error, retry_after_s=retry_after_s)


@given(st.lists(st.tuples(st.sampled_from([None, 302, 404, 429, 500]), st.floats(0, 1e9)), min_size=40, max_size=40))
def test_a_receiver_that_never_takes_it_is_tried_for_a_day_and_no_longer(
    answers: list[tuple[int | None, float]],
) -> None:
    delivery, tried = FRESH, []
    for status, retry_after_s in answers:
        if delivery.next_at is None:
            break
        tried.append(delivery.next_at)
        delivery = after_attempt(delivery, attempt(status, retry_after_s), delivery.next_at)
    assert delivery.state is DeliveryState.FAILED
    assert tried == sorted(set(tried))
    assert tried[-1] == delivery.expires_at
    assert delivery.attempts == len(tried)


def test_the_waits_grow_as_documented() -> None:
    delivery = FRESH
    for wait_s in (*WAITS_S, WAITS_S[-1]):
        assert delivery.next_at is not None
        at = delivery.next_at
        delivery = after_attempt(delivery, attempt(), at)
        assert delivery.next_at is not None
        if delivery.next_at < delivery.expires_at:
            assert abs((delivery.next_at - at).total_seconds() - wait_s) <= wait_s * JITTER


def test_what_is_taken_is_over() -> None:
    done = after_attempt(FRESH, attempt(200), NOW)
    assert (done.state, done.attempts, done.next_at, done.ended_at) == (DeliveryState.DELIVERED, 1, None, NOW)


def test_gone_is_believed_at_once() -> None:
    assert after_attempt(FRESH, attempt(410), NOW).state is DeliveryState.FAILED


@pytest.mark.parametrize(("asked_s", "least_s", "most_s"), [(0, 4, 6), (600, 600, 600), (1e9, 3600, 3600)])
def test_a_retry_after_is_honoured_up_to_an_hour(asked_s: float, least_s: float, most_s: float) -> None:
    next_at = after_attempt(FRESH, attempt(429, asked_s), NOW).next_at
    assert next_at is not None
    assert least_s <= (next_at - NOW).total_seconds() <= most_s


def test_what_expired_while_the_server_was_down_is_tried_once_more() -> None:
    late = NOW + timedelta(days=3)
    assert after_attempt(FRESH, attempt(200), late).state is DeliveryState.DELIVERED
    assert after_attempt(FRESH, attempt(503), late).state is DeliveryState.FAILED


def test_what_is_sent_again_begins_a_day_of_its_own() -> None:
    failed = after_attempt(FRESH, attempt(410), NOW)
    later = NOW + timedelta(days=9)
    again = sent_again(failed, later)
    assert (again.state, again.next_at, again.expires_at) == (DeliveryState.PENDING, later, later + DELIVERY_LASTS)
    assert (again.attempts, again.status_code, again.error, again.ended_at) == (0, None, None, None)
    assert (again.delivery_id, again.created_at) == (failed.delivery_id, failed.created_at)
