"""Calls of a model, made for a task: within its time and budget, through its ledger, told in its log.

Runs in the worker's thread, or in that of a skill that asks a model. Imported by the runner.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from callboard.agent.job import Job, Journal, Tools
from callboard.agent.ledger import answer_of
from callboard.agent.models.base import Completion, Message, Model, ModelCall, TokenUse
from callboard.agent.purse import ModelCallSpent
from callboard.agent.run_state import RunState
from callboard.errors import TaskError
from callboard.excerpts import excerpt, excerpted
from callboard.limits import TOLD_CHARS, cut_middle
from callboard.messages.event_types import ModelCompleted, ModelDelta
from callboard.messages.ledger import CallRecord, CallState

_MOST_MENDED = 2
"""How often a model is asked again in place of an answer that was not whole."""

_MOST_REPEATED = 2_000
"""Most characters of such an answer that the model is sent again."""

_FLUSH_S = 0.1
_FLUSH_CHARS = 400


class ModelCalls:
    """Asks models for one run."""

    def __init__(self, job: Job, tools: Tools, journal: Journal, state: RunState) -> None:
        self._job = job
        self._tools = tools
        self._journal = journal
        self._state = state
        self._ledger, self._purse = state.ledger, state.purse
        # Guards what the metadata says of models: skills that are called at once may each ask one, in threads of their own.
        self._counting = threading.Lock()

    def ask(
        self,
        model: Model,
        messages: Sequence[Message],
        *,
        purpose: str,
        key: Sequence[Any],
        most_tokens: int | None = None,
        again: bool = False,
        came_to: Callable[[int], None] = lambda _: None,
        turns_left_out: int = 0,
        rounds_left_out: int = 0,
    ) -> Completion:
        """Return the whole answer: that of an earlier attempt, which is not paid again, or a new one.

        An answer that was cut, or calls tools in a way that nothing here offers, is none: the model is told so and asked
        again. `purpose` and `key` are what the call is known by in the ledger; what was left out goes into the log with each call, and
        `again` says that what was heard of an earlier one is to be forgotten; `came_to` is told the numbers of the calls' rows.
        Raises `TaskError` and `Cancelled`.
        """
        most_tokens = most_tokens or self._tools.settings.llm_max_tokens
        said = tuple(messages)
        for left in range(_MOST_MENDED, -1, -1):
            about = _Told(
                purpose,
                self._state.step,
                turns_left_out or None,
                rounds_left_out or None,
                again or left < _MOST_MENDED,
                came_to,
            )
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
            about.came_to(known.number)
            completion = _as_completion(answer_of(known))
            self._count_answer(completion)
            self._journal.tell(self._told(completion, about, replayed=True))
            return completion
        if (full := self._ledger.admit()) is not None:
            raise full
        with self._purse.model_call(model, messages, most_tokens) as spent:
            row = self._ledger.begin("model", about.purpose, "safe", key, self._now(), known)
            about.came_to(row.number)
            self._journal.record(row)
            return self._made(model, messages, spent, row, about)

    def _made(
        self, model: Model, messages: Sequence[Message], spent: ModelCallSpent, row: CallRecord, about: "_Told"
    ) -> Completion:
        started_s = time.monotonic()
        deltas = _Deltas(self._journal, self._now, about)
        if about.again:
            deltas.hear(None)
        call = ModelCall(
            messages=tuple(messages),
            max_tokens=spent.max_tokens,
            deadline_s=min(self._job.deadline_s, started_s + self._tools.settings.llm_timeout_s),
            token=self._job.token,
            hear=deltas.hear,
            hear_thoughts=deltas.hear_thoughts,
        )
        try:
            completion = model.complete(call)
        except TaskError as error:
            deltas.flush()
            read, written = (error.details or {}).get("tokens") or (0, 0)
            cost = model.price_usd(read, written)
            spent.took(read, written, cost)
            self._count(read, written, cost if read or written else None)
            self._journal.record(
                self._ledger.failed(row, error, self._now()),
                ModelCompleted(
                    at=self._now(),
                    step=about.step,
                    purpose=about.purpose,
                    model=model.name,
                    ok=False,
                    input_tokens=read if read or written else None,
                    output_tokens=written if read or written else None,
                    duration_ms=_ms_since(started_s),
                    error=error.message,
                    error_code=error.code,
                    turns_left_out=about.turns_left_out,
                    rounds_left_out=about.rounds_left_out,
                ),
            )
            raise TaskError(error.code, error.message, retryable=error.retryable, call=row.number) from error
        completion = replace(completion, thoughts=cut_middle(completion.thoughts, TOLD_CHARS))
        deltas.flush()
        spent.took(completion.use.read, completion.use.written, completion.cost_usd)
        self._count_answer(completion)
        done = self._ledger.done(row, _as_result(completion), self._now())
        self._journal.record(done, self._told(completion, about, duration_ms=_ms_since(started_s)))
        return completion

    def _told(
        self, completion: Completion, about: "_Told", *, duration_ms: float | None = None, replayed: bool = False
    ) -> ModelCompleted:
        use = completion.use
        tools, is_cut = excerpted(completion.tools or None)
        return ModelCompleted(
            at=self._now(),
            step=about.step,
            purpose=about.purpose,
            model=f"{completion.provider}/{completion.model}",
            ok=True,
            input_tokens=use.read,
            output_tokens=use.written,
            cost_usd=completion.cost_usd,
            tries=completion.tries,
            cached_tokens=use.cached or None,
            estimated=completion.estimated,
            cut=completion.cut,
            tools=tools,
            truncated=is_cut,
            thoughts=completion.thoughts or None,
            duration_ms=duration_ms,
            replayed=replayed,
            turns_left_out=about.turns_left_out,
            rounds_left_out=about.rounds_left_out,
        )

    def _count_answer(self, completion: Completion) -> None:
        use, model = completion.use, f"{completion.provider}/{completion.model}"
        self._count(use.read, use.written, completion.cost_usd, model=model)

    def _count(self, read: int, written: int, cost_usd: float | None, **more: str) -> None:
        """Add a call to what the task's result says of it, one that failed too."""
        with self._counting:
            metadata = self._state.metadata
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
    turns_left_out: int | None
    rounds_left_out: int | None
    again: bool
    came_to: Callable[[int], None]


class _Deltas:
    """Takes what a model says and thinks as it comes and tells it in pieces: ten a second at most, not one for each token."""

    def __init__(self, journal: Journal, now: Callable[[], datetime], about: _Told) -> None:
        self._journal = journal
        self._now = now
        self._about = about
        self._held: dict[str, list[str]] = {"text": [], "thoughts": []}
        self._chars = 0
        self._told_s = time.monotonic()

    def hear(self, text: str | None) -> None:
        if text is None:  # the call is tried again from its beginning
            self._held["text"].clear()
            self._tell(reset=True)
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
            self._tell(held.get("text", ""), held.get("thoughts"))
            for pieces in self._held.values():
                pieces.clear()
            self._chars = 0
            self._told_s = time.monotonic()

    def _tell(self, text: str = "", thoughts: str | None = None, *, reset: bool = False) -> None:
        step, purpose = self._about.step, self._about.purpose
        self._journal.tell(
            ModelDelta(at=self._now(), step=step, purpose=purpose, text=text, thoughts=thoughts, reset=reset)
        )


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
