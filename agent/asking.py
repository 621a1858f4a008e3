"""Calls of a model, made for a task: within its time and budget, through its ledger, told in its log.

Runs in the worker's thread, or in that of a skill that asks a model. Imported by the runner.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from callboard.agent.job import Job, Journal, Tools
from callboard.agent.ledger import Ledger, answer_of
from callboard.agent.models.base import Completion, Message, Model, ModelCall, TokenUse
from callboard.agent.spending import Purse
from callboard.errors import TaskError
from callboard.excerpts import excerpt, excerpt_as
from callboard.limits import TOLD_CHARS, cut_middle
from callboard.messages import Topic
from callboard.records import CallRecord, CallState, NewEvent

_MOST_MENDED = 2
"""How often a model is asked again in place of an answer that was not whole."""

_MOST_REPEATED = 2_000
"""Most characters of such an answer that the model is sent again."""

_FLUSH_S = 0.1
_FLUSH_CHARS = 400


class ModelCalls:
    """Asks models for one run."""

    def __init__(self, job: Job, tools: Tools, journal: Journal, ledger: Ledger, purse: Purse) -> None:
        self._job = job
        self._tools = tools
        self._journal = journal
        self._ledger = ledger
        self._purse = purse
        # Guards what the metadata says of models: skills that are called at once may each ask one, in threads of their own.
        self._counting = threading.Lock()

    def ask(
        self,
        model: Model,
        messages: Sequence[Message],
        *,
        purpose: str,
        key: Sequence[Any],
        step: int,
        most_tokens: int | None = None,
        again: bool = False,
        **told: Any,
    ) -> Completion:
        """Return the whole answer: that of an earlier attempt, which is not paid again, or a new one.

        An answer that was cut, or calls tools in a way that nothing here offers, is none: the model is told so and asked
        again. `purpose` and `key` are what the call is known by in the ledger; `told` goes into the log with each call, and
        `again` says that what was heard of an earlier one is to be forgotten.
        Raises `TaskError` and `Cancelled`.
        """
        most_tokens = most_tokens or self._tools.settings.llm_max_tokens
        said = tuple(messages)
        for left in range(_MOST_MENDED, -1, -1):
            about = _Told(purpose, step, told, again or left < _MOST_MENDED)
            completion = self._answer(model, said, most_tokens, about, key)
            if not completion.cut and not completion.tools:
                return completion
            if left:
                said = (*said, *_asked_again(completion, most_tokens))
        raise _no_answer(completion, model, most_tokens)

    def _answer(
        self, model: Model, messages: Sequence[Message], most_tokens: int, about: "_Told", key: Sequence[Any]
    ) -> Completion:
        known = self._ledger.take("model", about.purpose, key)
        if known is not None and known.state in (CallState.DONE, CallState.FAILED):
            completion = _as_completion(answer_of(known))
            self._count_answer(completion)
            self._journal.tell(self._told(completion, about, replayed=True))
            return completion
        if (full := self._ledger.full()) is not None:
            raise full
        with self._purse.model_call(model, messages, most_tokens) as affordable:
            row = self._ledger.begin("model", about.purpose, "safe", key, self._now(), known)
            self._journal.record(row)
            return self._made(model, messages, affordable, row, about)

    def _made(
        self, model: Model, messages: Sequence[Message], most_tokens: int, row: CallRecord, about: "_Told"
    ) -> Completion:
        started_s = time.monotonic()
        deltas = _Deltas(self._journal, self._now, {"step": about.step, "purpose": about.purpose})
        if about.again:
            deltas.hear(None)
        call = ModelCall(
            messages=tuple(messages),
            max_tokens=most_tokens,
            deadline_s=min(self._job.deadline_s, started_s + self._tools.settings.llm_timeout_s),
            token=self._job.token,
            hear=deltas.hear,
            hear_thoughts=deltas.hear_thoughts,
        )
        told: dict[str, Any]
        try:
            completion = model.complete(call)
        except TaskError as error:
            deltas.flush()
            told = {"step": about.step, "purpose": about.purpose, "model": model.name, **about.more}
            told |= {"durationMs": _ms_since(started_s), "ok": False, "error": error.message, "errorCode": error.code}
            read, written = (error.details or {}).get("tokens") or (0, 0)
            told |= {"inputTokens": read, "outputTokens": written} if read or written else {}
            cost = model.price_usd(read, written)
            self._purse.model_failed(read, written, cost or 0.0)
            self._count(read, written, cost if read or written else None)
            self._journal.record(
                self._ledger.failed(row, error, self._now()),
                NewEvent(topic=Topic.MODEL_COMPLETED, at=self._now(), data=told),
            )
            raise TaskError(error.code, error.message, retryable=error.retryable, call=row.number) from error
        completion = replace(completion, thoughts=cut_middle(completion.thoughts, TOLD_CHARS))
        deltas.flush()
        self._purse.model_called(completion)
        self._count_answer(completion)
        done = self._ledger.done(row, _as_result(completion), self._now())
        self._journal.record(done, self._told(completion, about, durationMs=_ms_since(started_s)))
        return completion

    def _told(self, completion: Completion, about: "_Told", **more: Any) -> NewEvent:
        use = completion.use
        data: dict[str, Any] = {
            "step": about.step,
            "purpose": about.purpose,
            "model": f"{completion.provider}/{completion.model}",
            "ok": True,
            "inputTokens": use.read,
            "outputTokens": use.written,
            "costUsd": completion.cost_usd,
            "tries": completion.tries,
            **({"cachedTokens": use.cached} if use.cached else {}),
            **({"estimated": True} if completion.estimated else {}),
            **({"cut": True} if completion.cut else {}),
            **(excerpt_as("tools", completion.tools) if completion.tools else {}),
            **({"thoughts": completion.thoughts} if completion.thoughts else {}),
            **about.more,
            **more,
        }
        return NewEvent(topic=Topic.MODEL_COMPLETED, at=self._now(), data=data)

    def _count_answer(self, completion: Completion) -> None:
        use, model = completion.use, f"{completion.provider}/{completion.model}"
        self._count(use.read, use.written, completion.cost_usd, model=model)

    def _count(self, read: int, written: int, cost_usd: float | None, **more: str) -> None:
        """Add a call to what the task's result says of it, one that failed too."""
        with self._counting:
            metadata = self._job.progress.metadata
            metadata["llmCalls"] += 1
            metadata |= more
            for name, tokens in (("inputTokens", read), ("outputTokens", written), ("totalTokens", read + written)):
                metadata[name] = metadata.get(name, 0) + tokens
            if cost_usd is not None:
                metadata["costUsd"] = round(metadata.get("costUsd", 0.0) + cost_usd, 9)

    def _now(self) -> datetime:
        return self._tools.clock.now()


