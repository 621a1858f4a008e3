"""What is stored of a run was signed, and what a run is given was verified: the control side's half of a dump."""

from dataclasses import replace
from datetime import UTC, datetime

import msgpack  # type: ignore[import-untyped]
import pydantic_monty
import pytest

from callboard.agent.interpreter import INTERPRETER
from callboard.agent.ledger import Snapshot, pack, unpack
from callboard.agent.sealing import Left, OpenSession, open_session, opened, seal, seal_session
from callboard.agent.signing import Signer
from callboard.conversation import SessionRecord, SessionUpdate
from callboard.messages.ledger import CallRecord, CallState, TaskLedger

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNER = Signer(b"the key of this server")
CALL = CallRecord(
    number=3,
    kind="skill",
    name="send",
    replay="never",
    digest="d",
    effect_id="t:3",
    attempt=1,
    state=CallState.STARTED,
    started_at=NOW,
)
SNAPSHOT = Snapshot(
    number=3,
    code="send()",
    intent="code",
    text="",
    printed="",
    counted={"skillCalls": 1},
    pending=[[0, "send", [], {}, 3]],
    passed=[1, 2],
    rounds=[],
    variables=["x"],
    printed_before=0,
    restricted=None,
    dump=b"the interpreter",
)
SESSION = SessionRecord(session_id="s", created_at=NOW, updated_at=NOW, variables=("x",), interpreter=b"the values")


def stored() -> bytes:
    """Return a snapshot as every version since the ledger has stored it, written here in its own words."""
    packed = msgpack.packb([getattr(SNAPSHOT, name) for name in Snapshot.__slots__])
    return f"{INTERPRETER}\n3\n".encode() + SIGNER.sign(packed, "t:3")


def test_a_snapshot_is_stored_as_it_always_was_and_comes_back_as_it_was_handed_over() -> None:
    assert seal(pack(SNAPSHOT, "t:3"), SIGNER) == stored()
    left = opened(TaskLedger(calls=(CALL,), snapshot=stored()), SIGNER)
    assert left.snapshot is not None
    assert (unpack(left.snapshot), left.calls, left.refused) == (SNAPSHOT, (CALL,), None)


@pytest.mark.parametrize(
    ("data", "call", "why"),
    [
        (stored()[:-1] + b"!", CALL, "its signature is not this server's"),
        (stored(), replace(CALL, effect_id="another:3"), "its signature is not this server's"),
        (stored(), replace(CALL, number=4), "its signature is not this server's"),
        (b"", CALL, f"it was made by  and this server runs {INTERPRETER}"),
        (b"monty-99\n" + stored(), CALL, f"it was made by monty-99 and this server runs {INTERPRETER}"),
    ],
    ids=["changed", "of another call", "of no call", "empty", "of another interpreter"],
)
def test_a_run_is_given_nothing_of_a_snapshot_that_is_not_this_servers(data: bytes, call: CallRecord, why: str) -> None:
    assert opened(TaskLedger(calls=(call,), snapshot=data), SIGNER) == Left(calls=(call,), refused=why)


def test_a_task_without_a_snapshot_is_refused_none() -> None:
    assert opened(TaskLedger(calls=(CALL,)), SIGNER) == Left(calls=(CALL,))


def test_a_sessions_variables_are_bare_for_a_run_and_signed_in_the_store() -> None:
    sealed = replace(SESSION, interpreter=SIGNER.sign(b"the values", "s"))
    assert open_session(sealed, SIGNER) == OpenSession(record=SESSION)
    assert seal_session(SessionUpdate(record=SESSION, variables_changed=True), SIGNER) == SessionUpdate(
        record=sealed, variables_changed=True
    )


@pytest.mark.parametrize(
    "interpreter",
    [b"", b"the values", SIGNER.sign(b"the values", "another"), Signer(b"another key").sign(b"the values", "s")],
    ids=["empty", "bare", "of another session", "of another key"],
)
def test_a_session_whose_variables_cannot_be_trusted_has_none_and_says_so(interpreter: bytes) -> None:
    without = replace(SESSION, interpreter=None, variables=())
    assert open_session(replace(SESSION, interpreter=interpreter), SIGNER) == OpenSession(record=without, lost=True)


def test_a_session_without_variables_has_lost_none() -> None:
    without = replace(SESSION, interpreter=None, variables=())
    assert open_session(without, SIGNER) == OpenSession(record=without)
    assert seal_session(SessionUpdate(record=without), SIGNER) == SessionUpdate(record=without)


def test_a_snapshot_of_a_server_that_packed_other_fields_is_told_apart() -> None:
    with pytest.raises(ValueError, match="shorter"):
        unpack(msgpack.packb([3, "send()"]))


def test_the_interpreter_that_dumps_are_signed_for_is_the_one_that_makes_them() -> None:
    assert f"monty-{pydantic_monty.__version__}" == INTERPRETER
