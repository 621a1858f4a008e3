"""What a planner is given and gives back.

A planner turns a task into Python for the sandbox, or answers it; it carries nothing out. Immutable values; any
thread. Imported by the runner and by every planner.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from callboard.agent.documents.reading import Document
from callboard.agent.models.base import Completion, Image, Message, Model
from callboard.agent.roster import MASTER_AGENT, AgentDefinition
from callboard.agent.skill import AnySkill
from callboard.conversation import Turn
from callboard.errors import TaskError


class Look(Protocol):
    """Reads a file of the task's workspace, as the skill `read-file` would; the run that plans gives it.

    It changes nothing, so that a plan may be made again after a crash.
    """

    def __call__(self, path: str, sheet: str | None = None, *, rendered: bool = False) -> Document:
        """Return the whole text; raise ValueError that names the file, or `TaskError`."""


class Ask(Protocol):
    """Asks a model within the task's time and budget; the run that plans gives it."""

    def __call__(
        self,
        model: Model,
        messages: tuple[Message, ...],
        *,
        most_tokens: int,
        again: bool = False,
        turns_left_out: int = 0,
        rounds_left_out: int = 0,
    ) -> Completion:
        """Return a whole answer of at most `most_tokens`; how much was left out goes into the log.

        `again`: it takes the place of one that failed. Raises `TaskError`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """A task with what its session knows; `skills` holds only those it may call, `now` is UTC.

    `variables` are the names that the session's earlier code has bound in the sandbox; `rounds` is what was said in
    this task before: what the model wrote, and what came of it, in turns. `ask` is given where a model may be asked.
    """

    task: str
    skills: Mapping[str, AnySkill]
    now: datetime
    conversation: tuple[Turn, ...] = ()
    variables: frozenset[str] = frozenset()
    system_prompt: str | None = None
    agent: AgentDefinition = MASTER_AGENT
    agents: tuple[AgentDefinition, ...] = ()
    """Those that the task may delegate to."""
    files: tuple[Mapping[str, Any], ...] = ()
    """What was attached: `{name, mediaType, size}`, each in the session's workspace."""
    kept: Callable[[], tuple[Mapping[str, Any], ...]] = tuple
    """Returns all files of the session's workspace, those of earlier tasks too, in the same form."""
    look: Look | None = None
    """Given where a file may be looked at."""
    written: Mapping[str, str] = field(default_factory=dict)
    """Texts that code has by an expression, such as `read_file('a.csv')`, instead of writing them out."""
    images: tuple[Image, ...] = ()
    rounds: tuple[Message, ...] = ()
    ask: Ask | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Python whose last expression is the answer, and what kind of task the planner took it for.

    `code` None: there is nothing to run, `text` is the answer. Otherwise `text` is all that a model wrote. `again`: it is
    neither, and this is what the model is told. `doubt`: what the code comes to may not be the answer; the model is told
    that, with what it came to.
    """

    code: str | None
    intent: str
    text: str = ""
    again: str = ""
    doubt: str = ""
    own: bool = False
    """Whether the code is a template of the planner's, in which nothing is the task's but literals: agent/shapes.py says what for."""


class Planner(Protocol):
    """Anything that plans; safe to call from several threads at once."""

    name: str
    learns: bool
    """Whether it makes something of the errors of its code: then it is asked again, in another round."""

    def plan(self, request: PlanRequest) -> Plan:
        """Return the plan; raise `TaskError` (`no_skill_fits`, `skill_not_allowed`, `model_…`) where there is none."""


def call(request: PlanRequest, skill: str, *args: Any, **kwargs: Any) -> str:
    """Return the source of one skill call; raise `TaskError` if the task may not call it."""
    if skill not in request.skills:
        own, name = request.agent.skills, request.agent.name
        why = (
            "its availableSkills leaves out; add it there or leave availableSkills away."
            if own is None or skill in own
            else f"the agent {name} does not have; address another agent, or none."
        )
        raise TaskError(
            "skill_not_allowed",
            f"This task needs the skill {skill}, which {why}",
            details={"skill": skill, "availableSkills": sorted(request.skills)},
        )
    arguments = [source_of(request, value) for value in args]
    arguments += [f"{name}={source_of(request, value)}" for name, value in kwargs.items()]
    return f"{skill.replace('-', '_')}({', '.join(arguments)})"


def source_of(request: PlanRequest, value: Any) -> str:
    """Return a value as source: what stands in a file as what reads it."""
    known = request.written.get(value.strip()) if request.written and isinstance(value, str) else None
    return literal(value) if known is None else known


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
    return own_plan(script(call(request, skill, *args, **kwargs) + then, skills=(skill,)), intent)


def own_plan(code: str, intent: str) -> Plan:
    """Return a plan of code that holds nothing of the task but literals."""
    return Plan(code=code, intent=intent, own=True)


MODELS = (
    "A model understands more: connect one with the settings CALLBOARD_LLM_PROVIDER, CALLBOARD_LLM_MODEL, "
    "CALLBOARD_LLM_API_KEY and CALLBOARD_LLM_BASE_URL; see docs/models.md."
)


def no_fit(sentence: str) -> TaskError:
    """Return the error for a task that the built-in planner cannot work out as it is written."""
    return TaskError("no_skill_fits", f"{sentence} {MODELS}")