@dataclass(frozen=True, slots=True)
class _Told:
    """What the log says of a call beside what came of it."""

    purpose: str
    step: int
    more: Mapping[str, Any]
    again: bool


class _Deltas:
    """Takes what a model says and thinks as it comes and tells it in pieces: ten a second at most, not one for each token."""

    def __init__(self, journal: Journal, now: Any, data: Mapping[str, Any]) -> None:
        self._journal = journal
        self._now = now
        self._data = data
        self._held: dict[str, list[str]] = {"text": [], "thoughts": []}
        self._chars = 0
        self._told_s = time.monotonic()

    def hear(self, text: str | None) -> None:
        if text is None:  # the call is tried again from its beginning
            self._held["text"].clear()
            self._tell(text="", reset=True)
            return
        self._hold("text", text)

    def hear_thoughts(self, text: str) -> None:
        self._hold("thoughts", text)

    def _hold(self, what: str, text: str) -> None:
        self._held[what].append(text)
        self._chars += len(text)
        if self._chars >= _FLUSH_CHARS or time.monotonic() - self._told_s >= _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        held = {what: "".join(pieces) for what, pieces in self._held.items() if pieces}
        if held:
            self._tell(**{"text": "", **held})
            for pieces in self._held.values():
                pieces.clear()
            self._chars = 0
            self._told_s = time.monotonic()

    def _tell(self, **more: Any) -> None:
        self._journal.tell(NewEvent(topic=Topic.MODEL_DELTA, at=self._now(), data={**self._data, **more}))


def _asked_again(completion: Completion, most_tokens: int) -> tuple[Message, Message]:
    """Return what was said, and what is wrong with it, for another try."""
    if completion.cut:
        said, told = (
            completion.text,
            (
                f"Your answer was cut: it may have {most_tokens} tokens at most, all you think included. Nothing of it was run or "
                "passed on. Answer again from the beginning, much shorter."
            ),
        )
    else:
        said, told = (
            completion.tools,
            (
                "Tools cannot be called in that way, and nothing was called. Skills are Python functions: write one fenced block of "
                "Python that imports and calls them, or answer in words."
            ),
        )
    return Message(role="assistant", text=cut_middle(said.strip(), _MOST_REPEATED) or "…"), Message(
        role="user", text=told
    )


def _no_answer(completion: Completion, model: Model, most_tokens: int) -> TaskError:
    times = f"also when it was asked again ({_MOST_MENDED} times)"
    if completion.cut:
        return TaskError(
            "model_answer_cut",
            f"The answer of the model {model.name} ended at {most_tokens} tokens before it was whole, {times}; raise "
            "CALLBOARD_LLM_MAX_TOKENS, or ask for less.",
        )
    return TaskError(
        "model_bad_reply",
        f"The model {model.name} calls tools in its API's own way, where it has to write Python, {times}: "
        f"{excerpt(completion.tools)}",
    )


def _as_result(completion: Completion) -> dict[str, Any]:
    use = completion.use
    return {
        "text": completion.text,
        "provider": completion.provider,
        "model": completion.model,
        "tokens": [use.read, use.written, use.cached],
        "costUsd": completion.cost_usd,
        "cut": completion.cut,
        "tools": completion.tools,
        "thoughts": completion.thoughts,
        "estimated": completion.estimated,
        "tries": completion.tries,
    }


def _as_completion(result: Mapping[str, Any]) -> Completion:
    read, written, cached = result["tokens"]
    return Completion(
        text=result["text"],
        provider=result["provider"],
        model=result["model"],
        use=TokenUse(read=read, written=written, cached=cached),
        cost_usd=result["costUsd"],
        cut=result["cut"],
        tools=result.get("tools", ""),  # rows of earlier versions have neither
        thoughts=result.get("thoughts", ""),
        estimated=result["estimated"],
        tries=result["tries"],
    )


def _ms_since(started_s: float) -> float:
    return round((time.monotonic() - started_s) * 1000, 3)
