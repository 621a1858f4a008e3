"""Which model the settings name. In the thread that starts the system. Imported by the wiring.

PERF: the vendors' clients take up to a second to import, so only the one that was chosen is, and nothing at all for the
offline planner.
"""

import importlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from callboard.agent.models.base import Model
from callboard.agent.models.breaker import Breakers, Circuits
from callboard.errors import ConfigurationError
from callboard.installing import install_command
from callboard.settings import Settings

FIRST_PAUSE_S = 0.5
"""Longest first pause between two tries, in seconds; the next ones double."""


class LoadedModel(Model, Protocol):
    """A model with connections of its own."""

    def named(self, model: str) -> "LoadedModel":
        """Return another model of the same provider, such as an agent's own: it shares connections and circuit."""

    def close(self) -> None:
        """Close the connections, those of the models that share them too."""


def load_model(
    settings: Settings,
    *,
    model: str | None = None,
    breakers: Circuits | None = None,
    holder: str = "",
    first_pause_s: float = FIRST_PAUSE_S,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> LoadedModel | None:
    """Return the model of the settings, None for the offline planner; `model` is asked in place of CALLBOARD_LLM_MODEL.

    Further models of the same provider come from its `named`. Close it when all is over. `breakers` are those of all
    calls of this node (None: it has some of its own), and `holder` is what whoever makes these is called there. Raises
    `ConfigurationError`.
    """
    if settings.llm_provider == "offline":
        if settings.llm_fallback_provider:
            raise ConfigurationError(
                "CALLBOARD_LLM_FALLBACK_PROVIDER has nothing to fall back from; set CALLBOARD_LLM_PROVIDER too."
            )
        return None
    try:
        building = importlib.import_module("callboard.agent.models.building")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"CALLBOARD_LLM_PROVIDER={settings.llm_provider} needs a package that is not installed ({error.name}); install it with: "
            f"{install_command('llm')}"
        ) from error
    circuits = Breakers() if breakers is None else breakers
    loaded: LoadedModel = building.build(
        settings, model, breakers=circuits, holder=holder, first_pause_s=first_pause_s, now=now
    )
    return loaded
