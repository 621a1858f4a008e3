"""Budgets, kept while tasks run: what has been spent of each, and whether the next call would pass one.

`Accounts` is shared by every run of this server; a `Purse` is one run's view of it. What is spent is stored with the
records that tell of it, so it is known after a crash; what calls under way may cost is set aside here, so that several
at once cannot pass a budget together. Any thread. Imported by the runner and the wiring.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from callboard.agent.models.base import Completion, Message, Model
from callboard.agent.models.counting import most_read
from callboard.budget import Account, Budget, Charges, Usage
from callboard.errors import TaskError

Load = Callable[[Sequence[Account]], Mapping[Account, Usage]]

_LEAST_ANSWER_TOKENS = 16
_KEPT_S = 60.0
_MOST_IDLE = 1000


@dataclass(slots=True)
class _State:
    spent: Usage
    reserved: Usage = field(default_factory=Usage)
    users: int = 0
    left_s: float = 0.0


class Accounts:
    """What has been spent on the accounts that running tasks draw on."""

    def __init__(self, load: Load) -> None:
        self._load = load
        # Guards `_states`: every worker spends on the same sessions' and callers' accounts, in the middle of its task;
        # an actor would cost each call two changes of thread.
        self._lock = threading.Lock()
        self._states: dict[Account, _State] = {}

    def spent(self, accounts: Sequence[Account]) -> list[Usage]:
        """Return what the store has on accounts that nobody spends on now."""
        stored = self._load(accounts)
        return [stored.get(account, Usage()) for account in accounts]

    def open(self, accounts: Sequence[Account]) -> None:
        """Have the accounts at hand until `close`; reads those from the store that are not."""
        with self._lock:
            missing = [account for account in accounts if account not in self._states]
        loaded = self._load(missing) if missing else {}
        with self._lock:
            for account in accounts:
                state = self._states.setdefault(account, _State(loaded.get(account, Usage())))
                state.users += 1

    def close(self, accounts: Sequence[Account]) -> None:
        """Let go of accounts: a task's own at once, others after a while, when all that was told is stored."""
        now_s = time.monotonic()
        with self._lock:
            for account in accounts:
                state = self._states[account]
                state.users -= 1
                state.left_s = now_s
                if not state.users and account.scope == "task":
                    del self._states[account]
            if len(self._states) > _MOST_IDLE:
                old = [a for a, s in self._states.items() if not s.users and now_s - s.left_s > _KEPT_S]
                for account in old:
                    del self._states[account]

    def spend(self, account: Account, usage: Usage) -> None:
        """Add what was spent by somebody else, such as the agents that a task has delegated to."""
        with self._lock:
            if (state := self._states.get(account)) is not None:
                state.spent += usage

    @contextmanager
    def locked(self) -> Iterator[Mapping[Account, _State]]:
        with self._lock:
            yield self._states


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A budget on an account; `called` is what its owner calls it, `setting` where it comes from."""

    account: Account
    budget: Budget
    called: str
    setting: str


class Purse:
    """What one run may spend and has spent. Its methods raise `TaskError` (`budget_exceeded`) before a call is made.

    Its task's account is kept whether it has a budget or not: the task's figures are read from it. `begun` says that
    there was something before this run.
    """

    def __init__(self, limits: Sequence[Limit], accounts: Accounts, task_id: str, *, begun: bool = False) -> None:
        self._limits = tuple(limit for limit in limits if not limit.budget.unlimited)
        self._accounts = accounts
        self._names = [Account("task", task_id)]
        self._started_s = self._counted_s = time.monotonic()
        self._new: dict[Account, Usage] = {}
        self._skills: dict[str, Usage] = {}
        self._on_record = begun
        self._called = 0
        self._uncounted_calls = 0
        # Guards `_new`, `_skills` and what is not counted yet: calls that a script makes at once end in threads of their own.
        self._lock = threading.Lock()
        if begun:
            spent, below = accounts.spent((*self._names, Account("subagents", task_id)))
            self._called = spent.skill_calls - below.skill_calls
        # PERF: most tasks have no budget, and pass over the accounts that all workers share
        if self._limits:
            # several budgets may hold for one account: a task's own, its agent's, the server's
            self._names = list(dict.fromkeys((*self._names, *(limit.account for limit in self._limits))))
            accounts.open(self._names)

    def close(self) -> None:
        if self._limits:
            self._accounts.close(self._names)

    # --- models ---

    @contextmanager
    def model_call(self, model: Model, messages: Sequence[Message], max_tokens: int) -> Iterator[int]:
        """Set aside what a call may cost; give how many tokens the model may write at most."""
        read = most_read(messages)
        with self._accounts.locked() as states:
            written = max_tokens
            for limit in self._limits:
                written = min(written, _answer_tokens(limit, states[limit.account], model, read, max_tokens))
            cost = model.price_usd(read, written) or 0.0
            aside = Usage(model_calls=1, input_tokens=read, output_tokens=written, cost_usd=cost)
            self._reserve(states, aside)
        try:
            yield written
        finally:
            with self._accounts.locked() as states:
                self._reserve(states, _negative(aside))

    def model_called(self, completion: Completion) -> None:
        """Count a call that was made."""
        use = completion.use
        self._count(
            Usage(
                model_calls=1,
                input_tokens=use.read,
                output_tokens=use.written,
                cost_usd=completion.cost_usd or 0.0,
            )
        )

    def model_failed(self, read: int, written: int, cost_usd: float) -> None:
        """Count a call that failed, with what is known of its cost: answers that came and were none."""
        self._count(Usage(model_calls=1, input_tokens=read, output_tokens=written, cost_usd=cost_usd))

    # --- skills ---

    @property
    def called(self) -> int:
        """How many calls of the script are counted; each once, however often the task is begun anew."""
        return self._called

    def skill_calls(self, number: int) -> None:
        """Count the calls that a script is about to make, up to its call of this number."""
        count = max(0, number - self._called)
        if self._limits:
            with self._accounts.locked() as states:
                for limit in self._limits:
                    most = limit.budget.skill_calls
                    used = states[limit.account].spent.skill_calls
                    if most is not None and used + count > most:
                        raise exceeded(limit, "skillCalls", most, used, count)
                    _check_wall(limit, states[limit.account], self._uncounted_ms)
                # at once: other tasks of the same session or caller look at the same accounts
                self._add(states, Usage(skill_calls=count))
        else:
            with self._lock:
                self._uncounted_calls += count
        self._called += count

    def skill_called(self, name: str, *, ok: bool) -> None:
        """Note for the catalogue how a skill's call ended."""
        one = Usage(skill_calls=1, failures=int(not ok))
        with self._lock:
            before = self._skills.get(name)
            self._skills[name] = one if before is None else before + one

    # --- time ---

    @property
    def worked_ms(self) -> float:
        return (time.monotonic() - self._started_s) * 1000

    @property
    def _uncounted_ms(self) -> float:
        return (time.monotonic() - self._counted_s) * 1000

    @property
    def wall_left_s(self) -> tuple[float, Limit] | None:
        """Seconds this attempt may still take, and the budget that says so; None without one."""
        if not self._limits:
            return None
        with self._accounts.locked() as states:
            left = [
                ((limit.budget.wall_ms - states[limit.account].spent.wall_ms) / 1000, limit)
                for limit in self._limits
                if limit.budget.wall_ms is not None
            ]
        return min(left, key=lambda pair: pair[0]) if left else None

    # --- what is stored ---

    def charges(self, *, last: bool = False) -> Charges:
        """Return what was spent since the last time, to be stored with the next record; the task's end is the `last`.

        PERF: the end of a task that has no budget says itself what was spent, unless some is on record already: most tasks
        need no account.
        """
        unsaid = self._on_record or self._limits or not last
        if unsaid:
            self._on_record = True
            with self._lock:
                now_s = time.monotonic()
                wall_ms, self._counted_s = (now_s - self._counted_s) * 1000, now_s
                calls, self._uncounted_calls = self._uncounted_calls, 0
            self._count(Usage(skill_calls=calls, wall_ms=wall_ms))
        elif not self._skills:
            return ()
        with self._lock:
            new = tuple(self._new.items()) if unsaid else ()
            skills = tuple((Account("skill", name), usage) for name, usage in self._skills.items())
            self._new.clear()
            self._skills.clear()
        return (*new, *skills)

    def share(self, parts: int) -> Budget | None:
        """Return what each of `parts` agents may spend: what is left to the task and its session, one part kept back.

        A session's budget is shared out too, since they have sessions of their own; it works on one task at a time, and
        what is left is this one's. Wall time is not: while they work, this task waits.
        """
        own = [limit for limit in self._limits if limit.account.scope in ("task", "session")]
        if not own:
            return None
        with self._accounts.locked() as states:
            budget = Budget()
            for limit in own:
                budget = budget.within(_part(limit.budget, states[limit.account].spent, parts + 1))
        return None if budget.unlimited else budget

    def _count(self, usage: Usage) -> None:
        if self._limits:
            with self._accounts.locked() as states:
                self._add(states, usage)
        else:
            self._add({}, usage)

    def _add(self, states: Mapping[Account, _State], usage: Usage) -> None:
        for account in self._names:
            if (state := states.get(account)) is not None:  # none: the run is over, and this is what was left to tell
                state.spent += usage
        with self._lock:
            for account in self._names:
                self._new[account] = self._new.get(account, Usage()) + usage

    def _reserve(self, states: Mapping[Account, _State], usage: Usage) -> None:
        for account in self._names:
            if (state := states.get(account)) is not None:
                state.reserved += usage


