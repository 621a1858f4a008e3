"""The planner that asks a model: prompt, conversation and what came of earlier rounds in; code or an answer out.

What the model is told first stands in prompt.md, how its answer is read in `answers.py`. Holds the prompt, and what it has learnt
of models' sizes; any thread. Imported by the wiring.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from callboard.agent.models.base import Message, Model
from callboard.agent.planner.answers import read_answer
from callboard.agent.planner.base import Plan, PlanRequest
from callboard.agent.planner.conversation import Prompt, fitted, said_before
from callboard.agent.roster import AgentDefinition
from callboard.agent.skill import AnySkill
from callboard.errors import TaskError
from callboard.settings import Settings

DELEGATE = "delegate"
"""The skill that hands a task to another agent."""

_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_VERSION = re.compile(r"<!-- Version (\d+)\.")


@dataclass(frozen=True, slots=True)
class _Size:
    """How many tokens a model may be sent, and may write."""

    prompt: int
    answer: int


class ModelPlanner:
    """Plans by asking a model; the agent may name another one than the server's own."""

    name = "model"
    learns = True

    def __init__(self, model: Model, settings: Settings, model_named: Callable[[str], Model] | None = None) -> None:
        self._model = model
        self._settings = settings
        self._model_named = model_named
        self._template = _prompt()
        self._learnt: dict[str, _Size] = {}  # by a model's name, until the server stops; entries are replaced whole

    def model_of(self, agent: AgentDefinition) -> Model:
        """Return the model that an agent is worked with; raise `ConfigurationError` for a name that cannot be."""
        if agent.model is None or self._model_named is None:
            return self._model
        return self._model_named(agent.model)

    def plan(self, request: PlanRequest) -> Plan:
        """Ask the model and read its answer; raise `TaskError` (`model_…`, `budget_exceeded`)."""
        said = tuple(message.text for message in request.rounds if message.role == "assistant")
        told = tuple(message.text for message in request.rounds if message.role == "user")
        answer = self._answer(request)
        return read_answer(answer, task=request.task, said=said, told=told, variables=request.variables)

    def _answer(self, request: PlanRequest) -> str:
        model = self.model_of(request.agent)
        size = self._size(model)
        prompt = self.prompt(request, size.prompt)
        try:
            return self._asked(request, model, prompt, size.answer)
        except TaskError as error:
            if error.code != "model_context_exceeded":
                raise
        # what is known of its size was wrong: once more with half
        less = _Size(prompt.tokens // 2, max(1, size.answer // 2))
        answer = self._asked(request, model, self.prompt(request, less.prompt), less.answer, again=True)
        self._learnt[model.name] = less
        return answer

    def _asked(
        self, request: PlanRequest, model: Model, prompt: Prompt, most_tokens: int, *, again: bool = False
    ) -> str:
        assert request.ask is not None, "a model is asked through the run, which counts and records it"
        turns, rounds = prompt.turns_left_out, prompt.rounds_left_out
        answer = request.ask(
            model, prompt.messages, most_tokens=most_tokens, again=again, turns_left_out=turns, rounds_left_out=rounds
        )
        return answer.text

    def _size(self, model: Model) -> _Size:
        if (learnt := self._learnt.get(model.name)) is not None:
            return learnt
        answer = min(self._settings.llm_max_tokens, model.context_tokens // 2)
        return _Size(model.context_tokens - answer, answer)

    def prompt(self, request: PlanRequest, most_tokens: int) -> Prompt:
        """Return what the model is sent: the prompt, the conversation, the task, and the rounds so far."""
        system = Message(role="system", text=self._system(request))
        task = Message(role="user", text=request.task, images=request.images)
        return fitted(system, said_before(request.conversation), task, request.rounds, most_tokens)

    def _system(self, request: PlanRequest) -> str:
        limits, agent = self._settings, request.agent
        most = agent.max_rounds or limits.max_rounds
        own = "\n\n".join(text for text in (agent.system_prompt, request.system_prompt) if text)
        fill = {
            "agent": f"You are the agent {agent.name}: {agent.description}" if agent.system_prompt else "",
            "seconds": f"{limits.sandbox_time_s:g}",
            "output": f"{limits.sandbox_output_bytes:,}",
            "calls": str(limits.sandbox_skill_calls),
            "variables": _variables(request.variables),
            "stubs": stubs_of(request.skills.values()),
            "agents": _agents(request),
            "files": _files(request),
            "instructions": f"\n## Instructions for this task\n{own}\n" if own else "",
        }
        text = re.sub(r"\{\{(\w+)\}\}", lambda found: fill[found[1]], self._template)
        # what changes with every call stands last, so that vendors can reuse what they have read of the rest
        asked = f"You are asked for time {len(request.rounds) // 2 + 1} of at most {most}."
        return f"{text.strip()}\n\nIt is {request.now:%A, %d %B %Y, %H:%M} UTC. {asked}"


@cache
def _raw_prompt() -> str:
    return (files("callboard.agent.planner") / "prompt.md").read_text("utf-8")


def _prompt() -> str:
    return _COMMENT.sub("", _raw_prompt())


def prompt_version() -> int:
    """Return the number in the first line of prompt.md; it goes into each task's log."""
    found = _VERSION.match(_raw_prompt())
    assert found is not None, "prompt.md begins with its version"
    return int(found[1])


def stubs_of(skills: Iterable[AnySkill]) -> str:
    """Return the declarations of skills as a model reads them."""
    return "\n".join(skill.stub for skill in skills) or "# none"


def _variables(names: frozenset[str]) -> str:
    return f" There are already: {', '.join(sorted(names)[:100])}." if names else ""


def _agents(request: PlanRequest) -> str:
    if not request.agents or DELEGATE not in request.skills:
        return ""
    listed = "\n".join(f"- {agent.name}: {agent.description}" for agent in request.agents)
    return f"""
## Other agents
A part of the task that one of these is made for can be delegated: `delegate("name", "the whole task, in words, with its data")` returns its answer. They see nothing but what you write there, and the files of the workspace.
{listed}
"""


def _files(request: PlanRequest) -> str:
    if not request.files:
        return ""
    # SECURITY: a name may say whatever its giver likes, so it stands in quotes, as code writes it
    listed = "\n".join(f"- {file['name']!r} ({file['mediaType']}, {file['size']} bytes)" for file in request.files)
    return f"\n## Files that came with the task, in the workspace that the file skills read\n{listed}\n"
