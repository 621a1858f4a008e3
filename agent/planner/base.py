"""What a planner is given and gives back.

A planner turns a task into Python for the sandbox; it carries nothing out. Immutable values; any thread. Imported by
the runner and by every planner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from callboard.agent.skill import Skill
from callboard.errors import TaskError
from callboard.messages import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """A task with what its session knows; `skills` holds only those it may call, `now` is UTC.

    `variables` are the names that the session's earlier code has bound in the sandbox.
    """

    task: str
    skills: Mapping[str, Skill[..., Any]]
    now: datetime
    conversation: tuple[Turn, ...] = ()
    variables: frozenset[str] = frozenset()
    system_prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Python whose last expression is the answer, and what kind of task the planner took it for."""

    code: str
    intent: str


class Planner(Protocol):
    """Anything that plans; safe to call from several threads at once."""

    name: str

    def plan(self, request: PlanRequest) -> Plan:
        """Return the plan; raise `TaskError` (`no_skill_fits`, `skill_not_allowed`) where there is none."""


def call(request: PlanRequest, skill: str, *args: Any, **kwargs: Any) -> str:
    """Return the source of one skill call; raise `TaskError` if the task may not call it."""
    if skill not in request.skills:
        raise TaskError(
            "skill_not_allowed",
            f"This task needs the skill {skill}, which its availableSkills leaves out; add it there or leave "
            "availableSkills away.",
            details={"skill": skill, "availableSkills": sorted(request.skills)},
        )
    arguments = [literal(value) for value in args] + [f"{name}={literal(value)}" for name, value in kwargs.items()]
    return f"{skill.replace('-', '_')}({', '.join(arguments)})"


_PLAIN_CHARS = 190
_ESCAPED_CHARS = 2000


def literal(value: Any) -> str:
    """Return a value as source; long strings as f-strings.

    pydantic-monty 1.4 refuses code as too deeply nested if a string in it looks so: from 200 levels on where the string
    has no escapes and may be an annotation (`1+1+…`), from a few thousand brackets or signs on in any other. It leaves
    f-strings alone.
    """
    source = repr(value)
    if not isinstance(value, str) or len(value) < (_ESCAPED_CHARS if "\\" in source else _PLAIN_CHARS):
        return source
    return "f" + source.replace("{", "{{").replace("}", "}}")


def script(*lines: str, skills: tuple[str, ...] = ()) -> str:
    """Return the lines as code, after the import of the skills they call."""
    names = ", ".join(dict.fromkeys(skill.replace("-", "_") for skill in skills))
    return "\n".join([f"from skills import {names}", *lines] if names else lines)


def call_plan(request: PlanRequest, intent: str, skill: str, *args: Any, then: str = "", **kwargs: Any) -> Plan:
    """Return a plan of one skill call, with `then` written behind it, such as `['words']`."""
    return Plan(code=script(call(request, skill, *args, **kwargs) + then, skills=(skill,)), intent=intent)


MODELS = (
    "A model is connected with the settings CALLBOARD_LLM_PROVIDER, CALLBOARD_LLM_BASE_URL, CALLBOARD_LLM_MODEL and "
    "CALLBOARD_LLM_API_KEY, once a release has model support; see docs/models.md."
)


def no_fit(sentence: str) -> TaskError:
    """Return the error for a task that the built-in planner cannot work out as it is written."""
    return TaskError("no_skill_fits", f"{sentence} {MODELS}")
