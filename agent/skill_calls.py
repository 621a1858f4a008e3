"""A script's calls of skills, answered in the host: allow-list, approval, budget, the ledger, the call itself, the log.

A call of a skill that is not `pure` is committed, with a snapshot of the script, before it is made. One that needs a
person's approval, or another agent's work, pauses the script there. Runs in the worker's thread, one `SkillCalls` a
run; calls that the script awaits at once are made in threads of their own. Imported by the runner.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from callboard.agent import call_views, exceptions
from callboard.agent.asking import ModelCalls
from callboard.agent.call_views import arguments_of, as_task_error, ms_since, pending_of, shown
from callboard.agent.cancel import Cancelled
from callboard.agent.delegation import DELEGATE, Delegate, Delegated, skills_for, too_deep, too_many
from callboard.agent.hosting import Host
from callboard.agent.job import Job, Journal, Tools
from callboard.agent.late_skills import why_late
from callboard.agent.ledger import ENDED, Ledger, Paused, Snapshot, answer_of, pack
from callboard.agent.limits import allowed_skills
from callboard.agent.parallel import run_all
from callboard.agent.planner import Plan
from callboard.agent.sandbox_run import Asked, Dump
from callboard.agent.skill import AnySkill, SkillContext
from callboard.agent.skill_call import Before, Call, as_begun, as_decided, before_calls
from callboard.agent.spending import Purse
from callboard.arguments import as_recorded, exact
from callboard.clock import new_id
from callboard.errors import TaskError
from callboard.excerpts import excerpt_as
from callboard.inheritance import OnlyHere
from callboard.limits import SNAPSHOT_BYTES
from callboard.messages import PauseReason, Topic
from callboard.records import CallRecord, CallState, NewEvent, TaskLedger
from callboard.values import mend_text


class SkillCalls:
    """Answers the skill calls of one run; `answer` is what the sandbox is given.

    `made` counts the script's calls, pure ones too. `plan` is what the script was made of; a plan that no model wrote
    goes into the ledger with the first call that is journaled, unless it is there already (`pinned`). `rounds` is what
    was said before it, `variables` the names that were bound before it, `printed_before` how many characters were printed.
    `restricted` are the only skills that may still be called, None: all that the task may.
    """

    def __init__(self, job: Job, tools: Tools, journal: Journal, left: TaskLedger, purse: Purse) -> None:
        self._job = job
        self._tools = tools
        self._journal = journal
        self._purse = purse
        self._skills = allowed_skills(job, tools)
        self._too_large = False
        self.ledger = Ledger(job.record.task_id, job.attempt, left)
        self.models = ModelCalls(job, tools, journal, self.ledger, purse)
        self.plan: Plan | None = None
        self.pinned = False
        self.step = 1
        self.rounds: list[list[str]] = []
        self.variables: frozenset[str] = frozenset()
        self.printed_before = 0
        self.restricted: frozenset[str] | None = None
        self.workspace_of = job.record.session_id
        # Guards what a run counts and has pinned: scripts of skill folders may run at once, in threads of their own. Not
        # held while calls are made, because a script inside one of them comes here again.
        self._looking = threading.Lock()

    @property
    def skills(self) -> Mapping[str, AnySkill]:
        """Those that the task may call now."""
        if self.restricted is None:
            return self._skills
        return {name: skill for name, skill in self._skills.items() if name in self.restricted}

    @property
    def made(self) -> int:
        return int(self._job.progress.metadata["skillCalls"])

    # --- the plan of a planner that is not a model ---

    def known_plan(self) -> Plan | None:
        """Return the plan that an earlier attempt has acted on, if there is one."""
        known = self.ledger.take("model", self._tools.planner.name, self._asked_planner)
        if known is None or known.state is not CallState.DONE:
            return None
        self.pinned = True
        return Plan(**known.result)

    @property
    def _asked_planner(self) -> list[Any]:
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
        row = self.ledger.begin("model", self._tools.planner.name, "safe", self._asked_planner, now, None)
        return (self.ledger.done(row, {"code": plan.code, "intent": plan.intent}, now),)

    # --- the script's calls ---

    def answer(self, asked: Sequence[Asked], dump: Dump | None, allowed: frozenset[str] | None = None) -> list[Any]:
        """Answer what a script asks for at once; raise `Paused`, or what ends the run.

        `allowed` is what a skill folder's script may call; it has no snapshot (`dump`): the task's stands at the folder's call.
        """
        with self._looking:
            before = before_calls(self._job.progress.metadata, self.ledger.passed)
            calls = [self._looked_up(one, before.made + place, allowed) for place, one in enumerate(asked, start=1)]
            for call in calls:
                self._from_ledger(call)
            # one that is answered from the ledger has been asked about before; the first of the others that is not decides
            waiting = next((call for call in calls if self._needs_approval(call)), None)
            # those beside it are counted when the script comes here again and they are made
            counted = [call for call in calls if waiting is None or call is waiting or call.known is not None]
            self._purse.skill_calls(before.made + len(counted))
            self._job.progress.metadata["skillCalls"] = before.made + len(asked)
            if waiting is not None:
                raise self._pause_for_approval(waiting, calls, dump, before)
            self._count_refused(calls)
            self._begin(calls, dump, before)
        self._make([call for call in calls if not call.answered and call.child is None])
        if delegated := [call for call in calls if call.child is not None and not call.answered]:
            with self._looking:
                if not self._too_many_tasks(delegated):
                    raise self._pause_for_agents(delegated, calls, dump, before)
                self._count_refused(delegated)
        return [call.answer for call in calls]

    def _looked_up(self, asked: Asked, number: int, allowed: frozenset[str] | None) -> Call:
        name = asked.name.replace("_", "-")
        first, barred = number > self._purse.called, allowed is not None and name not in allowed
        skill = None if barred else self.skills.get(name)
        call = Call(asked=asked, number=number, name=name, skill=skill, first=first)
        if barred:
            self._refuse(call, call_views.not_its_tool(asked))
        elif call.skill is None:
            # SECURITY: the stubs name every skill; what this task may call is decided here
            late = why_late(name, self._job, self._tools)
            self._refuse(call, late or call_views.refusal_of(name, self._skills, self._tools.catalogue))
        else:
            self._look_at_arguments(call)
        return call

    def _look_at_arguments(self, call: Call) -> None:
        """Have a call that a person approves made with what that person is shown: plain JSON, or it is refused."""
        if self._tools.catalogue.needs_approval(call.name):
            try:
                args, kwargs = exact(call.asked.args, call.asked.kwargs)
            except ValueError as error:
                self._refuse(call, call_views.cannot_be_asked(call.name, error))
                return
            call.asked = replace(call.asked, args=tuple(args), kwargs=kwargs)
        if isinstance(call.skill, Delegate):
            self._look_at_delegation(call, call.skill, call.asked.args, call.asked.kwargs)

    def _refuse(self, call: Call, error: TaskError) -> None:
        """Answer a call that is not made."""
        told = {"error": error.message, "errorCode": error.code}
        self._tell(Topic.SKILL_COMPLETED, call=call.number, skill=call.name, ok=False, **told)
        call.refused = True
        call.settle(error)

    def _count_refused(self, calls: Sequence[Call]) -> None:
        """Note for the catalogue the calls that a skill itself has refused, each once."""
        for call in calls:
            if call.refused and call.first and call.skill is not None:
                self._purse.skill_called(call.name, ok=False)

    def _look_at_delegation(self, call: Call, skill: Delegate, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """Say what the agent is to do; the share of the budget is added when all that is asked at once is known."""
        record, settings = self._job.record, self._tools.settings
        try:
            name, task = skill.bound(args, named)
        except (TypeError, ValueError) as error:
            self._refuse(call, TaskError("skill_failed", f"The skill {DELEGATE} failed: {error}"))
            return
        if record.depth >= settings.max_depth:
            self._refuse(call, too_deep(record.depth, settings.max_depth))
            return
        deepest = record.depth + 1 >= settings.max_depth
        call.child = Delegated(
            task_id=new_id(),
            agent=name,
            task=mend_text(task),
            available_skills=skills_for(self._tools.roster.get(name), self.skills, deepest=deepest),
            budget=None,
            timeout_ms=self._ms_left(),
        )

    def _ms_left(self) -> int | None:
        ends_by_s = self._job.ends_by_s
        return None if ends_by_s is None else max(1, int((ends_by_s - self._tools.clock.monotonic()) * 1000))

    def _from_ledger(self, call: Call) -> None:
        """Look for the call in the ledger, and answer it from there if an earlier attempt has finished it."""
        if call.answered or not self._journaled(call):
            return
        kind = "agent" if call.child is not None else "skill"
        call.known = self.ledger.take(kind, call.name, arguments_of(call.asked), call.asked.number)
        if call.known is None:
            if (full := self.ledger.full()) is not None:
                self._refuse(call, full)
            self._bind(call)
            return
        call.known = as_decided(call, call.known, approved=self._tools.catalogue.needs_approval(call.name))
        if isinstance(call.skill, Delegate) and call.known.arguments is not None:
            self._look_at_delegation(call, call.skill, *call.known.arguments.made_with)
        redriven = self._job.record.redrive_of is not None and call.known.attempt == 0
        if call.child is not None and not (redriven and call.known.state is CallState.WAITING):
            # the agent's task is there already; those of a dead letter were cancelled with it
            call.child = replace(call.child, task_id=call.known.effect_id)
        if call.known.state in ENDED:
            self._replay(call, call.known)
        self._bind(call)

    def _bind(self, call: Call) -> None:
        """Find out what the skill gets of a call that a person is to be asked about; refuse what is not what was given."""
        if call.skill is None or not self._needs_approval(call):
            return
        try:
            call.binding = call.skill.binding(call.asked.args, call.asked.kwargs)
        except (TypeError, ValueError) as error:
            refused = call_views.cannot_be_asked(call.name, error)
            self._refuse(call, refused)
            if call.known is not None:
                self._journal.record(self.ledger.failed(call.known, refused, self._tools.clock.now()))

    def _journaled(self, call: Call) -> bool:
        """Whether the call has a row in the ledger: what is pure is made again, unless a person has approved it."""
        approved = self._tools.catalogue.needs_approval(call.name)
        return call.skill is not None and (approved or call.skill.replay != "pure")

    def _needs_approval(self, call: Call) -> bool:
        """Whether a person has to approve the call and has not yet; a call on record has been approved before."""
        asks = not call.answered and call.skill is not None and self._tools.catalogue.needs_approval(call.name)
        return asks and (call.known is None or call.known.state is CallState.WAITING)

    def _begin(self, calls: Sequence[Call], dump: Dump | None, before: Before) -> None:
        """Put what is to be done on record, with the script as it stands, and wait for the commit."""
        begun = [call for call in calls if not call.answered and call.child is None and self._journaled(call)]
        if not begun:
            return  # the pause puts the agents' tasks on record
        pinned = self._pinned_plan()  # first, so that its number is the lower one
        for call in begun:
            self._begin_row(call)
        snapshot = self._snapshot(calls, begun[0].row, dump, before)
        events = tuple(self._started(call) for call in begun)
        self._journal.commit(events, (*pinned, *(call.row for call in begun if call.row is not None)), snapshot)

    def _begin_row(self, call: Call, state: CallState = CallState.STARTED) -> CallRecord:
        assert call.skill is not None
        now, kind = self._tools.clock.now(), "agent" if call.child is not None else "skill"
        decided = call.skill.replay == "never" or self._tools.catalogue.needs_approval(call.name)
        try:
            call.row = self.ledger.begin(
                kind,
                call.name,
                call.skill.replay,
                arguments_of(call.asked),
                now,
                call.known,
                effect_id=None if call.child is None else call.child.task_id,
                state=state,
                whole=as_recorded(call.asked.args, call.asked.kwargs) if decided else None,
                binding=call.binding,
            )
        except Paused as paused:
            paused.arguments = shown(call.asked.args, call.asked.kwargs)
            raise
        return call.row

    # --- pauses ---

    def _pause_for_approval(self, call: Call, calls: Sequence[Call], dump: Dump | None, before: Before) -> Paused:
        pinned, row = self._pinned_plan(), self._begin_row(call, CallState.WAITING)
        snapshot = self._snapshot(calls, row, dump, before)
        return Paused(PauseReason.APPROVAL, row, calls=(*pinned, row), snapshot=snapshot)

    def _pause_for_agents(
        self, delegated: Sequence[Call], calls: Sequence[Call], dump: Dump | None, before: Before
    ) -> Paused:
        """Hand the agents their tasks; the script goes on when all of them have ended."""
        pinned, share = self._pinned_plan(), self._purse.share(len(delegated))
        children, rows = [], []
        for call in delegated:
            assert call.child is not None
            child = replace(call.child, budget=share)
            rows.append(self._begin_row(call, CallState.WAITING))
            children.append(child)
            self._journal.tell(self._started(call, agent=child.agent, taskId=child.task_id))
        snapshot = self._snapshot(calls, rows[0], dump, before)
        return Paused(PauseReason.SUBAGENTS, rows[0], calls=(*pinned, *rows), snapshot=snapshot, children=(*children,))

    def _too_many_tasks(self, delegated: Sequence[Call]) -> bool:
        """Refuse delegations that would pass the limit of tasks below the first one."""
        record, most = self._job.record, self._tools.settings.max_subagents
        new = sum(call.known is None or call.known.state is CallState.OPEN for call in delegated)
        there = self._tools.count_below(record.root_id or record.task_id) if new else 0
        if there + new <= most:
            return False
        for call in delegated:
            self._refuse(call, too_many(there, new, most))
        return True

    def _snapshot(
        self, calls: Sequence[Call], row: CallRecord | None, dump: Dump | None, before: Before
    ) -> bytes | None:
        """Return the script as it stands, signed; None where it is too large: an older snapshot does as well.

        From an older one the script comes here again, with what it has called since answered from the ledger.
        """
        if dump is None:
            return None
        assert self.plan is not None
        assert row is not None
        dumped = None if self._too_large else dump()
        printed = "".join(self._job.progress.printed)
        said = sum(len(text) for _, text in self.rounds)
        if dumped is None or len(dumped) + len(printed) + said > SNAPSHOT_BYTES:
            self._too_large = True
            return None
        snapshot = Snapshot(
            number=row.number,
            code=self.plan.code or "",
            intent=self.plan.intent,
            text=self.plan.text,
            printed=printed,
            counted=before.counted,
            pending=[
                *(pending_of(call.asked, call.row or call.known) for call in calls),
                *(pending_of(later) for later in dump.later),
            ],
            passed=before.passed,
            rounds=self.rounds,
            variables=sorted(self.variables),
            printed_before=self.printed_before,
            restricted=None if self.restricted is None else sorted(self.restricted),
            dump=dumped,
        )
        return pack(snapshot, row.effect_id, self._tools.signer)

    # --- the calls themselves ---

    def _make(self, calls: Sequence[Call]) -> None:
        """Make calls, those that are asked for at once in parallel, and settle them."""
        if len(calls) == 1:
            calls[0].settle(self._called(calls[0]))
            return
        most = self._tools.settings.parallel_calls
        results = run_all([lambda call=call: self._called(call) for call in calls], most)  # type: ignore[misc]
        for call, result in zip(calls, results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, TaskError):
                raise result
            call.settle(result)

    def _replay(self, call: Call, known: CallRecord) -> None:
        """Answer a call that an earlier attempt, or an agent, has finished."""
        ended: dict[str, Any] = {"call": call.number, "skill": call.name, "replayed": True}
        if call.child is not None:
            ended = {"call": call.number, "skill": call.name, "agent": call.child.agent, "taskId": known.effect_id}
        try:
            value = answer_of(known)
        except TaskError as error:
            self._tell(Topic.SKILL_COMPLETED, ok=False, error=error.message, errorCode=error.code, **ended)
            call.settle(error)
            return
        self._tell(Topic.SKILL_COMPLETED, ok=True, **excerpt_as("result", value), **ended)
        call.settle(value)

    def _started(self, call: Call, **more: Any) -> NewEvent:
        return self._event(Topic.SKILL_STARTED, **as_begun(call), **more)

    def _called(self, call: Call) -> Any:
        """Call the skill in this thread; return what it returned, or its error as a `TaskError`."""
        skill, row, args, kwargs = call.skill, call.row, call.asked.args, call.asked.kwargs
        assert skill is not None
        if self._job.token.stopped:  # one of a hundred that are awaited at once: those that have not begun do not begin
            if row is not None:
                self._journal.record(replace(row, state=CallState.OPEN))
            raise Cancelled
        if row is None:
            self._journal.tell(self._started(call))
        elif row.arguments is not None and row.arguments.edited is not None:
            args, kwargs = row.arguments.made_with
        started_s = time.perf_counter()
        host = Host(self, self._job, self._tools, call.name)
        try:
            with OnlyHere():
                value = skill.call(args, kwargs, self.context(call.number, row, host))
        except BaseException as raised:  # noqa: BLE001  # a skill is anybody's code; its error is the task's
            if (signal := host.signal(raised)) is not None:
                raise signal from None  # a script inside it has to wait; the model it asks is stopped: it has not failed
            known = host.error(raised)
            where = exceptions.report(known or raised, skill, call.number, self._job.record.task_id)
            return self._failed(call, as_task_error(skill, raised, known, row), started_s, **where)
        finally:
            signal = host.signal(None)
            host.close()
        if signal is not None:
            raise signal
        try:
            done = row and self.ledger.done(row, value, self._tools.clock.now())
        except TaskError as error:  # there is no room for its answer
            return self._failed(call, error, started_s)
        self._tell_ended(call, done, started_s, ok=True, **excerpt_as("result", value))
        return value

    def _failed(self, call: Call, error: TaskError, started_s: float, **told: Any) -> TaskError:
        row = call.row and self.ledger.failed(call.row, error, self._tools.clock.now())
        self._tell_ended(call, row, started_s, ok=False, error=error.message, errorCode=error.code, **told)
        return error

    def _tell_ended(self, call: Call, row: CallRecord | None, started_s: float, *, ok: bool, **told: Any) -> None:
        told |= {"call": call.number, "skill": call.name, "durationMs": ms_since(started_s)}
        event = self._event(Topic.SKILL_COMPLETED, ok=ok, **told)
        if row is None:
            self._journal.tell(event)
        else:
            self._journal.record(row, event)
        self._purse.skill_called(call.name, ok=ok)
        if self._job.token.stopped:
            raise Cancelled from None

    def context(self, number: int = 0, row: CallRecord | None = None, host: Host | None = None) -> SkillContext:
        """Return what a skill may know of a call of it."""
        effect_id = f"{self._job.record.task_id}:pure:{number}" if row is None else row.effect_id
        return (host or Host(self, self._job, self._tools, "")).context(effect_id)

    def _event(self, topic: Topic, **data: Any) -> NewEvent:
        return NewEvent(topic=topic, at=self._tools.clock.now(), data=data)

    def _tell(self, topic: Topic, **data: Any) -> None:
        self._journal.tell(self._event(topic, **data))
