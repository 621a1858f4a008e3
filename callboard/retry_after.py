"""What a Retry-After header asks for. Pure; imported by whoever sends requests."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return how many seconds a Retry-After asks to wait: a number or a date (RFC 9110); None for anything else.

    Fractions of a second are no part of the RFC, and are sent all the same.
    """
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())
