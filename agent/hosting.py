"""What a run does for a skill that asks it to: put a question to the model, run a script in the sandbox.

In the thread of the skill's call. Imported by the runner's skill calls.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from callboard.agent.async_calls import with_twins
from callboard.agent.call_effects import Effects
from callboard.agent.cancel import Cancelled
from callboard.agent.job import Job, Tools, as_note
from callboard.agent.ledger import Paused
from callboard.agent.models.base import Message
from callboard.agent.programs import as_program, ended, prelude
from callboard.agent.sandbox_run import Script
from callboard.agent.skill import SCRIPT, SkillContext
from callboard.errors import TaskError, Unavailable
from callboard.unstorable import type_name
from callboard.values import storable

if TYPE_CHECKING:
    from callboard.agent.skill_calls import SkillCalls

MAX_NESTED = 3
"""How many scripts of skills may run inside each other: each holds a process of the sandbox while it waits."""

_MOST_ERRORS = 1000

_nested: ContextVar[int] = ContextVar("nested", default=0)  # calls that are made at once get a copy of it


class Host:
    """A `SkillHost` for one call of one skill.

    # Invariant: what the host raises into a skill is known by which object it is, and by nothing that the skill can make
    # itself. So a skill can neither stop the run with an error of its own, nor keep a pause or an end of the task to itself.
    """

    def __init__(self, calls: "SkillCalls", job: Job, tools: Tools, skill: str, effects: Effects) -> None:
        self._calls = calls
        self._effects = effects
        self._job = job
        self._tools = tools
        self._skill = skill
        self._signal: BaseException | None = None
        self._errors: dict[int, tuple[TaskError, TaskError]] = {}

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what is raised into the skill's code."""
        try:
            yield
        except (Paused, Cancelled, Unavailable) as signal:
            self._signal = self._signal or signal
            raise
        except TaskError as error:
            if len(self._errors) < _MOST_ERRORS:  # a skill may try again and again; what it lets out is one of few
                as_it_was = TaskError(
                    error.code, error.message, details=error.details, retryable=error.retryable, call=error.call
                )
                self._errors[id(error)] = (error, as_it_was)
            raise

    def signal(self, raised: BaseException | None) -> BaseException | None:
        """Return what ends the run after a call that raised this, or returned (None); None where the run goes on.

        It is what told the skill that the run cannot go on, whatever the skill has made of it. One that returned although
        its task is stopped has done what it did, and that is put on record.
        """
        if self._signal is not None and (raised is not None or not isinstance(self._signal, Cancelled)):
            return self._signal
        # our own kinds of skills look at the token themselves
        own = raised is not None and issubclass(type(raised), Cancelled) and self._job.token.stopped
        return raised if own else None

    def error(self, raised: BaseException) -> TaskError | None:
        """Return the task's error that the host raised and the skill let out, as it was; None for any other."""
        return self._errors.get(id(raised), (None, None))[1]

    def close(self) -> None:
        """Let go of what was raised: the frames there hold the run, which holds this."""
        self._signal, self._errors = None, {}

    def context(self, effect_id: str) -> SkillContext:
        """Return what the skill may know of the call."""
        job, settings = self._job, self._tools.settings
        return SkillContext(
            task_id=job.task.task_id,
            session_id=self._calls.state.workspace_of,
            effect_id=effect_id,
            deadline=job.deadline,
            deadline_s=job.deadline_s,
            settings=settings.skill_settings,
            workspace_root=self._tools.workspace_root,
            fetch_allow_private=settings.fetch_allow_private,
            max_file_bytes=settings.max_file_bytes,
            host=self,
            cancel_event=job.token.event,
        )

    def ask_model(self, prompt: str, *, system: str = "") -> str | None:
        with self._noting():
            return self._ask_model(prompt, system)

    def _ask_model(self, prompt: str, system: str) -> str | None:
        if not isinstance(prompt, str) or not isinstance(system, str):
            raise TypeError(f"a model is asked in texts; this is a {type_name(prompt)} and a {type_name(system)}")
        prompt, system = storable(prompt), storable(system)
        planner = self._tools.planner
        if not planner.learns:
            return None
        from callboard.agent.planner.model import ModelPlanner  # PERF: only where there is one, it is loaded already

        if not isinstance(planner, ModelPlanner):
            return None
        model = planner.model_of(self._tools.roster.get(self._job.task.spec.agent))
        said = [Message(role="system", text=system)] if system else []
        said.append(Message(role="user", text=prompt))
        key, came_to = [system, prompt], self._effects.came_to
        return self._calls.models.ask(model, said, purpose=self._skill, key=key, came_to=came_to).text

    def run_script(
        self, source: str, arguments: Sequence[str], allowed: frozenset[str] | None, name: str = SCRIPT
    ) -> Any:
        with self._noting():
            return self._run_script(source, arguments, allowed, name)

    def _run_script(self, source: str, arguments: Sequence[str], allowed: frozenset[str] | None, name: str) -> Any:
        for odd in (one for one in (source, name, *arguments) if not isinstance(one, str)):
            raise TypeError(f"a script's arguments are texts, as its source; one of these is a {type_name(odd)}")
        source, name, arguments = storable(source), storable(name), storable(list(arguments))
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
        script = Script(
            code=with_twins(as_program(source)),
            before=prelude(name, arguments),
            keep_state=False,
            time_s=max(0.001, self._job.deadline_s - time.monotonic()),
            allowed=may_call,
        )
        try:
            result = self._tools.sandbox.run(
                script,
                answer=lambda asked, _dump: self._calls.answer(asked, None, allowed, self._effects),
                token=self._job.token,
                printed=printed,
            )
        except TaskError as error:
            return ended(error, f"{self._skill}/{name}", "".join(printed))
        return result.printed if result.value is None and result.printed else result.value

    def restrict(self, allowed: frozenset[str]) -> None:
        names = [] if isinstance(allowed, str) else list(allowed)
        if isinstance(allowed, str) or not all(isinstance(name, str) for name in names):
            raise TypeError("restrict() takes a set of names of skills")
        self._effects.restrict(storable(names))

    def note(self, name: str, value: Any) -> None:
        self._effects.note(*as_note(name, value))
