"""The last hour by minutes: counts, and times of work and by the clock in buckets from which percentiles are read.

Plain objects inside the statistics actor; only its thread touches them.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from callboard.messages.health import Backlog, Ending, StatisticsPoint
from callboard.messages.tasks import Status

MINUTES = 60
STEP = timedelta(minutes=1)

_GROWTH = 1.1
_LOG_GROWTH = math.log(_GROWTH)
_LEAST_MS = 0.001


class Durations:
    """Milliseconds in buckets that are each a tenth wider than the one before, so at most some 350 however many come.

    A percentile is the middle of its bucket by ratio: at most 4.9 % from the true one (the square root of 1.1), and never
    beyond the shortest and the longest that came.
    """

    __slots__ = ("_buckets", "_count", "_least_ms", "_most_ms")

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._count = 0
        self._least_ms, self._most_ms = math.inf, 0.0

    def add(self, took_ms: float) -> None:
        took_ms = max(took_ms, _LEAST_MS)
        self._buckets[math.floor(math.log(took_ms) / _LOG_GROWTH)] += 1
        self._count += 1
        self._least_ms = min(self._least_ms, took_ms)
        self._most_ms = max(self._most_ms, took_ms)

    def percentile(self, percent: float) -> float | None:
        """Return the duration that so many percent are not above (the nearest rank); None where there is none."""
        if not self._count:
            return None
        rank = max(1, math.ceil(self._count * percent / 100))
        buckets = sorted(self._buckets)
        ranked = accumulate(self._buckets[bucket] for bucket in buckets)
        bucket = next(bucket for bucket, below in zip(buckets, ranked, strict=True) if below >= rank)
        middle = math.exp((bucket + 0.5) * _LOG_GROWTH)
        return round(min(max(middle, self._least_ms), self._most_ms), 3)


@dataclass(slots=True)
class _Minute:
    accepted: int = 0
    ended: Counter[Status] = field(default_factory=Counter)
    worked: Durations = field(default_factory=Durations)
    elapsed: Durations = field(default_factory=Durations)
    backlog: Backlog | None = None


class Minutes:
    """The minutes of the last hour; what is older is forgotten, and what is later than now is kept until it is now."""

    def __init__(self) -> None:
        self._minutes: dict[int, _Minute] = {}

    def accept(self, at: datetime) -> None:
        self._at(at).accepted += 1

    def end(self, one: Ending) -> None:
        minute = self._at(one.at)
        minute.ended[one.status] += 1
        if one.status is Status.CANCELLED:  # how long somebody let it run says nothing
            return
        if one.worked_ms is not None:
            minute.worked.add(one.worked_ms)
        if one.elapsed_ms is not None:
            minute.elapsed.add(one.elapsed_ms)

    def sample(self, at: datetime, backlog: Backlog) -> None:
        self._at(at).backlog = backlog

    def forget(self, now: datetime) -> None:
        """Drop what no report shows any more."""
        first = _number(now) - MINUTES
        for number in [number for number in self._minutes if number <= first]:
            del self._minutes[number]

    def points(self, now: datetime) -> tuple[StatisticsPoint, ...]:
        """Return the last hour, oldest minute first; the last one is under way."""
        last = _number(now)
        return tuple(self._point(number) for number in range(last - MINUTES + 1, last + 1))

    def _at(self, moment: datetime) -> _Minute:
        return self._minutes.setdefault(_number(moment), _Minute())

    def _point(self, number: int) -> StatisticsPoint:
        minute = self._minutes.get(number) or _Minute()
        backlog = minute.backlog
        return StatisticsPoint(
            at=datetime.fromtimestamp(number * 60, UTC),
            accepted=minute.accepted,
            completed=minute.ended[Status.COMPLETED],
            failed=minute.ended[Status.FAILED],
            cancelled=minute.ended[Status.CANCELLED],
            p50_ms=minute.worked.percentile(50),
            p95_ms=minute.worked.percentile(95),
            p99_ms=minute.worked.percentile(99),
            p50_elapsed_ms=minute.elapsed.percentile(50),
            p95_elapsed_ms=minute.elapsed.percentile(95),
            p99_elapsed_ms=minute.elapsed.percentile(99),
            queued=None if backlog is None else backlog.pending,
            running=None if backlog is None else backlog.running,
        )


def _number(moment: datetime) -> int:
    """Return which minute since 1970 a time is in."""
    return int(moment.timestamp() // 60)
