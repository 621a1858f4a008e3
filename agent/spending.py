"""Budgets, kept while tasks run: what has been spent of each, and whether the next call would pass one.

`Accounts` is the control side's, one for all runs of this server, and any thread's; a run has its `Purse`, and sees of
it only what `Spending` lists. What is spent is stored with the records that tell of it, so it is known after a crash;
what calls under way may cost is set aside here, so that several at once cannot pass a budget together. Imported by the
purse, by `actors/` and by the wiring.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from callboard.budget import Account, Budget, Usage
from callboard.errors import TaskError, Unavailable

Load = Callable[[Sequence[Account]], Mapping[Account, Usage]]

_LEAST_ANSWER_TOKENS = 16
_KEPT_S = 60.0
_MOST_IDLE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A budget on an account; `called` is what its owner calls it, `setting` where it comes from."""

    account: Account
    budget: Budget
    called: str
    setting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a model call may take: tokens read, an answer of at most `max_tokens`, and their prices, None where nobody knows them."""

    model: str
    read: int
    max_tokens: int
    read_usd: float | None
    answer_usd: float | None


class Spending(Protocol):
    """What a run asks of `Accounts`, perhaps from another process: only values cross, arguments by position.

    Each method may raise `Unavailable`, and `Cancelled` where the run is to stop. Those that answer raise `Unavailable`
    for a holder that is not open; the others do nothing then, so what comes late does no harm.
    """

    def spent(self, accounts: tuple[Account, ...], /) -> tuple[Usage, ...]:
        """Return what the store has on accounts that nobody spends on now."""

    def open(self, holder: str, limits: tuple[Limit, ...], since_s: float, /) -> tuple[float, Limit] | None:
        """Let the holder spend within the limits until it is closed; its work began at `since_s` (monotonic).

        Return how many seconds it may take, and which budget says so; None without one.
        """

    def take_skill_calls(self, holder: str, count: int, /) -> None:
        """Count calls that are about to be made; raise `TaskError` (`budget_exceeded`) where they would pass a budget."""

    def reserve_model_call(self, holder: str, number: int, estimate: Estimate, /) -> int:
        """Set aside what the holder's call of this number may cost; return how many tokens the model may write at most.

        Raises `TaskError` (`budget_exceeded`) where no answer can be had for what is left.
        """

    def end_model_call(self, holder: str, number: int, usage: Usage, /) -> None:
        """Count what the call took, in place of what was set aside for it."""

    def share(self, holder: str, parts: int, /) -> Budget | None:
        """Return what each of `parts` agents may spend: what is left to the task and its session, one part kept back.

        A session's budget is shared out too, since they have sessions of their own; it works on one task at a time, and
        what is left is this one's. Wall time is not: while they work, this task waits.
        """

    def close(self, holder: str, until_s: float | None = None, /) -> None:
        """End what the holder may spend, with the wall time until then (now), and release what is set aside for it."""


def holder_of(task_id: str, attempt: int) -> str:
    """Return the name under which an attempt spends."""
    return f"{task_id}:{attempt}"


def shared_out(limits: Sequence[Limit]) -> list[Limit]:
    """Return the limits of which agents that a task delegates to get a share."""
    return [limit for limit in limits if limit.account.scope in ("task", "session")]


@dataclass(slots=True)
class _State:
    spent: Usage
    reserved: Usage = field(default_factory=Usage)
    users: int = 0
    left_s: float = 0.0


@dataclass(slots=True)
class _Holder:
    limits: tuple[Limit, ...]
    accounts: tuple[Account, ...]
    counted_s: float
    reserved: dict[int, Usage] = field(default_factory=dict)


class Accounts:
    """What has been spent on the accounts that running tasks draw on. See `Spending` for what runs ask."""

    def __init__(self, load: Load) -> None:
        self._load = load
        # Guards `_states` and `_holders`: every run spends on the same sessions' and callers' accounts, in the middle of
        # its task; an actor would cost each call two changes of thread.
        self._lock = threading.Lock()
        self._states: dict[Account, _State] = {}
        # Invariant: what a state has reserved is the sum of what its holders have, and `users` is how many these are.
        self._holders: dict[str, _Holder] = {}

    def spent(self, accounts: tuple[Account, ...], /) -> tuple[Usage, ...]:
        stored = self._load(accounts)
        return tuple(stored.get(account, Usage()) for account in accounts)

    def open(self, holder: str, limits: tuple[Limit, ...], since_s: float, /) -> tuple[float, Limit] | None:
        # several budgets may hold for one account: a task's own, its agent's, the server's
        accounts = tuple(dict.fromkeys(limit.account for limit in limits))
        with self._lock:
            missing = [account for account in accounts if account not in self._states]
        loaded = self._load(missing) if missing else {}
        with self._lock:
            self._close(holder, time.monotonic())
            self._holders[holder] = held = _Holder(limits, accounts, since_s)
            for account in accounts:
                state = self._states.setdefault(account, _State(loaded.get(account, Usage())))
                state.users += 1
            return self._wall_left(held)

    def take_skill_calls(self, holder: str, count: int, /) -> None:
        with self._lock:
            held = self._counted(holder)
            for limit in held.limits:
                most, spent = limit.budget.skill_calls, self._states[limit.account].spent
                if most is not None and spent.skill_calls + count > most:
                    raise exceeded(limit, "skillCalls", most, spent.skill_calls, count)
                _check_wall(limit, spent)
            # at once: other tasks of the same session or caller look at the same accounts
            self._add(held, Usage(skill_calls=count))

    def reserve_model_call(self, holder: str, number: int, estimate: Estimate, /) -> int:
        with self._lock:
            held = self._counted(holder)
            self._release(held, number)
            written = estimate.max_tokens
            for limit in held.limits:
                written = min(written, _answer_tokens(limit, self._states[limit.account], estimate))
            cost = (estimate.read_usd or 0.0) + (estimate.answer_usd or 0.0) * written / estimate.max_tokens
            aside = Usage(model_calls=1, input_tokens=estimate.read, output_tokens=written, cost_usd=cost)
            held.reserved[number] = aside
            self._reserve(held, aside)
        return written

    def end_model_call(self, holder: str, number: int, usage: Usage, /) -> None:
        with self._lock:
            held = self._holders.get(holder)
            if held is not None and number in held.reserved:
                self._release(held, number)
                self._add(held, usage)

    def share(self, holder: str, parts: int, /) -> Budget | None:
        budget = Budget()
        with self._lock:
            for limit in shared_out(self._counted(holder).limits):
                budget = budget.within(_part(limit.budget, self._states[limit.account].spent, parts + 1))
        return None if budget.unlimited else budget

    def close(self, holder: str, until_s: float | None = None, /) -> None:
        with self._lock:
            self._close(holder, time.monotonic() if until_s is None else until_s)

    def spend(self, account: Account, usage: Usage) -> None:
        """Add what was spent by somebody else, such as the agents that a task has delegated to."""
        with self._lock:
            if (state := self._states.get(account)) is not None:
                state.spent += usage

    # --- under the lock ---

    def _counted(self, holder: str) -> _Holder:
        """Return an open holder, with its wall time counted until now; raise `Unavailable` where it is not open."""
        held = self._holders.get(holder)
        if held is None:
            raise Unavailable(f"The attempt {holder} is over and spends nothing more.")
        self._count_wall(held, time.monotonic())
        return held

    def _count_wall(self, held: _Holder, until_s: float) -> None:
        # less than nothing where a run has worked, and been told to stop, after it said for the last time what it spent
        self._add(held, Usage(wall_ms=(until_s - held.counted_s) * 1000))
        held.counted_s = until_s

    def _wall_left(self, held: _Holder) -> tuple[float, Limit] | None:
        left = [
            ((limit.budget.wall_ms - self._states[limit.account].spent.wall_ms) / 1000, limit)
            for limit in held.limits
            if limit.budget.wall_ms is not None
        ]
        return min(left, key=lambda pair: pair[0]) if left else None

    def _close(self, holder: str, until_s: float) -> None:
        """Let go of accounts: a task's own at once, others after a while, when all that was told is stored."""
        held = self._holders.pop(holder, None)
        if held is None:
            return
        for number in tuple(held.reserved):
            self._release(held, number)
        self._count_wall(held, until_s)
        now_s = time.monotonic()
        for account in held.accounts:
            state = self._states[account]
            state.users -= 1
            state.left_s = now_s
            if not state.users and account.scope == "task":
                del self._states[account]
        if len(self._states) > _MOST_IDLE:
            old = [a for a, s in self._states.items() if not s.users and now_s - s.left_s > _KEPT_S]
            for account in old:
                del self._states[account]

    def _add(self, held: _Holder, usage: Usage) -> None:
        for account in held.accounts:
            self._states[account].spent += usage

    def _reserve(self, held: _Holder, usage: Usage) -> None:
        for account in held.accounts:
            self._states[account].reserved += usage

    def _release(self, held: _Holder, number: int) -> None:
        if (aside := held.reserved.pop(number, None)) is not None:
            self._reserve(held, _negative(aside))


