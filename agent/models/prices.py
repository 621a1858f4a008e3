"""What is known of a model: what its tokens cost and how many it takes, by settings or by the table of genai-prices.

# SECURITY: the table is part of that package, and nothing is fetched. The package fetches newer prices only where its `UpdatePrices` is started.

Any thread. Imported by `building.py` and `api_model.py`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from callboard.agent.models.base import TokenUse

UNKNOWN_CONTEXT_TOKENS = 32_768
"""What a model is taken to read and write in one call where nobody knows: what many that run at home are given."""

_MILLION = 1_000_000


@dataclass(frozen=True)
class Prices:
    """Prices of one model at one address; `own` is dollars for a million tokens read and written, from the settings.

    `own` counts before the table with `own_first`, else where the table does not know the model. The table knows
    addresses of public APIs only: what a model costs on a machine of one's own it cannot know.
    """

    base_url: str
    model: str
    own: tuple[float, float] | None = None
    own_first: bool = True

    def cost_usd(self, use: TokenUse) -> float | None:
        """Return what was spent, None where nobody knows. Own prices know no cheaper kept tokens."""
        if self.own is not None and (self.own_first or not self._known):
            return (use.read * self.own[0] + use.written * self.own[1]) / _MILLION
        if not self._known:
            return None
        return self._from_table(use)

    def most_usd(self, read: int, written: int) -> float | None:
        """Return what a call of so many tokens costs at most: none of them kept by the API."""
        return self.cost_usd(TokenUse(read=read, written=written))

    @cached_property
    def context_tokens(self) -> int:
        """How many tokens the model reads and writes in one call, by the table."""
        from genai_prices.data_snapshot import get_snapshot

        try:
            _, known = get_snapshot().find_provider_model(self.model, None, None, self.base_url)
        except LookupError:
            return UNKNOWN_CONTEXT_TOKENS
        return known.context_window or UNKNOWN_CONTEXT_TOKENS

    @cached_property
    def _known(self) -> bool:
        return self._from_table(TokenUse(read=1, written=1)) is not None

    def _from_table(self, use: TokenUse) -> float | None:
        from genai_prices import Usage, calc_price

        usage: Any = Usage(input_tokens=use.read, output_tokens=use.written, cache_read_tokens=use.cached)
        try:
            return float(calc_price(usage, self.model, provider_api_url=self.base_url).total_price)
        except LookupError:
            return None
