"""An API that keeps failing is left alone for a while; then one call tries it."""

import threading
from dataclasses import dataclass

import pytest

from bench.provider import Reply, rate_limited
from callboard.agent.models.breaker import FAILURES, OPEN_S, Breaker
from callboard.errors import TaskError
from tests.agent.models.conftest import Bench, call


@dataclass
class Hand:
    """A clock's hand that tests move."""

    s: float = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def opened(hand: Hand) -> Breaker:
    breaker = Breaker("scripted", now=hand)
    for _ in range(FAILURES):
        breaker.enter()
        breaker.failed("answered 500")
    return breaker


def is_open(breaker: Breaker) -> bool:
    try:
        breaker.check()
    except TaskError as error:
        return error.code == "model_unavailable" and error.retryable
    return False


def test_it_opens_after_so_many_failures_in_a_row(hand: Hand) -> None:
    breaker = Breaker("scripted", now=hand)
    for _ in range(FAILURES - 1):
        breaker.failed("answered 500")
    breaker.succeeded()
    for _ in range(FAILURES - 1):
        breaker.failed("answered 500")
    assert not is_open(breaker)
    breaker.failed("answered 503")
    assert is_open(breaker)


def test_while_it_is_open_nobody_enters_and_the_reason_is_told(opened: Breaker, hand: Hand) -> None:
    hand.s += 10
    with pytest.raises(TaskError, match=r"scripted has failed 5 times.*for 20 s more.*answered 500"):
        opened.enter()


def test_after_its_time_one_call_enters_and_the_others_wait(opened: Breaker, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.check()
    opened.enter()
    with pytest.raises(TaskError, match="while one call tries it"):
        opened.enter()


def test_a_good_try_closes_it(opened: Breaker, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.enter()
    opened.succeeded()
    opened.enter()
    opened.enter()
    assert not is_open(opened)


def test_a_bad_try_opens_it_again_at_once(opened: Breaker, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.enter()
    opened.failed("answered 502")
    assert is_open(opened)
    hand.s += OPEN_S - 1
    assert is_open(opened)


def test_a_try_that_says_nothing_leaves_the_place_to_the_next(opened: Breaker, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.enter()
    opened.left()
    opened.enter()


def test_only_one_of_many_threads_tries(opened: Breaker, hand: Hand) -> None:
    hand.s += OPEN_S
    entered: list[int] = []

    def enter(number: int) -> None:
        try:
            opened.enter()
        except TaskError:
            return
        entered.append(number)

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entered) == 1


def test_a_key_that_is_refused_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    model = bench.model(Reply(status=401, message="no such key"))
    for _ in range(2):
        with pytest.raises(TaskError, match="401"):
            model.complete(call())
    [told] = [record.getMessage() for record in caplog.records if "401" in record.getMessage()]
    assert told.endswith("answered 401: no such key (check CALLBOARD_LLM_API_KEY)")


def test_a_failing_provider_is_left_alone_and_health_says_so(bench: Bench) -> None:
    model = bench.model(Reply(status=500), llm_retries=0)
    for _ in range(FAILURES):
        model.check()
        with pytest.raises(TaskError, match="500"):
            model.complete(call())
    with pytest.raises(TaskError, match="5 times in a row"):
        model.check()
    with pytest.raises(TaskError, match="5 times in a row") as caught:
        model.complete(call())
    assert caught.value.code == "model_unavailable"
    assert bench.provider.count == FAILURES


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (rate_limited(), "model_rate_limited"),
        (Reply(status=400), "model_rejected"),
        (Reply(refusal="no"), "model_refused"),
        (Reply(fault="hang"), "model_timeout"),
    ],
)
def test_what_is_not_the_providers_fault_opens_nothing(bench: Bench, reply: Reply, code: str) -> None:
    model = bench.model(reply, llm_retries=0)
    for _ in range(FAILURES + 1):
        with pytest.raises(TaskError) as caught:
            model.complete(call(0.1 if code == "model_timeout" else 5))
        assert caught.value.code == code
    model.check()


def test_a_circuit_that_opens_within_a_call_ends_it(bench: Bench) -> None:
    model = bench.model(Reply(status=500), llm_retries=20)
    with pytest.raises(TaskError, match="5 times in a row"):
        model.complete(call())
    assert bench.provider.count == FAILURES
