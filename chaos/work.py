"""The tasks of a load: what is posted, and how it may end.

Every call of a test skill has a token of its own, so that its effects are told apart whatever the server numbers
them; a call's result is its token. Immutable, any thread.
"""

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

POLICIES = ("pure", "safe", "keyed", "never")
APPROVED = ("approved-keyed", "approved-never")
"""The test skills that need a person's approval."""

APPROVALS = ("approve", "edit", "reject")
RETRY = {"maxAttempts": 5, "backoffMs": 50, "maxBackoffMs": 200}

COMPLETED = ("completed", None)
CANCELLED = ("cancelled", None)
REFUSED_BY_DECISION = ("failed", "outcome_unknown")
DEAD = ("failed", "dead_letter")
"""Bad luck: three kills in a row fell into one task that got no further in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One task, posted or delegated.

    With a model, `rounds` are what it answers in turn, and `parts` the tasks that its code delegates; a part in `output`
    stands for what that came to.
    """

    name: str
    kind: str
    body: Mapping[str, Any]
    output: Any = None
    ends: frozenset[tuple[str, str | None]] = frozenset({COMPLETED, DEAD})
    cancel: bool = False
    session: bool = False
    rounds: tuple[str, ...] = ()
    parts: tuple["Work", ...] = ()


def decided(token: str) -> str:
    """Return what a call is taken to have returned when it was decided `assume_done`."""
    return f"decided {token}"


def edited(token: str) -> str:
    """Return the token that a person puts in place of a call's own."""
    return f"edited {token}"


def approval_on(token: str) -> str:
    """Return the decision about a call that needs approval: always the same one, each of the three as often."""
    return APPROVALS[zlib.crc32(f"approve {token}".encode()) % 3]


def code(lines: str) -> str:
    """Return the task that runs this Python as it stands."""
    return f"```python\n{lines}\n```"


def script(calls: Sequence[tuple[str, str]]) -> str:
    """Return the Python that calls the skill of each policy with its token and answers the results."""
    names = ", ".join(sorted({f"{policy}_effect" for policy, _ in calls}))
    listed = ", ".join(f"{policy}_effect({token!r})" for policy, token in calls)
    return f"from skills import {names}\n[{listed}]"


def _work(name: str, kind: str, task: str, *, body: Mapping[str, Any] | None = None, **more: Any) -> Work:
    return Work(name=name, kind=kind, body={"task": task, "labels": {"work": name}, **(body or {})}, **more)


def plain(name: str, chance: random.Random) -> list[Work]:
    left, right = chance.randint(2, 99), chance.randint(2, 99)
    return [_work(name, "plain", f"What is {left} times {right}?", output=left * right)]


def policies(name: str, chance: random.Random) -> list[Work]:
    """Return a script with three calls of one policy, or of each of the four."""
    chosen = chance.choice([*([policy] for policy in POLICIES), list(POLICIES), list(POLICIES)])
    kinds = chosen * 3
    chance.shuffle(kinds)
    return [scripted(name, kinds, "script " + ("of all" if len(chosen) > 1 else chosen[0]))]


def long(name: str, _chance: random.Random) -> list[Work]:
    """Return a script of two dozen calls, longer than any drain."""
    return [scripted(name, ["safe", "keyed", "pure"] * 8, "long script")]


def scripted(name: str, kinds: Sequence[str], kind: str) -> Work:
    """Return a script that calls skills of these policies in this order."""
    calls = [(policy, f"{name}.{number}") for number, policy in enumerate(kinds, start=1)]
    ends = {COMPLETED, DEAD} | ({REFUSED_BY_DECISION} if "never" in kinds else set())
    return _work(name, kind, code(script(calls)), output=[token for _, token in calls], ends=frozenset(ends))


def session(name: str, _chance: random.Random) -> list[Work]:
    """Return three tasks of one session, each of which needs the variables of the one before."""
    first, second = f"{name}a.1", f"{name}b.1"
    body = {"sessionId": f"session-{name}"}
    bodies = (
        (f"from skills import safe_effect\nheld = [safe_effect({first!r})]\nheld", [first]),
        (f"from skills import keyed_effect\nheld.append(keyed_effect({second!r}))\nheld", [first, second]),
        ("len(held)", 2),
    )
    return [
        _work(
            f"{name}{letter}",
            "session",
            code(lines),
            body=body,
            output=output,
            session=True,
            ends=frozenset({COMPLETED}),
        )
        for letter, (lines, output) in zip("abc", bodies, strict=True)
    ]


def retried(name: str, chance: random.Random) -> list[Work]:
    """Return a task whose skill is unavailable twice; or always, until its retries are used up."""
    return [unavailable(name, 99 if chance.random() < 0.25 else 2)]


def unavailable(name: str, times: int) -> Work:
    """Return a task whose skill is unavailable the first `times` times that it is asked, and that is retried."""
    hopeless = times >= RETRY["maxAttempts"]
    lines = f"from skills import flaky, safe_effect\n[safe_effect('{name}.1'), flaky('{name}.2', {times})]"
    ends = {("failed", "skill_unavailable"), DEAD} if hopeless else {COMPLETED, DEAD}
    body = {"retry": {**RETRY, "maxAttempts": 2} if hopeless else RETRY}
    return _work(name, "retried", code(lines), body=body, output=[f"{name}.1", f"{name}.2"], ends=frozenset(ends))


def cancelled(name: str, _chance: random.Random) -> list[Work]:
    """Return a task that its client cancels; it may be quicker."""
    work = scripted(name, ["safe", "keyed"] * 6, "cancelled")
    ends = work.ends | {CANCELLED}
    return [Work(name=name, kind=work.kind, body=work.body, output=work.output, ends=ends, cancel=True)]


Make = Callable[[str, random.Random], list[Work]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Kinds of tasks and how often each is taken."""

    kinds: Mapping[Make, int] = field(
        default_factory=lambda: {plain: 4, policies: 6, session: 1, retried: 1, cancelled: 1}
    )

    def take(self, name: str, chance: random.Random) -> list[Work]:
        """Return the next task, or the next few of one session."""
        make = chance.choices(list(self.kinds), list(self.kinds.values()))[0]
        return make(name, chance)
