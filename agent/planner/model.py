"""The planner that asks a model: prompt, conversation and what came of earlier rounds in; code or an answer out.

What the model is told first stands in prompt.md. Holds no state but the prompt; any thread. Imported by the wiring.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files

from callboard.agent.models.base import Message, Model
from callboard.agent.planner.base import Plan, PlanRequest
from callboard.agent.roster import AgentDefinition
from callboard.agent.skill import AnySkill
from callboard.settings import Settings

DELEGATE = "delegate"
"""The skill that hands a task to another agent."""

_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_VERSION = re.compile(r"<!-- Version (\d+)\.")
_FENCE = re.compile(
    r"^[ \t]*(?P<fence>```+|~~~+)[ \t]*(?P<language>[\w+-]*)[^\n]*\n(?P<code>.*?)^[ \t]*(?P=fence)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_OPEN_FENCE = re.compile(r"^```(?:python|py)[ \t]*\n(?P<code>.+)\Z", re.DOTALL | re.MULTILINE)
_PYTHON = frozenset({"python", "py", "python3"})
_CODE_LIKE = re.compile(r"^\s*(?:from skills import |import |print\(|[A-Za-z_]\w* = |def |await )", re.MULTILINE)
_LONG_TURN = 8_000


class ModelPlanner:
    """Plans by asking a model; the agent may name another one than the server's own."""

    name = "model"
    learns = True

    def __init__(self, model: Model, settings: Settings, model_named: Callable[[str], Model] | None = None) -> None:
        self._model = model
        self._settings = settings
        self._model_named = model_named
        self._template = _prompt()

    def model_of(self, agent: AgentDefinition) -> Model:
        """Return the model that an agent is worked with; raise `ConfigurationError` for a name that cannot be."""
        if agent.model is None or self._model_named is None:
            return self._model
        return self._model_named(agent.model)

    def plan(self, request: PlanRequest) -> Plan:
        """Ask the model and read its answer; raise `TaskError` (`model_…`, `budget_exceeded`)."""
        assert request.ask is not None, "a model is asked through the run, which counts and records it"
        completion = request.ask(self.model_of(request.agent), self.messages(request))
        return read_answer(completion.text)

    def messages(self, request: PlanRequest) -> tuple[Message, ...]:
        """Return what the model is sent: the prompt, the conversation, the task, and the rounds so far."""
        said = tuple(
            Message(role="user" if turn.role == "user" else "assistant", text=_shortened(turn.content))
            for turn in request.conversation
            if turn.content.strip()
        )
        task = Message(role="user", text=request.task, images=request.images)
        return (Message(role="system", text=self._system(request)), *said, task, *request.rounds)

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


def read_answer(text: str) -> Plan:
    """Return what a model wrote as code to run, or as the answer.

    Of several blocks in Python the last one counts, as models correct themselves; a block in no language counts where it
    reads like a script. A block that was never closed was cut off, and is taken as it is: the type check says what is missing.
    """
    blocks = [found for found in _FENCE.finditer(text) if _is_python(found["language"], found["code"])]
    code = blocks[-1]["code"] if blocks else (found["code"] if (found := _OPEN_FENCE.search(text)) else None)
    if code is None or not code.strip():
        return Plan(code=None, intent="answer", text=text.strip())
    return Plan(code=code.rstrip(), intent="code", text=text)


def _is_python(language: str, code: str) -> bool:
    return language.lower() in _PYTHON or (not language and bool(_CODE_LIKE.search(code)))


def stubs_of(skills: Iterable[AnySkill]) -> str:
    """Return the declarations of skills as a model reads them."""
    return "\n".join(skill.stub for skill in skills) or "# none"


def _shortened(text: str) -> str:
    """Return an earlier turn, the middle of a very long one left out: it is there for what was said, not for its data."""
    if len(text) <= _LONG_TURN:
        return text
    half = _LONG_TURN // 2
    return f"{text[:half]}\n… ({len(text) - _LONG_TURN} characters left out) …\n{text[-half:]}"


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
    listed = "\n".join(f"- {file['name']} ({file['mediaType']}, {file['size']} bytes)" for file in request.files)
    return f"\n## Files that came with the task, in the workspace that the file skills read\n{listed}\n"
