"""A task's figures: what it took itself, what the agents below it took, and both together, as its metadata says them.

The sums are what the task's budget counts: `llmCalls`, `totalTokens`, `costUsd` and the like include the agents' tasks on
all levels. Where there are such, `own` and `subagents` are the two parts. Pure functions; any thread; imported by the
store, which writes them in the transaction of a task's end, and by the actors.
"""

from collections.abc import Mapping
from typing import Any

from callboard.budget import Usage

Metadata = Mapping[str, Any]


def told(metadata: Metadata) -> Usage:
    """Return the sums that a task's metadata has."""
    return Usage(
        model_calls=metadata.get("llmCalls", 0),
        input_tokens=metadata.get("inputTokens", 0),
        output_tokens=metadata.get("outputTokens", 0),
        cost_usd=float(metadata.get("costUsd", 0.0)),
        skill_calls=metadata.get("skillCalls", 0),
    )


def own(metadata: Metadata) -> Usage:
    """Return what a task took itself."""
    return told(metadata.get("own", metadata))


def rolled_up(metadata: Metadata, by_itself: Usage, below: Usage) -> dict[str, Any]:
    """Return a task's metadata with these figures in place of those that it has; `below.tasks` are its own agents' tasks."""
    made = {**metadata, **_sums(by_itself + below, priced="costUsd" in metadata)}
    made.pop("subagents", None)
    if below != Usage():
        made |= {"own": _part(by_itself), "subagents": {"tasks": below.tasks, **_part(below)}}
    return made


def with_more_below(metadata: Metadata, more: Usage) -> dict[str, Any]:
    """Return the metadata of a task of which an agent has ended after it."""
    below: Metadata = metadata.get("subagents", {})
    return rolled_up(metadata, own(metadata), told(below) + Usage(tasks=below.get("tasks", 0)) + more)


def of_today(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a stored task; earlier versions left the agents' part out of the sums."""
    if "subagents" not in metadata or "own" in metadata:
        return metadata
    below = metadata["subagents"]
    return rolled_up(metadata, told(metadata), told(below) + Usage(tasks=below.get("tasks", 0)))


def _sums(spent: Usage, *, priced: bool) -> dict[str, Any]:
    """Return figures as the metadata has them: of models only those that were asked, and what they cost if that is known."""
    made: dict[str, Any] = {"llmCalls": spent.model_calls, "skillCalls": spent.skill_calls, "totalTokens": spent.tokens}
    if spent.model_calls:
        made |= {"inputTokens": spent.input_tokens, "outputTokens": spent.output_tokens}
    if priced or spent.cost_usd:
        made["costUsd"] = round(spent.cost_usd, 9)
    return made


def _part(spent: Usage) -> dict[str, Any]:
    return {
        "llmCalls": spent.model_calls,
        "inputTokens": spent.input_tokens,
        "outputTokens": spent.output_tokens,
        "totalTokens": spent.tokens,
        "skillCalls": spent.skill_calls,
        "costUsd": round(spent.cost_usd, 9),
    }
