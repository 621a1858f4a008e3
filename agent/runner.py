"""Working one task out: plan → type check → sandbox → skill calls → answer.

Runs in a worker's thread, one `TaskRun` an attempt. It knows no actor and no database: what happens is told through
`Journal`, what came of it is returned. An attempt after the first goes on from the last snapshot of the script, or
from the start of the round with the ledger's answers. Imported by `actors/`.
"""

import json
from dataclasses import replace
from typing import Any

from callboard.agent.bindings import bound_names
from callboard.agent.job import Job, Journal, Outcome, Tools
from callboard.agent.ledger import Paused, Snapshot, unpack
from callboard.agent.planner import Plan, PlanRequest
from callboard.agent.sandbox import SnapshotRefused
from callboard.agent.skill_calls import SkillCalls, excerpt
from callboard.errors import TaskError
from callboard.messages import SessionRecord, Topic, Turn
from callboard.records import CallState, NewEvent, TaskLedger

MAX_STATE_BYTES = 4 * 1024 * 1024
"""Largest dump of a session's variables that is kept."""


class TaskRun:
    """One task being worked out, in the thread that calls `work`."""

    def __init__(self, job: Job, tools: Tools, journal: Journal) -> None:
        self._job = job
        self._tools = tools
        self._journal = journal
        self._session = job.session or self._loaded_session()
        # only a task that was begun before, or goes on with one that was, can have left calls
        begun = job.attempt > 1 or job.record.redrive_of is not None
        self._left = tools.load_ledger(job.record.task_id) if begun else TaskLedger()
        self._calls = SkillCalls(job, tools, journal, self._left)
        self._refused: str | None = None
        self._metadata = job.progress.metadata
        self._metadata |= {
            "planner": tools.planner.name,
            "llmCalls": 0,
            "skillCalls": 0,
            "totalTokens": 0,
            "attempt": job.attempt,
        }

    def work(self) -> Outcome:
        """Return the outcome; raise `Cancelled` where the task was ended by somebody else or is handed back."""
        try:
            output = self._step()
        except Paused as paused:
            return Outcome(pause=self._calls.question(paused), metadata=self._metadata, session=self._session)
        except TaskError as error:
            # without its traceback: the frames there hold whatever the code made, and would outlive the task
            bare = TaskError(error.code, error.message, retryable=error.retryable)
            reopened = self._calls.ledger.reopened(error.call) if error.retryable and error.call is not None else None
            session = self._used(self._session)
            return Outcome(error=bare, reopened=reopened, metadata=self._metadata, session=session)
        return Outcome(output=output, metadata=self._metadata, session=self._used(self._remembered(output)))

    def _loaded_session(self) -> SessionRecord:
        record, now = self._job.record, self._tools.clock.now()
        # a session named after its task is new with it: there is nothing to load
        known = None if record.session_id == record.task_id else self._tools.load_session(record.session_id)
        return known or SessionRecord(session_id=record.session_id, created_at=now, updated_at=now)

    def _step(self) -> Any:
        """Plan once and carry the plan out: the offline planner has nothing to learn from a second round."""
        started_s = self._tools.clock.monotonic()
        state = self._load_state()  # before the plan, which counts on the session's variables
        snapshot, refused = self._snapshot()
        unknown = self._calls.ledger.unknown()
        if unknown is not None and (snapshot is None or unknown.number != snapshot.number):
            raise Paused(unknown)  # before anything runs: no script will come to it in quite the same way again
        plan = self._planned(snapshot)
        self._metadata["intent"] = plan.intent
        self._tell(
            Topic.STEP_STARTED,
            step=1,
            planner=self._tools.planner.name,
            intent=plan.intent,
            code=plan.code,
            **({} if snapshot is None else {"resumedAtCall": snapshot.number}),
            **({} if refused is None else {"snapshotRefused": refused}),
        )
        try:
            output, printed = self._execute(plan, state, snapshot)
        except SnapshotRefused as error:  # start the round again
            self._metadata["snapshotRefused"] = self._refused = str(error)
            self._job.progress.printed.clear()
            self._metadata["skillCalls"] = 0
            self._left = TaskLedger(calls=self._left.calls)
            self._calls = SkillCalls(self._job, self._tools, self._journal, self._left)
            return self._step()
        except TaskError as error:
            self._tell_step_over(started_s, ok=False, error=error.message, errorCode=error.code)
            raise
        self._tell_step_over(started_s, ok=True, printed=excerpt(printed))
        if printed:
            self._metadata["printed"] = printed
        return printed if output is None and printed else output

    def _snapshot(self) -> tuple[Snapshot | None, str | None]:
        """Return the snapshot to go on from, if there is one; or why the one there is was refused."""
        if self._left.snapshot is None:
            return None, self._refused
        try:
            snapshot = unpack(self._left.snapshot, self._left.calls, self._tools.signer)
        except ValueError as error:
            self._metadata["snapshotRefused"] = str(error)
            return None, str(error)
        if any(call.state is CallState.OPEN and call.number < snapshot.number for call in self._left.calls):
            return None, None  # a call before it is to be made again, so the script must come there again
        return snapshot, None

    def _planned(self, snapshot: Snapshot | None) -> Plan:
        """Return the plan: that of the snapshot, that of the ledger, or a new one."""
        if snapshot is not None:
            self._calls.pinned = True
            return Plan(code=snapshot.code, intent=snapshot.intent)
        known = self._calls.known_plan() if self._left.calls else None
        return known or self._plan()

    def _plan(self) -> Plan:
        record = self._job.record
        return self._tools.planner.plan(
            PlanRequest(
                task=record.task,
                conversation=self._session.conversation,
                variables=frozenset(self._session.variables),
                skills=self._calls.skills,
                now=self._tools.clock.now(),
                system_prompt=record.system_prompt,
            )
        )

    def _execute(self, plan: Plan, state: bytes | None, snapshot: Snapshot | None) -> tuple[Any, str]:
        variables = self._session.variables
        self._calls.plan = plan
        if snapshot is None:
            self._tools.sandbox.check(plan.code, variables, self._job.token)
        else:
            self._resume(snapshot)
        bound = bound_names(plan.code)
        # PERF: dumping costs a round trip to the process (0.12 ms of 0.5); a script that leaves no variables needs none
        keep = bool(bound) or state is not None
        result = self._tools.sandbox.run(
            plan.code,
            call_skill=self._calls.call,
            token=self._job.token,
            state=state,
            snapshot=None if snapshot is None else snapshot.dump,
            printed=self._job.progress.printed,
            calls=self._calls.made,
            keep_state=keep,
            time_s=self._left_s(),
        )
        self._keep_state(result.state, frozenset(variables) | bound)
        return result.value, result.printed

    def _resume(self, snapshot: Snapshot) -> None:
        self._calls.ledger.skip_to(snapshot.number)
        self._calls.made = snapshot.skill_calls
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

    # --- events ---

    def _event(self, topic: Topic, **data: Any) -> NewEvent:
        return NewEvent(topic=topic, at=self._tools.clock.now(), data=data)

    def _tell(self, topic: Topic, **data: Any) -> None:
        self._journal.tell(self._event(topic, **data))

    def _tell_step_over(self, started_s: float, **data: Any) -> None:
        duration_ms = round((self._tools.clock.monotonic() - started_s) * 1000, 3)
        self._tell(Topic.STEP_COMPLETED, step=1, durationMs=duration_ms, **data)
