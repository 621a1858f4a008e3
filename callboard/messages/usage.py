"""Usage: how often skills and agents were used, and whether a caller may ask once more. All are immutable."""

from dataclasses import dataclass

from callboard.budget import Usage
from callboard.messages.ask import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSkillUsage(Ask[dict[str, Usage]]):
    """Ask how often skills were called and have failed; the reply is a `dict[str, Usage]` by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAgentUsage(Ask[dict[str, Usage]]):
    """Ask how many tasks agents have ended and how many of them failed; the reply is a `dict[str, Usage]` by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeToken(Ask["RateDecision"]):
    """Ask the rate limiter whether the asker may make one more request; the reply is a `RateDecision`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDecision:
    """What the limiter decided: `reset_at` is a unix time in seconds, `retry_after_s` at least 1 when refused."""

    allowed: bool
    limit: int
    remaining: int
    reset_at: float
    retry_after_s: int = 0
