"""What one run may spend, and has spent: `Purse` asks before each call, `Spent` keeps what the next record is to carry.

Purses are of the work side: the run's thread, and those of calls that a script makes at once. A `Spent` is kept on the
control side too for a run in another process. Imported by the runner and by `actors/`.
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from callboard.agent.cancel import Cancelled
from callboard.agent.models.base import Message, Model
from callboard.agent.models.counting import most_read
from callboard.agent.spending import Estimate, Limit, Spending, holder_of, shared_out
from callboard.budget import Account, Budget, Charges, Usage
from callboard.errors import Unavailable


class Spent:
    """What one run has spent and no record has carried yet; any thread.

    Its task's account is kept whether it has a budget or not: the task's figures are read from it. `begun` says that
    there was something before this run. Where the run is in another process there are two: the run's own, whose `charges`
    go up with all that it tells, and the control side's, which is told them (`add`) and says without asking anybody what
    records are to carry. Each counts the wall time by itself, so that none of it is counted twice or waits to be told.
    """

    def __init__(self, limits: Sequence[Limit], task_id: str, *, begun: bool = False) -> None:
        self._limited = bool(limits)
        self._names = tuple(dict.fromkeys((Account("task", task_id), *(limit.account for limit in limits))))
        self.started_s = self.counted_s = time.monotonic()
        self._new = Usage()
        self._new_calls = 0
        self._skills: dict[str, Usage] = {}
        self._on_record = begun
        # Guards all that changes: calls that a script makes at once end in threads of their own, and whoever ends the
        # task asks from another.
        self._lock = threading.Lock()

    @property
    def worked_ms(self) -> float:
        return (time.monotonic() - self.started_s) * 1000

    def count(self, usage: Usage) -> None:
        """Count a model call."""
        with self._lock:
            self._new += usage

    def count_skill_calls(self, count: int) -> None:
        """Count calls that a script is about to make."""
        with self._lock:
            self._new_calls += count

    def skill_called(self, name: str, *, ok: bool) -> None:
        """Note for the catalogue how a skill's call ended."""
        with self._lock:
            self._note(name, Usage(skill_calls=1, failures=int(not ok)))

    def add(self, charges: Charges) -> None:
        """Take over what the run has told, wall time aside."""
        with self._lock:
            for account, usage in charges:
                if account.scope == "skill":
                    self._note(account.name, usage)
                elif account == self._names[0]:  # what is on the others is the same
                    self._new += replace(usage, wall_ms=0.0)

    def charges(self, *, last: bool = False) -> Charges:
        """Return what was spent since the last time, to be stored with the next record; the task's end is the `last`.

        PERF: the end of a task that has no budget says itself what was spent, unless some is on record already: most tasks
        need no account.
        """
        with self._lock:
            skills = tuple((Account("skill", name), usage) for name, usage in self._skills.items())
            self._skills.clear()
            if last and not self._limited and not self._on_record:
                return skills
            self._on_record = True
            now_s = time.monotonic()
            new = self._new + Usage(skill_calls=self._new_calls, wall_ms=(now_s - self.counted_s) * 1000)
            self._new, self._new_calls, self.counted_s = Usage(), 0, now_s
        return (*((account, new) for account in self._names), *skills)

    def _note(self, name: str, usage: Usage) -> None:
        before = self._skills.get(name)
        self._skills[name] = usage if before is None else before + usage


class ModelCallSpent:
    """One call of a model within budgets: it may write `max_tokens`, and has taken `usage` in the end."""

    def __init__(self, max_tokens: int, spent: Spent) -> None:
        self.max_tokens = max_tokens
        self.usage = Usage()
        self._spent = spent

    def took(self, read: int, written: int, cost_usd: float | None) -> None:
        """Count the call, before the record that tells of it; one that failed too, with what is known of its cost."""
        self.usage = Usage(model_calls=1, input_tokens=read, output_tokens=written, cost_usd=cost_usd or 0.0)
        self._spent.count(self.usage)


class Purse:
    """What one run may spend. Its methods raise `TaskError` (`budget_exceeded`) before a call is made, and what `Spending` does.

    PERF: `accounts` may be in another process. Most tasks have no budget and ask it nothing; the others ask once before
    skill calls, and before and after each model call.
    """

    def __init__(
        self, limits: Sequence[Limit], accounts: Spending, task_id: str, attempt: int, *, begun: bool = False
    ) -> None:
        self._limits = tuple(limits)
        self._accounts = accounts
        self._holder = holder_of(task_id, attempt)
        self._numbers = itertools.count(1)
        self._called = 0
        self.spent = Spent(limits, task_id, begun=begun)
        if begun:
            whole, below = accounts.spent((Account("task", task_id), Account("subagents", task_id)))
            self._called = whole.skill_calls - below.skill_calls
        self.wall_left_s: tuple[float, Limit] | None = None
        """Seconds that this attempt may take, and the budget that says so; None without one."""
        if self._limits:
            self.wall_left_s = accounts.open(self._holder, self._limits, self.spent.started_s)

    def close(self) -> None:
        if self._limits:
            self._accounts.close(self._holder, self.spent.counted_s)

    @contextlib.contextmanager
    def model_call(self, model: Model, messages: Sequence[Message], max_tokens: int) -> Iterator[ModelCallSpent]:
        """Set aside what a call may cost until it is over."""
        if not self._limits:
            yield ModelCallSpent(max_tokens, self.spent)
            return
        number, estimate = next(self._numbers), _estimate(model, messages, max_tokens)
        call = ModelCallSpent(self._accounts.reserve_model_call(self._holder, number, estimate), self.spent)
        try:
            yield call
        except BaseException:
            with contextlib.suppress(Cancelled, Unavailable):  # why the call failed is said; closing releases it too
                self._accounts.end_model_call(self._holder, number, call.usage)
            raise
        self._accounts.end_model_call(self._holder, number, call.usage)

    @property
    def called(self) -> int:
        """How many calls of the script are counted; each once, however often the task is begun anew."""
        return self._called

    def skill_calls(self, number: int) -> None:
        """Count the calls that a script is about to make, up to its call of this number."""
        count = max(0, number - self._called)
        if self._limits:
            self._accounts.take_skill_calls(self._holder, count)
        self.spent.count_skill_calls(count)
        self._called += count

    def share(self, parts: int) -> Budget | None:
        """Return what each of `parts` agents may spend."""
        return self._accounts.share(self._holder, parts) if shared_out(self._limits) else None


def _estimate(model: Model, messages: Sequence[Message], max_tokens: int) -> Estimate:
    read = most_read(messages)
    reading, both = model.price_usd(read, 0), model.price_usd(read, max_tokens)
    # of the whole answer: a part of it costs no more than that part of its price, also where two models may answer
    whole = None if reading is None or both is None else both - reading
    return Estimate(model=model.name, read=read, max_tokens=max_tokens, read_usd=reading, answer_usd=whole)
