"""The built-in planner's score: right or refused, never wrong, on questions whose answers are known from elsewhere.

`tables.yaml`, `arithmetic.yaml` and `everyday.yaml` are checked by hand; their questions are the same every time. Others are
made from values that are known before they are written down: a few of them in every run, always the same, and many new ones
at night.
"""

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import pytest

from callboard.errors import TaskError
from tests.agent.planner.conftest import Desk
from tests.agent.planner.score.cases import plain_cases, table_cases
from tests.agent.planner.score.judge import Case, Score, judge
from tests.agent.planner.score.made_plain import ask_plainly
from tests.agent.planner.score.made_questions import ask_about
from tests.agent.planner.score.made_tables import make_table
from tests.profiles import is_nightly, times

LEAST_RIGHT = {"tables by hand": 290, "other questions by hand": 220, "made tables": 0.4, "other made questions": 0.45}
"""How many have to be answered, since refusing everything is no answer; to be raised as more are.

By hand: a number of them. Made: a share, as at night there are more.
"""
LEAST_CASES = 400
TABLES, ROUNDS = 30, 30
"""How many tables are made, with about 21 questions each, and how often each other kind of question is."""
MOST_SHOWN = 200

Record = Callable[[str, Any], None]


def test_no_question_on_a_table_is_answered_wrongly(desk: Desk, record_property: Record) -> None:
    _examine("tables by hand", desk, table_cases(), record_property)


def test_no_other_question_is_answered_wrongly(desk: Desk, record_property: Record) -> None:
    _examine("other questions by hand", desk, plain_cases(), record_property)


def test_no_question_on_a_made_table_is_answered_wrongly(desk: Desk, record_property: Record) -> None:
    _examine("made tables", desk, _made_tables(), record_property)


def test_no_other_made_question_is_answered_wrongly(desk: Desk, record_property: Record) -> None:
    cases = (case for random in _seeds(ROUNDS) for case in ask_plainly(random))
    _examine("other made questions", desk, cases, record_property)


def _made_tables() -> Iterator[Case]:
    for random in _seeds(TABLES):
        yield from ask_about(make_table(random), random)


def _seeds(count: int) -> Iterator[Random]:
    """Yield sources of chance: the same in every run, but at night others each time. A wrong answer is shown with its task."""
    first = Random().randrange(10**9) if is_nightly() else 0
    return (Random(first + number) for number in range(count * times()))


def test_the_table_of_questions_is_long_and_asks_nothing_twice() -> None:
    tasks = [case.task for case in (*table_cases(), *plain_cases())]
    assert len(set(tasks)) == len(tasks) >= LEAST_CASES


def _examine(name: str, desk: Desk, cases: Iterable[Case], record: Record) -> None:
    score = Score()
    for case in cases:
        got = _ask(desk, case.task)
        score.add(case, judge(case, got), got)
    record("score", score.line(name))
    print(score.table())
    if score.wrong:
        pytest.fail("\n".join([score.line(name), *score.wrong[:MOST_SHOWN]]), pytrace=False)
    least = LEAST_RIGHT[name]
    assert score.total("right") >= (least if least >= 1 else least * score.count()), score.line(name)


def _ask(desk: Desk, task: str) -> Any:
    """Return the answer to a task, or the error it was refused with."""
    try:
        return desk.answer(task)
    except TaskError as refusal:
        return refusal
