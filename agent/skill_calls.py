"""A script's calls of skills, answered in the host: the task's allow-list, the ledger, the call itself, the log.

A call of a skill that is not `pure` is committed, with a snapshot of the script, before it is made. Runs in the
worker's thread, one `SkillCalls` a run. Imported by the runner.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callboard.agent.job import Job, Journal, Tools
from callboard.agent.ledger import Ledger, Paused, Snapshot, answer_of, pack
from callboard.agent.planner import Plan
from callboard.agent.sandbox import Cancelled, Dump
from callboard.agent.skill import RetryableError, Skill, SkillContext
from callboard.errors import TaskError
from callboard.messages import Decision, Topic
from callboard.records import CallRecord, CallState, NewEvent, TaskLedger
from callboard.values import mend_text, storable

MAX_SNAPSHOT_BYTES = 4 * 1024 * 1024
"""Largest snapshot that is written; what is larger costs the one writer too much at each call."""

_EXCERPT_CHARS = 4000
_EXCERPT_DEPTH = 64


class SkillCalls:
    """Answers the skill calls of one run; `call` is what the sandbox is given.

    `made` counts the script's calls, pure ones too. `plan` is what the script was made of; it goes into the ledger
    with the first call that is journaled, unless it is there already (`pinned`).
    """

    def __init__(self, job: Job, tools: Tools, journal: Journal, left: TaskLedger) -> None:
        self._job = job
        self._tools = tools
        self._journal = journal
        self._skills = allowed_skills(job, tools)
        self._too_large = False
        self.ledger = Ledger(job.record.task_id, job.attempt, left)
        self.plan: Plan | None = None
        self.pinned = False

    @property
    def skills(self) -> Mapping[str, Skill[..., Any]]:
        """Those that the task may call."""
        return self._skills

    @property
    def made(self) -> int:
        made: int = self._job.progress.metadata["skillCalls"]
        return made

    @made.setter
    def made(self, count: int) -> None:
        self._job.progress.metadata["skillCalls"] = count

    def known_plan(self) -> Plan | None:
        """Return the plan that an earlier attempt has acted on, if there is one."""
        known = self.ledger.take("model", self._tools.planner.name, self._asked)
        if known is None or known.state is not CallState.DONE:
            return None
        self.pinned = True
        return Plan(**known.result)

    @property
    def _asked(self) -> list[Any]:
        """What the planner's call is known by in the ledger."""
        return [self._job.record.task, 1]

    def _pinned_plan(self) -> tuple[CallRecord, ...]:
        """Return the ledger's row of the plan, once: it is written with the first call that depends on it.

        The built-in planner changes nothing in the world, so its call needs no row before it; what it said must stand
        from the moment something was done on its word.
        """
        if self.pinned or self.plan is None:
            return ()
        self.pinned = True
        now, plan = self._tools.clock.now(), self.plan
        row = self.ledger.begin("model", self._tools.planner.name, "safe", self._asked, now, None)
        return (self.ledger.done(row, {"code": plan.code, "intent": plan.intent}, now),)

    def call(self, python_name: str, args: tuple[Any, ...], kwargs: dict[str, Any], dump: Dump) -> Any:
        """Answer a skill call from the sandbox; raise `TaskError` into the script."""
        before = self.made
        self.made = number = before + 1
        name = python_name.replace("_", "-")
        skill = self._skills.get(name)
        if skill is None:
            # SECURITY: the stubs name every skill; what this task may call is decided here
            raise self._refused(name, number)
        call = _Call(skill=skill, number=number, args=args, kwargs=kwargs)
        if skill.replay == "pure":
            self._journal.tell(self._started(call))
            return self._called(call)
        return self._journaled(call, dump, before)

    def _journaled(self, call: "_Call", dump: Dump, before: int) -> Any:
        """Make a call that must be on record before it happens, or answer it from the record."""
        name, replay = call.skill.name, call.skill.replay
        arguments = [list(call.args), dict(sorted(call.kwargs.items()))]
        known = self.ledger.take("skill", name, arguments)
        if known is not None and known.state in (CallState.DONE, CallState.FAILED):
            return self._replayed(call, known)
        pinned = self._pinned_plan()  # first, so that its number is the lower one
        try:
            row = self.ledger.begin("skill", name, replay, arguments, self._tools.clock.now(), known)
        except Paused as paused:
            paused.arguments = {"args": excerpt(list(call.args)), "kwargs": excerpt(call.kwargs)}
            raise
        snapshot = self._snapshot(row, dump, before)
        self._journal.commit(self._started(call, effectId=row.effect_id), (*pinned, row), snapshot)
        return self._called(call, row)

    def _snapshot(self, row: CallRecord, dump: Dump, before: int) -> bytes | None:
        """Return the script as it stands, signed; None where it is too large: an older snapshot does as well.

        From an older one the script comes here again, with what it has called since answered from the ledger.
        """
        assert self.plan is not None
        dumped = None if self._too_large else dump()
        printed = "".join(self._job.progress.printed)
        if dumped is None or len(dumped) + len(printed) > MAX_SNAPSHOT_BYTES:
            self._too_large = True
            return None
        snapshot = Snapshot(
            number=row.number,
            code=self.plan.code,
            intent=self.plan.intent,
            printed=printed,
            skill_calls=before,
            dump=dumped,
        )
        return pack(snapshot, row.effect_id, self._tools.signer)

    def _replayed(self, call: "_Call", known: CallRecord) -> Any:
        """Answer a call that an earlier attempt has finished."""
        ended: dict[str, Any] = {"call": call.number, "skill": call.skill.name, "replayed": True}
        try:
            value = answer_of(known)
        except TaskError as error:
            self._tell(Topic.SKILL_COMPLETED, ok=False, error=error.message, errorCode=error.code, **ended)
            raise
        self._tell(Topic.SKILL_COMPLETED, ok=True, result=excerpt(value), **ended)
        return value

    def _started(self, call: "_Call", **more: Any) -> NewEvent:
        return self._event(
            Topic.SKILL_STARTED,
            call=call.number,
            skill=call.skill.name,
            replay=call.skill.replay,
            args=excerpt(list(call.args)),
            kwargs=excerpt(call.kwargs),
            **more,
        )

    def question(self, paused: Paused) -> Mapping[str, Any]:
        """Return what a person has to know to decide about a call."""
        call = paused.call
        return {
            "reason": "outcome_unknown",
            "message": f"The server died or was stopped while the {call.kind} {call.name} was being called, and a call "
            "of it must not be repeated; find out what it did, then decide retry, assume_done or fail.",
            "call": call.number,
            "skill": call.name,
            "effectId": call.effect_id,
            "attempt": call.attempt,
            **paused.arguments,
            "decisions": list(Decision),
        }

    def _refused(self, name: str, number: int) -> TaskError:
        known = self._tools.catalogue.skills
        error = TaskError(
            "skill_not_allowed",
            f"The skill {name} is not among the task's availableSkills ({', '.join(sorted(self._skills)) or 'none'}); "
            "add it there, or leave availableSkills out."
            if name in known
            else f"There is no skill {name} on this server; it was there when the code was checked, so bring it back.",
        )
        self._tell(Topic.SKILL_COMPLETED, call=number, skill=name, ok=False, error=error.message, errorCode=error.code)
        return error

    def _called(self, call: "_Call", row: CallRecord | None = None) -> Any:
        """Call the skill in this thread; `row` is that of a call that is journaled."""
        started_s = time.perf_counter()
        told: dict[str, Any] = {"call": call.number, "skill": call.skill.name}
        try:
            value = storable(call.skill.call(call.args, call.kwargs, self._context(call, row)))
        except (
            Exception,
            SystemExit,
            KeyboardInterrupt,
        ) as raised:  # a skill is anybody's code; its error is the task's
            error = _as_task_error(call.skill.name, raised, row)
            told |= {"error": error.message, "errorCode": error.code, "durationMs": _ms_since(started_s)}
            event = self._event(Topic.SKILL_COMPLETED, ok=False, **told)
            self._tell_ended(event, row and self.ledger.failed(row, error, event.at))
            if self._job.token.stopped:
                raise Cancelled from raised
            raise error from raised
        told |= {"result": excerpt(value), "durationMs": _ms_since(started_s)}
        event = self._event(Topic.SKILL_COMPLETED, ok=True, **told)
        self._tell_ended(event, row and self.ledger.done(row, value, event.at))
        if self._job.token.stopped:
            raise Cancelled
        return value

    def _tell_ended(self, event: NewEvent, row: CallRecord | None) -> None:
        if row is None:
            self._journal.tell(event)
        else:
            self._journal.tell_now(event, row)

    def _context(self, call: "_Call", row: CallRecord | None) -> SkillContext:
        record = self._job.record
        return SkillContext(
            task_id=record.task_id,
            session_id=record.session_id,
            effect_id=f"{record.task_id}:pure:{call.number}" if row is None else row.effect_id,
            deadline=self._job.deadline,
            deadline_s=self._job.deadline_s,
            settings=self._tools.settings.skill_settings,
            workspace_root=self._tools.workspace_root,
            cancel_event=self._job.token.event,
        )

    def _event(self, topic: Topic, **data: Any) -> NewEvent:
        return NewEvent(topic=topic, at=self._tools.clock.now(), data=data)

    def _tell(self, topic: Topic, **data: Any) -> None:
        self._journal.tell(self._event(topic, **data))


