"""The sliding window lets exactly as many requests through as it says, in any window whatever."""

import time
from collections.abc import Callable
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.storage import MemoryStorage

from callboard import AgentSystem
from callboard.actors.mailbox import Delivery, Mailbox
from callboard.actors.rate_limiter import RateLimiter
from callboard.messages.usage import RateDecision, TakeToken
from callboard.principal import Limits, Principal
from tests.profiles import examples


class FakeTime:
    """Stands in for the wall clock that `limits` reads."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Limiter:
    """A rate limiter, asked by callers who all may make so many requests."""

    def __init__(self, window_ms: int, max_requests: int) -> None:
        self.actor = RateLimiter(Mailbox("rate limiter", 10), storage=MemoryStorage(), window_ms=window_ms)
        self._limits = Limits(max_requests=max_requests)

    def take(self, asker: str = "me") -> RateDecision:
        self.actor.delivery = Delivery(TakeToken(), principal=Principal(id=asker, limits=self._limits))
        decision: RateDecision = self.actor.receive(TakeToken())
        return decision


@examples(60)
@given(
    max_requests=st.integers(1, 8),
    window_s=st.integers(1, 5),
    gaps=st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_than_the_limit_and_none_refuses_without_cause(
    max_requests: int, window_s: int, gaps: list[float]
) -> None:
    clock = FakeTime()
    let_in: list[float] = []
    with mock.patch.object(time, "time", clock):
        limiter = Limiter(window_s * 1000, max_requests)
        for gap in gaps:
            clock.now += gap
            recent = [at for at in let_in if at >= clock.now - window_s]
            decision = limiter.take()
            assert decision.allowed == (len(recent) < max_requests)
            assert decision.limit == max_requests
            if decision.allowed:
                let_in.append(clock.now)
                # at the very instant an entry is a window old, `limits` counts it no more for what remains
                in_window = sum(at > clock.now - window_s for at in recent)
                assert decision.remaining == max_requests - in_window - 1
            else:
                assert decision.remaining == 0
                assert 1 <= decision.retry_after_s <= window_s + 1


def test_after_the_time_it_names_a_refused_caller_is_let_in() -> None:
    clock = FakeTime()
    with mock.patch.object(time, "time", clock):
        limiter = Limiter(60_000, 2)
        for _ in range(2):
            assert limiter.take().allowed
            clock.now += 10
        refused = limiter.take()
        assert not refused.allowed
        clock.now += refused.retry_after_s
        assert limiter.take().allowed


def test_each_has_as_many_requests_as_its_own_limits_say_and_who_has_none_is_not_limited() -> None:
    few, more = Limiter(60_000, 1), Limiter(60_000, 3)
    more.actor = few.actor
    assert [few.take("few").allowed for _ in range(2)] == [True, False]
    assert [more.take("more").allowed for _ in range(4)] == [True, True, True, False]
    unlimited = Limiter(60_000, 0)
    assert all(unlimited.take().allowed for _ in range(200))


def test_callers_do_not_share_a_window() -> None:
    limiter = Limiter(60_000, 1)
    assert limiter.take("one").allowed
    assert limiter.take("two").allowed
    assert not limiter.take("one").allowed


def test_a_crash_of_the_limiter_does_not_forget_the_windows(start_system: Callable[..., AgentSystem]) -> None:
    system, me = start_system(), Principal(id="me", limits=Limits(max_requests=2))
    for _ in range(2):
        assert system.gateway.ask(TakeToken(), timeout_s=5, principal=me).allowed
    system._addresses["rate limiter"].tell("a message that nothing knows")
    assert not system.gateway.ask(TakeToken(), timeout_s=5, principal=me).allowed


@pytest.mark.parametrize("window_ms", [1000, 1500])
def test_a_window_of_a_broken_second_is_rounded_to_the_stricter_side(window_ms: int) -> None:
    clock = FakeTime()
    with mock.patch.object(time, "time", clock):
        limiter = Limiter(window_ms, 1)
        assert limiter.take().allowed
        clock.now += window_ms / 1000 - 0.01
        assert not limiter.take().allowed


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it_to_catch_up() -> None:
    clock = FakeTime()
    with mock.patch.object(time, "time", clock):
        limiter = Limiter(2000, 1)
        assert limiter.take().allowed
        assert not limiter.take().allowed
        clock.now -= 3600
        assert limiter.take().allowed
        assert not limiter.take().allowed


def test_callers_whose_window_is_empty_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr("callboard.actors.rate_limiter.time.monotonic", lambda: now_s)
    limiter = Limiter(1000, 2)
    for n in range(50):
        limiter.take(f"caller {n}")
    now_s += 2.5
    limiter.take("one more")
    assert list(limiter.actor._asked) == ["one more"]
    assert len(limiter.actor._storage.events) == 1  # type: ignore[attr-defined]


def test_of_more_callers_than_are_kept_the_one_that_asked_least_recently_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("callboard.actors.rate_limiter.MOST_CALLERS", 3)
    limiter = Limiter(60_000, 1)
    for name in ("a", "b", "c", "a", "d"):
        limiter.take(name)
    assert not limiter.take("a").allowed
    assert limiter.take("b").allowed
