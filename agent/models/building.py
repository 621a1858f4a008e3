"""Builds the model that the settings name. In the thread that starts the system.

Imported by `loading.py`, when a model was chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from callboard.agent.models.api_model import Api, ApiModel
from callboard.agent.models.breaker import Breaker, Circuits
from callboard.agent.models.dialect import Dialect
from callboard.agent.models.failures import Names
from callboard.agent.models.fallback import Fallback
from callboard.agent.models.pictures import takes_images
from callboard.agent.models.prices import Prices
from callboard.agent.models.tries import Trier
from callboard.agent.models.vendors import Key
from callboard.errors import ConfigurationError
from callboard.providers import offer_at
from callboard.settings import Settings

_FALLBACK = "CALLBOARD_LLM_FALLBACK_"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What the settings say of one provider; `setting` is what their names begin with."""

    setting: str
    provider: str
    base_url: str
    model: str
    key: Key
    images: Literal["auto", "yes", "no"]
    own_prices: tuple[float, float] | None = None
    own_context: int | None = None
    set_for: str = ""
    """The model that `own_prices` and `own_context` are meant for."""

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` for what cannot work."""
        offer = offer_at(self.provider, self.base_url)
        if not self.model:
            like = (
                f"write {self.setting}MODEL={offer.model}, or another model's name"
                if offer
                else "name one of its models"
            )
            raise ConfigurationError(f"{self.setting}MODEL is empty; {like}.")
        address = urlsplit(self.base_url)
        if self.base_url and (address.scheme not in ("http", "https") or not address.hostname):
            raise ConfigurationError(
                f"{self.setting}BASE_URL is not an address; write one such as http://127.0.0.1:11434/v1."
            )
        if address.username or address.password:
            raise ConfigurationError(f"{self.setting}BASE_URL holds a password; a key goes in {self.setting}API_KEY.")
        if not self.key.value and offer is not None and offer.needs_key:
            raise ConfigurationError(
                f"{self.setting}API_KEY is empty, and {offer.title} asks for a key; write {self.setting}API_KEY=... (its own "
                f"variable, such as {self.provider.upper()}_API_KEY, is not read). For a model on a machine of your own write its "
                f"address, such as {self.setting}BASE_URL=http://127.0.0.1:11434/v1 of Ollama."
            )
        if not all("!" <= character <= "~" for character in self.key.value):
            raise ConfigurationError(f"{self.setting}API_KEY holds characters that no header can; copy it again.")


def build(
    settings: Settings,
    model: str | None,
    *,
    breakers: Circuits,
    holder: str,
    first_pause_s: float,
    now: Callable[[], datetime],
) -> ApiModel | Fallback:
    """Return the model of the settings, which name a provider; `model` takes the place of the settings' one."""
    choices = [_first_choice(settings, model)]
    if settings.llm_fallback_provider:
        choices.append(_second_choice(settings))

    def breaker(name: str) -> Breaker:
        return Breaker(name=name, circuits=breakers, holder=holder)

    made = [_api_model(choice, breaker, settings.llm_retries, first_pause_s, now) for choice in choices]
    return made[0] if len(made) == 1 else Fallback(*made)


def _first_choice(settings: Settings, model: str | None) -> _Choice:
    return _Choice(
        setting="CALLBOARD_LLM_",
        provider=settings.llm_provider,
        base_url=settings.llm_base_url.strip().rstrip("/"),
        model=(model or settings.llm_model).strip(),
        key=Key(settings.llm_api_key.strip()),
        images=settings.llm_images,
        own_prices=_own_prices(settings),
        own_context=settings.llm_context_tokens,
        set_for=settings.llm_model.strip(),
    )


def _second_choice(settings: Settings) -> _Choice:
    return _Choice(
        setting=_FALLBACK,
        provider=settings.llm_fallback_provider,
        base_url=settings.llm_fallback_base_url.strip().rstrip("/"),
        model=settings.llm_fallback_model.strip(),
        key=Key(settings.llm_fallback_api_key.strip()),
        images="no" if settings.llm_images == "no" else "auto",
    )


def _own_prices(settings: Settings) -> tuple[float, float] | None:
    read, written = settings.llm_input_price, settings.llm_output_price
    if read is None and written is None:
        return None
    if read is None or written is None:
        raise ConfigurationError("CALLBOARD_LLM_INPUT_PRICE and CALLBOARD_LLM_OUTPUT_PRICE go together; set both.")
    return read, written


def _dialect(choice: _Choice) -> tuple[Dialect, str]:
    """Return the provider's adapter, and its address."""
    if choice.provider == "openai":
        from callboard.agent.models import openai

        return openai.OpenAIDialect(base_url=choice.base_url, key=choice.key), choice.base_url or openai.BASE_URL
    from callboard.agent.models import anthropic

    return anthropic.AnthropicDialect(base_url=choice.base_url, key=choice.key), choice.base_url or anthropic.BASE_URL


def _api_model(
    choice: _Choice,
    breaker: Callable[[str], Breaker],
    retries: int,
    first_pause_s: float,
    now: Callable[[], datetime],
) -> ApiModel:
    dialect, base_url = _dialect(choice)
    names = Names(host=urlsplit(base_url).netloc, setting=choice.setting)
    # the second one may be the same API with another key, which is left alone by itself
    second = ", the fallback," if choice.setting == _FALLBACK else ""
    api = Api(
        provider=choice.provider,
        dialect=dialect,
        trier=Trier(dialect, names, key=choice.key, now=now),
        breaker=breaker(f"{choice.provider} at {names.host}{second}"),
        retries=retries,
        first_pause_s=first_pause_s,
    )

    def named(model: str) -> ApiModel:
        known = takes_images(model) if choice.images == "auto" else choice.images == "yes"
        own = model == choice.set_for
        prices = Prices(base_url, model, choice.own_prices, own_first=own)
        return ApiModel(
            api,
            model,
            prices=prices,
            takes_images=known,
            own_context=choice.own_context if own else None,
            named=named,
        )

    return named(choice.model)
