"""A model behind an API: tries, with pauses between them, until there is an answer or no use in going on.

None begins while the API has asked to be left alone, which it may have said to another call.

In the thread of the call; several at once. Imported by `building.py`.
"""

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import tenacity

from callboard.agent.cancel import Cancelled
from callboard.agent.models.base import Completion, ModelCall, TokenUse
from callboard.agent.models.breaker import Breaker
from callboard.agent.models.counting import tokens_of
from callboard.agent.models.dialect import Dialect
from callboard.agent.models.failures import TryFailed
from callboard.agent.models.prices import Prices
from callboard.agent.models.tries import Answer, Trier
from callboard.agent.models.watch import TimeIsUp, Watch
from callboard.errors import TaskError

MAX_PAUSE_S = 20.0
"""Pauses double from the first to this, and each is a random part of that, at least a quarter, in seconds."""

_KEY_REFUSED = frozenset((401, 402, 403))
_RATE_LIMITED = 429
_OVERLOADED = frozenset((503, 529))  # 529: Anthropic


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One provider's API as all its models share it."""

    provider: str
    dialect: Dialect
    trier: Trier
    breaker: Breaker
    retries: int
    first_pause_s: float


class ApiModel:
    """One model of an API. Fulfils `Model`."""

    def __init__(
        self,
        api: Api,
        model: str,
        *,
        prices: Prices,
        takes_images: bool,
        own_context: int | None,
        named: Callable[[str], "ApiModel"],
    ) -> None:
        self.name = f"{api.provider}/{model}"
        self.takes_images = takes_images
        self._own_context = own_context
        self._named = named
        self._api = api
        self._model = model
        self._prices = prices

    @property
    def context_tokens(self) -> int:
        return self._own_context or self._prices.context_tokens

    def complete(self, call: ModelCall) -> Completion:
        heard = _Heard(call)
        had_s = call.deadline_s - time.monotonic()
        tries = 0
        lost = TokenUse()

        def once() -> Answer:
            nonlocal tries, lost
            self._enter(call)
            tries += 1
            try:
                return self._try(call, heard)
            except TryFailed as failed:
                if failed.spent is not None:
                    lost = lost + tokens_of(failed.spent[0], call, failed.spent[1])[0]
                raise

        try:
            answer = self._retrying(call)(once)
        except TryFailed as failed:
            error = self._task_error(failed, had_s, call.deadline_s - time.monotonic(), tries, lost)
        else:
            return self._completion(answer, call, tries, lost)
        raise error  # SECURITY: here, where nothing is its context

    def _enter(self, call: ModelCall) -> None:
        """Let a try begin, once the API may be asked; raise `TryFailed` where that is later than the call has time."""
        watch = Watch(deadline_s=call.deadline_s, token=call.token)
        while (pause := self._api.breaker.enter(self._model, watch.left_s)) is not None:
            asked_s, code, what = pause
            pause_s = _spread(asked_s, MAX_PAUSE_S)
            if watch.stopped:
                raise Cancelled
            if pause_s >= watch.left_s:
                raise TryFailed(code, what, again=True, retry_after_s=asked_s)
            try:
                watch.sleep(pause_s)
            except TimeIsUp:
                raise TryFailed(code, what, again=True, retry_after_s=asked_s) from None

    def _try(self, call: ModelCall, heard: "_Heard") -> Answer:
        breaker = self._api.breaker
        try:
            heard.begin()
            answer = self._api.trier.once(call, self._model, heard)
        except TryFailed as failed:
            self._leave_alone(failed)
            if failed.counts:
                breaker.failed(failed.what)
            else:
                breaker.left(rejected=failed.what if failed.status in _KEY_REFUSED else "")
            raise
        except BaseException:
            breaker.left()
            raise
        breaker.succeeded()
        return answer

    def _leave_alone(self, failed: TryFailed) -> None:
        """Have other calls wait too, where the API has asked for it: APIs count calls by model, and are overloaded as a whole."""
        if failed.retry_after_s and (failed.status == _RATE_LIMITED or failed.status in _OVERLOADED):
            model = self._model if failed.status == _RATE_LIMITED else ""
            self._api.breaker.leave_alone(model, failed.retry_after_s, failed.code, failed.what)

    def _retrying(self, call: ModelCall) -> tenacity.Retrying:
        watch = Watch(deadline_s=call.deadline_s, token=call.token)
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, TryFailed) and error.again),
            # a pause that is as long as what is left would only use it up
            stop=lambda state: state.attempt_number > self._api.retries or state.upcoming_sleep >= watch.left_s,
            wait=self._pause_s,
            sleep=_asleep(watch),
            reraise=True,
        )

    def _pause_s(self, state: tenacity.RetryCallState) -> float:
        most_s = min(MAX_PAUSE_S, self._api.first_pause_s * 2 ** (state.attempt_number - 1))
        pause_s = random.uniform(most_s / 4, most_s)  # noqa: S311  # spreads callers out, keeps nothing secret
        failed = state.outcome.exception() if state.outcome else None
        asked_s = failed.retry_after_s if isinstance(failed, TryFailed) else None
        return pause_s if asked_s is None else _spread(asked_s, pause_s)

    def _task_error(self, failed: TryFailed, had_s: float, left_s: float, tries: int, lost: TokenUse) -> TaskError:
        message = f"The model {self.name} {failed.what}"
        if failed.code == "model_timeout":
            message += f", {had_s:.3g} s; CALLBOARD_LLM_TIMEOUT_S and the task's timeoutMs set it"
        if tries > 1:
            message += f" (in {tries} tries)"
        if failed.retry_after_s is not None and failed.retry_after_s >= left_s:
            message += f"; it asks to wait {failed.retry_after_s:.0f} s, and {max(0.0, left_s):.0f} s are left"
        may_pass = failed.again or failed.code in ("model_timeout", "model_rate_limited")
        details = {"model": self.name, "tries": tries, "tokens": (lost.read, lost.written)}
        return TaskError(failed.code, f"{message}.", retryable=may_pass, details=details)

    def _completion(self, answer: Answer, call: ModelCall, tries: int, lost: TokenUse) -> Completion:
        use, estimated = tokens_of(answer.counts, call, answer.text + answer.thoughts)
        use = use + lost
        return Completion(
            text=answer.text,
            provider=self._api.provider,
            model=self._model,
            use=use,
            cost_usd=self._prices.cost_usd(use),
            thoughts=answer.thoughts,
            cut=answer.end == "cut",
            tools=answer.tools,
            estimated=estimated,
            tries=tries,
        )

    def price_usd(self, read: int, written: int) -> float | None:
        return self._prices.most_usd(read, written)

    def check(self) -> None:
        self._api.breaker.check()

    def named(self, model: str) -> "ApiModel":
        """Return another model of the same API: it shares the connections and the circuit breaker."""
        return self._named(model)

    def close(self) -> None:
        """Close the connections, which all models of the API share."""
        self._api.dialect.close()


def _spread(asked_s: float, most_s: float) -> float:
    """Return how long to wait where an API has asked for it: never less, and not as long as everybody else who was asked."""
    return asked_s + random.uniform(0, min(most_s, asked_s / 10))  # noqa: S311  # likewise


def _asleep(watch: Watch) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        with contextlib.suppress(TimeIsUp):  # the next try finds that out, and says so
            watch.sleep(seconds)

    return sleep


class _Heard:
    """Passes on what comes, and takes it back before another try."""

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self._any = False

    def begin(self) -> None:
        if self._any:
            self._call.hear(None)
            self._any = False

    def hear(self, text: str) -> None:
        self._any = True
        self._call.hear(text)

    def hear_thoughts(self, text: str) -> None:
        self._call.hear_thoughts(text)
