"""Working one task out: plan → type check → sandbox → skill calls → answer, in as many rounds as that takes.

Runs in a worker's thread, one `TaskRun` an attempt. It knows no actor and no database: what happens is told through
`Journal`, what came of it is returned. An attempt after the first goes on from the last snapshot of the script, or
from the start with the ledger's answers. Imported by `actors/`.
"""

import json
from dataclasses import replace
from functools import partial
from typing import Any

from callboard.agent.async_calls import with_twins
from callboard.agent.attached import attached
from callboard.agent.bindings import bound_names, mentions
from callboard.agent.call_effects import RunEffects
from callboard.agent.call_views import question_of
from callboard.agent.delegation import DELEGATE
from callboard.agent.file_text import kept_files, look_at
from callboard.agent.job import Job, Journal, Outcome, Tools
from callboard.agent.late_skills import check, wait_for_named
from callboard.agent.ledger import Ledger, Paused, Snapshot, stands_at, unpack
from callboard.agent.limits import limits_of
from callboard.agent.models.base import Message, Role
from callboard.agent.planner import Plan, PlanRequest
from callboard.agent.planner.syntax import MAX_CODE_CHARS
from callboard.agent.purse import Purse
from callboard.agent.python_trees import too_much_in
from callboard.agent.run_state import RunState
from callboard.agent.sandbox_run import Asked, Script, SnapshotRefused
from callboard.agent.sealing import Left, OpenSession
from callboard.agent.skill_calls import SkillCalls
from callboard.conversation import SessionRecord, SessionUpdate, Turn, as_read, turn_of
from callboard.errors import TASK_ERROR_CODES, TaskError
from callboard.excerpts import excerpted
from callboard.limits import TOLD_CHARS, cut_middle
from callboard.messages.event_types import StepCompleted, StepStarted
from callboard.messages.ledger import CallState
from callboard.messages.pauses import PauseReason

_FINAL = frozenset(
    {
        *("budget_exceeded", "sandbox_crashed", "outcome_unknown", "internal_error"),
        *(code for code in TASK_ERROR_CODES if code.startswith("model_")),
    }
)
"""Errors of a round that a model is not asked to mend."""


