"""Who asks, as a value: it never changes, and crosses to another process as it is."""

import dataclasses
import json
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from callboard import AgentSystem, Principal, SubmitTask
from callboard.errors import InvalidRequest
from callboard.principal import ALL_SCOPES, DEFAULT_TENANT, NOBODY, PROCESS, Limits

ALICE = Principal(id="alice", tenant="acme", scopes=frozenset({"tasks", "read"}), limits=Limits(max_requests=7))


def test_a_principal_needs_an_id_only_and_then_may_do_everything_in_the_one_tenant() -> None:
    alice = Principal(id="alice")
    assert (alice.tenant, alice.scopes, alice.limits.max_requests) == (DEFAULT_TENANT, ALL_SCOPES, 0)


def test_a_principal_never_changes_and_is_equal_and_hashed_by_its_value() -> None:
    again = Principal(**{field.name: getattr(ALICE, field.name) for field in dataclasses.fields(ALICE)})
    assert {ALICE: 1}[again] == 1
    for field in dataclasses.fields(ALICE):
        assert hash(getattr(ALICE, field.name)) is not None
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(ALICE, field.name, None)


@pytest.mark.parametrize("principal", [ALICE, PROCESS, NOBODY, Principal(id="key:744e3f2db4a90571")])
@pytest.mark.parametrize("form", [json, msgpack])
def test_a_principal_comes_back_from_the_wire_as_it_was(form: Any, principal: Principal) -> None:
    assert Principal.from_wire(form.loads(form.dumps(principal.to_wire()))) == principal


def test_an_id_that_no_database_could_hold_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="the id of a principal holds the NUL character"):
        Principal(id="a\x00b")


def test_a_program_asks_as_itself_or_as_whom_it_says(system: AgentSystem) -> None:
    own = system.execute("What is 1 + 1?")
    ann = system.execute("What is 1 + 1?", principal=Principal(id="ann"), request_id="r1")
    task = SubmitTask(task="What is 1 + 1?")
    bob = system.gateway.ask(task, principal=Principal(id="bob"), request_id="r2", timeout_s=30)
    assert (own.task.caller, own.task.request_id) == (None, None)
    assert (ann.task.caller, ann.task.request_id) == ("ann", "r1")
    [first, *_] = system.events(bob.task_id)
    assert first.data["requestId"] == "r2"
