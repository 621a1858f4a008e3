"""Work that is done on the host on what strangers wrote: it grows with the length, no faster.

Each step is a function of one text, done in a thread of the server, where nothing can stop it. A text four times as long
must not take it much more than four times as long: a pattern that goes back and forth, or a walk for each name, takes sixteen.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from callboard.agent.async_calls import with_twins
from callboard.agent.bindings import bound_names
from callboard.agent.catalogue import Catalogue
from callboard.agent.models.speech import ends_in_code, says_nothing, without_end_marks
from callboard.agent.models.thoughts import Listener, apart
from callboard.agent.planner import OfflinePlanner, PlanRequest
from callboard.agent.planner.answers import read_answer
from callboard.agent.planner.syntax import MAX_CODE_CHARS
from callboard.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable

CHARS = 10_000
SKILLS = Catalogue.load().skills


def plan(text: str) -> None:
    with contextlib.suppress(TaskError):  # it says that no skill fits
        OfflinePlanner().plan(PlanRequest(task=text, skills=SKILLS, now=datetime(2026, 1, 8, tzinfo=UTC)))


def listen(text: str) -> None:
    listener = Listener()
    for start in range(0, len(text), 3):
        listener.feed(text[start : start + 3])


def gathered(names: int) -> str:
    """Await as many names, each of which is given a call."""
    listed = ", ".join(f"a{n}" for n in range(names))
    given = "\n".join(f"a{n} = f()" for n in range(names))
    return f"import asyncio\nfrom skills import f\n{given}\nawait asyncio.gather({listed})"


def repeated(before: str, unit: str, behind: str = "") -> Callable[[int], str]:
    return lambda chars: before + unit * (chars // len(unit)) + behind


STEPS: dict[str, tuple[Callable[[str], object], Callable[[int], str]]] = {
    "awaited names": (with_twins, lambda chars: gathered(chars // 15)),
    "awaited names on one line": (with_twins, repeated("from skills import f\nawait g([", "f(), ", "])")),
    "conditionals in each other": (with_twins, repeated("from skills import f\nawait (", "f() if a else ", "f())")),
    "bound in conditionals in each other": (bound_names, repeated("b = ", "x if a else ", "x")),
    "lists added up": (with_twins, repeated("await gather(*[f()]", " + [f()]", ")")),
    "blank lines in a block": (read_answer, repeated("```\n", "\n")),
    "blanks behind a fence": (read_answer, repeated("```python", " ")),
    "one fence after another": (read_answer, repeated("", "~~~python\n")),
    "code that goes on from itself": (read_answer, repeated("```\n", "x = 1\n")),
    "tildes alone": (says_nothing, repeated("", "~", "!")),
    "backticks alone": (says_nothing, repeated("", "`", "!")),
    "a fence without an end": (ends_in_code, repeated("~~~", "a")),
    "blanks before an end": (without_end_marks, repeated("", " ", ">")),
    "marks of an end": (without_end_marks, repeated("", "</s> ")),
    "marks of thoughts": (apart, repeated("", "<think>")),
    "closing marks": (apart, repeated("", "</think>")),
    "quoted marks": (apart, repeated("", "`<think>`")),
    "other marks": (apart, repeated("", "<|start|> ")),
    "blanks that are streamed": (listen, repeated("", " ")),
    "thoughts that are streamed": (listen, repeated("<think>", "<")),
    "a task of fences": (plan, repeated("", "~~~a")),
    "a task of backticks": (plan, repeated("", "`")),
    "a task of brackets": (plan, repeated("What is ", "(", "?")),
    "a task of digits": (plan, repeated("What is ", "1", "?")),
    "a task of sums": (plan, repeated("What is ", "1+", "1?")),
    "a task of words": (plan, repeated("what is the ", "sum of a and ", "?")),
    "a task of questions": (plan, repeated("", "? ")),
    "a task of dates": (plan, repeated("", "2026-01-01 ")),
    "a task of blanks": (plan, repeated("a", " ", "?")),
    "a task of lines": (plan, repeated("Which is the largest in\nname,v\n", "a,1\n")),
    "a task of quotes": (plan, repeated("How many a in ", '"')),
    "a task of braces": (plan, repeated("", '{"a":')),
}


def seconds(step: Callable[[str], object], text: str) -> float:
    best = float("inf")
    for _ in range(3):
        begun = time.thread_time()
        step(text)
        best = min(best, time.thread_time() - begun)
    return best


@pytest.mark.parametrize("name", STEPS)
def test_what_is_four_times_as_long_takes_about_four_times_the_time(name: str) -> None:
    step, text_of = STEPS[name]
    once, four_times = seconds(step, text_of(CHARS)), seconds(step, text_of(4 * CHARS))
    assert four_times < 9 * once + 0.1, f"{once:.3f} s, then {four_times:.3f} s"


@pytest.mark.parametrize("name", STEPS)
def test_no_length_is_an_error_of_ours(name: str) -> None:
    step, text_of = STEPS[name]
    step(text_of(MAX_CODE_CHARS))
