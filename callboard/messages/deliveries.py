"""The vocabulary of webhooks: deliveries, and what is asked and told about them.

All are immutable. Imported by the actors, by `persistence/` and by `http/`.
"""

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from pydantic.dataclasses import dataclass as request

from callboard.messages.ask import Ask
from callboard.messages.events import Topic

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


def site_of(url: str) -> str:
    """Return whose a receiver is, as far as its URL says: what somebody has one of however many receivers they set up.

    Of a name that is the domain that is registered, about: its last two labels, or three where the last two are as in
    co.uk. Ports, paths and subdomains make no other site. Of an address it is the network that one owner has: /24, or /48
    of IPv6. It only has to be told apart roughly: a site shares what is free with the others, it is not shut out.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    address = _address(host)
    if address is None:
        labels = host.split(".")
        of_a_country = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
        return ".".join(labels[-3:] if of_a_country else labels[-2:])
    return str(ip_network((int(address), 24 if isinstance(address, IPv4Address) else 48), strict=False))


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host is written as, in any spelling; that inside an IPv6 address that is mapped to one."""
    try:
        address = ip_address(host)
    except ValueError:
        try:
            return IPv4Address(socket.inet_aton(host))
        except (OSError, UnicodeError):
            return None
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Which deliveries may go now: those to some receivers (`only`; None: to any), but for some receivers, sites and callers."""

    only: frozenset[str] | None = None
    not_receivers: frozenset[str] = frozenset()
    not_sites: frozenset[str] = frozenset()
    not_callers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """One message of one webhook; made by the store in the transaction of the result it tells of.

    `attempts` counts from when it was made or sent again by hand; `next_at` is when it is tried next, None once it is
    over; `expires_at` when it is given up. `status_code` and `error` are of the last attempt. `site` and `caller` are
    who it is for and from, and empty where it was made before these were written down.
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
    site: str = ""
    caller: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPage:
    """Some deliveries, newest first, and where the next page begins (None: there is none)."""

    deliveries: tuple[WebhookDelivery, ...]
    next_cursor: str | None = None


@request(frozen=True, slots=True, kw_only=True)
class ListDeliveries(Ask[DeliveryPage]):
    """Ask for a `DeliveryPage` of webhooks' deliveries, newest first."""

    task_id: str | None = None
    state: str | None = None
    limit: int = 10
    cursor: str | None = None


@request(frozen=True, slots=True, kw_only=True)
class GetDelivery(Ask[WebhookDelivery]):
    """Ask for one `WebhookDelivery`; raises `DeliveryNotFound`."""

    delivery_id: str


@request(frozen=True, slots=True, kw_only=True)
class Redeliver(Ask[WebhookDelivery]):
    """Ask that a delivery be sent again, now and for a day; the reply is the `WebhookDelivery` after the commit."""

    delivery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveriesDue:
    """Deliveries have been committed, or are to be tried again now."""
