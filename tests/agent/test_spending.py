"""Budgets over several runs at once, as the control side keeps them and as runs ask for them, from another process too."""

import contextlib
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.cancel import Cancelled
from callboard.agent.models.base import Message, Model
from callboard.agent.purse import Purse, Spent
from callboard.agent.spending import Accounts, Estimate, Limit, Spending
from callboard.budget import Account, Budget, Charges, Usage
from callboard.errors import TaskError, Unavailable

DAY = Account("caller", "ann", "2026-01-01")
ASKED = (Message(role="user", text="x" * 300),)


def limit(account: Account = DAY, **budget: Any) -> Limit:
    return Limit(account=account, budget=Budget(**budget), called="caller's day", setting="SETTING")


def accounts_of(stored: dict[Account, Usage] | None = None) -> Accounts:
    return Accounts(lambda accounts: {name: usage for name, usage in (stored or {}).items() if name in accounts})


def estimate(read: int = 100, max_tokens: int = 1000, usd: float | None = None) -> Estimate:
    prices = {"read_usd": None, "answer_usd": None} if usd is None else {"read_usd": 0.0, "answer_usd": usd}
    return Estimate(model="m", read=read, max_tokens=max_tokens, **prices)


class Priced:
    """A model whose answers cost a dollar for a million tokens."""

    name = "priced"

    def price_usd(self, read: int, written: int) -> float:
        return (read + written) / 1_000_000


MODEL = cast(Model, Priced())


