"""An API that keeps failing is left alone for a while; then one call tries it."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from bench.provider import Provider, Reply, rate_limited
from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.models.breaker import FAILURES, MOST_ALONE_S, OPEN_S, Breakers, Circuits
from callboard.agent.models.loading import LoadedModel, load_model
from callboard.errors import TaskError
from tests.agent.models.conftest import Bench, call
from tests.at_once import LATE_S


@dataclass
class Hand:
    """A clock's hand that tests move."""

    s: float = 1000.0

    def __call__(self) -> float:
        return self.s


class Trial:
    """The circuit of one provider, as somebody who calls it has it."""

    def __init__(self, breakers: Breakers, holder: str = "worker-1") -> None:
        self.breakers = breakers
        self._holder = holder

    def enter(self, model: str = "small", within_s: float = 60.0) -> Any:
        return self.breakers.enter("scripted", self._holder, model, within_s)

    def succeeded(self) -> None:
        self.breakers.succeeded("scripted")

    def failed(self, why: str) -> None:
        self.breakers.failed("scripted", why)

    def left(self) -> None:
        self.breakers.left("scripted", self._holder, "")

    def check(self) -> None:
        self.breakers.check("scripted")

    def leave_alone(self, for_s: float, model: str = "small") -> None:
        self.breakers.leave_alone("scripted", model, for_s, "model_rate_limited", f"answered 429: wait {for_s:g}")


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def closed(hand: Hand) -> Trial:
    return Trial(Breakers(now=hand))


@pytest.fixture
def opened(closed: Trial) -> Trial:
    for _ in range(FAILURES):
        assert closed.enter() is None
        closed.failed("answered 500")
    return closed


def is_open(trial: Trial) -> bool:
    try:
        trial.check()
    except TaskError as error:
        return error.code == "model_unavailable" and error.retryable
    return False


def test_it_opens_after_so_many_failures_in_a_row(closed: Trial) -> None:
    for _ in range(FAILURES - 1):
        closed.failed("answered 500")
    closed.succeeded()
    for _ in range(FAILURES - 1):
        closed.failed("answered 500")
    assert not is_open(closed)
    closed.failed("answered 503")
    assert is_open(closed)


def test_another_provider_is_another_circuit(opened: Trial) -> None:
    opened.breakers.check("another")
    assert opened.breakers.enter("another", "worker-1", "small", 60.0) is None


def test_while_it_is_open_nobody_enters_and_the_reason_is_told(opened: Trial, hand: Hand) -> None:
    hand.s += 10
    with pytest.raises(TaskError, match=r"scripted has failed 5 times.*for 20 s more.*answered 500"):
        opened.enter()


