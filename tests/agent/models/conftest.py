"""Models of either dialect over a scripted provider on a real port."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from bench.provider import Provider, Reply, Script
from callboard import Settings
from callboard.agent.cancel import CancelToken
from callboard.agent.models import Message, ModelCall
from callboard.agent.models.loading import LoadedModel, load_model

KEY = "sk-test-0123456789abcdef"
DIALECTS = ("openai", "anthropic")
HELLO = (Message(role="system", text="Be brief."), Message(role="user", text="What is six times seven?"))


@dataclass
class Heard:
    """What a call was told, in order."""

    pieces: list[str | None] = field(default_factory=list)

    def __call__(self, text: str | None) -> None:
        self.pieces.append(text)


@dataclass
class Bench:
    """A provider, and models that ask it."""

    dialect: str
    provider: Provider
    make_settings: Callable[..., Settings]
    models: list[LoadedModel] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.url_of(self.provider)

    def url_of(self, provider: Provider) -> str:
        return provider.openai_url if self.dialect == "openai" else provider.anthropic_url

    def model(self, *script: Script, **settings: Any) -> LoadedModel:
        """Return a model; the provider follows the script."""
        if script:
            self.provider.say(*script)
        given = {
            "llm_provider": self.dialect,
            "llm_base_url": self.url,
            "llm_model": "scripted-1",
            "llm_api_key": KEY,
            "llm_retries": 2,
            **settings,
        }
        model = load_model(self.make_settings(**given), first_pause_s=0.02)
        assert model is not None
        self.models.append(model)
        return model


def call(within_s: float = 5.0, **fields: Any) -> ModelCall:
    """Return a call that has so many seconds."""
    given: dict[str, Any] = {"messages": HELLO, "max_tokens": 500, "token": CancelToken(), **fields}
    return ModelCall(deadline_s=time.monotonic() + within_s, **given)


@pytest.fixture(params=DIALECTS)
def bench(request: pytest.FixtureRequest, make_settings: Callable[..., Settings]) -> Iterator[Bench]:
    """A provider that speaks one dialect after the other."""
    provider = Provider(Reply(text="42"))
    provider.start()
    made = Bench(request.param, provider, make_settings)
    yield made
    for model in made.models:
        model.close()
    made.provider.stop()
