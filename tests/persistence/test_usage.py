"""What was spent is added up in the transaction of what it was spent on, and only if that was carried out."""

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from callboard.budget import Account, Charges, Usage
from callboard.messages.events import Topic
from callboard.messages.pauses import Pause, PauseReason
from callboard.messages.records import RecordAcceptance, RecordPause, RecordRequeue, RecordSessionDeleted
from callboard.messages.tasks import Status
from callboard.persistence.store import SqlStore
from callboard.persistence.tables import usage
from tests.profiles import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.persistence.conftest import Maker

TASK, SESSION = Account("task", "task-00000001"), Account("session", "session")
CALLER, SKILL = Account("caller", "key:1", "2026-01-01"), Account("skill", "web-fetch")
ONE = Usage(model_calls=1, input_tokens=10, output_tokens=3, cost_usd=0.25, skill_calls=2, failures=1, wall_ms=1.5)
TWO = ONE + ONE
ALL: Charges = ((TASK, ONE), (SESSION, ONE), (CALLER, ONE), (SKILL, ONE))


@pytest.fixture
def running(store: SqlStore, make: "Maker") -> RecordAcceptance:
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted)])
    return accepted


def charged(make: "Maker", accepted: RecordAcceptance, kind: str, *, attempt: int | None = 1) -> Any:
    """Return a record that is charged for; the pause and what follows it belong to a running task's attempt."""
    task_id, at = accepted.task.task_id, make.now
    match kind:
        case "events":
            return replace(make.events(accepted), attempt=attempt or 1, charges=ALL)
        case "pause":
            events = (make.event(Topic.TASK_PAUSED),)
            return RecordPause(
                task_id=task_id,
                attempt=attempt or 1,
                at=at,
                pause=Pause(reason=PauseReason.APPROVAL),
                events=events,
                charges=ALL,
            )
        case "requeue":
            return RecordRequeue(task_id=task_id, attempt=attempt, at=at, events=(), charges=ALL)
        case _:
            return replace(make.result(accepted), attempt=attempt, charges=ALL)


