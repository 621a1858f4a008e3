"""What an event says, in one line for a person. Pure functions; imported by the command line only."""

from collections.abc import Callable, Mapping
from typing import Any

from callboard.cli.text import call_of, clean, decision_of, dumps, one_line, place_of, time_of

Data = Mapping[str, Any]
_LIMIT = 160


def describe(topic: str, data: Data) -> str:
    """Return what happened, cleaned and on one line; of a topic that is not known, its data."""
    teller = _TELLERS.get(topic)
    if teller is None:
        return one_line(dumps(dict(data), indent=None), _LIMIT)
    return one_line(teller(data), _LIMIT)


def _executed(data: Data) -> str:
    by = f" for {data['agent']}" if data.get("agent") else ""
    return f"{data.get('task', '')}{by}"


def _delta(data: Data) -> str:
    if data.get("reset"):
        return "begins again"
    if not data.get("text") and data.get("thoughts"):
        return f"thinks {clean(dumps(str(data['thoughts']), indent=None))}"
    # what a model writes may end anywhere, so the spaces at its ends are shown
    return clean(dumps(str(data.get("text", "")), indent=None))


def _model(data: Data) -> str:
    if data.get("ok") is False:
        return f"{data.get('model', 'a model')}: {data.get('error', '')} ({data.get('errorCode', '')})"
    tokens = f"{data.get('inputTokens', 0)} + {data.get('outputTokens', 0)} tokens"
    cost = data.get("costUsd")
    price = f", ${cost:.4f}" if isinstance(cost, int | float) else ""
    return f"{data.get('model', 'a model')} for {data.get('purpose', '')}: {tokens}{price}{_took(data)}"


def _step_started(data: Data) -> str:
    return f"step {data.get('step')} of {data.get('agent')}: {data.get('code') or data.get('intent') or ''}"


def _step_completed(data: Data) -> str:
    printed = f" printed {data['printed']}" if data.get("printed") else ""
    return f"step {data.get('step')}{_outcome(data)}{printed}"


def _skill_started(data: Data) -> str:
    return call_of(data)


def _skill_completed(data: Data) -> str:
    value = f" = {dumps(data['result'], indent=None)}" if "result" in data else ""
    return f"{data.get('skill')}{_outcome(data)}{value}"


def _paused(data: Data) -> str:
    if data.get("decisions") and data.get("skill"):
        return f"waits for {call_of(data)}: {data.get('message') or data.get('reason') or ''}"
    return str(data.get("message") or data.get("reason") or "")


def _requeued(data: Data) -> str:
    error = f": {data['error']}" if data.get("error") else ""
    return f"{data.get('reason', '')} {decision_of(data)}".strip() + error


def _completed(data: Data) -> str:
    return f"{dumps(data.get('output'), indent=None)}{_took(data)}"


def _failed(data: Data) -> str:
    decided = f", decision {decision_of(data)}" if data.get("decision") else ""
    return f"{data.get('error', '')} ({data.get('errorCode', '')}){_took(data)}{decided}"


def _cancelled(data: Data) -> str:
    return f"{data.get('reason', '')}{_took(data)}".strip()


def _outcome(data: Data) -> str:
    if data.get("ok") is False:
        return f" failed{place_of(data)}: {data.get('error', '')} ({data.get('errorCode', '')}){_took(data)}"
    return _took(data) or (" answered from the ledger" if data.get("replayed") else "")


def _took(data: Data) -> str:
    time = time_of(data)
    return f" in {time}" if time else ""


_TELLERS: Mapping[str, Callable[[Data], str]] = {
    "agent.task.execute": _executed,
    "agent.model.delta": _delta,
    "agent.model.completed": _model,
    "agent.step.started": _step_started,
    "agent.step.completed": _step_completed,
    "agent.skill.started": _skill_started,
    "agent.skill.completed": _skill_completed,
    "agent.task.paused": _paused,
    "agent.task.requeued": _requeued,
    "agent.task.completed": _completed,
    "agent.task.failed": _failed,
    "agent.task.cancelled": _cancelled,
}