def exceeded(limit: Limit, what: str, most: float, used: float, more: float) -> TaskError:
    """Return the error that says which budget the next call would pass, and how much was spent."""
    return TaskError(
        "budget_exceeded",
        f"The {limit.called}'s budget of {_shown(most)} {what} ({limit.setting}) would be passed: {_shown(used)} are spent "
        f"or set aside and the next call needs {_shown(more)}; raise the budget, or ask for less.",
    )


def _answer_tokens(limit: Limit, state: _State, estimate: Estimate) -> int:
    """Return how many tokens a model may write without passing a budget; raise if that is no answer."""
    budget, used, read, most_tokens = limit.budget, state.spent + state.reserved, estimate.read, estimate.max_tokens
    if budget.model_calls is not None and used.model_calls + 1 > budget.model_calls:
        raise exceeded(limit, "modelCalls", budget.model_calls, used.model_calls, 1)
    _check_wall(limit, state.spent)
    written = most_tokens
    if budget.tokens is not None:
        written = min(written, budget.tokens - used.tokens - read)
        if written < min(_LEAST_ANSWER_TOKENS, most_tokens):
            raise exceeded(limit, "tokens", budget.tokens, used.tokens, read + _LEAST_ANSWER_TOKENS)
    if budget.cost_usd is not None:
        written = min(written, _affordable(limit, budget.cost_usd, used.cost_usd, estimate))
    return written


