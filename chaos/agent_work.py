"""The tasks of a load for a server with a model: what the model is to answer stands in the task, see `chaos/model.py`.

The kinds of `work.py` are asked of the model as well, which answers their code; the others are what only an agent does.
Immutable, any thread.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chaos import work
from chaos.model import RECALL, part_text, summary_of
from chaos.work import (
    CANCELLED,
    COMPLETED,
    DEAD,
    POLICIES,
    REFUSED_BY_DECISION,
    RETRY,
    Make,
    Mix,
    Work,
    approval_on,
    code,
    edited,
    script,
)

GAVE_UP = "an agent failed"
"""What a task answers whose agent has failed."""

REJECTED = "rejected"


def part(
    name: str,
    kind: str,
    rounds: Sequence[str],
    output: Any,
    *,
    parts: tuple[Work, ...] = (),
    body: Mapping[str, Any] | None = None,
    ends: frozenset[tuple[str, str | None]] = frozenset({COMPLETED, DEAD, REFUSED_BY_DECISION}),
    **more: Any,
) -> Work:
    """Return a task that has these answers given, one a round."""
    asked = {"task": part_text(name, tuple(rounds)), "labels": {"work": name}, **(body or {})}
    return Work(name=name, kind=kind, body=asked, output=output, rounds=tuple(rounds), parts=parts, ends=ends, **more)


def asked(make: Make) -> Make:
    """Return the same tasks, with a model to answer what they hold."""

    def made(name: str, chance: random.Random) -> list[Work]:
        return [_asked(one) for one in make(name, chance)]

    return made


def _asked(one: Work) -> Work:
    rounds = (one.body["task"],)
    return replace(one, body={**one.body, "task": part_text(one.name, rounds)}, rounds=rounds)


# --- rounds ---


def several_rounds(name: str, chance: random.Random) -> list[Work]:
    """Return a task whose code fails, prints or does not pass the check before it answers with all that was done."""
    return [rounds_of(name, [chance.choice(("raise", "check", "print")) for _ in range(chance.randint(1, 3))], chance)]


def rounds_of(name: str, ways: Sequence[str], chance: random.Random) -> Work:
    rounds: list[str] = []
    tokens: list[str] = []
    for number, way in enumerate([*ways, "answer"], start=1):
        calls = [(chance.choice(POLICIES), f"{name}.{number}{letter}") for letter in "ab"]
        imported, _, listed = script(calls).partition("\n")
        held = f"held = {listed}" if not tokens else f"held += {listed}"
        if way == "check":
            rounds.append(code(f"{imported}\n{listed}.no_such_method()"))
            continue
        tokens += [token for _, token in calls]
        last = {"raise": "raise ValueError('not yet')", "print": "print(len(held))", "answer": "held"}[way]
        rounds.append(code(f"{imported}\n{held}\n{last}"))
    return part(name, "several rounds", rounds, tokens)


# --- calls made at once ---


def gathered(name: str, chance: random.Random) -> list[Work]:
    """Return a task that makes calls of every policy at once, among them some that ask the model and one to be approved."""
    calls = [(f"{policy}_effect", f"{name}.{number}") for number, policy in enumerate(POLICIES * 2, start=1)]
    if chance.random() < 0.3:
        calls.append(("approved_keyed", _token(name, "approve", "edit")))
    calls += [("summarize", f"{name}.s{number}") for number in range(chance.randint(0, 2))]
    chance.shuffle(calls)
    return [part(name, "gather", [_gather(calls)], [_result(*call) for call in calls])]


def _gather(calls: Sequence[tuple[str, str]], also: Sequence[str] = ()) -> str:
    names = ", ".join(sorted({skill for skill, _ in calls} | ({"delegate", "flaky", "safe_effect"} if also else set())))
    listed = [
        f"summarize('Summary of {token}. It has a second sentence.', 1)"
        if skill == "summarize"
        else f"{skill}({token!r})"
        for skill, token in calls
    ]
    awaited = ",\n    ".join([*listed, *also])
    return code(
        f"import asyncio\nfrom skills import {names}\nfound = await asyncio.gather(\n    {awaited},\n)\nlist(found)"
    )


def _result(skill: str, token: str) -> str:
    if skill == "summarize":
        return summary_of(token)
    return edited(token) if skill.startswith("approved") and approval_on(token) == "edit" else token


def _token(name: str, *approvals: str) -> str:
    """Return a token about which one of these is decided."""
    return next(t for n in range(100) if approval_on(t := f"{name}.a{n}") in approvals)


# --- approval ---


def approved(name: str, chance: random.Random) -> list[Work]:
    """Return a task with calls that a person approves, edits or rejects; a rejection ends its code, and it goes on."""
    rounds, output = [], []
    for number in range(1, chance.randint(1, 2) + 1):
        skill, token = f"approved_{chance.choice(('keyed', 'never'))}", f"{name}.{number}"
        first, after = f"{token}f", f"{token}z"
        imports = f"from skills import {skill}, safe_effect"
        start = "held = []\n" if number == 1 else ""
        calls = (
            f"held.append(safe_effect({first!r}))\nheld.append({skill}({token!r}))\nheld.append(safe_effect({after!r}))"
        )
        rounds.append(code(f"{imports}\n{start}{calls}\nprint(len(held))"))
        output.append(first)
        if approval_on(token) == "reject":  # the rest of the code is not reached
            output.append(REJECTED)
            rounds.append(code(f"held.append({REJECTED!r})\nprint(len(held))"))
        else:
            output += [_result(skill, token), after]
    return [part(name, "approval", [*rounds, code("held")], output)]


# --- agents ---


def delegated(name: str, chance: random.Random) -> list[Work]:
    """Return a task that hands parts to agents, several at once, some of which do so themselves."""
    return [family(name, chance)]


def family(name: str, chance: random.Random, *, levels: int = 2, retried: bool = True) -> Work:
    """Return a task that delegates two parts or three at once beside calls of its own, and then makes another.

    One of its own may be unavailable at first. An agent's task is retried as the one above it is, `retried` says whether.
    """
    flaky = retried and chance.random() < 0.4
    parts = tuple(
        family(f"{name}.p{number}", chance, levels=levels - 1, retried=flaky)
        if levels > 1 and chance.random() < 0.4
        else _leaf(f"{name}.p{number}", chance)
        for number in range(1, chance.randint(2, 3) + 1)
    )
    last = f"{name}.last"
    own = [("keyed_effect", f"{name}.own"), ("summarize", f"{name}.s")][: chance.randint(1, 2)]
    handed = [f"delegate('helper', {one.body['task']!r})" for one in parts]
    also = [f"flaky('{name}.f', 1)"] if flaky else []
    gather = _gather(own, [*also, *handed]).removesuffix("list(found)\n```")
    first = f"{gather}list(found) + [safe_effect({last!r})]\n```"
    output = [*(_result(*call) for call in own), *([f"{name}.f"] if flaky else []), *parts, last]
    body = {"retry": RETRY} if flaky else {}
    return part(name, "family", [first, code(repr(GAVE_UP))], output, parts=parts, body=body)


def _leaf(name: str, chance: random.Random) -> Work:
    if chance.random() < 0.3:
        return rounds_of(name, ["raise"], chance)
    calls = [(chance.choice(POLICIES), f"{name}.{number}") for number in (1, 2)]
    return part(name, "leaf", [code(script(calls))], [token for _, token in calls])


def cancelled_family(name: str, chance: random.Random) -> list[Work]:
    """Return a task with agents that its client cancels; it may be quicker."""
    one = family(name, chance)
    return [replace(one, kind="cancelled family", ends=one.ends | {CANCELLED}, cancel=True)]


# --- conversation ---


def conversation(name: str, _chance: random.Random) -> list[Work]:
    """Return three tasks of a session, the last of which answers with all that was said in it before."""
    body, ends = {"sessionId": f"talk-{name}"}, frozenset({COMPLETED})
    first, second = f"{name}a", f"{name}b"
    done = f"{second}.1"
    recalled = f'[["{first}", "Noted {first}."], ["{second}", "{done}"]]'
    said = (
        (first, f"Noted {first}.", f"Noted {first}."),
        (second, code(f"from skills import keyed_effect\nkeyed_effect({done!r})"), done),
        (f"{name}c", RECALL, recalled),
    )
    return [
        part(one, "conversation", [answer], output, body=body, ends=ends, session=True) for one, answer, output in said
    ]


OLD = {asked(work.policies): 3, asked(work.session): 1, asked(work.retried): 1, asked(work.cancelled): 1}
AGENT_MIX = Mix(
    kinds={**OLD, several_rounds: 4, gathered: 3, approved: 3, delegated: 3, cancelled_family: 1, conversation: 2}
)