class TaskRun:
    """One task being worked out, in the thread that calls `work`."""

    def __init__(self, job: Job, tools: Tools, journal: Journal) -> None:
        self._job = job
        self._tools = tools
        self._journal = journal
        self._agent = tools.roster.get(job.task.spec.agent)
        self._found = job.opened or self._loaded_session()
        # only a task that was begun before, or goes on with one that was, can have left calls
        begun = job.attempt > 1 or job.task.redrive_of is not None
        self._left = tools.control.left(job.task.task_id) if begun else Left()
        limits = limits_of(job.task, self._agent, tools.settings, tools.clock.now())
        self.purse = Purse(limits, tools.accounts, job.task.task_id, job.attempt, begun=begun)
        job.progress.spent = self.purse.spent
        self._begin()

    def _begin(self) -> None:
        """Stand where nothing of this attempt was done yet."""
        task, progress, session = self._job.task, self._job.progress, self._found.record
        progress.printed.clear()
        progress.metadata.clear()
        progress.metadata |= {
            "planner": self._tools.planner.name,
            "llmCalls": 0,
            "skillCalls": 0,
            "totalTokens": 0,
            "attempt": self._job.attempt,
        }
        if self._found.lost:
            progress.metadata["variablesLost"] = True
        # whoever works on a part of a task works on its files; on its own, where it is a dead letter that was redriven when
        # the first task had been pruned
        root = None if task.root_id is None else self._tools.control.workspace_of(task.root_id)
        self._state = RunState(
            progress=progress,
            purse=self.purse,
            ledger=Ledger(task.task_id, self._job.attempt, self._left),
            effects=RunEffects(progress),
            workspace_of=root or task.session_id,
            session=session,
            interpreter=session.interpreter,
            variables=frozenset(session.variables),
        )
        self._calls = SkillCalls(self._job, self._tools, self._journal, self._state)

    def work(self) -> Outcome:
        """Return the outcome; raise `Cancelled` where the task was ended by somebody else or is handed back."""
        try:
            wait_for_named(self._job, self._tools)
            output = self._rounds()
        except Paused as paused:
            return Outcome(
                pause=question_of(paused, self._job.lost),
                calls=paused.calls,
                snapshot=paused.snapshot,
                metadata=self._state.metadata,
            )
        except TaskError as error:
            # without its traceback: the frames there hold whatever the code made, and would outlive the task
            bare = TaskError(error.code, error.message, retryable=error.retryable)
            reopened = self._state.ledger.reopened(error.call) if error.retryable and error.call is not None else ()
            left = self._left_in(self._found.record)  # a task that failed leaves the session's variables as they were
            return Outcome(error=bare, reopened=reopened, metadata=self._state.metadata, session=left)
        left = self._left_in(self._state.session, *self._said(output))
        return Outcome(output=output, metadata=self._state.metadata, session=left)

    def _loaded_session(self) -> OpenSession:
        task, now = self._job.task, self._tools.clock.now()
        # a session named after its task is new with it: there is nothing to load
        session_id = task.session_id
        known = None if session_id == task.task_id else self._tools.control.session(session_id)
        return known or OpenSession(record=SessionRecord(session_id=session_id, created_at=now, updated_at=now))

    def _rounds(self) -> Any:
        """Have the task planned and the plan carried out, again and again while that is not the end of it."""
        state = self._state
        snapshot, refused = self._snapshot()
        unknown = state.ledger.unknown()
        if unknown is not None and (snapshot is None or unknown.number not in stands_at(snapshot)):
            # before anything runs: no script will come to it in quite the same way again
            raise Paused(PauseReason.OUTCOME_UNKNOWN, unknown)
        state.files = attached(self._job, self._tools, self._calls)
        if snapshot is not None:
            state.resume(snapshot)
        while True:
            state.metadata["rounds"] = state.step
            state.plan = plan = self._planned(snapshot)
            state.metadata["intent"] = plan.intent
            try:
                ended, output = self._round(plan, snapshot, refused)
            except SnapshotRefused as error:  # start again
                self._left = Left(calls=self._left.calls, refused=str(error))
                self._begin()
                return self._rounds()
            if ended:
                return output
            snapshot = refused = None
            state.rounds += [["assistant", plan.text], ["user", output]]

    def _round(self, plan: Plan, snapshot: Snapshot | None, refused: str | None) -> tuple[bool, Any]:
        """Carry a plan out. Return True and the task's answer, or False and what the model is to be told."""
        started_s, state = self._tools.clock.monotonic(), self._state
        self._journal.tell(
            StepStarted(
                at=self._tools.clock.now(),
                step=state.step,
                agent=self._agent.name,
                planner=self._tools.planner.name,
                intent=plan.intent,
                code=plan.code,
                prompt_version=_prompt_version() if self._tools.planner.learns else None,
                resumed_at_call=None if snapshot is None else snapshot.number,
                snapshot_refused=refused,
            )
        )
        if plan.again:
            self._tell_step_over(started_s, error=TaskError("model_bad_reply", plan.again))
            self._check_rounds("It was not clear what in the model's answer was to be run", plan.again)
            return False, plan.again
        if plan.code is None:
            self._tell_step_over(started_s)
            return True, plan.text
        if snapshot is None:
            state.printed_before = len(state.printed)
        try:
            output, printed = self._execute(plan, snapshot)
        except TaskError as error:
            again = self._asked_again(error)
            self._tell_step_over(started_s, error=error)
            if again is None:
                raise
            return False, again
        self._tell_step_over(started_s, printed)
        if printed:
            state.metadata["printed"] = printed
        if (output is None or plan.doubt) and self._tools.planner.learns and state.step < self._most_rounds:
            return False, _seen(output, state.printed[state.printed_before :], plan.doubt)
        return True, printed if output is None and printed else output

    @property
    def _most_rounds(self) -> int:
        return self._agent.max_rounds or self._tools.settings.max_rounds

    def _asked_again(self, error: TaskError) -> str | None:
        """Return what a model is told of an error that it may mend; None where the error is the task's end."""
        retried = error.retryable and self._job.task.spec.retry is not None
        if not self._tools.planner.learns or error.code in _FINAL or retried:
            return None
        self._check_rounds("The last code failed", f"{error.code}: {error.message}")
        told = str((error.details or {}).get("traceback") or error.message)
        return (
            f"The code failed ({error.code}):\n{cut_middle(told, TOLD_CHARS)}\n\nWrite code that does not, or answer."
        )

    def _check_rounds(self, what: str, why: str) -> None:
        """Raise that the rounds are over, and what was wrong with the last one, where this was the last one."""
        if self._state.step >= self._most_rounds:
            raise TaskError(
                "rounds_exhausted",
                f"{what}, and there are no more rounds: the limit is {self._most_rounds} (CALLBOARD_MAX_ROUNDS, or the agent's "
                f"maxRounds). {why}",
            )

    def _snapshot(self) -> tuple[Snapshot | None, str | None]:
        """Return the snapshot to go on from, if there is one; or why the one there is was refused."""
        snapshot, refused = None, self._left.refused
        if self._left.snapshot is not None:
            try:
                snapshot = unpack(self._left.snapshot)
            except ValueError as error:
                refused = str(error)
        if refused is not None:
            self._state.metadata["snapshotRefused"] = refused
        if snapshot is None:
            return None, refused
        if any(call.state is CallState.OPEN and call.number in snapshot.passed for call in self._left.calls):
            return None, None  # a call before it is to be made again, so the script must come there again
        return snapshot, None

    def _planned(self, snapshot: Snapshot | None) -> Plan:
        """Return the plan: that of the snapshot, that of the ledger, or a new one."""
        if snapshot is not None:
            self._state.pinned = True
            return Plan(code=snapshot.code, intent=snapshot.intent, text=snapshot.text)
        if self._tools.planner.learns:
            self._state.pinned = True  # its calls are on record themselves
        elif self._left.calls and (known := self._calls.known_plan()) is not None:
            return known
        return self._plan()

    def _plan(self) -> Plan:
        task, state = self._job.task, self._state
        ask = partial(self._calls.models.ask, purpose="plan", key=[task.spec.task, state.step])
        roster, skills = self._tools.roster, self._calls.skills
        ctx = self._calls.context()
        delegates = roster.delegates if DELEGATE in skills and task.depth < self._tools.settings.max_depth else ()
        return self._tools.planner.plan(
            PlanRequest(
                task=task.spec.task,
                conversation=state.session.conversation,
                variables=state.variables,
                skills=skills,
                now=self._tools.clock.now(),
                system_prompt=task.spec.system_prompt,
                agent=self._agent,
                agents=tuple(roster.get(name) for name in delegates),
                files=state.files.files,
                kept=partial(kept_files, ctx),
                look=partial(look_at, ctx=ctx),
                images=state.files.images,
                rounds=tuple(Message(role=_role(said[0]), text=said[1]) for said in state.rounds),
                ask=ask,
            )
        )

    def _execute(self, plan: Plan, snapshot: Snapshot | None) -> tuple[Any, str]:
        assert plan.code is not None
        state = self._state
        if len(plan.code) > MAX_CODE_CHARS:
            told = (
                f"The code has {len(plan.code):,} characters and the limit is {MAX_CODE_CHARS:,}; keep data in files."
            )
            raise TaskError("script_error", told)
        if fault := too_much_in(plan.code):
            raise TaskError("script_error", f"The code cannot be read: {fault}.")
        code = with_twins(plan.code)
        if snapshot is None:
            check(code, state.variables, self._job, self._tools, self._calls.skills, own=plan.own)
        bound = bound_names(plan.code)
        # PERF: dumping costs a round trip to the process (0.12 ms of 0.5), and up to 4 MB are written then; a script that
        # reaches no variables needs none, unless those of earlier rounds are in the snapshot alone
        went_on = snapshot is not None and (bool(state.variables) or state.interpreter is not None)
        keep = bool(bound) or went_on or mentions(plan.code, state.variables)
        result = self._tools.sandbox.run(
            self._script(code, snapshot, keep_state=keep),
            answer=self._calls.answer,
            token=self._job.token,
            printed=self._job.progress.printed,
            keep_failed=(lambda dump: state.bind(dump, bound)) if keep and self._tools.planner.learns else None,
        )
        state.bind(result.state, bound)
        if result.state is not None:
            state.keep(result.state)
        return result.value, result.printed

    def _script(self, code: str, snapshot: Snapshot | None, *, keep_state: bool) -> Script:
        return Script(
            code=code,
            state=self._state.interpreter,
            snapshot=None if snapshot is None else snapshot.dump,
            pending=() if snapshot is None else tuple(_asked(*call) for call in snapshot.pending),
            calls=self._state.made,
            time_s=max(0.001, self._job.deadline_s - self._tools.clock.monotonic()),
            keep_state=keep_state,
            allowed=self._calls.skills,
        )

    def _left_in(self, session: SessionRecord, *said: Turn) -> SessionUpdate:
        """Return what the task leaves in its session: one task more, what was said, and the variables if they changed."""
        most = self._tools.settings.conversation_turns
        known = as_read((*reversed(said), *reversed(session.conversation)), most)
        record = replace(session, tasks=session.tasks + 1, updated_at=self._tools.clock.now(), conversation=known)
        found = self._found.record
        changed = self._found.lost or (record.variables, record.interpreter) != (found.variables, found.interpreter)
        return SessionUpdate(record=record, said=said, most_turns=most, variables_changed=changed)

    def _said(self, output: Any) -> tuple[Turn, Turn]:
        answer = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        return turn_of("user", self._job.task.spec.task), turn_of("assistant", answer)

    def _tell_step_over(self, started_s: float, printed: str | None = None, error: TaskError | None = None) -> None:
        shown, is_cut = excerpted(printed)
        self._journal.tell(
            StepCompleted(
                at=self._tools.clock.now(),
                step=self._state.step,
                duration_ms=round((self._tools.clock.monotonic() - started_s) * 1000, 3),
                ok=error is None,
                printed=shown,
                truncated=is_cut,
                error=None if error is None else error.message,
                error_code=None if error is None else error.code,
            )
        )


def _asked(call_id: int, name: str, args: list[Any], kwargs: dict[str, Any], number: int | None) -> Asked:
    return Asked(call_id=call_id, name=name, args=tuple(args), kwargs=kwargs, number=number)


def _prompt_version() -> int:
    from callboard.agent.planner.model import prompt_version  # PERF: where no model plans, it is never loaded

    return prompt_version()


def _role(text: str) -> Role:
    return "assistant" if text == "assistant" else "user"


def _seen(output: Any, printed: str, doubt: str) -> str:
    """Return what a model is told of code that ran and was not the end of it."""
    told = []
    if printed:
        told.append(f"The code printed:\n{cut_middle(printed, TOLD_CHARS)}")
    if output is not None:
        told.append(f"The value of its last line: {cut_middle(json.dumps(output, ensure_ascii=False), TOLD_CHARS)}")
    if doubt:
        told.append(doubt)
    elif printed:
        told.append("Go on, or answer.")
    else:
        told.append("The code ran and its last line had no value. End it with an expression that is the answer.")
    return "\n\n".join(told)
