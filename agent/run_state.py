"""Where one run stands: all that changes while a task is worked out, in one place.

Made anew where a script starts again. Written in the worker's thread; the run's skill calls, which may be in threads of
their own, only add to what has a lock itself (the ledger, the effects, the purse). Imported by the runner, by its skill
calls and by what they ask of models.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from callboard.agent.attachments import Attached
from callboard.agent.call_effects import RunEffects
from callboard.agent.job import Progress
from callboard.agent.ledger import Ledger, Snapshot
from callboard.agent.planner import Plan
from callboard.agent.purse import Purse
from callboard.agent.sandbox_run import Dump
from callboard.agent.skill_call import Before
from callboard.conversation import SessionRecord
from callboard.limits import SNAPSHOT_BYTES, STATE_BYTES, VARIABLES_CHARS


@dataclass(slots=True, kw_only=True)
class RunState:
    """One run as it stands.

    `session` is what the task will leave in its session, `interpreter` and `variables` what the next round's code starts
    from: a dump and the names that are bound in it. `workspace_of` is the session whose files the task works on. `rounds` is
    what was said in the rounds before, `[role, text]`, `printed_before` how many characters they have printed. `plan` is what
    the script was made of; one that no model wrote goes into the ledger with the first call that is journaled, unless it is
    there already (`pinned`). Once the script was `too_large` for a snapshot, no more are made. `effects` say what calls have done to the task, such as which skills alone may still be called.
    """

    progress: Progress
    purse: Purse
    ledger: Ledger
    effects: RunEffects
    workspace_of: str
    session: SessionRecord
    interpreter: bytes | None
    variables: frozenset[str]
    files: Attached = field(default_factory=Attached)
    rounds: list[list[str]] = field(default_factory=list)
    plan: Plan | None = None
    pinned: bool = False
    printed_before: int = 0
    too_large: bool = False

    @property
    def step(self) -> int:
        """The round that is under way, from 1."""
        return len(self.rounds) // 2 + 1

    @property
    def metadata(self) -> dict[str, Any]:
        return self.progress.metadata

    @property
    def made(self) -> int:
        """How many calls of skills there were, pure ones too."""
        return int(self.metadata["skillCalls"])

    @property
    def printed(self) -> str:
        return "".join(self.progress.printed)

    # --- the variables ---

    def bind(self, dump: bytes | None, names: Collection[str]) -> None:
        """Go on from what code has left of its variables (None: as before), with these names bound too."""
        self.interpreter, self.variables = dump or self.interpreter, self.variables | frozenset(names)

    def keep(self, dump: bytes) -> None:
        """Leave the variables in the session, unless they are too large."""
        if len(dump) > STATE_BYTES or sum(map(len, self.variables)) > VARIABLES_CHARS:
            self.metadata["variablesKept"] = False
            return
        self.session = replace(self.session, interpreter=dump, variables=tuple(sorted(self.variables)))

    # --- snapshots ---

    def snapshot(self, number: int, pending: Sequence[Sequence[Any]], dump: Dump, before: Before) -> Snapshot | None:
        """Return the script as it stands at the call `number`; None where it is too large: an older snapshot does as well.

        From an older one the script comes here again, with what it has called since answered from the ledger.
        """
        assert self.plan is not None
        dumped, printed = None if self.too_large else dump(), self.printed
        said = sum(len(text) for _, text in self.rounds)
        if dumped is None or len(dumped) + len(printed) + said > SNAPSHOT_BYTES:
            self.too_large = True
            return None
        restricted = self.effects.restricted
        return Snapshot(
            number=number,
            code=self.plan.code or "",
            intent=self.plan.intent,
            text=self.plan.text,
            printed=printed,
            counted=before.counted,
            pending=pending,
            passed=before.passed,
            rounds=self.rounds,
            variables=sorted(self.variables),
            printed_before=self.printed_before,
            restricted=None if restricted is None else sorted(restricted),
            dump=dumped,
        )

    def resume(self, snapshot: Snapshot) -> None:
        """Stand where an earlier attempt stood."""
        self.rounds = [list(said) for said in snapshot.rounds]
        self.variables |= frozenset(snapshot.variables)
        self.printed_before = snapshot.printed_before
        self.ledger.skip(snapshot.passed)
        self.metadata.update(snapshot.counted)
        if snapshot.restricted is not None:
            self.effects.restrict(snapshot.restricted)
        if snapshot.printed:
            self.progress.printed.append(snapshot.printed)
