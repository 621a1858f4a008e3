"""One try at a model's API: from the request to the whole answer, or to why there is none.

In the thread of the call. Imported by `api_model.py`.
"""

import re
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from callboard.agent.cancel import Cancelled
from callboard.agent.models.base import ModelCall
from callboard.agent.models.dialect import Dialect, Part, ToldError
from callboard.agent.models.endings import End
from callboard.agent.models.failures import Names, TryFailed, broken, failure_of, redact
from callboard.agent.models.speech import ends_in_code, says_nothing, without_end_marks
from callboard.agent.models.thoughts import Listener, apart
from callboard.agent.models.vendors import Key
from callboard.agent.models.watch import Watch, watching
from callboard.limits import ANSWER_CHARS
from callboard.values import mend_text

_CALLED = re.compile(
    r"\s*(?:<tool_call>|<\|tool_calls?(?:_begin)?\|>|<function[=_]|<\|python_tag\|>|\[TOOL_CALLS\]|<｜tool▁calls▁begin｜>)"
)
"""How models call tools in the text itself, where the server has not read it."""

_AFTER_END_S = 1.0
"""How long the counts of tokens are waited for once the answer has ended, in seconds."""

_SLOW_S = 10.0
"""A try that ran out of time counts against the API only if it had this long; a short deadline is the caller's."""


@dataclass(slots=True)
class Answer:
    """What has come of an answer so far; `counts` as the API sent them."""

    pieces: list[str] = field(default_factory=list)
    thought: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    end: End = ""
    reason: str = ""
    done: bool = False
    chars: int = 0
    counts: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    thoughts: str = ""

    @property
    def tools(self) -> str:
        """What was called in the API's way of calling tools."""
        return mend_text("".join(self.called))

    def add(self, part: Part) -> None:
        for pieces, piece in (
            (self.pieces, part.text),
            (self.thought, part.thoughts),
            (self.refusal, part.refusal),
            (self.called, part.tool),
        ):
            if piece:
                pieces.append(piece)
                self.chars += len(piece)
        if part.end and self.end in ("", "stop"):  # what went wrong is not mended by a later word
            self.end, self.reason = part.end, part.reason
        self.done = self.done or part.done
        for name in ("read", "written", "cached"):
            if getattr(part, name) is not None:
                self.counts[name] = getattr(part, name)

    def close(self) -> None:
        """Take what was said and what was thought apart, now that all of it is there."""
        self.text, thoughts = apart(without_end_marks(mend_text("".join(self.pieces))))
        self.thoughts = "\n\n".join(filter(None, (mend_text("".join(self.thought)), thoughts)))
        written = _CALLED.match(self.text)
        if self.called or written:
            self.end = "tools" if self.end in ("", "stop") else self.end
            self.called = self.called or [self.text]


class Hearing(Protocol):
    """Who is told an answer while it comes."""

    def hear(self, text: str) -> None: ...

    def hear_thoughts(self, text: str) -> None: ...

    def begin(self) -> None:
        """Take back what was heard."""


class Trier:
    """Makes tries at one API. Several threads at once."""

    def __init__(self, dialect: Dialect, names: Names, *, key: Key, now: Callable[[], datetime]) -> None:
        self._dialect = dialect
        self._names = names
        self._key = key
        self._now = now

    def once(self, call: ModelCall, model: str, hearing: Hearing) -> Answer:
        """Return the whole answer, which may be cut or call tools. Raises `TryFailed`, and `Cancelled`."""
        watch = Watch(deadline_s=call.deadline_s, token=call.token)
        had_s = watch.left_s
        if watch.stopped:
            raise Cancelled
        if had_s <= 0:
            raise _timed_out(had_s)
        answer, heard = Answer(), _Heard(hearing)
        with watching(watch), closing(self._parts(call, model, watch, answer, had_s)) as parts:
            for part in parts:
                answer.add(part)
                if answer.chars > ANSWER_CHARS:
                    raise broken(f"wrote more than {ANSWER_CHARS} characters")
                heard.add(part)
                if part.end or part.done:
                    watch.ended = True
                    watch.hurry(_AFTER_END_S)
        answer.close()
        heard.settle(answer.text)
        try:
            return self._whole(answer)
        except TryFailed as failed:  # it has come to its end, so it is paid like any other
            failed.spent = (answer.counts, answer.text + answer.thoughts)
            raise

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
        if (answer.end or answer.done) and not isinstance(
            error, ToldError
        ):  # the answer is whole; only what follows it is missing
            return None
        if watch.stopped:
            return Cancelled()
        if watch.left_s <= 0:
            return _timed_out(had_s)
        if watch.too_long:
            return broken("sent more than any answer is long")
        return failure_of(error, self._names, self._key.value, watch.answered, self._now)

    def _whole(self, answer: Answer) -> Answer:
        """Return the answer if it is one, or may be mended by asking again; else raise what is wrong with it."""
        reason = redact(answer.reason, self._key.value)
        if answer.refusal or answer.end == "refused":
            words = redact("".join(answer.refusal) or answer.text, self._key.value) or "it gave no reason"
            raise TryFailed("model_refused", f"declined to answer{f' ({reason})' if reason else ''}: {words}")
        match answer.end:
            case "cut" | "tools":
                return answer
            case "context":
                raise TryFailed("model_context_exceeded", f"stopped because its context is full ({reason})")
            case "failed":
                told = f"broke its answer off ({reason})"
                raise TryFailed("model_unavailable", told, again=True, counts=True)
            case "unknown":
                raise broken(f"ended its answer with {reason!r}, which is not known to be the end of a whole answer")
            case "" if not answer.done:
                raise broken("ended its answer without the mark of its end")
            case "" if ends_in_code(answer.text):  # nobody says that it is whole, and it does not look so
                answer.end = "cut"
                return answer
            case "" | "stop" | "refused":  # a refusal has been raised above
                pass
        if says_nothing(answer.text):
            told = "thought and said nothing" if answer.thoughts.strip() else "gave an empty answer"
            raise TryFailed("model_bad_reply", told, again=True)
        return answer


class _Heard:
    """Tells speech and thoughts as they come, and again where it turned out to be otherwise."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._listener = Listener()
        self._said: list[str] = []

    def add(self, part: Part) -> None:
        said, thought = self._listener.feed(mend_text(part.text)) if part.text else ("", "")
        if part.thoughts or thought:
            self._hearing.hear_thoughts(mend_text(part.thoughts) + thought)
        if said:
            self._said.append(said)
            self._hearing.hear(said)

    def settle(self, text: str) -> None:
        if "".join(self._said).strip() != text.strip():
            self._hearing.begin()
            if text.strip():
                self._hearing.hear(text)


def _timed_out(had_s: float) -> TryFailed:
    return TryFailed("model_timeout", "did not answer in time", counts=had_s >= _SLOW_S)
