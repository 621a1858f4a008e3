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
from callboard.agent.call_effects import Effects, effects_of
from callboard.agent.call_views import arguments_of, as_task_error, ms_since, pending_of, shown
from callboard.agent.cancel import Cancelled
from callboard.agent.delegation import Delegate, refused_by, too_many
from callboard.agent.handover import part_for
from callboard.agent.hosting import Host
from callboard.agent.job import Job, Journal, Tools
from callboard.agent.late_skills import why_late
from callboard.agent.ledger import ENDED, Paused, answer_of, pack
from callboard.agent.limits import allowed_skills
from callboard.agent.parallel import Helpers
from callboard.agent.planner import Plan
from callboard.agent.run_state import RunState
from callboard.agent.sandbox_run import Asked, Dump, too_many_calls
from callboard.agent.sealing import Unsealed
from callboard.agent.skill import AnySkill, SkillContext
from callboard.agent.skill_call import Before, Call, as_begun, as_decided, as_ended, before_calls
from callboard.arguments import as_recorded, exact
from callboard.errors import TaskError
from callboard.inheritance import OnlyHere
from callboard.messages.event_types import SkillCompleted
from callboard.messages.ledger import CallRecord, CallState
from callboard.messages.pauses import PauseReason


class SkillCalls:
    """Answers the skill calls of one run; `answer` is what the sandbox is given.

    `state` is where the run stands; what its calls do to the task is put there.
    """

    def __init__(self, job: Job, tools: Tools, journal: Journal, state: RunState) -> None:
        self._job = job
        self._tools = tools
        self._journal = journal
        self._skills = allowed_skills(job, tools)
        self.state = state
        self._ledger, self._purse = state.ledger, state.purse
        self.models = ModelCalls(job, tools, journal, state)
        # Guards what a run counts and has pinned: scripts of skill folders may run at once, in threads of their own. Not
        # held while calls are made, because a script inside one of them comes here again.
        self._looking = threading.Lock()
        self._handed_over: Paused | None = None
        self._helpers = Helpers(tools.settings.parallel_calls - 1)

    @property
    def skills(self) -> Mapping[str, AnySkill]:
        """Those that the task may call now."""
        if (restricted := self.state.effects.restricted) is None:
            return self._skills
        return {name: skill for name, skill in self._skills.items() if name in restricted}

    # --- the plan of a planner that is not a model ---

    def known_plan(self) -> Plan | None:
        """Return the plan that an earlier attempt has acted on, if there is one."""
        known = self._ledger.take("model", self._tools.planner.name, self._asked_planner)
        if known is None or known.state is not CallState.DONE:
            return None
        self.state.pinned = True
        return Plan(**known.result)

    @property
    def _asked_planner(self) -> list[Any]:
        """What the planner's call is known by in the ledger."""
        return [self._job.task.spec.task, 1]

    def _pinned_plan(self) -> tuple[CallRecord, ...]:
        """Return the ledger's row of the plan, once: it is written with the first call that depends on it.

        The built-in planner changes nothing in the world, so its call needs no row before it; what it said must stand
        from the moment something was done on its word.
        """
        if self.state.pinned or self.state.plan is None:
            return ()
        self.state.pinned = True
        now, plan = self._tools.clock.now(), self.state.plan
        row = self._ledger.begin("model", self._tools.planner.name, "safe", self._asked_planner, now, None)
        return (self._ledger.done(row, {"code": plan.code, "intent": plan.intent}, now),)

    # --- the script's calls ---

    def answer(
        self,
        asked: Sequence[Asked],
        dump: Dump | None,
        allowed: frozenset[str] | None = None,
        effects: Effects | None = None,
    ) -> list[Any]:
        """Answer what a script asks for at once; raise `Paused`, or what ends the run.

        `allowed` is what a skill folder's script may call, `effects` those of the call that it runs in; it has no snapshot
        (`dump`): the task's stands at the folder's call.
        """
        inside = effects or self.state.effects
        with self._looking:
            before = before_calls(self.state.metadata, self._ledger.passed)
            self._check_calls(before.made + len(asked))
            numbered = enumerate(asked, start=before.made + 1)
            calls = [self._looked_up(one, number, allowed, inside) for number, one in numbered]
            for call in calls:
                self._from_ledger(call)
            # one that is answered from the ledger has been asked about before; the first of the others that is not decides
            waiting = next((call for call in calls if self._needs_approval(call)), None)
            # those beside it are counted when the script comes here again and they are made
            counted = [call for call in calls if waiting is None or call is waiting or call.known is not None]
            self._purse.skill_calls(before.made + len(counted))
            inside.count(len(asked))
            if waiting is not None:
                raise self._pause_for_approval(waiting, calls, dump, before)
            self._count_refused(calls)
            self._begin(calls, dump, before)
        self._make([call for call in calls if not call.answered and call.child is None])
        if delegated := [call for call in calls if call.child is not None and not call.answered]:
            with self._looking:
                self._hand_over(delegated, calls, dump, before)
        return [call.answer for call in calls]

    def _check_calls(self, number: int) -> None:
        """Raise where a task calls skills too often; each script inside a call counts its own, so here all are looked at."""
        if number > (most := self._tools.settings.sandbox_skill_calls):
            raise too_many_calls(most)

    def _looked_up(self, asked: Asked, number: int, allowed: frozenset[str] | None, inside: Effects) -> Call:
        name = asked.name.replace("_", "-")
        first, barred = number > self._purse.called, allowed is not None and name not in allowed
        skill = None if barred else self.skills.get(name)
        call = Call(asked=asked, number=number, name=name, inside=inside, skill=skill, first=first)
        if barred:
            self._refuse(call, call_views.not_its_tool(asked))
        elif call.skill is None:
            told = shown(asked.args, asked.kwargs)
            if (done := self._ledger.without_skill(name, arguments_of(asked), asked.number, told)) is not None:
                self._replay(call, done)
                return call
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

    def _refuse(self, call: Call, error: TaskError, row: CallRecord | None = None) -> None:
        """Answer a call that is not made, on record where it has a row."""
        event = self._ended(call, error)
        if row is None:
            self._journal.tell(event)
        else:
            self._journal.record(self._ledger.failed(row, error, self._tools.clock.now()), event)
        call.refused = True
        call.settle(error)

    def _count_refused(self, calls: Sequence[Call]) -> None:
        """Note for the catalogue the calls that a skill itself has refused, each once."""
        for call in calls:
            if call.refused and call.first and call.skill is not None:
                self._purse.spent.skill_called(call.name, ok=False)

    def _look_at_delegation(self, call: Call, skill: Delegate, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        try:
            call.child = part_for(skill, args, named, job=self._job, tools=self._tools, allowed=self.skills)
        except TaskError as error:
            self._refuse(call, error)

    def _from_ledger(self, call: Call) -> None:
        """Look for the call in the ledger, and answer it from there if an earlier attempt has finished it."""
        if call.answered or not self._journaled(call):
            return
        kind = "agent" if call.child is not None else "skill"
        call.known = self._ledger.take(kind, call.name, arguments_of(call.asked), call.asked.number)
        if call.skill is not None and (call.skill.replay == "never" or self._tools.catalogue.needs_approval(call.name)):
            call.whole = as_recorded(call.asked.args, call.asked.kwargs)
        if call.known is None:
            if (full := self._ledger.admit(call.whole)) is not None:
                self._refuse(call, full)
            self._bind(call)
            return
        call.known = as_decided(call, call.known, approved=self._tools.catalogue.needs_approval(call.name))
        if isinstance(call.skill, Delegate) and call.known.arguments is not None:
            self._look_at_delegation(call, call.skill, *call.known.arguments.made_with)
        redriven = self._job.task.redrive_of is not None and call.known.attempt == 0
        if call.child is not None and not (redriven and call.known.state in (CallState.WAITING, CallState.STARTED)):
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
            self._refuse(call, call_views.cannot_be_asked(call.name, error), call.known)

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
        events = tuple(as_begun(call, self._tools.clock.now()) for call in begun)
        self._journal.commit(events, (*pinned, *(call.row for call in begun if call.row is not None)), snapshot)

    def _begin_row(self, call: Call, state: CallState = CallState.STARTED) -> CallRecord:
        assert call.skill is not None
        now, kind = self._tools.clock.now(), "agent" if call.child is not None else "skill"
        try:
            call.row = self._ledger.begin(
                kind,
                call.name,
                call.skill.replay,
                arguments_of(call.asked),
                now,
                call.known,
                effect_id=None if call.child is None else call.child.task_id,
                state=state,
                whole=call.whole,
                binding=call.binding,
            )
        except Paused as paused:
            paused.arguments = shown(call.asked.args, call.asked.kwargs)
            raise
        call.inside.came_to(call.row.number)
        return call.row

    # --- pauses ---

    def _pause_for_approval(self, call: Call, calls: Sequence[Call], dump: Dump | None, before: Before) -> Paused:
        pinned, row = self._pinned_plan(), self._begin_row(call, CallState.WAITING)
        snapshot = self._snapshot(calls, row, dump, before)
        return Paused(PauseReason.APPROVAL, row, calls=(*pinned, row), snapshot=snapshot)

    def _hand_over(self, delegated: Sequence[Call], calls: Sequence[Call], dump: Dump | None, before: Before) -> None:
        """Hand the agents their tasks and raise `Paused`: the script goes on when all of them have ended.

        Where they would be too many for the line of tasks, which is decided in the transaction that accepts them, the calls are
        refused, on record. # Invariant: one at a time in a run, or each would be given its share of the whole budget.
        """
        if self._handed_over is not None:
            raise self._handed_over  # the script comes to these when those have ended
        pinned, share = self._pinned_plan(), self._purse.share(len(delegated))
        children, rows, events = [], [], []
        for call in delegated:
            assert call.child is not None
            children.append(replace(call.child, budget=share))
            rows.append(self._begin_row(call))
            events.append(as_begun(call, self._tools.clock.now()))
        snapshot = self._snapshot(calls, rows[0], dump, before)
        if (full := self._journal.delegate((*events,), (*pinned, *rows), snapshot, (*children,))) is None:
            rows = [replace(row, state=CallState.WAITING) for row in rows]
            self._handed_over = Paused(PauseReason.SUBAGENTS, rows[0], calls=(*rows,), children=(*children,))
            raise self._handed_over
        for row in pinned:
            self._journal.record(row)
        for call in delegated:
            self._refuse(call, too_many(full, self._tools.settings.max_subagents), call.row)
        self._count_refused(delegated)

    def _snapshot(
        self, calls: Sequence[Call], row: CallRecord | None, dump: Dump | None, before: Before
    ) -> Unsealed | None:
        """Return the script as it stands, if it has a snapshot and is not too large for one."""
        if dump is None:
            return None
        assert row is not None
        pending = [
            *(pending_of(call.asked, call.row or call.known) for call in calls),
            *(pending_of(later) for later in dump.later),
        ]
        snapshot = self.state.snapshot(row.number, pending, dump, before)
        return None if snapshot is None else pack(snapshot, row.effect_id)

    # --- the calls themselves ---

    def _make(self, calls: Sequence[Call]) -> None:
        """Make calls, those that are asked for at once in parallel, and settle them."""
        if len(calls) == 1:
            calls[0].settle(self._called(calls[0]))
            return
        results = self._helpers.run_all([lambda call=call: self._called(call) for call in calls])  # type: ignore[misc]
        for call, result in zip(calls, results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, TaskError):
                raise result
            call.settle(result)

    def _replay(self, call: Call, known: CallRecord) -> None:
        """Answer a call that an earlier attempt, or an agent, has finished, and have it do again what it did beside that."""
        effects = effects_of(call.skill, call.asked, known)
        call.inside.redo(effects)
        call.inside.came_to(known.number)
        self._ledger.skip(effects.rows)
        by_agent = call.child if call.child is not None and not refused_by(known) else None
        answer: Any
        try:
            answer = answer_of(known)
        except TaskError as error:
            answer = error
        agent, task_id = (None, None) if by_agent is None else (by_agent.agent, known.effect_id)
        self._journal.tell(self._ended(call, answer, replayed=by_agent is None, agent=agent, task_id=task_id))
        call.settle(answer)

    def _ended(self, call: Call, answer: Any, **more: Any) -> SkillCompleted:
        return as_ended(call, answer, self._tools.clock.now(), **more)

    def _called(self, call: Call) -> Any:
        """Call the skill in this thread; return what it returned, or its error as a `TaskError`."""
        row, args, kwargs = call.row, call.asked.args, call.asked.kwargs
        assert call.skill is not None
        if self._job.token.stopped:  # one of a hundred that are awaited at once: those that have not begun do not begin
            if row is not None:
                self._journal.record(replace(row, state=CallState.OPEN))
            raise Cancelled
        if row is None:
            self._journal.tell(as_begun(call, self._tools.clock.now()))
        elif row.arguments is not None and row.arguments.edited is not None:
            args, kwargs = row.arguments.made_with
        with self._job.under_way(call.skill.replay == "never"):  # until what came of it is on its way
            return self._made(call, call.skill, args, kwargs)

    def _made(self, call: Call, skill: AnySkill, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        row, started_s = call.row, time.perf_counter()
        effects = Effects(call.inside)
        host = Host(self, self._job, self._tools, call.name, effects)
        try:
            with OnlyHere():
                value = skill.call(args, kwargs, self.context(call.number, row, host))
        except BaseException as raised:  # noqa: BLE001  # a skill is anybody's code; its error is the task's
            if (signal := host.signal(raised)) is not None:
                raise signal from None  # a script inside it has to wait; the model it asks is stopped: it has not failed
            known = host.error(raised)
            where = exceptions.report(known or raised, skill, call.number, self._job.task.task_id)
            return self._failed(call, as_task_error(skill, raised, known, row), effects, started_s, where)
        finally:
            signal = host.signal(None)
            host.close()
        if signal is not None:
            raise signal
        try:
            done = row and self._ledger.done(row, value, self._tools.clock.now(), effects.kept())
        except TaskError as error:  # there is no room for its answer
            return self._failed(call, error, effects, started_s)
        self._tell_ended(call, done, self._ended(call, value, duration_ms=ms_since(started_s)))
        return value

    def _failed(
        self,
        call: Call,
        error: TaskError,
        effects: Effects,
        started_s: float,
        where: Mapping[str, Any] | None = None,
    ) -> TaskError:
        row = call.row and self._ledger.failed(call.row, error, self._tools.clock.now(), effects.kept())
        event = self._ended(call, error, exception=where, duration_ms=ms_since(started_s))
        self._tell_ended(call, row, event)
        return error

    def _tell_ended(self, call: Call, row: CallRecord | None, event: SkillCompleted) -> None:
        if row is None:
            self._journal.tell(event)
        else:
            self._journal.record(row, event)
        self._purse.spent.skill_called(call.name, ok=event.ok)
        if self._job.token.stopped:
            raise Cancelled from None

    def context(self, number: int = 0, row: CallRecord | None = None, host: Host | None = None) -> SkillContext:
        """Return what a skill may know of a call of it."""
        effect_id = f"{self._job.task.task_id}:pure:{number}" if row is None else row.effect_id
        return (host or Host(self, self._job, self._tools, "", self.state.effects)).context(effect_id)
