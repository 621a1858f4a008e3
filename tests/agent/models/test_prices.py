"""What tokens cost: own prices, the table's, or nobody knows; and never by asking the network."""

import socket

import pytest

from callboard.agent.models import TokenUse
from callboard.agent.models.prices import Prices
from tests.agent.models.conftest import Bench, call

OPENAI = "https://api.openai.com/v1"
USE = TokenUse(read=1_000_000, written=100_000, cached=0)


def test_the_table_knows_a_vendors_models() -> None:
    assert Prices(OPENAI, "gpt-4o").cost_usd(USE) == pytest.approx(2.5 + 1.0)
    assert Prices("https://api.anthropic.com", "claude-sonnet-4-5").cost_usd(TokenUse(read=1000, written=1000)) == (
        pytest.approx(0.003 + 0.015)
    )


def test_kept_tokens_are_cheaper_and_are_not_counted_on_beforehand() -> None:
    prices = Prices(OPENAI, "gpt-4o")
    kept = prices.cost_usd(TokenUse(read=1000, written=0, cached=1000))
    most = prices.most_usd(1000, 0)
    assert kept is not None
    assert most is not None
    assert kept < most


@pytest.mark.parametrize(
    ("base_url", "model"), [(OPENAI, "no-such-model"), ("http://127.0.0.1:11434/v1", "gpt-4o"), ("http://a/v1", "")]
)
def test_what_nobody_knows_is_unknown(base_url: str, model: str) -> None:
    assert Prices(base_url, model).cost_usd(USE) is None
    assert Prices(base_url, model).most_usd(10, 10) is None


def test_own_prices_come_first_for_the_model_they_are_meant_for() -> None:
    assert Prices(OPENAI, "gpt-4o", (1.0, 10.0)).cost_usd(USE) == pytest.approx(2.0)
    assert Prices(OPENAI, "gpt-4o", (1.0, 10.0), own_first=False).cost_usd(USE) == pytest.approx(3.5)
    assert Prices(OPENAI, "unknown", (1.0, 10.0), own_first=False).cost_usd(USE) == pytest.approx(2.0)
    assert Prices(OPENAI, "gpt-4o", (0.0, 0.0)).cost_usd(USE) == 0


def test_prices_ask_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert Prices(OPENAI, "gpt-4o-mini").cost_usd(USE) is not None


def test_an_answer_says_what_it_cost(bench: Bench) -> None:
    model = bench.model(llm_input_price=2.0, llm_output_price=8.0)
    answer = model.complete(call())
    assert answer.cost_usd == pytest.approx((answer.use.read * 2 + answer.use.written * 8) / 1_000_000)
    assert model.price_usd(1_000_000, 1_000_000) == pytest.approx(10)
