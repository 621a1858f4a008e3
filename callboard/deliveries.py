"""The vocabulary of webhooks: deliveries, and what is asked and told about them.

All are immutable. Imported by the actors, by `persistence/` and by `http/`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from callboard.messages import Topic

DELIVERY_LASTS = timedelta(days=1)
"""How long a webhook's delivery is tried, from when it was made or sent again by hand."""


class DeliveryState(StrEnum):
    """Where a webhook's delivery stands: `pending` until it is `delivered`, or `failed` for good."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


def receiver_of(url: str) -> str:
    """Return who takes what is sent to a URL, as scheme://host:port in lower case; the URL is one that was accepted."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://[{host}]:{port}" if ":" in host else f"{parts.scheme}://{host}:{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """One message of one webhook; made by the store in the transaction of the result it tells of.

    `attempts` counts from when it was made or sent again by hand; `next_at` is when it is tried next, None once it is
    over; `expires_at` when it is given up. `status_code` and `error` are of the last attempt.
    """

    delivery_id: str
    task_id: str
    url: str
    topic: Topic
    created_at: datetime
    expires_at: datetime
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    next_at: datetime | None = None
    ended_at: datetime | None = None
    status_code: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPage:
    """Some deliveries, newest first, and where the next page begins (None: there is none)."""

    deliveries: tuple[WebhookDelivery, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDeliveries:
    """Ask for a `DeliveryPage` of webhooks' deliveries, newest first."""

    task_id: str | None = None
    state: str | None = None
    limit: int = 10
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetDelivery:
    """Ask for one `WebhookDelivery`; raises `DeliveryNotFound`."""

    delivery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeliver:
    """Ask that a delivery be sent again, now and for a day; the reply is the `WebhookDelivery` after the commit."""

    delivery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveriesDue:
    """Deliveries have been committed, or are to be tried again now."""
