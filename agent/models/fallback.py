"""A model with a second one behind it, from another provider. In the thread of the call. Imported by `building.py`."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from callboard.agent.models.api_model import ApiModel
from callboard.agent.models.base import Completion, ModelCall, TokenUse
from callboard.errors import TaskError

logger = logging.getLogger("callboard.models")

FIRST_SHARE = 2 / 3
"""What part of a call's time the first model has: one that hangs must leave some to the second."""


class Fallback:
    """Asks `first`; where that cannot answer for now, asks `second`. Fulfils `Model`.

    What a model refuses, or rejects for good, the second one is not asked.
    """

    def __init__(self, first: ApiModel, second: ApiModel) -> None:
        self.name = first.name
        self.takes_images = first.takes_images
        self._first = first
        self._second = second

    @property
    def context_tokens(self) -> int:
        """What fits into both, since either may answer."""
        return min(self._first.context_tokens, self._second.context_tokens)

    def complete(self, call: ModelCall) -> Completion:
        if not self._fits_second(call):
            return self._first.complete(call)
        heard = _Anything(call.hear)
        now_s = time.monotonic()
        first_s = now_s + (call.deadline_s - now_s) * FIRST_SHARE
        try:
            return self._first.complete(replace(call, deadline_s=first_s, hear=heard))
        except TaskError as error:
            if not error.retryable:
                raise
            failed = error
        logger.warning("%s is asked instead of %s: %s", self._second.name, self._first.name, failed.message)
        if heard.anything:
            call.hear(None)
        return self._ask_second(call, failed)

    def _ask_second(self, call: ModelCall, failed: TaskError) -> Completion:
        read, written = (failed.details or {}).get("tokens") or (0, 0)
        try:
            completion = self._second.complete(call)
            return replace(completion, use=completion.use + TokenUse(read=read, written=written))
        except TaskError as error:
            both = f"{failed.message} {error.message}"
            raise TaskError(error.code, both, retryable=error.retryable, details=error.details) from failed

    def _fits_second(self, call: ModelCall) -> bool:
        return self._second.takes_images or not any(message.images for message in call.messages)

    def price_usd(self, read: int, written: int) -> float | None:
        """Return what the dearer of the two costs, since either may answer."""
        both = (self._first.price_usd(read, written), self._second.price_usd(read, written))
        known = [price for price in both if price is not None]
        return max(known) if known else None

    def check(self) -> None:
        """Raise where neither can be used."""
        try:
            self._first.check()
        except TaskError as first:
            try:
                self._second.check()
            except TaskError as second:
                raise TaskError(second.code, f"{first.message} {second.message}", retryable=True) from first

    def named(self, model: str) -> "Fallback":
        """Return another model of the first provider, with the same one behind it."""
        return Fallback(self._first.named(model), self._second)

    def close(self) -> None:
        """Close the connections of both."""
        self._first.close()
        self._second.close()


class _Anything:
    """Passes on what is heard, and knows whether there was anything that was not taken back."""

    def __init__(self, hear: Callable[[str | None], None]) -> None:
        self._hear = hear
        self.anything = False

    def __call__(self, text: str | None) -> None:
        self.anything = text is not None
        self._hear(text)
