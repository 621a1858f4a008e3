"""When a webhook's delivery is tried again, and when it is over.

Pure functions over immutable records; any thread. Imported by `courier.py` and `delivery_sender.py`.
"""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from callboard.messages.deliveries import DELIVERY_LASTS, DeliveryState, WebhookDelivery

WAITS_S = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800)
"""How long to wait after each failed attempt, in seconds; the last one repeats until the delivery expires."""

JITTER = 0.2
"""Each wait is longer or shorter by up to this part of it, so that what failed together does not come back together."""

MAX_RETRY_AFTER_S = 3600.0
"""The longest Retry-After that is honoured."""

_GONE = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """What an attempt came to; it was delivered where `error` is None.

    `status_code` is None where no answer came; `retry_after_s` is how long the receiver asks to be left alone.
    """

    status_code: int | None = None
    error: str | None = None
    retry_after_s: float | None = None


def after_attempt(delivery: WebhookDelivery, attempt: Attempted, now: datetime) -> WebhookDelivery:
    """Return how a delivery stands after one more attempt.

    What is due is tried even where it has expired meanwhile (the server was down), and given up after that attempt.
    """
    tried = replace(
        delivery, attempts=delivery.attempts + 1, status_code=attempt.status_code, error=attempt.error, next_at=None
    )
    if attempt.error is None:
        return replace(tried, state=DeliveryState.DELIVERED, ended_at=now)
    if attempt.status_code == _GONE or now >= delivery.expires_at:
        return replace(tried, state=DeliveryState.FAILED, ended_at=now)
    wait_s = max(_wait_s(tried.attempts), min(attempt.retry_after_s or 0.0, MAX_RETRY_AFTER_S))
    return replace(tried, next_at=min(now + timedelta(seconds=wait_s), delivery.expires_at))


def sent_again(delivery: WebhookDelivery, now: datetime) -> WebhookDelivery:
    """Return a delivery, whatever became of it, as one that is due now and tried for another day."""
    return replace(
        delivery,
        state=DeliveryState.PENDING,
        attempts=0,
        next_at=now,
        expires_at=now + DELIVERY_LASTS,
        ended_at=None,
        status_code=None,
        error=None,
    )


def without_task(delivery: WebhookDelivery, now: datetime) -> WebhookDelivery:
    """Return a delivery whose task is gone, and with it what there was to tell."""
    error = f"The task {delivery.task_id} was deleted by retention before it could be told of."
    return replace(delivery, state=DeliveryState.FAILED, next_at=None, ended_at=now, status_code=None, error=error)


def _wait_s(attempts: int) -> float:
    wait_s = WAITS_S[min(attempts, len(WAITS_S)) - 1]
    return wait_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # spreads load, hides nothing
