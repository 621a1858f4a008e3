"""Pauses: what a paused task waits for, and what can be decided about it. All are immutable."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from callboard.messages.wire import Wire
from callboard.values import Json


class PauseReason(StrEnum):
    """What a paused task waits for: `pause["reason"]`."""

    OUTCOME_UNKNOWN = "outcome_unknown"
    APPROVAL = "approval"
    SUBAGENTS = "subagents"


class Decision(StrEnum):
    """What a person can say of a call: of one whose outcome is unknown, or of one that needs approval."""

    RETRY = "retry"
    ASSUME_DONE = "assume_done"
    FAIL = "fail"
    APPROVE = "approve"
    REJECT = "reject"
    EDIT = "edit"


DECISIONS = {
    PauseReason.OUTCOME_UNKNOWN: (Decision.RETRY, Decision.ASSUME_DONE, Decision.FAIL),
    PauseReason.APPROVAL: (Decision.APPROVE, Decision.REJECT, Decision.EDIT),
    PauseReason.SUBAGENTS: (),
}
"""What can be decided about a pause; nothing about one that ends with the agents it waits for."""

BELONGS_TO = {"result": Decision.ASSUME_DONE, "arguments": Decision.EDIT}
"""What goes with one decision only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(Wire):
    """What a paused task waits for, as it is stored with the task and shown; `since` is when it was.

    For agents: `agents` are their tasks (`taskId`, `agent`, `task`) and `calls` the ledger's numbers of the calls that gave them.
    For a person: the call, by the ledger's number; its arguments, shortened where `args_truncated` says so, with the size of the whole and
    their `digest`, where these are known; `edited` are those that a person has put in place of the script's, `defaults` what
    it left out; `decisions` what can be said of it. Older ones have less.
    """

    reason: PauseReason
    message: str | None = None
    agents: tuple[Mapping[str, Json], ...] | None = None
    calls: tuple[int, ...] | None = None
    call: int | None = None
    skill: str | None = None
    effect_id: str | None = None
    attempt: int | None = None
    args_truncated: bool | None = None
    args: Json = None
    kwargs: Json = None
    edited: Json = None
    defaults: Json = None
    args_bytes: int | None = None
    digest: str | None = None
    decisions: tuple[Decision, ...] | None = None
    since: datetime | None = None

    def data(self) -> dict[str, Json]:
        """Return the wire form; where the whole arguments are not known it has another order."""
        told = Wire.data(self)
        return told if self.digest is not None else {key: told[key] for key in _NOT_WHOLE if key in told}


_NOT_WHOLE = (
    *("reason", "message", "agents", "calls", "call", "skill", "effectId", "attempt"),
    *("args", "kwargs", "edited", "argsTruncated", "decisions", "since"),
)
