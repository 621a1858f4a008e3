"""Working one task out: plan → type check → sandbox → skill calls → answer.

Runs in a worker's thread, one `TaskRun` a task. It knows no actor and no database: what happens is told through
`Journal`, what came of it is returned. Imported by `actors/`.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from callboard.agent.bindings import bound_names
from callboard.agent.cancel import CancelToken
from callboard.agent.catalogue import Catalogue
from callboard.agent.planner import Plan, Planner, PlanRequest
from callboard.agent.sandbox import Cancelled, Sandbox
from callboard.agent.signing import Signer
from callboard.agent.skill import Skill, SkillContext
from callboard.clock import Clock
from callboard.errors import TaskError
from callboard.messages import NewEvent, SessionRecord, TaskRecord, Topic, Turn
from callboard.settings import Settings
from callboard.values import storable

MAX_STATE_BYTES = 4 * 1024 * 1024
"""Largest dump of a session's variables that is kept."""

_EXCERPT_CHARS = 4000


class Journal(Protocol):
    """Where a run says what happens."""

    def tell(self, event: NewEvent) -> None:
        """Have an event stored soon."""

    def commit(self, event: NewEvent) -> None:
        """Have an event stored, and return after the commit; raise `Cancelled` if the task is no longer this run's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt at one task; `session` is what the session keeps, None if that is only in the store."""

    record: TaskRecord
    attempt: int
    session: SessionRecord | None
    deadline: datetime
    token: CancelToken = field(default_factory=CancelToken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended: an output, or an error with its code; and what the session keeps of it."""

    output: Any = None
    error: TaskError | None = None
    metadata: Mapping[str, Any]
    session: SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every run shares."""

    planner: Planner
    sandbox: Sandbox
    catalogue: Catalogue
    signer: Signer
    settings: Settings
    clock: Clock
    workspace_root: Path
    load_session: Callable[[str], SessionRecord | None]


class TaskRun:
    """One task being worked out, in the thread that calls `work`."""

    def __init__(self, job: Job, tools: Tools, journal: Journal) -> None:
        self._job = job
        self._tools = tools
        self._journal = journal
        self._session = job.session or self._loaded_session()
        self._skills = self._allowed_skills()
        self._metadata: dict[str, Any] = {
            "planner": tools.planner.name,
            "llmCalls": 0,
            "skillCalls": 0,
            "totalTokens": 0,
            "attempt": job.attempt,
        }

    def work(self) -> Outcome:
        """Return the outcome; raise `Cancelled` where the task was ended by somebody else meanwhile."""
        try:
            output = self._step()
        except TaskError as error:
            # without its traceback: the frames there hold whatever the code made, and would outlive the task
            bare = TaskError(error.code, error.message)
            return Outcome(error=bare, metadata=self._metadata, session=self._used(self._session))
        return Outcome(output=output, metadata=self._metadata, session=self._used(self._remembered(output)))

    def _loaded_session(self) -> SessionRecord:
        record, now = self._job.record, self._tools.clock.now()
        # a session named after its task is new with it: there is nothing to load
        known = None if record.session_id == record.task_id else self._tools.load_session(record.session_id)
        return known or SessionRecord(session_id=record.session_id, created_at=now, updated_at=now)

    def _allowed_skills(self) -> Mapping[str, Skill[..., Any]]:
        named = self._job.record.available_skills
        skills = self._tools.catalogue.skills
        return skills if named is None else {name: skills[name] for name in named if name in skills}

    def _step(self) -> Any:
        """Plan once and carry the plan out: the offline planner has nothing to learn from a second round."""
        started_s = self._tools.clock.monotonic()
        state = self._load_state()  # before the plan, which counts on the session's variables
        plan = self._plan()
        self._metadata["intent"] = plan.intent
        self._tell(Topic.STEP_STARTED, step=1, planner=self._tools.planner.name, intent=plan.intent, code=plan.code)
        try:
            output, printed = self._execute(plan.code, state)
        except TaskError as error:
            self._tell_step_over(started_s, ok=False, error=error.message, errorCode=error.code)
            raise
        self._tell_step_over(started_s, ok=True, printed=_excerpt(printed))
        if printed:
            self._metadata["printed"] = printed
        return printed if output is None and printed else output

    def _plan(self) -> Plan:
        record = self._job.record
        return self._tools.planner.plan(
            PlanRequest(
                task=record.task,
                conversation=self._session.conversation,
                variables=frozenset(self._session.variables),
                skills=self._skills,
                now=self._tools.clock.now(),
                system_prompt=record.system_prompt,
            )
        )

    def _execute(self, code: str, state: bytes | None) -> tuple[Any, str]:
        variables = self._session.variables
        self._tools.sandbox.check(code, variables, self._job.token)
        bound = bound_names(code)
        # PERF: dumping costs a round trip to the process (0.12 ms of 0.5); a script that leaves no variables needs none
        keep = bool(bound) or state is not None
        result = self._tools.sandbox.run(
            code,
            call_skill=self._call_skill,
            token=self._job.token,
            state=state,
            keep_state=keep,
            time_s=self._left_s(),
        )
        self._keep_state(result.state, frozenset(variables) | bound)
        return result.value, result.printed

    def _left_s(self) -> float:
        return max(0.001, (self._job.deadline - self._tools.clock.now()).total_seconds())

    def _load_state(self) -> bytes | None:
        signed = self._session.interpreter
        if signed is None:
            return None
        state = self._tools.signer.open(signed, self._session.session_id)
        if state is None:  # another key or interpreter made it: its values cannot be trusted, or not be read
            self._metadata["variablesLost"] = True
            self._session = replace(self._session, interpreter=None, variables=())
        return state

    def _keep_state(self, state: bytes | None, variables: frozenset[str]) -> None:
        if state is None:
            return
        if len(state) > MAX_STATE_BYTES:
            self._metadata["variablesKept"] = False
            return
        signed = self._tools.signer.sign(state, self._session.session_id)
        self._session = replace(self._session, interpreter=signed, variables=tuple(sorted(variables)))

    def _used(self, session: SessionRecord) -> SessionRecord:
        return replace(session, tasks=session.tasks + 1, updated_at=self._tools.clock.now())

    def _remembered(self, output: Any) -> SessionRecord:
        answer = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        turns = (Turn(role="user", content=self._job.record.task), Turn(role="assistant", content=answer))
        kept = (*self._session.conversation, *turns)[-self._tools.settings.conversation_turns :]
        return replace(self._session, conversation=kept)

    # --- skill calls, in the middle of a script ---

    def _call_skill(self, python_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a skill call from the sandbox; raise `TaskError` into the script."""
        self._metadata["skillCalls"] += 1
        number = self._metadata["skillCalls"]
        name = python_name.replace("_", "-")
        skill = self._skills.get(name)
        if skill is None:
            # SECURITY: the stubs name every skill; what this task may call is decided here
            raise self._refused(name, number)
        started = self._event(
            Topic.SKILL_STARTED,
            call=number,
            skill=name,
            replay=skill.replay,
            args=_excerpt(list(args)),
            kwargs=_excerpt(kwargs),
        )
        if skill.replay == "pure":
            self._journal.tell(started)
        else:  # what may not be repeated must be on record before it happens
            self._journal.commit(started)
        return self._called(skill, number, args, kwargs)

    def _refused(self, name: str, number: int) -> TaskError:
        error = TaskError(
            "skill_not_allowed",
            f"The skill {name} is not among the task's availableSkills ({', '.join(sorted(self._skills)) or 'none'}); "
            "add it there, or leave availableSkills out.",
        )
        self._tell(Topic.SKILL_COMPLETED, call=number, skill=name, ok=False, error=error.message, errorCode=error.code)
        return error

    def _called(self, skill: Skill[..., Any], number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        started_s = time.perf_counter()
        try:
            value = storable(skill.call(args, kwargs, self._context(number)))
        except (
            Exception,
            SystemExit,
            KeyboardInterrupt,
        ) as raised:  # a skill is anybody's code; its error is the task's
            error = _as_task_error(skill.name, raised)
            self._tell(
                Topic.SKILL_COMPLETED,
                call=number,
                skill=skill.name,
                ok=False,
                error=error.message,
                errorCode=error.code,
                durationMs=_ms_since(started_s),
            )
            if self._job.token.cancelled:
                raise Cancelled from raised
            raise error from raised
        if self._job.token.cancelled:
            raise Cancelled
        self._tell(
            Topic.SKILL_COMPLETED,
            call=number,
            skill=skill.name,
            ok=True,
            result=_excerpt(value),
            durationMs=_ms_since(started_s),
        )
        return value

    def _context(self, number: int) -> SkillContext:
        record = self._job.record
        return SkillContext(
            task_id=record.task_id,
            session_id=record.session_id,
            effect_id=f"{record.task_id}:{number}",
            deadline=self._job.deadline,
            settings=self._tools.settings.skill_settings,
            workspace_root=self._tools.workspace_root,
            cancel_event=self._job.token.event,
        )

    # --- events ---

    def _event(self, topic: Topic, **data: Any) -> NewEvent:
        return NewEvent(topic=topic, at=self._tools.clock.now(), data=data)

    def _tell(self, topic: Topic, **data: Any) -> None:
        self._journal.tell(self._event(topic, **data))

    def _tell_step_over(self, started_s: float, **data: Any) -> None:
        duration_ms = round((self._tools.clock.monotonic() - started_s) * 1000, 3)
        self._tell(Topic.STEP_COMPLETED, step=1, durationMs=duration_ms, **data)


def _as_task_error(skill_name: str, raised: BaseException) -> TaskError:
    if isinstance(raised, TaskError):
        return raised
    return TaskError("skill_failed", f"The skill {skill_name} failed: {type(raised).__name__}: {raised}"[:2000])


def _ms_since(started_s: float) -> float:
    return round((time.perf_counter() - started_s) * 1000, 3)


def _excerpt(value: Any) -> Any:
    """Return the value for the log, long texts in it cut."""
    match value:
        case str() if len(value) > _EXCERPT_CHARS:
            return f"{value[:_EXCERPT_CHARS]}… ({len(value) - _EXCERPT_CHARS} more characters)"
        case Mapping():
            return {str(key): _excerpt(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_excerpt(inner) for inner in value[:100]]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return _excerpt(storable(value))
