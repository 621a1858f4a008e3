"""The two clocks, the time between two of their looks, and ids that sort by time.

Passed in wherever time matters, so that a test can stand in for either. Any thread.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

_MS = timedelta(milliseconds=1)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """`now` is UTC and is stored; `monotonic` is in seconds and measures durations."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic


def elapsed_ms(
    created_at: datetime, ended_at: datetime | None, worked_ms: float | None, redrive_of: str | None
) -> float | None:
    """Return the milliseconds by the clock from a task's acceptance to its end, None until then.

    Whatever was done to the clock, not less than 0 or than it was worked on. What a redriven task was worked on includes
    the dead letter's part, which was before its acceptance.
    """
    if ended_at is None:
        return None
    least_ms = worked_ms if worked_ms is not None and redrive_of is None else 0.0
    return round(max((ended_at - created_at) / _MS, least_ms, 0.0), 3)


def new_id() -> str:
    """Return a fresh UUID version 7 (RFC 9562) as text: ids sort by the time they were made.

    48 bits of milliseconds, 12 bits of the fraction of the millisecond, 62 random bits.
    """
    now_ns = time.time_ns()
    ms, rest_ns = divmod(now_ns, 1_000_000)
    fraction = (rest_ns << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8)) >> 2
    return str(UUID(int=(ms << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | random))
