"""One try at a model's API: from the request to the whole answer, or to why there is none.

In the thread of the call. Imported by `api_model.py`.
"""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from callboard.agent.cancel import Cancelled
from callboard.agent.models.base import ModelCall
from callboard.agent.models.dialect import Dialect, Part
from callboard.agent.models.failures import Names, TryFailed, broken, failure_of, redact
from callboard.agent.models.vendors import Key
from callboard.agent.models.watch import Watch, watching
from callboard.values import mend_text

MAX_TEXT_CHARS = 1_000_000
"""Longest answer; nothing that a model writes here is nearly as long."""

_AFTER_END_S = 1.0
"""How long the counts of tokens are waited for once the answer has ended, in seconds."""

_SLOW_S = 10.0
"""A try that ran out of time counts against the API only if it had this long; a short deadline is the caller's."""


@dataclass(slots=True)
class Answer:
    """What has come of an answer so far; `counts` as the API sent them."""

    pieces: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    end: str = ""
    chars: int = 0
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return mend_text("".join(self.pieces))

    def add(self, part: Part) -> None:
        self.chars += len(part.text) + len(part.refusal)
        if part.text:
            self.pieces.append(part.text)
        if part.refusal:
            self.refusal.append(part.refusal)
        self.end = part.end or self.end
        for name in ("read", "written", "cached"):
            if getattr(part, name) is not None:
                self.counts[name] = getattr(part, name)


class Trier:
    """Makes tries at one API. Several threads at once."""

    def __init__(self, dialect: Dialect, names: Names, *, key: Key, now: Callable[[], datetime]) -> None:
        self._dialect = dialect
        self._names = names
        self._key = key
        self._now = now

    def once(self, call: ModelCall, model: str, hear: Callable[[str], None]) -> Answer:
        """Return the whole answer. Raises `TryFailed`, and `Cancelled`."""
        watch = Watch(deadline_s=call.deadline_s, token=call.token)
        had_s = watch.left_s
        if watch.stopped:
            raise Cancelled
        if had_s <= 0:
            raise _timed_out(had_s)
        answer = Answer()
        with watching(watch), closing(self._parts(call, model, watch, answer, had_s)) as parts:
            for part in parts:
                answer.add(part)
                if answer.chars > MAX_TEXT_CHARS:
                    raise broken(f"wrote more than {MAX_TEXT_CHARS} characters")
                if part.text:
                    hear(mend_text(part.text))
                if part.end:
                    watch.ended = True
                    watch.hurry(_AFTER_END_S)
        return self._whole(answer)

    def _parts(self, call: ModelCall, model: str, watch: Watch, answer: Answer, had_s: float) -> Generator[Part]:
        """Yield the parts; raise why there are no more of them."""
        try:
            yield from self._dialect.parts(call, model, watch)
        except Exception as error:  # noqa: BLE001  # garbage makes the vendors' clients raise anything at all
            failure = self._failure(error, watch, answer, had_s)
        else:
            return
        if failure is not None:
            raise failure  # SECURITY: here and not above, where the vendor's error would be its context

    def _failure(self, error: Exception, watch: Watch, answer: Answer, had_s: float) -> Exception | None:
        if answer.end:  # the answer is whole; only what follows it is missing
            return None
        if watch.stopped:
            return Cancelled()
        if watch.left_s <= 0:
            return _timed_out(had_s)
        if watch.too_long:
            return broken("sent more than any answer is long")
        return failure_of(error, self._names, self._key.value, watch.answered, self._now)

    def _whole(self, answer: Answer) -> Answer:
        """Return the answer if it is one."""
        if answer.refusal or answer.end == "refused":
            words = redact("".join(answer.refusal) or answer.text, self._key.value) or "it gave no reason"
            raise TryFailed("model_refused", f"declined to answer: {words}")
        if not answer.end:
            raise broken("ended its answer without the mark of its end")
        return answer


def _timed_out(had_s: float) -> TryFailed:
    return TryFailed("model_timeout", "did not answer in time", counts=had_s >= _SLOW_S)