def allowed_skills(job: Job, tools: Tools) -> Mapping[str, Skill[..., Any]]:
    """Return the skills that a task may call, by their wire names."""
    named = job.record.available_skills
    skills = tools.catalogue.skills
    return skills if named is None else {name: skills[name] for name in named if name in skills}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A skill call in the middle of a script; `number` counts the script's calls, pure ones too."""

    skill: Skill[..., Any]
    number: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def _as_task_error(skill_name: str, raised: BaseException, row: CallRecord | None) -> TaskError:
    call = None if row is None else row.number
    if isinstance(raised, TaskError):
        return TaskError(raised.code, mend_text(raised.message), retryable=raised.retryable, call=call)
    if isinstance(raised, RetryableError):
        message = mend_text(f"The skill {skill_name} is not available now: {raised}"[:2000])
        return TaskError("skill_unavailable", message, retryable=True, call=call)
    message = mend_text(f"The skill {skill_name} failed: {type(raised).__name__}: {raised}"[:2000])
    return TaskError("skill_failed", message, call=call)


def _ms_since(started_s: float) -> float:
    return round((time.perf_counter() - started_s) * 1000, 3)


def excerpt(value: Any, depth: int = 0) -> Any:
    """Return the value for the log, long texts in it cut."""
    match value:
        case Mapping() | list() | tuple() if depth > _EXCERPT_DEPTH:
            return "…"
        case str() if len(value) > _EXCERPT_CHARS:
            return f"{value[:_EXCERPT_CHARS]}… ({len(value) - _EXCERPT_CHARS} more characters)"
        case Mapping():
            return {str(key): excerpt(inner, depth + 1) for key, inner in value.items()}
        case list() | tuple():
            return [excerpt(inner, depth + 1) for inner in value[:100]]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return excerpt(storable(value), depth + 1)
