"""What a run does for a skill that asks it to: put a question to the model, run a script in the sandbox.

In the thread of the skill's call. Imported by the runner's skill calls.
"""

import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from callboard.agent.async_calls import with_twins
from callboard.agent.job import Job, Tools
from callboard.agent.models.base import Message
from callboard.agent.planner.model import ModelPlanner
from callboard.agent.programs import as_program, ended, prelude
from callboard.agent.skill import SCRIPT
from callboard.errors import TaskError
from callboard.unstorable import type_name

if TYPE_CHECKING:
    from callboard.agent.skill_calls import SkillCalls

MAX_NESTED = 3
"""How many scripts of skills may run inside each other: each holds a process of the sandbox while it waits."""

_nested: ContextVar[int] = ContextVar("nested", default=0)  # calls that are made at once get a copy of it


class Host:
    """A `SkillHost` for one call of one skill."""

    def __init__(self, calls: "SkillCalls", job: Job, tools: Tools, skill: str) -> None:
        self._calls = calls
        self._job = job
        self._tools = tools
        self._skill = skill

    def ask_model(self, prompt: str, *, system: str = "") -> str | None:
        if not isinstance(prompt, str) or not isinstance(system, str):
            raise TypeError(f"a model is asked in texts; this is a {type_name(prompt)} and a {type_name(system)}")
        planner = self._tools.planner
        if not isinstance(planner, ModelPlanner):
            return None
        model = planner.model_of(self._tools.roster.get(self._job.record.agent))
        said = [Message(role="system", text=system)] if system else []
        said.append(Message(role="user", text=prompt))
        answer = self._calls.models.ask(model, said, purpose=self._skill, key=[system, prompt], step=self._calls.step)
        return answer.text

    def run_script(
        self, source: str, arguments: Sequence[str], allowed: frozenset[str] | None, name: str = SCRIPT
    ) -> Any:
        for odd in (one for one in arguments if not isinstance(one, str)):
            raise TypeError(f"a script's arguments are texts; one of these is a {type_name(odd)}")
        depth = _nested.get()
        if depth >= MAX_NESTED:
            told = (
                f"Scripts of skills run {depth} deep in each other already, which is the limit; call skills directly."
            )
            raise TaskError("script_error", told)
        token = _nested.set(depth + 1)
        try:
            return self._run(source, arguments, allowed, name)
        finally:
            _nested.reset(token)

    def _run(self, source: str, arguments: Sequence[str], allowed: frozenset[str] | None, name: str) -> Any:
        printed: list[str] = []
        may_call = [one for one in self._calls.skills if allowed is None or one in allowed]
        # no type check: programs that Python runs are seldom written to pass one
        try:
            result = self._tools.sandbox.run(
                with_twins(as_program(source)),
                before=prelude(name, arguments),
                answer=lambda asked, _dump: self._calls.answer(asked, None, allowed),
                token=self._job.token,
                printed=printed,
                keep_state=False,
                time_s=max(0.001, self._job.deadline_s - time.monotonic()),
                allowed=may_call,
            )
        except TaskError as error:
            return ended(error, f"{self._skill}/{name}", "".join(printed))
        return result.printed if result.value is None and result.printed else result.value

    def restrict(self, allowed: frozenset[str]) -> None:
        before = self._calls.restricted
        self._calls.restricted = allowed if before is None else before | allowed

    def note(self, name: str, value: Any) -> None:
        self._job.progress.note(name, value)
