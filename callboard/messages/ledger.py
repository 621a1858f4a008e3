"""The ledger: the calls of a task's script, which make its work durable. All are immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from callboard.arguments import Arguments
from callboard.values import Json


class CallState(StrEnum):
    """Where a call in the ledger stands.

    `started`: it may or may not have happened; `done` and `failed`: it has, and is never made again; `open`: it is
    known not to have happened, or a person said so, and is made when the script comes to it; `waiting`: it has not
    happened, and waits for a person's approval or for another agent's end.
    """

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    OPEN = "open"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEffects:
    """What a call did to its task beside what it returned, with all that it called inside.

    `restricted` are the skills that it has restricted the task to, None where it has not; `notes` what it said for the
    task's metadata, by name; `calls` how many calls of skills were made inside of it, `rows` the numbers of those calls, and of
    models', that have a row.
    """

    restricted: tuple[str, ...] | None = None
    notes: Mapping[str, Json] = field(default_factory=dict)
    calls: int = 0
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One row of a task's ledger: a call of a model, of a skill that is not `pure`, or of another agent.

    `number` counts within the task, `kind` is `model`, `skill` or `agent`, `digest` is the SHA-256 of name and
    arguments, `effect_id` the idempotency key that every attempt at this call uses (of an agent: the id of its task).
    `error` is `{code, message, retryable}` of a call that failed. `arguments` are there where a person decides on the
    call, or may have to: of one that needs approval, or is `never` repeated. `effects` are those of a call that has ended;
    None: nothing that is known, as in rows of servers before.
    """

    number: int
    kind: str
    name: str
    replay: str
    digest: str
    effect_id: str
    attempt: int
    state: CallState
    started_at: datetime
    ended_at: datetime | None = None
    result: Json = None
    error: Mapping[str, Json] | None = None
    arguments: Arguments | None = None
    effects: CallEffects | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLedger:
    """What earlier attempts at a task have left: their calls in order, and the signed snapshot at the last of them."""

    calls: tuple[CallRecord, ...] = ()
    snapshot: bytes | None = None
