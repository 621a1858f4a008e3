"""A sender of webhooks: makes one attempt at a time, so that a slow receiver holds up this thread only.

There are a few of them, each with a thread of its own; the courier says what to send and is told what came of it. A
sender keeps nothing and writes nothing.
"""

import logging
from dataclasses import dataclass
from typing import Any

from callboard import __version__
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.supervision import SupervisedActor
from callboard.actors.webhook_signing import WebhookSigner, body_of
from callboard.clock import Clock
from callboard.deliveries import WebhookDelivery
from callboard.errors import CallbackRefused
from callboard.limits import DELIVERY_ERROR_CHARS, cut
from callboard.messages import Ping, Pong, TaskRecord
from callboard.retry_after import retry_after_s
from callboard.settings import Settings
from callboard.values import mend_text

logger = logging.getLogger("callboard.webhooks")

_HEADERS = {"Content-Type": "application/json", "Accept": "*/*", "User-Agent": f"Callboard/{__version__}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDelivery:
    """Tell a sender to make one attempt at telling a receiver of a task's end."""

    delivery: WebhookDelivery
    record: TaskRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempted:
    """A sender has made its attempt; it was delivered where `error` is None.

    `status_code` is None where no answer came; `retry_after_s` is how long the receiver asks to be left alone.
    """

    sender: str
    delivery_id: str
    status_code: int | None = None
    error: str | None = None
    retry_after_s: float | None = None


class DeliverySender(SupervisedActor):
    """Sends webhooks, one after the other."""

    def __init__(
        self, mailbox: Mailbox, *, courier: Address, signer: WebhookSigner, settings: Settings, clock: Clock
    ) -> None:
        super().__init__(mailbox)
        self._courier = courier
        self._signer = signer
        self._settings = settings
        self._clock = clock

    def receive(self, message: Any) -> Any:
        match message:
            case SendDelivery(delivery=delivery):
                self._courier.notify(self._attempt(message, delivery.delivery_id))
                return None
            case Ping():
                return Pong()
            case _:
                return super().receive(message)

    def _attempt(self, message: SendDelivery, delivery_id: str) -> DeliveryAttempted:
        try:
            return self._send(message, delivery_id)
        except BaseException as error:
            # whatever a stranger's server leads to, it is an attempt that failed, and the courier has to hear of it
            logger.exception("an attempt at the delivery %s failed inside the server", delivery_id)
            return self._failed(delivery_id, f"The attempt failed inside the server ({type(error).__name__}).")

    def _send(self, message: SendDelivery, delivery_id: str) -> DeliveryAttempted:
        import httpcore
        import httpx

        from callboard.actors.webhook_wire import post, webhook_wire

        delivery, timeout_s = message.delivery, self._settings.webhook_timeout_s
        at, body = self._clock.now(), body_of(message.record, message.delivery.topic)
        headers = {**_HEADERS, **self._signer.headers(delivery_id, at, body)}
        wire = webhook_wire(timeout_s=timeout_s, allow_private=self._settings.webhook_allow_private)
        try:
            encoded = body.encode()
            headers["Content-Length"] = str(len(encoded))
            status, retry_after = post(delivery.url, encoded, headers, wire)
        except CallbackRefused as error:
            return self._failed(delivery_id, error.message)
        except httpcore.TimeoutException:
            return self._failed(delivery_id, f"The receiver did not answer within {timeout_s:g} s.")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return self._failed(delivery_id, f"The receiver cannot be reached: {error or type(error).__name__}.")
        return DeliveryAttempted(
            sender=self.mailbox.name,
            delivery_id=delivery_id,
            status_code=status,
            error=None if 200 <= status < 300 else _refusal(status),
            retry_after_s=retry_after_s(retry_after, at),
        )

    def _failed(self, delivery_id: str, error: str) -> DeliveryAttempted:
        said = cut(mend_text(error), DELIVERY_ERROR_CHARS)
        return DeliveryAttempted(sender=self.mailbox.name, delivery_id=delivery_id, error=said)


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return f"The receiver answered with the redirect {status}; redirects are not followed."
    if status == 410:
        return "The receiver answered with 410: it wants no more of this."
    return f"The receiver answered with the status {status}."
