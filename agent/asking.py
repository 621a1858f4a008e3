"""Calls of a model, made for a task: within its time and budget, through its ledger, told in its log.

Runs in the worker's thread, or in that of a skill that asks a model. Imported by the runner.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from callboard.agent.job import Job, Journal, Tools
from callboard.agent.ledger import Ledger, answer_of
from callboard.agent.models.base import Completion, Message, Model, ModelCall, TokenUse
from callboard.agent.spending import Purse
from callboard.errors import TaskError
from callboard.messages import Topic
from callboard.records import CallRecord, CallState, NewEvent

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
        self, model: Model, messages: Sequence[Message], *, purpose: str, key: Sequence[Any], step: int
    ) -> Completion:
        """Return the answer: that of an earlier attempt, which is not paid again, or a new one.

        `purpose` and `key` are what the call is known by in the ledger. Raises `TaskError` and `Cancelled`.
        """
        known = self._ledger.take("model", purpose, key)
        if known is not None and known.state in (CallState.DONE, CallState.FAILED):
            completion = _as_completion(answer_of(known))
            self._count(completion)
            self._journal.tell(self._told(completion, purpose, step, replayed=True))
            return completion
        settings = self._tools.settings
        with self._purse.model_call(model, messages, settings.llm_max_tokens) as most_tokens:
            row = self._ledger.begin("model", purpose, "safe", key, self._now(), known)
            self._journal.record(row)
            return self._made(model, messages, most_tokens, row, purpose, step)

    def _made(
        self, model: Model, messages: Sequence[Message], most_tokens: int, row: CallRecord, purpose: str, step: int
    ) -> Completion:
        started_s = time.monotonic()
        deltas = _Deltas(self._journal, self._now, {"step": step, "purpose": purpose})
        call = ModelCall(
            messages=tuple(messages),
            max_tokens=most_tokens,
            deadline_s=min(self._job.deadline_s, started_s + self._tools.settings.llm_timeout_s),
            token=self._job.token,
            hear=deltas.hear,
        )
        told: dict[str, Any]
        try:
            completion = model.complete(call)
        except TaskError as error:
            deltas.flush()
            told = {"step": step, "purpose": purpose, "model": model.name, "durationMs": _ms_since(started_s)}
            told |= {"ok": False, "error": error.message, "errorCode": error.code}
            self._purse.model_failed()
            self._count(None)
            self._journal.record(
                self._ledger.failed(row, error, self._now()),
                NewEvent(topic=Topic.MODEL_COMPLETED, at=self._now(), data=told),
            )
            raise TaskError(error.code, error.message, retryable=error.retryable, call=row.number) from error
        deltas.flush()
        self._purse.model_called(completion)
        self._count(completion)
        done = self._ledger.done(row, _as_result(completion), self._now())
        self._journal.record(done, self._told(completion, purpose, step, durationMs=_ms_since(started_s)))
        return completion

    def _told(self, completion: Completion, purpose: str, step: int, **more: Any) -> NewEvent:
        use = completion.use
        data: dict[str, Any] = {
            "step": step,
            "purpose": purpose,
            "model": f"{completion.provider}/{completion.model}",
            "ok": True,
            "inputTokens": use.read,
            "outputTokens": use.written,
            "costUsd": completion.cost_usd,
            "tries": completion.tries,
            **({"cachedTokens": use.cached} if use.cached else {}),
            **({"estimated": True} if completion.estimated else {}),
            **({"cut": True} if completion.cut else {}),
            **more,
        }
        return NewEvent(topic=Topic.MODEL_COMPLETED, at=self._now(), data=data)

    def _count(self, completion: Completion | None) -> None:
        """Add a call to what the task's result says of it; one that failed counts as a call."""
        with self._counting:
            self._add(self._job.progress.metadata, completion)

    def _add(self, metadata: dict[str, Any], completion: Completion | None) -> None:
        metadata["llmCalls"] += 1
        if completion is None:
            return
        use = completion.use
        metadata["model"] = f"{completion.provider}/{completion.model}"
        for name, more in (
            ("inputTokens", use.read),
            ("outputTokens", use.written),
            ("totalTokens", use.read + use.written),
        ):
            metadata[name] = metadata.get(name, 0) + more
        if completion.cost_usd is not None:
            metadata["costUsd"] = round(metadata.get("costUsd", 0.0) + completion.cost_usd, 9)

    def _now(self) -> datetime:
        return self._tools.clock.now()


class _Deltas:
    """Takes a model's text as it comes and tells it in pieces: ten a second at most, not one for each token."""

    def __init__(self, journal: Journal, now: Any, data: Mapping[str, Any]) -> None:
        self._journal = journal
        self._now = now
        self._data = data
        self._held: list[str] = []
        self._chars = 0
        self._told_s = time.monotonic()

    def hear(self, text: str | None) -> None:
        if text is None:  # the call is tried again from its beginning
            self._held.clear()
            self._chars = 0
            self._tell(text="", reset=True)
            return
        self._held.append(text)
        self._chars += len(text)
        if self._chars >= _FLUSH_CHARS or time.monotonic() - self._told_s >= _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        if self._held:
            self._tell(text="".join(self._held))
            self._held.clear()
            self._chars = 0
            self._told_s = time.monotonic()

    def _tell(self, **more: Any) -> None:
        self._journal.tell(NewEvent(topic=Topic.MODEL_DELTA, at=self._now(), data={**self._data, **more}))


def _as_result(completion: Completion) -> dict[str, Any]:
    use = completion.use
    return {
        "text": completion.text,
        "provider": completion.provider,
        "model": completion.model,
        "tokens": [use.read, use.written, use.cached],
        "costUsd": completion.cost_usd,
        "cut": completion.cut,
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
        estimated=result["estimated"],
        tries=result["tries"],
    )


def _ms_since(started_s: float) -> float:
    return round((time.monotonic() - started_s) * 1000, 3)