def exceeded(limit: Limit, what: str, most: float, used: float, more: float) -> TaskError:
    """Return the error that says which budget the next call would pass, and how much was spent."""
    return TaskError(
        "budget_exceeded",
        f"The {limit.called}'s budget of {_shown(most)} {what} ({limit.setting}) would be passed: {_shown(used)} are spent "
        f"or set aside and the next call needs {_shown(more)}; raise the budget, or ask for less.",
    )


def _answer_tokens(limit: Limit, state: _State, model: Model, read: int, most_tokens: int) -> int:
    """Return how many tokens a model may write without passing a budget; raise if that is no answer."""
    budget, used = limit.budget, state.spent + state.reserved
    if budget.model_calls is not None and used.model_calls + 1 > budget.model_calls:
        raise exceeded(limit, "modelCalls", budget.model_calls, used.model_calls, 1)
    _check_wall(limit, state, 0.0)
    written = most_tokens
    if budget.tokens is not None:
        written = min(written, budget.tokens - used.tokens - read)
        if written < min(_LEAST_ANSWER_TOKENS, most_tokens):
            raise exceeded(limit, "tokens", budget.tokens, used.tokens, read + _LEAST_ANSWER_TOKENS)
    if budget.cost_usd is not None:
        written = min(written, _affordable(limit, budget.cost_usd, used.cost_usd, model, read, most_tokens))
    return written


def _affordable(limit: Limit, most: float, used: float, model: Model, read: int, most_tokens: int) -> int:
    reading, thousand = model.price_usd(read, 0), model.price_usd(0, 1000)
    if reading is None or thousand is None:
        raise TaskError(
            "budget_exceeded",
            f"The {limit.called} has a budget of {_shown(most)} costUsd ({limit.setting}) and nobody knows what {model.name} "
            "costs; set CALLBOARD_LLM_INPUT_PRICE and CALLBOARD_LLM_OUTPUT_PRICE.",
        )
    left = most - used - reading
    least = min(_LEAST_ANSWER_TOKENS, most_tokens)
    if left < thousand * least / 1000 or left < 0:
        raise exceeded(limit, "costUsd", most, used, reading + thousand * least / 1000)
    return most_tokens if not thousand else min(most_tokens, int(left / thousand * 1000))


def _check_wall(limit: Limit, state: _State, uncounted_ms: float) -> None:
    most, used = limit.budget.wall_ms, state.spent.wall_ms + uncounted_ms
    if most is not None and used >= most:
        raise exceeded(limit, "wallMs", most, round(used), 1)


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
