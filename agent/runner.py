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
from callboard.agent.attached import Attached, attached
from callboard.agent.bindings import bound_names, mentions
from callboard.agent.call_views import question_of
from callboard.agent.delegation import DELEGATE
from callboard.agent.file_text import kept_files, look_at
from callboard.agent.job import Job, Journal, Outcome, Tools
from callboard.agent.late_skills import check, wait_for_named
from callboard.agent.ledger import Paused, Snapshot, stands_at, unpack
from callboard.agent.limits import limits_of
from callboard.agent.models.base import Completion, Message, Model, Role
from callboard.agent.planner import Plan, PlanRequest
from callboard.agent.planner.model import prompt_version
from callboard.agent.planner.syntax import MAX_CODE_CHARS
from callboard.agent.python_trees import too_much_in
from callboard.agent.sandbox_run import Asked, SnapshotRefused
from callboard.agent.skill_calls import SkillCalls
from callboard.agent.spending import Purse
from callboard.conversation import SessionRecord, SessionUpdate, Turn, as_read, turn_of
from callboard.errors import TASK_ERROR_CODES, TaskError
from callboard.excerpts import excerpt_as
from callboard.limits import STATE_BYTES, TOLD_CHARS, VARIABLES_CHARS, cut_middle
from callboard.messages import PauseReason, Topic
from callboard.records import CallState, NewEvent, TaskLedger

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
        self._agent = tools.roster.get(job.record.agent)
        self._session = self._before = self._found = job.session or self._loaded_session()
        # only a task that was begun before, or goes on with one that was, can have left calls
        begun = job.attempt > 1 or job.record.redrive_of is not None
        self._left = tools.load_ledger(job.record.task_id) if begun else TaskLedger()
        limits = limits_of(job.record, self._agent, tools)
        self.purse = job.progress.purse = Purse(limits, tools.accounts, job.record.task_id, begun=begun)
        self._files = Attached()
        self._state: bytes | None = None  # what the next round's code starts from, with these names bound
        self._variables = frozenset(self._session.variables)
        self._refused: str | None = None
        self._calls = self._new_calls()

    def _new_calls(self) -> SkillCalls:
        metadata = self._job.progress.metadata
        metadata.clear()
        metadata |= {
            "planner": self._tools.planner.name,
            "llmCalls": 0,
            "skillCalls": 0,
            "totalTokens": 0,
            "attempt": self._job.attempt,
        }
        calls = SkillCalls(self._job, self._tools, self._journal, self._left, self.purse)
        if self._job.record.root_id is not None:  # whoever works on a part of a task works on its files
            calls.workspace_of = self._tools.load_task(self._job.record.root_id).session_id
        return calls

    @property
    def _metadata(self) -> dict[str, Any]:
        return self._job.progress.metadata

    def work(self) -> Outcome:
        """Return the outcome; raise `Cancelled` where the task was ended by somebody else or is handed back."""
        try:
            wait_for_named(self._job, self._tools)
            output = self._rounds()
        except Paused as paused:
            return Outcome(
                pause=question_of(paused),
                calls=paused.calls,
                snapshot=paused.snapshot,
                children=paused.children,
                metadata=self._metadata,
            )
        except TaskError as error:
            # without its traceback: the frames there hold whatever the code made, and would outlive the task
            bare = TaskError(error.code, error.message, retryable=error.retryable)
            reopened = self._calls.ledger.reopened(error.call) if error.retryable and error.call is not None else ()
            left = self._left_in(self._before)  # a task that failed leaves the session's variables as they were
            return Outcome(error=bare, reopened=reopened, metadata=self._metadata, session=left)
        left = self._left_in(self._session, *self._said(output))
        return Outcome(output=output, metadata=self._metadata, session=left)

    def _loaded_session(self) -> SessionRecord:
        record, now = self._job.record, self._tools.clock.now()
        # a session named after its task is new with it: there is nothing to load
        known = None if record.session_id == record.task_id else self._tools.load_session(record.session_id)
        return known or SessionRecord(session_id=record.session_id, created_at=now, updated_at=now)

    def _rounds(self) -> Any:
        """Have the task planned and the plan carried out, again and again while that is not the end of it."""
        self._state = self._load_state()  # before the plan, which counts on the session's variables
        self._before, self._variables = self._session, frozenset(self._session.variables)
        snapshot, refused = self._snapshot()
        unknown = self._calls.ledger.unknown()
        if unknown is not None and (snapshot is None or unknown.number not in stands_at(snapshot)):
            # before anything runs: no script will come to it in quite the same way again
            raise Paused(PauseReason.OUTCOME_UNKNOWN, unknown)
        self._files = attached(self._job, self._tools, self._calls)
        if snapshot is not None:
            self._calls.rounds = [list(said) for said in snapshot.rounds]
        while True:
            self._calls.step = step = len(self._calls.rounds) // 2 + 1
            self._metadata["rounds"] = step
            plan = self._planned(snapshot)
            self._metadata["intent"] = plan.intent
            try:
                ended, output = self._round(plan, snapshot, refused)
            except SnapshotRefused as error:  # start again
                self._start_again(error)
                return self._rounds()
            if ended:
                return output
            snapshot = refused = None
            self._calls.rounds += [["assistant", plan.text], ["user", output]]

    def _start_again(self, error: SnapshotRefused) -> None:
        self._refused = str(error)
        self._job.progress.printed.clear()
        self._session = self._before
        self._left = TaskLedger(calls=self._left.calls)
        self._calls = self._new_calls()
        self._metadata["snapshotRefused"] = self._refused

    def _round(self, plan: Plan, snapshot: Snapshot | None, refused: str | None) -> tuple[bool, Any]:
        """Carry a plan out. Return True and the task's answer, or False and what the model is to be told."""
        started_s, step = self._tools.clock.monotonic(), self._calls.step
        self._tell(
            Topic.STEP_STARTED,
            step=step,
            agent=self._agent.name,
            planner=self._tools.planner.name,
            intent=plan.intent,
            code=plan.code,
            **({"promptVersion": prompt_version()} if self._tools.planner.learns else {}),
            **({} if snapshot is None else {"resumedAtCall": snapshot.number}),
            **({} if refused is None else {"snapshotRefused": refused}),
        )
        if plan.again:
            self._tell_step_over(started_s, ok=False, error=plan.again, errorCode="model_bad_reply")
            self._check_rounds("It was not clear what in the model's answer was to be run", plan.again)
            return False, plan.again
        if plan.code is None:
            self._tell_step_over(started_s, ok=True)
            return True, plan.text
        before = len("".join(self._job.progress.printed)) if snapshot is None else snapshot.printed_before
        self._calls.printed_before = before
        try:
            output, printed = self._execute(plan, snapshot)
        except TaskError as error:
            again = self._asked_again(error)
            self._tell_step_over(started_s, ok=False, error=error.message, errorCode=error.code)
            if again is None:
                raise
            return False, again
        self._tell_step_over(started_s, ok=True, **excerpt_as("printed", printed))
        if printed:
            self._metadata["printed"] = printed
        if (output is None or plan.doubt) and self._tools.planner.learns and step < self._most_rounds:
            return False, _seen(output, "".join(self._job.progress.printed)[before:], plan.doubt)
        return True, printed if output is None and printed else output

    @property
    def _most_rounds(self) -> int:
        return self._agent.max_rounds or self._tools.settings.max_rounds

    def _asked_again(self, error: TaskError) -> str | None:
        """Return what a model is told of an error that it may mend; None where the error is the task's end."""
        retried = error.retryable and self._job.record.retry is not None
        if not self._tools.planner.learns or error.code in _FINAL or retried:
            return None
        self._check_rounds("The last code failed", f"{error.code}: {error.message}")
        told = str((error.details or {}).get("traceback") or error.message)
        return (
            f"The code failed ({error.code}):\n{cut_middle(told, TOLD_CHARS)}\n\nWrite code that does not, or answer."
        )

    def _check_rounds(self, what: str, why: str) -> None:
        """Raise that the rounds are over, and what was wrong with the last one, where this was the last one."""
        if self._calls.step >= self._most_rounds:
            raise TaskError(
                "rounds_exhausted",
                f"{what}, and there are no more rounds: the limit is {self._most_rounds} (CALLBOARD_MAX_ROUNDS, or the agent's "
                f"maxRounds). {why}",
            )

    def _snapshot(self) -> tuple[Snapshot | None, str | None]:
        """Return the snapshot to go on from, if there is one; or why the one there is was refused."""
        if self._left.snapshot is None:
            return None, self._refused
        try:
            snapshot = unpack(self._left.snapshot, self._left.calls, self._tools.signer)
        except ValueError as error:
            self._metadata["snapshotRefused"] = str(error)
            return None, str(error)
        if any(call.state is CallState.OPEN and call.number in snapshot.passed for call in self._left.calls):
            return None, None  # a call before it is to be made again, so the script must come there again
        return snapshot, None

    def _planned(self, snapshot: Snapshot | None) -> Plan:
        """Return the plan: that of the snapshot, that of the ledger, or a new one."""
        if snapshot is not None:
            self._calls.pinned = True
            return Plan(code=snapshot.code, intent=snapshot.intent, text=snapshot.text)
        if self._tools.planner.learns:
            self._calls.pinned = True  # its calls are on record themselves
        elif self._left.calls and (known := self._calls.known_plan()) is not None:
            return known
        return self._plan()

    def _plan(self) -> Plan:
        record, step = self._job.record, self._calls.step

        def ask(
            model: Model, messages: tuple[Message, ...], *, most_tokens: int, again: bool = False, **told: int
        ) -> Completion:
            key = [record.task, step]
            return self._calls.models.ask(
                model, messages, purpose="plan", key=key, step=step, most_tokens=most_tokens, again=again, **told
            )

        roster, skills = self._tools.roster, self._calls.skills
        ctx = self._calls.context()
        delegates = roster.delegates if DELEGATE in skills and record.depth < self._tools.settings.max_depth else ()
        return self._tools.planner.plan(
            PlanRequest(
                task=record.task,
                conversation=self._session.conversation,
                variables=self._variables,
                skills=skills,
                now=self._tools.clock.now(),
                system_prompt=record.system_prompt,
                agent=self._agent,
                agents=tuple(roster.get(name) for name in delegates),
                files=self._files.files,
                kept=partial(kept_files, ctx),
                look=partial(look_at, ctx=ctx),
                images=self._files.images,
                rounds=tuple(Message(role=_role(said[0]), text=said[1]) for said in self._calls.rounds),
                ask=ask,
            )
        )

    def _execute(self, plan: Plan, snapshot: Snapshot | None) -> tuple[Any, str]:
        assert plan.code is not None
        if snapshot is not None:
            self._variables |= frozenset(snapshot.variables)
        variables, state = self._variables, self._state
        self._calls.plan, self._calls.variables = plan, variables
        if len(plan.code) > MAX_CODE_CHARS:
            told = (
                f"The code has {len(plan.code):,} characters and the limit is {MAX_CODE_CHARS:,}; keep data in files."
            )
            raise TaskError("script_error", told)
        if fault := too_much_in(plan.code):
            raise TaskError("script_error", f"The code cannot be read: {fault}.")
        code = with_twins(plan.code)
        if snapshot is None:
            check(code, variables, self._job, self._tools, self._calls.skills)
        else:
            self._resume(snapshot)
        bound = bound_names(plan.code)
        # PERF: dumping costs a round trip to the process (0.12 ms of 0.5), and up to 4 MB are written then; a script that
        # reaches no variables needs none, unless those of earlier rounds are in the snapshot alone
        went_on = snapshot is not None and (bool(variables) or state is not None)
        keep = bool(bound) or went_on or mentions(plan.code, variables)

        def keep_failed(dump: bytes) -> None:
            self._state, self._variables = dump, variables | bound

        result = self._tools.sandbox.run(
            code,
            answer=self._calls.answer,
            token=self._job.token,
            state=state,
            snapshot=None if snapshot is None else snapshot.dump,
            pending=() if snapshot is None else [_asked(*call) for call in snapshot.pending],
            printed=self._job.progress.printed,
            calls=self._calls.made,
            keep_state=keep,
            keep_failed=keep_failed if keep and self._tools.planner.learns else None,
            time_s=self._left_s(),
            allowed=self._calls.skills,
        )
        self._state, self._variables = result.state or state, variables | bound
        self._keep_state(result.state, self._variables)
        return result.value, result.printed

    def _resume(self, snapshot: Snapshot) -> None:
        self._calls.ledger.skip(snapshot.passed)
        self._metadata.update(snapshot.counted)
        self._calls.restricted = None if snapshot.restricted is None else frozenset(snapshot.restricted)
        if snapshot.printed:
            self._job.progress.printed.append(snapshot.printed)

    def _left_s(self) -> float:
        return max(0.001, self._job.deadline_s - self._tools.clock.monotonic())

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
        if len(state) > STATE_BYTES or sum(map(len, variables)) > VARIABLES_CHARS:
            self._metadata["variablesKept"] = False
            return
        signed = self._tools.signer.sign(state, self._session.session_id)
        self._session = replace(self._session, interpreter=signed, variables=tuple(sorted(variables)))

    def _left_in(self, session: SessionRecord, *said: Turn) -> SessionUpdate:
        """Return what the task leaves in its session: one task more, what was said, and the variables if they changed."""
        most = self._tools.settings.conversation_turns
        known = as_read((*reversed(said), *reversed(session.conversation)), most)
        record = replace(session, tasks=session.tasks + 1, updated_at=self._tools.clock.now(), conversation=known)
        before = (self._found.variables, self._found.interpreter)
        changed = (record.variables, record.interpreter) != before
        return SessionUpdate(record=record, said=said, most_turns=most, variables_changed=changed)

    def _said(self, output: Any) -> tuple[Turn, Turn]:
        answer = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        return turn_of("user", self._job.record.task), turn_of("assistant", answer)

    # --- events ---

    def _event(self, topic: Topic, **data: Any) -> NewEvent:
        return NewEvent(topic=topic, at=self._tools.clock.now(), data=data)

    def _tell(self, topic: Topic, **data: Any) -> None:
        self._journal.tell(self._event(topic, **data))

    def _tell_step_over(self, started_s: float, **data: Any) -> None:
        duration_ms = round((self._tools.clock.monotonic() - started_s) * 1000, 3)
        self._tell(Topic.STEP_COMPLETED, step=self._calls.step, durationMs=duration_ms, **data)


def _asked(call_id: int, name: str, args: list[Any], kwargs: dict[str, Any], number: int | None) -> Asked:
    return Asked(call_id=call_id, name=name, args=tuple(args), kwargs=kwargs, number=number)


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