KINDS = ["events", "pause", "requeue", "result"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_carried_out_is_charged(store: SqlStore, make: "Maker", running: RecordAcceptance, kind: str) -> None:
    store.writer.write([charged(make, running, kind)])
    assert store.reader.usage([account for account, _ in ALL]) == dict(ALL)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("over", [False, True], ids=["another attempt's", "after the end"])
def test_what_is_ignored_is_not_charged(
    store: SqlStore, make: "Maker", running: RecordAcceptance, kind: str, over: bool
) -> None:
    if over:
        store.writer.write([make.cancel(running)])
    store.writer.write([charged(make, running, kind, attempt=1 if over else 2)])
    assert store.reader.usage([TASK, SKILL]) == {TASK: Usage(), SKILL: Usage()}


def test_charges_of_a_batch_and_of_later_ones_add_up(store: SqlStore, make: "Maker", running: RecordAcceptance) -> None:
    store.writer.write([charged(make, running, "events"), charged(make, running, "events")])
    store.writer.write([charged(make, running, "result")])
    assert store.reader.usage([TASK, CALLER]) == {TASK: TWO + ONE, CALLER: TWO + ONE}
    assert store.reader.skill_usage() == {"web-fetch": TWO + ONE}


def test_accounts_of_one_name_are_apart_by_scope_and_day(
    store: SqlStore, make: "Maker", running: RecordAcceptance
) -> None:
    accounts = [Account("caller", "a", "2026-01-01"), Account("caller", "a", "2026-01-02"), Account("session", "a")]
    charges = tuple((account, Usage(model_calls=n + 1)) for n, account in enumerate(accounts))
    store.writer.write([replace(make.events(running), charges=charges)])
    assert store.reader.usage(accounts) == dict(charges)
    assert store.reader.usage([]) == {}


def test_a_refused_record_costs_nothing_and_spoils_no_other(
    store: SqlStore, make: "Maker", running: RecordAcceptance
) -> None:
    unstorable = replace(make.events(running), charges=((TASK, Usage(model_calls=2**70)),))
    [refused, done] = store.writer.write([unstorable, charged(make, running, "events")])
    assert isinstance(refused.value, Exception)
    assert done.value is True
    assert store.reader.usage([TASK]) == {TASK: ONE}


def test_a_tasks_account_goes_with_the_task_and_the_others_stay(
    store: SqlStore, make: "Maker", running: RecordAcceptance
) -> None:
    store.writer.write([charged(make, running, "result")])
    assert store.writer.prune_step(older_than=None, keep=0) == 1
    expected = {**dict.fromkeys([SESSION, CALLER, SKILL], ONE), TASK: Usage()}
    assert store.reader.usage([TASK, SESSION, CALLER, SKILL]) == expected


def test_callers_days_are_forgotten_and_nothing_else(store: SqlStore, make: "Maker", running: RecordAcceptance) -> None:
    later = Account("caller", "key:1", "2026-01-02")
    store.writer.write([charged(make, running, "events"), replace(make.events(running), charges=((later, ONE),))])
    store.writer.forget_usage(before=date(2026, 1, 2))
    assert store.reader.usage([CALLER, later]) == {CALLER: Usage(), later: ONE}
    assert store.reader.usage([TASK, SESSION, SKILL]) == dict.fromkeys([TASK, SESSION, SKILL], ONE)


def test_a_deleted_session_has_spent_nothing(store: SqlStore, make: "Maker", running: RecordAcceptance) -> None:
    store.writer.write([charged(make, running, "result"), RecordSessionDeleted(session_id="session")])
    assert store.reader.usage([SESSION, TASK]) == {SESSION: Usage(), TASK: ONE}


def test_two_writers_add_to_the_same_accounts(
    store: SqlStore, second_store: SqlStore, make: "Maker", running: RecordAcceptance
) -> None:
    for one in (store, second_store, store):
        one.writer.write([charged(make, running, "events")])
    assert store.reader.usage([CALLER]) == {CALLER: TWO + ONE}


def test_a_batch_without_charges_writes_the_agents_account_alone(
    store: SqlStore, make: "Maker", running: RecordAcceptance, raw_engine: Engine
) -> None:
    store.writer.write([make.events(running), make.result(running)])
    with raw_engine.connect() as connection:
        assert connection.execute(select(usage.c.scope)).scalars().all() == ["agent"]


# --- what agents have ended ---


def test_each_end_of_a_task_counts_once_for_its_agent(store: SqlStore, make: "Maker") -> None:
    ends = [(None, Status.COMPLETED), ("master", Status.FAILED), ("coder", Status.CANCELLED), ("coder", Status.FAILED)]
    accepted = [make.acceptance(agent=agent) for agent, _ in ends]
    results = [make.result(one, status, attempt=None) for one, (_, status) in zip(accepted, ends, strict=True)]
    store.writer.write([*accepted, results[0], results[0]])
    store.writer.write([*results, *(make.cancel(one) for one in accepted)])
    found = {name: (one.tasks, one.failures) for name, one in store.reader.agent_usage().items()}
    assert found == {"master": (2, 1), "coder": (2, 1)}


def test_a_task_that_is_accepted_or_goes_on_does_not_count(
    store: SqlStore, make: "Maker", running: RecordAcceptance
) -> None:
    store.writer.write([charged(make, running, "events"), charged(make, running, "pause")])
    assert store.reader.agent_usage() == {}


def test_agents_counts_stay_when_tasks_and_accounts_go(
    store: SqlStore, make: "Maker", running: RecordAcceptance
) -> None:
    store.writer.write([make.result(running, Status.FAILED)])
    assert store.writer.prune_step(older_than=None, keep=0) == 1
    store.writer.forget_usage(before=date(2030, 1, 1))
    store.writer.write([RecordSessionDeleted(session_id="session")])
    assert store.reader.agent_usage() == {"master": Usage(tasks=1, failures=1)}


def test_a_refused_result_counts_for_nobody_and_the_one_in_its_place_does(
    store: SqlStore, make: "Maker", running: RecordAcceptance
) -> None:
    [refused] = store.writer.write([make.result(running, execution_time_ms="no number")])
    assert isinstance(refused.value, Exception)
    assert store.reader.agent_usage() == {}
    store.writer.write([make.result(running)])
    assert store.reader.agent_usage() == {"master": Usage(tasks=1)}


charges = st.lists(st.tuples(st.sampled_from([TASK, SESSION, CALLER, SKILL]), st.integers(0, 5)), max_size=4).map(
    lambda made: tuple((account, Usage(skill_calls=n, wall_ms=n / 2)) for account, n in made)
)
steps = st.tuples(st.sampled_from(KINDS), st.sampled_from([1, 2]), charges)


@examples(40)
@given(batches=st.lists(st.lists(steps, max_size=5), max_size=6))
def test_accounts_hold_the_sum_of_what_took_effect(
    emptied: "Callable[[], SqlStore]", make: "Maker", batches: list[list[tuple[str, int, Charges]]]
) -> None:
    store = emptied()
    accepted = make.acceptance()
    store.writer.write([accepted, make.start(accepted)])
    spent: Counter[Account] = Counter()
    runs = True
    for batch in batches:
        store.writer.write(
            [replace(charged(make, accepted, kind, attempt=attempt), charges=c) for kind, attempt, c in batch]
        )
        for kind, attempt, charges in batch:
            if runs and attempt == 1:
                for account, one in charges:
                    spent[account] += one.skill_calls
                runs = kind == "events"
    found = store.reader.usage([TASK, SESSION, CALLER, SKILL])
    assert {account: one.skill_calls for account, one in found.items()} == {a: spent[a] for a in found}
    assert {account: one.wall_ms for account, one in found.items()} == {a: spent[a] / 2 for a in found}
    assert (store.reader.task(accepted.task.task_id).status is Status.RUNNING) == runs
