"""A server whose wall clock is off by what a file says: `python -m chaos.skewed_server FILE` is `callboard serve`.

FILE holds seconds, such as `3600` or `-3600`; missing, the clock is right. Whatever reads the wall clock is shifted:
the system's own `Clock.now`, `time.time` and `time.time_ns` (the `limits` library, new ids, log lines) and
`SkillContext.remaining_s`. The monotonic clock runs on, as it does when a clock is set.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

OFFSET = Path(sys.argv[1])
_time, _time_ns = time.time, time.time_ns


def offset_s() -> float:
    try:
        return float(OFFSET.read_text() or 0)
    except FileNotFoundError:
        return 0.0


def now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=offset_s())


class SkewedDatetime(datetime):
    """`datetime` for a module that asks the wall clock itself."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.now(tz) + timedelta(seconds=offset_s())


def main() -> None:
    time.time = lambda: _time() + offset_s()
    time.time_ns = lambda: _time_ns() + int(offset_s() * 1e9)
    import callboard.agent.skill
    import callboard.cli.main
    import callboard.system
    from callboard.clock import Clock

    callboard.agent.skill.datetime = SkewedDatetime
    callboard.system.Clock = lambda: Clock(now=now)
    callboard.cli.main.main(["serve"])


if __name__ == "__main__":
    main()
