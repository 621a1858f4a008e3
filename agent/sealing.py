"""What the control side does with dumps: it seals what a run has written, and opens what the store has for a run.

A run holds no key. It is given dumps that were verified, and leaves bare ones; what is stored is signed. Frozen values
and pure functions; any thread. Imported by the runner for the values, by `actors/` and the wiring for the functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from callboard.agent.interpreter import INTERPRETER
from callboard.agent.signing import Signer
from callboard.conversation import SessionRecord, SessionUpdate
from callboard.messages.ledger import CallRecord, TaskLedger


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """A script as it stands at the call `number`, whose `effect_id` it is to be signed for; `packed` is a `ledger.Snapshot`."""

    number: int
    effect_id: str
    packed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What earlier attempts at a task have left: their calls in order, and the script as it stood at the last of them.

    `snapshot` is a `ledger.Snapshot`, packed; `refused` says why the one there is must not be loaded.
    """

    calls: tuple[CallRecord, ...] = ()
    snapshot: bytes | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A session whose variables a run may load: `record.interpreter` is the bare dump. `lost`: there were others, not to be loaded."""

    record: SessionRecord
    lost: bool = False


def seal(unsealed: Unsealed, signer: Signer) -> bytes:
    """Return a snapshot as it is stored: signed for its call, behind the interpreter's name and the call's number in clear."""
    return b"%s\n%d\n" % (INTERPRETER.encode(), unsealed.number) + signer.sign(unsealed.packed, unsealed.effect_id)


def opened(ledger: TaskLedger, signer: Signer) -> Left:
    """Return a task's ledger as a run is given it.

    # SECURITY: Monty does not authenticate dumps, so nothing of one is read before its signature is verified.
    """
    if ledger.snapshot is None:
        return Left(calls=ledger.calls)
    try:
        return Left(calls=ledger.calls, snapshot=_verified(ledger.snapshot, ledger.calls, signer))
    except ValueError as error:
        return Left(calls=ledger.calls, refused=str(error))


def _verified(data: bytes, calls: Sequence[CallRecord], signer: Signer) -> bytes:
    interpreter, _, rest = data.partition(b"\n")
    number, _, signed = rest.partition(b"\n")
    if interpreter != INTERPRETER.encode():
        made_by = interpreter[:40].decode("ascii", "replace")
        raise ValueError(f"it was made by {made_by} and this server runs {INTERPRETER}")
    row = next((call for call in calls if str(call.number).encode() == number), None)
    packed = signer.open(signed, row.effect_id) if row is not None else None
    if packed is None:
        raise ValueError("its signature is not this server's")
    return packed


def open_session(record: SessionRecord, signer: Signer) -> OpenSession:
    """Return a session as a run is given it: without variables that another key or another interpreter has signed.

    Their values cannot be trusted, or not be read.
    """
    if record.interpreter is None:
        return OpenSession(record=record)
    state = signer.open(record.interpreter, record.session_id)
    if state is None:
        return OpenSession(record=replace(record, interpreter=None, variables=()), lost=True)
    return OpenSession(record=replace(record, interpreter=state))


def seal_session(update: SessionUpdate, signer: Signer) -> SessionUpdate:
    """Return what a task leaves in its session as it is stored."""
    record = update.record
    if record.interpreter is None:
        return update
    return replace(update, record=replace(record, interpreter=signer.sign(record.interpreter, record.session_id)))
