"""The skill `delegate`: a part of a task handed to another agent, as a task of its own.

The run that a call of it belongs to makes the call: the script is paused, with its interpreter in the store, until the
agent's task has ended. Pure values and functions; any thread. Imported by the ledger, by the runner and by the wiring.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callboard.agent.roster import AgentDefinition
from callboard.agent.skill import Replay, SkillContext
from callboard.arguments import Binding
from callboard.budget import Budget
from callboard.errors import TaskError
from callboard.limits import TASK_CHARS
from callboard.messages.ledger import CallRecord
from callboard.messages.records import TooManyBelow

DELEGATE = "delegate"
_REFUSED = "delegation_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegated:
    """A task to be given to another agent."""

    task_id: str
    agent: str
    task: str
    available_skills: tuple[str, ...]
    budget: Budget | None
    timeout_ms: int | None


class Delegate:
    """The skill's face: its name, stub and schema, and what its arguments must be. See `AnySkill`."""

    name = python_name = DELEGATE
    description = "Have another agent work out a part of the task, and return its answer."
    replay: Replay = "keyed"
    origin = "builtin"
    kind = "agent"
    permissions: tuple[str, ...] = ("agents",)
    approval = False

    def __init__(self, version: str, agents: tuple[str, ...] = ()) -> None:
        self.version = version
        self.agents = agents
        """Their names; the wiring sets them, since agents are loaded after the skills that they may call."""
        self._signature = inspect.signature(_shape)

    @property
    def stub(self) -> str:
        listed = ", ".join(repr(name) for name in self.agents) or repr("")
        return f'def delegate(agent: Literal[{listed}], task: str) -> Any:\n    """{self.description}"""\n    ...'

    @property
    def schema(self) -> Mapping[str, Any]:
        return {
            "title": "Delegate",
            "type": "object",
            "additionalProperties": False,
            "required": ["agent", "task"],
            "properties": {
                "agent": {"type": "string", "enum": list(self.agents)},
                "task": {"type": "string", "minLength": 1, "maxLength": TASK_CHARS},
            },
        }

    def call(self, _args: tuple[Any, ...], _kwargs: Mapping[str, Any], _ctx: SkillContext) -> Any:
        raise AssertionError("the run makes this call itself")

    def binding(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Binding:
        agent, task = self.bound(args, kwargs)
        return Binding.of({"agent": agent, "task": task}, {})

    def bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        """Return the agent's name and the task; raise `TypeError` or `ValueError` naming what does not fit."""
        given = self._signature.bind(*args, **kwargs).arguments
        agent, task = given["agent"], given["task"]
        if agent not in self.agents:
            raise ValueError(f"there is no agent {agent!r} to delegate to; there are {', '.join(self.agents)}")
        if not isinstance(task, str) or not task.strip():
            raise ValueError("the task to delegate must be a text that is not blank")
        if len(task) > TASK_CHARS:
            raise ValueError(f"the task to delegate has {len(task)} characters, the limit is {TASK_CHARS}")
        return agent, task


def _shape(agent: str, task: str) -> None:
    """Have the signature that code calls `delegate` with."""


def skills_for(agent: AgentDefinition, allowed: Mapping[str, Any], *, deepest: bool) -> tuple[str, ...]:
    """Return the skills of a subagent: its own, of those that the task above it may call.

    # SECURITY: delegating never gets at a skill that the task itself may not call.
    """
    own = tuple(allowed) if agent.skills is None else agent.skills
    return tuple(name for name in own if name in allowed and not (deepest and name == DELEGATE))


def too_deep(depth: int, most: int) -> TaskError:
    """Return why a task that is so deep below the first one may not delegate."""
    if not most:
        return TaskError(_REFUSED, "Delegation is off here (CALLBOARD_MAX_DEPTH is 0); do the work itself.")
    told = f"This task is {depth} deep in delegations, the limit is {most} (CALLBOARD_MAX_DEPTH); do the work itself."
    return TaskError(_REFUSED, told)


def too_many(full: TooManyBelow, most: int) -> TaskError:
    """Return why tasks may not be delegated beside those that are there."""
    if not most:
        return TaskError(_REFUSED, "Delegation is off here (CALLBOARD_MAX_SUBAGENTS is 0); do the work itself.")
    there = "is 1 task" if full.there == 1 else f"are {full.there} tasks"
    return TaskError(
        _REFUSED,
        f"There {there} below the first one of this line and {full.new} more would pass the limit of {most} "
        "(CALLBOARD_MAX_SUBAGENTS); delegate fewer, larger parts.",
    )


def refused_by(row: CallRecord) -> bool:
    """Say whether a call was refused, so that there is no task of an agent."""
    return (row.error or {}).get("code") == _REFUSED