def _affordable(limit: Limit, most: float, used: float, estimate: Estimate) -> int:
    reading, whole, most_tokens = estimate.read_usd, estimate.answer_usd, estimate.max_tokens
    if reading is None or whole is None:
        raise TaskError(
            "budget_exceeded",
            f"The {limit.called} has a budget of {_shown(most)} costUsd ({limit.setting}) and nobody knows what {estimate.model} "
            "costs; set CALLBOARD_LLM_INPUT_PRICE and CALLBOARD_LLM_OUTPUT_PRICE.",
        )
    left = most - used - reading
    least = whole * min(_LEAST_ANSWER_TOKENS, most_tokens) / most_tokens
    if left < least or left < 0:
        raise exceeded(limit, "costUsd", most, used, reading + least)
    return most_tokens if not whole else min(most_tokens, int(left / whole * most_tokens))


def _check_wall(limit: Limit, spent: Usage) -> None:
    most = limit.budget.wall_ms
    if most is not None and spent.wall_ms >= most:
        raise exceeded(limit, "wallMs", most, round(spent.wall_ms), 1)


def _negative(usage: Usage) -> Usage:
    return Usage(**{name: -getattr(usage, name) for name in Usage.__slots__})


def _part(budget: Budget, spent: Usage, parts: int) -> Budget:
    def left(most: int | None, used: int) -> int | None:
        return None if most is None else max(0, most - used) // parts

    cost = None if budget.cost_usd is None else max(0.0, budget.cost_usd - spent.cost_usd) / parts
    return Budget(
        model_calls=left(budget.model_calls, spent.model_calls),
        tokens=left(budget.tokens, spent.tokens),
        cost_usd=cost,
        skill_calls=left(budget.skill_calls, spent.skill_calls),
        wall_ms=None if budget.wall_ms is None else max(0, budget.wall_ms - round(spent.wall_ms)),
    )


def _shown(number: float) -> str:
    return f"{number:,.6f}".rstrip("0").rstrip(".") if isinstance(number, float) else f"{number:,}"