class Across:
    """Accounts asked from another process: what crosses is pickled, and counted by its name; `refuse` says what is not let through."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.asked: list[str] = []
        self.refuse: dict[str, Exception] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*args: Any) -> Any:
            self.asked.append(name)
            if name in self.refuse:
                raise self.refuse[name]
            return pickle.loads(pickle.dumps(getattr(self.accounts, name)(*pickle.loads(pickle.dumps(args)))))

        return ask


def across(accounts: Accounts | None = None) -> tuple[Across, Spending]:
    one = Across(accounts or accounts_of())
    return one, cast(Spending, one)


def opened(accounts: Accounts, *holders: str, limits: Sequence[Limit]) -> None:
    for holder in holders:
        accounts.open(holder, tuple(limits), time.monotonic())


# --- several holders ---


def test_what_one_holder_has_set_aside_is_not_there_for_another() -> None:
    accounts = accounts_of()
    opened(accounts, "a:1", "b:1", limits=[limit(tokens=2000)])
    assert accounts.reserve_model_call("a:1", 1, estimate()) == 1000
    assert accounts.reserve_model_call("b:1", 1, estimate()) == 800, "what is left: 2000 - 1100 - 100"
    accounts.end_model_call("a:1", 1, Usage(model_calls=1, input_tokens=100, output_tokens=20))
    accounts.end_model_call("b:1", 1, Usage(model_calls=1, input_tokens=100, output_tokens=20))
    assert accounts.reserve_model_call("b:1", 2, estimate(read=760, max_tokens=5000)) == 1000


def test_a_model_call_is_refused_while_another_holder_has_the_last_one() -> None:
    accounts = accounts_of({DAY: Usage(model_calls=4)})
    opened(accounts, "a:1", "b:1", limits=[limit(model_calls=5)])
    accounts.reserve_model_call("a:1", 1, estimate())
    with pytest.raises(TaskError, match=r"caller's day's budget of 5 modelCalls \(SETTING\)") as refused:
        accounts.reserve_model_call("b:1", 1, estimate())
    assert refused.value.code == "budget_exceeded"
    accounts.end_model_call("a:1", 1, Usage())  # it was not made
    accounts.reserve_model_call("b:1", 1, estimate())


def test_money_is_set_aside_for_as_much_as_the_model_may_write() -> None:
    accounts = accounts_of()
    opened(accounts, "a:1", "b:1", limits=[limit(cost_usd=1.5)])
    assert accounts.reserve_model_call("a:1", 1, estimate(usd=1.0)) == 1000
    assert accounts.reserve_model_call("b:1", 1, estimate(usd=1.0)) == 500
    with pytest.raises(TaskError, match="costUsd"):
        accounts.reserve_model_call("b:1", 2, estimate(usd=1.0))
    with pytest.raises(TaskError, match="nobody knows what m costs"):
        accounts.reserve_model_call("b:1", 2, estimate())


def test_closing_releases_what_a_dead_worker_has_set_aside() -> None:
    accounts = accounts_of()
    opened(accounts, "dead:1", "b:1", limits=[limit(model_calls=2, tokens=3000)])
    accounts.reserve_model_call("dead:1", 1, estimate())
    accounts.reserve_model_call("dead:1", 2, estimate())
    with pytest.raises(TaskError, match="modelCalls"):
        accounts.reserve_model_call("b:1", 1, estimate())
    accounts.close("dead:1")
    accounts.close("dead:1")
    assert accounts.reserve_model_call("b:1", 1, estimate(max_tokens=2900)) == 2900


def test_what_comes_late_for_a_closed_holder_does_no_harm() -> None:
    accounts = accounts_of()
    opened(accounts, "dead:1", "b:1", limits=[limit(model_calls=1, skill_calls=1)])
    accounts.reserve_model_call("dead:1", 1, estimate())
    accounts.close("dead:1")
    accounts.end_model_call("dead:1", 1, Usage(model_calls=1))
    for late in (
        lambda: accounts.take_skill_calls("dead:1", 1),
        lambda: accounts.reserve_model_call("dead:1", 2, estimate()),
        lambda: accounts.share("dead:1", 1),
    ):
        with pytest.raises(Unavailable, match="dead:1 is over"):
            late()
    accounts.take_skill_calls("b:1", 1)
    accounts.reserve_model_call("b:1", 1, estimate())


def test_a_holder_that_never_closes_keeps_what_it_has_until_its_name_is_opened_again() -> None:
    accounts = accounts_of()
    opened(accounts, "lost:1", limits=[limit(model_calls=1)])
    accounts.reserve_model_call("lost:1", 1, estimate())
    opened(accounts, "b:1", limits=[limit(model_calls=1)])
    accounts.close("b:1")
    opened(accounts, "b:2", limits=[limit(model_calls=1)])
    with pytest.raises(TaskError, match="modelCalls"):
        accounts.reserve_model_call("b:2", 1, estimate())
    opened(accounts, "lost:1", limits=[limit(model_calls=1)])
    accounts.reserve_model_call("b:2", 1, estimate())


def test_a_call_that_is_reserved_or_ended_twice_counts_once() -> None:
    accounts = accounts_of()
    opened(accounts, "a:1", limits=[limit(model_calls=2)])
    for _ in range(3):
        accounts.reserve_model_call("a:1", 1, estimate())
    for _ in range(3):
        accounts.end_model_call("a:1", 1, Usage(model_calls=1))
    accounts.reserve_model_call("a:1", 2, estimate())


def test_holders_in_many_threads_do_not_pass_a_budget_together() -> None:
    one, accounts = across()
    limits = [limit(model_calls=20, skill_calls=30), limit(Account("session", "s"), tokens=10_000)]
    begun = threading.Barrier(8)
    made, called = [], []

    def work(number: int) -> None:
        begun.wait()
        for attempt in range(10):
            purse = Purse(limits, accounts, f"task-{number}", attempt)
            with contextlib.suppress(TaskError):
                purse.skill_calls(1)
                called.append(number)
            with contextlib.suppress(TaskError), purse.model_call(MODEL, ASKED, 400) as call:
                call.took(100, call.max_tokens, 0.0)
                made.append(100 + call.max_tokens)
            if attempt % 2:
                purse.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(called) == 30
    assert 17 <= len(made) <= 20
    assert sum(made) <= 10_000
    assert one.asked.count("take_skill_calls") == 80


def test_a_new_holder_finds_what_a_closed_one_has_told_and_not_more_time() -> None:
    """What is counted at the close is what the records said, so what is at hand and what is stored stay the same."""
    accounts, limits = accounts_of(), [limit(wall_ms=60_000)]
    purse = Purse(limits, accounts, "a", 1)
    told = dict(purse.spent.charges())[DAY].wall_ms
    accounts.take_skill_calls("a:1", 1)  # counts the time until now, which no record has said
    purse.close()
    left = Purse(limits, accounts, "b", 1).wall_left_s
    assert left is not None
    assert left[0] == pytest.approx(60 - told / 1000, abs=1e-9)
    assert left[1] == limits[0]


def test_the_time_of_a_budget_ends_its_calls() -> None:
    accounts = accounts_of()
    accounts.open("a:1", (limit(wall_ms=1000),), time.monotonic() - 2)
    for call in (
        lambda: accounts.take_skill_calls("a:1", 1),
        lambda: accounts.reserve_model_call("a:1", 1, estimate()),
    ):
        with pytest.raises(TaskError, match="wallMs"):
            call()


def test_agents_share_what_is_left_to_the_task_and_its_session() -> None:
    accounts = accounts_of({DAY: Usage(skill_calls=9)})
    limits = [
        limit(skill_calls=10),
        limit(Account("task", "a"), skill_calls=30),
        limit(Account("session", "s"), tokens=9),
    ]
    purse = Purse(limits, accounts, "a", 1)
    assert purse.share(2) == Budget(skill_calls=10, tokens=3)
    assert Purse([limit(skill_calls=10)], accounts, "b", 1).share(2) is None


# --- a purse asks no more than it must, and only with values ---


def test_a_run_without_limits_asks_nobody() -> None:
    one, accounts = across()
    purse = Purse([], accounts, "a", 1)
    purse.skill_calls(3)
    with purse.model_call(MODEL, ASKED, 500) as call:
        assert call.max_tokens == 500
        call.took(10, 5, None)
    assert (purse.share(2), purse.wall_left_s) == (None, None)
    purse.close()
    assert one.asked == []
    ((account, usage),) = purse.spent.charges()
    assert (account, replace(usage, wall_ms=0.0)) == (
        Account("task", "a"),
        Usage(model_calls=1, input_tokens=10, output_tokens=5, skill_calls=3),
    )


def test_a_run_with_limits_asks_once_for_skill_calls_and_twice_for_a_model_call() -> None:
    one, accounts = across()
    purse = Purse([limit(skill_calls=10, wall_ms=60_000, cost_usd=1)], accounts, "a", 1)
    for number in (1, 2, 5):
        purse.skill_calls(number)
    with purse.model_call(MODEL, ASKED, 500) as call:
        call.took(10, 5, 0.1)
        purse.spent.charges()
    purse.spent.charges(last=True)
    purse.close()
    model = ["reserve_model_call", "end_model_call"]
    assert one.asked == ["open", *["take_skill_calls"] * 3, *model, "close"]


def test_a_task_begun_before_counts_none_of_its_calls_again() -> None:
    stored = {Account("task", "a"): Usage(skill_calls=7), Account("subagents", "a"): Usage(skill_calls=4)}
    _, accounts = across(accounts_of(stored))
    purse = Purse([limit(Account("task", "a"), skill_calls=8)], accounts, "a", 2, begun=True)
    assert purse.called == 3
    purse.skill_calls(4)
    with pytest.raises(TaskError, match="8 skillCalls"):
        purse.skill_calls(5)
    assert purse.called == 4


@pytest.mark.parametrize(
    "error", [Cancelled(), Unavailable("The control side is gone.")], ids=["cancelled", "unavailable"]
)
def test_an_answer_is_counted_for_its_record_before_the_control_side_is_told(error: Exception) -> None:
    one, accounts = across()
    purse = Purse([limit(model_calls=5)], accounts, "a", 1)
    one.refuse["end_model_call"] = error
    told: list[Charges] = []

    def ask() -> None:
        with purse.model_call(MODEL, ASKED, 500) as call:
            call.took(10, 5, 0.1)
            told.append(purse.spent.charges())

    with pytest.raises(type(error)):
        ask()
    assert [usage.output_tokens for _, usage in told[0]] == [5, 5]
    with pytest.raises(TaskError, match="no answer"), purse.model_call(MODEL, ASKED, 500):
        raise TaskError("model_unavailable", "no answer")


# --- what the control side says of a run in another process ---

_CALLED = st.tuples(st.just("called"), st.sampled_from(["a", "b"]), st.booleans())
_STEPS = st.one_of(
    st.tuples(st.just("model"), st.integers(0, 9)),
    st.tuples(st.just("calls"), st.integers(1, 3)),
    _CALLED,
    st.tuples(st.just("record")),
    st.tuples(st.just("kept back")),
)


def _without_time(charges: Charges) -> list[tuple[Account, Usage]]:
    return [(account, replace(usage, wall_ms=0.0)) for account, usage in charges]


@pytest.mark.parametrize("begun", [False, True], ids=["first", "begun before"])
@pytest.mark.parametrize("budget", [{}, {"tokens": 1_000_000}], ids=["no budget", "a budget"])
@given(steps=st.lists(_STEPS, max_size=12), ending=st.booleans())
def test_the_records_of_a_run_in_another_process_carry_what_those_of_a_thread_do(
    budget: dict[str, Any], begun: bool, steps: list[tuple[Any, ...]], ending: bool
) -> None:
    """A record that may be refused (`kept back`) carries nothing; the end of an attempt is the task's (`ending`) or not."""
    limits = [limit(**budget)] if budget else []
    here, there = (Purse(limits, accounts_of(), "t", 1, begun=begun) for _ in range(2))
    told = Spent(limits, "t", begun=begun)
    records: list[tuple[Charges, Charges]] = []
    calls = 0
    for what, *with_ in steps:
        calls += with_[0] if what == "calls" else 0
        for purse in (here, there):
            if what == "model":
                with purse.model_call(MODEL, ASKED, 9) as call:
                    call.took(1, with_[0], None)
            elif what == "calls":
                purse.skill_calls(calls)
            elif what == "called":
                purse.spent.skill_called(with_[0], ok=with_[1])
        told.add(there.spent.charges())
        if what == "record":
            records.append((here.spent.charges(), told.charges()))
    records.append((here.spent.charges(last=ending), told.charges(last=ending)))
    assert [_without_time(thread) for thread, _ in records] == [_without_time(process) for _, process in records]
    for side, spent in ((0, here.spent), (1, told)):
        times = [usage.wall_ms for both in records for account, usage in both[side] if account.scope == "task"]
        assert sum(times) == pytest.approx((spent.counted_s - spent.started_s) * 1000, abs=1e-6)


def test_a_task_that_is_cancelled_has_worked_until_then_though_its_run_told_nothing() -> None:
    told = Spent([limit(wall_ms=1000)], "t")
    ((task, spent), (day, _)) = told.charges(last=True)
    assert (task, day) == (Account("task", "t"), DAY)
    assert 0 < spent.wall_ms <= told.worked_ms
    assert Spent([], "t").charges(last=True) == ()


def test_the_end_of_a_task_without_a_budget_has_charges_where_a_record_had_some() -> None:
    first, later = Spent([], "t"), Spent([], "t")
    later.charges()
    for spent in (first, later):
        spent.count(Usage(model_calls=1))
        spent.skill_called("a", ok=False)
    skill = (Account("skill", "a"), Usage(skill_calls=1, failures=1))
    assert first.charges(last=True) == (skill,)
    assert _without_time(later.charges(last=True)) == [(Account("task", "t"), Usage(model_calls=1)), skill]
