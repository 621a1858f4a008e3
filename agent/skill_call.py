"""One skill call of a script while it is answered. Data of one run, in its threads; imported by the skill calls."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from callboard.agent.call_effects import Effects
from callboard.agent.call_views import arguments_of, shown
from callboard.agent.delegation import Delegated
from callboard.agent.ledger import ENDED, digest_of
from callboard.agent.sandbox_run import Asked
from callboard.agent.skill import AnySkill
from callboard.arguments import Binding
from callboard.errors import TaskError
from callboard.excerpts import excerpted
from callboard.messages.event_types import SkillCompleted, SkillStarted
from callboard.messages.ledger import CallRecord, CallState


@dataclass(slots=True, kw_only=True)
class Call:
    """A skill call in the middle of a script; `number` counts the script's calls, pure ones too; `row` is its ledger's,
    `whole` the arguments where they are kept for a person, `binding` what the skill gets of it where a person is to be asked, `inside` collects what the run, or the call that it is
    made inside of, does.

    `first` says that the script comes to it for the first time, `refused` that it is not made. `answer` is set as soon as
    it is known: a value, or the error to raise in the script.
    """

    asked: Asked
    number: int
    name: str
    inside: Effects
    first: bool = True
    refused: bool = False
    skill: AnySkill | None = None
    known: CallRecord | None = None
    row: CallRecord | None = None
    child: Delegated | None = None
    binding: Binding | None = None
    whole: tuple[list[Any], dict[str, Any]] | None = None
    answered: bool = False
    answer: Any = None

    def settle(self, answer: Any) -> None:
        self.answered, self.answer = True, answer


def as_decided(call: Call, known: CallRecord, *, approved: bool) -> CallRecord:
    """Return the row of a call; where it was decided on other arguments than it has now, as one to be asked about again.

    `approved`: whether a person has to approve the call.
    """
    if known.state in ENDED or (known.state is CallState.STARTED and known.replay == "never"):
        return known  # it is not made
    digest, kept = digest_of(call.name, arguments_of(call.asked)), known.arguments
    if kept is not None:
        same = digest == known.digest and kept.are_those_of(known.name, known.effect_id) and _still_bound(call, known)
    else:  # a server before did not keep them: what it has shown in full stands
        same = not approved or not shown(call.asked.args, call.asked.kwargs)["args_truncated"]
    again = CallState.WAITING if approved else CallState.STARTED
    return known if same else replace(known, state=again, digest=digest, arguments=None)


def _still_bound(call: Call, known: CallRecord) -> bool:
    """Whether the skill gets what was asked about: its parameters and their defaults may have changed since."""
    kept = known.arguments
    assert kept is not None
    assert call.skill is not None
    if (
        kept.binding is None
    ):  # of a server before, or nobody was asked: a decision stands as it is, a question is put anew
        return known.state is not CallState.WAITING
    try:
        return call.skill.binding(*kept.made_with).digest == kept.binding.digest
    except (TypeError, ValueError):
        return False


def as_begun(call: Call, at: datetime) -> SkillStarted:
    """Return what the log says of a call that is about to be made, or of a task that is about to be delegated."""
    assert call.skill is not None
    row, child = call.row, call.child
    whole = None if row is None else row.arguments
    return SkillStarted(
        at=at,
        call=call.number,
        skill=call.name,
        replay=call.skill.replay,
        **shown(call.asked.args, call.asked.kwargs, None if whole is None else whole.edited),
        effect_id=None if row is None else row.effect_id,
        digest=None if whole is None else whole.digest,
        agent=None if child is None else child.agent,
        task_id=None if child is None else child.task_id,
    )


def as_ended(call: Call, answer: Any, at: datetime, **more: Any) -> SkillCompleted:
    """Return what the log says of a call that is over, with its value or its error."""
    number, skill = call.number, call.name
    if isinstance(answer, TaskError):
        error, code = answer.message, answer.code
        return SkillCompleted(at=at, ok=False, error=error, error_code=code, call=number, skill=skill, **more)
    result, is_cut = excerpted(answer)
    return SkillCompleted(at=at, ok=True, result=result, truncated=is_cut, call=number, skill=skill, **more)


@dataclass(frozen=True, slots=True)
class Before:
    """What a run had behind it when its script asked; a snapshot of the script goes on from here.

    What the calls add that are made meanwhile, such as a question to the model inside a pure skill, is not part of it:
    they are made again, find what they have finished in the ledger, and count it again.
    """

    made: int
    passed: list[int]
    counted: Mapping[str, Any]


COUNTED = ("llmCalls", "inputTokens", "outputTokens", "totalTokens", "costUsd", "model", "notes")
"""What a task's metadata says of all its attempts; a snapshot carries it on."""


def before_calls(metadata: Mapping[str, Any], passed: list[int]) -> Before:
    """Return where a run stands, by what the task's metadata says now and the calls that its script has come to."""
    counted = {name: value for name, value in metadata.items() if name in COUNTED}
    if "notes" in counted:  # they are added to in place
        counted["notes"] = dict(counted["notes"])
    return Before(made=metadata["skillCalls"], passed=passed, counted={**counted, "skillCalls": metadata["skillCalls"]})
