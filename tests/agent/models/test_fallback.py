"""A second provider answers when the first one cannot for now."""

from collections.abc import Iterator

import pytest

from bench.provider import Provider, Reply, rate_limited
from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.models import Image, Message
from callboard.agent.models.breaker import FAILURES
from callboard.agent.models.loading import LoadedModel
from callboard.errors import TaskError
from tests.agent.models.conftest import Bench, Heard, call

LONG = "The answer is forty-two, as everybody knows by now. " * 4
OTHER = {"openai": "anthropic", "anthropic": "openai"}


@pytest.fixture
def second() -> Iterator[Provider]:
    provider = Provider(Reply(text="second"))
    provider.start()
    yield provider
    provider.stop()


def behind(bench: Bench, second: Provider, *script: Reply, model: str = "spare-1") -> LoadedModel:
    other = OTHER[bench.dialect]
    return bench.model(
        *script,
        llm_retries=1,
        llm_fallback_provider=other,
        llm_fallback_base_url=second.openai_url if other == "openai" else second.anthropic_url,
        llm_fallback_model=model,
    )


def test_the_first_answers_as_long_as_it_can(bench: Bench, second: Provider) -> None:
    answer = behind(bench, second, Reply(text="first")).complete(call())
    assert (answer.text, answer.provider, answer.model) == ("first", bench.dialect, "scripted-1")
    assert second.count == 0


@pytest.mark.parametrize(
    "reply",
    [Reply(status=500), rate_limited(), rate_limited(3600), Reply(fault="garbage"), Reply(text="x", fault="reset")],
)
def test_the_second_answers_where_the_first_cannot(bench: Bench, second: Provider, reply: Reply) -> None:
    answer = behind(bench, second, reply).complete(call())
    assert (answer.text, answer.provider, answer.model) == ("second", OTHER[bench.dialect], "spare-1")


def test_the_second_has_time_left_where_the_first_hangs(bench: Bench, second: Provider) -> None:
    assert behind(bench, second, Reply(fault="hang")).complete(call(3)).text == "second"


def test_an_open_circuit_leads_to_the_second_at_once(bench: Bench, second: Provider) -> None:
    model = behind(bench, second, Reply(status=500))
    for _ in range(FAILURES):
        model.complete(call())
    assert bench.provider.count == FAILURES
    model.check()  # one of them can be used


@pytest.mark.parametrize(
    ("reply", "code"), [(Reply(status=401), "model_rejected"), (Reply(refusal="no"), "model_refused")]
)
def test_what_will_not_pass_is_not_taken_elsewhere(bench: Bench, second: Provider, reply: Reply, code: str) -> None:
    with pytest.raises(TaskError) as caught:
        behind(bench, second, reply).complete(call())
    assert caught.value.code == code
    assert second.count == 0


def test_where_both_fail_both_are_named(bench: Bench, second: Provider) -> None:
    second.say(rate_limited())
    with pytest.raises(TaskError, match=r"scripted-1 answered 500.*spare-1 answered 429") as caught:
        behind(bench, second, Reply(status=500)).complete(call())
    assert caught.value.code == "model_rate_limited"


def test_health_fails_where_neither_can_be_used(bench: Bench, second: Provider) -> None:
    second.say(Reply(status=500))
    model = behind(bench, second, Reply(status=500))
    for _ in range(FAILURES):
        with pytest.raises(TaskError):
            model.complete(call())
    with pytest.raises(TaskError, match=r"in a row.*in a row"):
        model.check()


def test_what_the_first_said_is_taken_back(bench: Bench, second: Provider) -> None:
    heard = Heard()
    behind(bench, second, Reply(text=LONG, fault="no_end")).complete(call(hear=heard))
    assert heard.pieces.count(None) == 2  # before the first one's second try, and before the second one
    assert heard.pieces[-2:] == [None, "second"]


def test_a_token_ends_it_without_asking_the_second(bench: Bench, second: Provider) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        behind(bench, second).complete(call(token=token))
    assert second.count == 0


def test_pictures_go_to_a_model_that_takes_them_only(bench: Bench, second: Provider) -> None:
    messages = (Message(role="user", text="?", images=(Image(media_type="image/png", data=b"x"),)),)
    blind = behind(bench, second, Reply(status=500))
    with pytest.raises(TaskError, match="500"):
        blind.complete(call(messages=messages))
    assert second.count == 0
    bench.model(Reply(text="x")).complete(call())
    seeing = behind(bench, second, Reply(status=500), model="gpt-4o")
    assert seeing.complete(call(messages=messages)).text == "second"


def test_a_price_is_the_dearer_ones(bench: Bench, second: Provider) -> None:
    model = behind(bench, second)
    assert model.price_usd(1000, 1000) is None
    assert model.named("other").name == f"{bench.dialect}/other"
