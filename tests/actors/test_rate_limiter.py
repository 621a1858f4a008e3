"""The sliding window lets exactly as many requests through as it says, in any window whatever."""

import time
from collections.abc import Callable
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.storage import MemoryStorage

from callboard import AgentSystem
from callboard.actors.mailbox import Mailbox
from callboard.actors.rate_limiter import RateLimiter
from callboard.messages import TakeToken
from tests.profiles import examples


class FakeTime:
    """Stands in for the wall clock that `limits` reads."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def make_limiter(window_ms: int, max_requests: int) -> RateLimiter:
    return RateLimiter(
        Mailbox("rate limiter", 10), storage=MemoryStorage(), window_ms=window_ms, max_requests=max_requests
    )


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
        limiter = make_limiter(window_s * 1000, max_requests)
        for gap in gaps:
            clock.now += gap
            recent = [at for at in let_in if at >= clock.now - window_s]
            decision = limiter.receive(TakeToken(identity="me"))
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
        limiter = make_limiter(60_000, 2)
        for _ in range(2):
            assert limiter.receive(TakeToken(identity="me")).allowed
            clock.now += 10
        refused = limiter.receive(TakeToken(identity="me"))
        assert not refused.allowed
        clock.now += refused.retry_after_s
        assert limiter.receive(TakeToken(identity="me")).allowed


def test_callers_do_not_share_a_window() -> None:
    limiter = make_limiter(60_000, 1)
    assert limiter.receive(TakeToken(identity="one")).allowed
    assert limiter.receive(TakeToken(identity="two")).allowed
    assert not limiter.receive(TakeToken(identity="one")).allowed


def test_a_crash_of_the_limiter_does_not_forget_the_windows(start_system: Callable[..., AgentSystem]) -> None:
    system = start_system(rate_limit_max_requests=2)
    for _ in range(2):
        assert system.gateway.ask(TakeToken(identity="me"), timeout_s=5).allowed
    system._addresses["rate limiter"].tell("a message that nothing knows")
    assert not system.gateway.ask(TakeToken(identity="me"), timeout_s=5).allowed


@pytest.mark.parametrize("window_ms", [1000, 1500])
def test_a_window_of_a_broken_second_is_rounded_to_the_stricter_side(window_ms: int) -> None:
    clock = FakeTime()
    with mock.patch.object(time, "time", clock):
        limiter = make_limiter(window_ms, 1)
        assert limiter.receive(TakeToken(identity="me")).allowed
        clock.now += window_ms / 1000 - 0.01
        assert not limiter.receive(TakeToken(identity="me")).allowed


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it_to_catch_up() -> None:
    clock = FakeTime()
    with mock.patch.object(time, "time", clock):
        limiter = make_limiter(2000, 1)
        assert limiter.receive(TakeToken(identity="me")).allowed
        assert not limiter.receive(TakeToken(identity="me")).allowed
        clock.now -= 3600
        assert limiter.receive(TakeToken(identity="me")).allowed
        assert not limiter.receive(TakeToken(identity="me")).allowed
