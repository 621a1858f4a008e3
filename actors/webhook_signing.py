"""What a webhook says and how it is signed: Standard Webhooks, with their library.

Immutable, so any thread. Imported by the senders and the wiring.
"""

import json
import secrets
from base64 import b64encode
from datetime import datetime
from pathlib import Path

from standardwebhooks import Webhook

from callboard.errors import ConfigurationError
from callboard.messages.events import Topic
from callboard.messages.tasks import TaskRecord
from callboard.secret_files import check_webhook_secret, kept_secret
from callboard.views import iso, short_result, shortened

_KEY_BYTES = 32


def load_webhook_secret(configured: str, data_dir: Path) -> str:
    """Return the configured secret, or the one in `data_dir/webhook.secret`, made with mode 0600 if absent."""
    if configured:
        return configured
    path = data_dir / "webhook.secret"
    kept = kept_secret(path, _fresh_secret, setting="CALLBOARD_WEBHOOK_SECRET")
    try:
        return check_webhook_secret(kept)
    except ValueError as error:
        raise ConfigurationError(
            f"The secret in {path} {error}. Put one there, set CALLBOARD_WEBHOOK_SECRET, or delete the file for a new one."
        ) from error


def _fresh_secret() -> str:
    return f"whsec_{b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"


def body_of(record: TaskRecord, topic: Topic) -> str:
    """Return the message about a task's end: `{type, timestamp, data}`, `data` as lists show the task."""
    message = {"type": topic, "timestamp": iso(record.state.ended_at), "data": short_result(shortened(record))}
    return json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class WebhookSigner:
    """Makes the headers that prove who sent a message."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)

    def headers(self, delivery_id: str, at: datetime, body: str) -> dict[str, str]:
        """Return the three headers of an attempt made `at` a time; `delivery_id` is the same at every attempt."""
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._webhook.sign(delivery_id, at, body),
        }