def test_after_its_time_one_call_enters_and_the_others_wait(opened: Trial, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.check()
    opened.enter()
    with pytest.raises(TaskError, match="while one call tries it"):
        opened.enter()


def test_a_good_try_closes_it(opened: Trial, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.enter()
    opened.succeeded()
    opened.enter()
    opened.enter()
    assert not is_open(opened)


def test_a_bad_try_opens_it_again_at_once(opened: Trial, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.enter()
    opened.failed("answered 502")
    assert is_open(opened)
    hand.s += OPEN_S - 1
    assert is_open(opened)


def test_a_try_that_says_nothing_leaves_the_place_to_the_next(opened: Trial, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.enter()
    opened.left()
    opened.enter()


def test_a_call_of_another_process_does_not_give_the_place_of_a_try_away(opened: Trial, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.enter()
    other = Trial(opened.breakers, "worker-2")
    other.left()
    with pytest.raises(TaskError, match="while one call tries it"):
        other.enter()


def test_a_process_that_dies_in_its_try_leaves_the_place_to_the_next(opened: Trial, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.enter()
    other = Trial(opened.breakers, "worker-2")
    opened.breakers.gone("worker-3")
    with pytest.raises(TaskError, match="while one call tries it"):
        other.enter()
    opened.breakers.gone("worker-1")
    other.enter()


def test_a_try_of_which_nothing_is_heard_keeps_its_place_for_as_long_as_its_call_has(opened: Trial, hand: Hand) -> None:
    hand.s += OPEN_S
    opened.enter(within_s=20)
    hand.s += 19
    with pytest.raises(TaskError, match="while one call tries it"):
        opened.enter()
    hand.s += 1
    opened.enter()


def test_who_asks_to_be_left_alone_is_until_then(closed: Trial, hand: Hand) -> None:
    closed.leave_alone(60)
    hand.s += 20
    assert closed.enter() == (40, "model_rate_limited", "answered 429: wait 60")
    hand.s += 40
    assert closed.enter() is None


def test_the_longest_that_was_asked_for_holds(closed: Trial, hand: Hand) -> None:
    closed.leave_alone(60)
    closed.leave_alone(5)
    assert closed.enter()[0] == 60
    closed.leave_alone(70, model="")
    assert closed.enter()[0] == 70


def test_a_limit_of_one_models_calls_is_not_anothers_and_an_overload_is_everybodys(closed: Trial) -> None:
    closed.leave_alone(60, model="large")
    assert closed.enter("small") is None
    assert closed.enter("large")[0] == 60
    closed.leave_alone(30, model="")
    assert closed.enter("small")[0] == 30


def test_others_heed_no_more_than_some_minutes_of_what_one_was_asked(closed: Trial) -> None:
    closed.leave_alone(1e9)
    assert closed.enter()[0] == MOST_ALONE_S


def test_a_pause_takes_nobodys_place_in_a_circuit_that_is_tried_again(opened: Trial, hand: Hand) -> None:
    opened.leave_alone(OPEN_S + 10)
    hand.s += OPEN_S
    assert opened.enter()[0] == 10
    hand.s += 10
    assert opened.enter() is None


def test_only_one_of_many_threads_tries(opened: Trial, hand: Hand) -> None:
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


# --- once a node: the models of several processes, and one registry ---


class Remote:
    """The registry as another process has it: what is said goes through msgpack, an error comes back as one."""

    def __init__(self, breakers: Breakers) -> None:
        self._breakers = breakers

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def ask(*arguments: Any) -> Any:
            given = msgpack.unpackb(msgpack.packb(arguments, strict_types=False))
            return msgpack.unpackb(msgpack.packb(getattr(self._breakers, method)(*given)))

        return ask


@dataclass
class Node:
    """Two processes that ask one provider, and what is told them."""

    bench: Bench
    breakers: Breakers

    def model(self, holder: str, **settings: Any) -> LoadedModel:
        given = {"llm_provider": self.bench.dialect, "llm_base_url": self.bench.url, "llm_model": "scripted-1"}
        circuits: Circuits = Remote(self.breakers)
        made = self.bench.make_settings(**{**given, "llm_api_key": "sk-0123456789", "llm_retries": 2, **settings})
        model = load_model(made, breakers=circuits, holder=holder, first_pause_s=0.02)
        assert model is not None
        self.bench.models.append(model)
        return model


@pytest.fixture
def node(bench: Bench) -> Node:
    return Node(bench, Breakers())


def test_a_circuit_is_open_for_every_process(node: Node) -> None:
    node.bench.provider.say(Reply(status=500))
    first, second = node.model("worker-1", llm_retries=0), node.model("worker-2", llm_retries=0)
    for _ in range(FAILURES):
        with pytest.raises(TaskError, match="500"):
            first.complete(call())
    with pytest.raises(TaskError, match="5 times in a row"):
        second.complete(call())
    with pytest.raises(TaskError, match="5 times in a row"):
        second.check()
    assert node.bench.provider.count == FAILURES


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_holds_for_calls_of_other_processes_too(node: Node, status: int) -> None:
    node.bench.provider.say(Reply(status=status, headers={"Retry-After": "1"}), Reply(text="42"))
    with pytest.raises(TaskError, match=str(status)):
        node.model("worker-1", llm_retries=0).complete(call())
    assert node.model("worker-2", llm_retries=0).complete(call()).tries == 1
    first, second = node.bench.provider.requests
    assert second.at_s - first.at_s >= 1.0


@pytest.mark.parametrize("status", [429, 503])
def test_who_has_no_time_to_wait_for_what_another_was_asked_fails_at_once_and_sends_nothing(
    node: Node, status: int
) -> None:
    node.bench.provider.say(Reply(status=status, message="slow down", headers={"Retry-After": "60"}))
    errors = []
    for model in (node.model("worker-1"), node.model("worker-2")):
        began = time.monotonic()
        with pytest.raises(TaskError) as caught:
            model.complete(call(20))
        assert time.monotonic() - began < LATE_S
        errors.append(caught.value)
    first, second = errors
    assert (first.code, first.retryable) == (second.code, second.retryable)
    for error in errors:
        assert re.search(
            r"answered \d+: slow down.*; it asks to wait (60|5\d) s, and (20|1\d) s are left\.", error.message
        )
    assert node.bench.provider.count == 1


def test_a_limit_of_one_model_holds_no_call_of_another(node: Node) -> None:
    node.bench.provider.say(rate_limited(60), Reply(text="42"))
    model = node.model("worker-1", llm_retries=0)
    with pytest.raises(TaskError, match="429"):
        model.complete(call())
    assert model.named("scripted-2").complete(call()).text == "42"


def test_a_token_ends_the_wait_for_what_another_was_asked_at_once(node: Node) -> None:
    node.bench.provider.say(rate_limited(20))
    model = node.model("worker-1", llm_retries=0)
    with pytest.raises(TaskError, match="429"):
        model.complete(call())
    token = CancelToken()
    timer = threading.Timer(0.2, token.cancel)
    timer.start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        model.complete(call(30, token=token))
    assert 0.1 < time.monotonic() - began < LATE_S
    timer.join()
    assert node.bench.provider.count == 1


def test_a_second_provider_is_asked_at_once_where_the_first_asks_for_more_than_its_time(node: Node) -> None:
    node.bench.provider.say(rate_limited(60))
    second = Provider(Reply(text="42"))
    second.start()
    try:
        behind = {
            "llm_fallback_provider": node.bench.dialect,
            "llm_fallback_base_url": node.bench.url_of(second),
            "llm_fallback_model": "scripted-1",
            "llm_fallback_api_key": "sk-9876543210",
        }
        for holder in ("worker-1", "worker-2"):
            assert node.model(holder, **behind).complete(call(6)).text == "42"
        assert (node.bench.provider.count, second.count) == (1, 2)
    finally:
        second.stop()
