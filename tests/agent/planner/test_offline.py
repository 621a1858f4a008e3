"""The built-in planner as a whole: what it refuses, what it may not call, small talk, and hostile tasks."""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from callboard.agent.planner import Plan, PlanRequest
from callboard.agent.planner.offline import OfflinePlanner
from callboard.errors import TaskError

BEYOND = [
    "What is the capital of France?",
    "Write a poem",
    "Tell me a joke",
    "Translate hello to French",
    "Who was the first president?",
    "What is the weather in Paris?",
    "Explain quantum computing",
    "How do I cook rice?",
    "what is love",
    "Send an email to Bob",
    "Hello, who won the world cup in 2010?",
    "Write a Python function that adds two numbers",
    "Play music",
    "How many planets are there?",
    "What is the meaning of life?",
    "asdf",
    "…",
    "?",
    "🤖",
    "{}",
    "[]",
    "null",
]


@pytest.mark.parametrize("task", BEYOND)
def test_a_task_that_no_skill_fits_is_refused_and_says_how_to_connect_a_model(
    plan: Callable[..., Plan], task: str
) -> None:
    with pytest.raises(TaskError) as caught:
        plan(task)
    assert caught.value.code == "no_skill_fits"
    assert "CALLBOARD_LLM_PROVIDER" in caught.value.message
    assert "docs/models.md" in caught.value.message


@pytest.mark.parametrize(
    ("task", "skill"),
    [
        ("What is 12 times 7?", "calculate"),
        ("How many days until Christmas?", "date-difference"),
        ("What date is 45 days after 2026-01-01?", "add-to-date"),
        ("What day of the week is 2026-07-04?", "weekday"),
        ("what day of the week is 45 days after 2026-01-01", "weekday"),
        ("how many minutes in 3 days", "convert-duration"),
        ("3 miles in km", "convert-units"),
        ("255 in hex", "convert-number"),
        ("is 97 prime", "factorize"),
        ("Summarize: One. Two. Three. Four.", "summarize"),
        ("How many words are in: a b", "text-statistics"),
        ("Analyze this code: ```python\n1\n```", "code-analysis"),
        ("Security audit of this code: ```python\n1\n```", "security-scan"),
        ("Find secrets in this text: x", "find-secrets"),
        ("Describe this CSV:\na,b\n1,2\n3,4", "describe-table"),
        ("average of b:\na,b\n1,2\n3,4", "query-table"),
        ("Search the web for actors", "web-search"),
    ],
)
def test_a_skill_that_is_not_allowed_is_named(desk: Any, task: str, skill: str) -> None:
    others = {name: other for name, other in desk.catalogue.skills.items() if name != skill}
    with pytest.raises(TaskError, match=f"needs the skill {skill}, which its availableSkills leaves out") as caught:
        desk.plan(task, skills=others)
    assert caught.value.code == "skill_not_allowed"


@pytest.mark.parametrize("task", ["Hello", "hi there", "Hi", "good morning!", "hey", "Hello Callboard"])
def test_a_greeting_is_returned(answer: Callable[..., Any], task: str) -> None:
    assert answer(task).startswith("Hello!")


@pytest.mark.parametrize("task", ["thanks", "Thank you very much!", "ok, thanks"])
def test_thanks_are_taken(answer: Callable[..., Any], task: str) -> None:
    assert answer(task) == "You are welcome."


@pytest.mark.parametrize("task", ["who are you?", "What can you do?", "help", "What is your name?", "Are you an AI?"])
def test_it_says_what_it_is_and_can_do(answer: Callable[..., Any], task: str) -> None:
    said = answer(task)
    assert "built-in offline planner" in said
    assert "not a language model" in said
    assert "work out arithmetic" in said


def test_it_offers_only_what_the_task_may_call(desk: Any) -> None:
    said = desk.answer("What can you do?", skills={"summarize": desk.catalogue.get("summarize")})
    assert "summarise a text" in said
    assert "arithmetic" not in said


@pytest.mark.parametrize(
    ("task", "query"),
    [
        ("Search the web for actor systems", "actor systems"),
        ("google python actors", "python actors"),
        ("look up pykka online", "pykka"),
        ("Please search for cheap flights", "cheap flights"),
    ],
)
def test_the_web_is_searched_when_the_task_says_so(plan: Callable[..., Plan], task: str, query: str) -> None:
    assert plan(task).code == f"from skills import web_search\nweb_search({query!r})"


def test_without_a_search_server_the_search_says_which_setting_is_missing(answer: Callable[..., Any]) -> None:
    with pytest.raises(TaskError, match="CALLBOARD_SKILL_SEARXNG_URL") as caught:
        answer("Search the web for actor systems")
    assert caught.value.code == "skill_not_configured"


def test_the_same_task_gives_the_same_plan(plan: Callable[..., Plan]) -> None:
    assert plan("What is 12 times 7?") == plan("What is 12 times 7?")


def test_the_planner_has_the_name_that_goes_into_the_metadata() -> None:
    assert OfflinePlanner().name == "offline"


LONG = 100_000
BODIES = [
    "1", " ", "(", "[", "{", '"', "'", "`", "```", "```\n", "a ", "1 ", "1,", "1 + ", "+", "-", ". ", ":", "\n", "a,b\n",
    "[{", '{"a":1},', "what is ", "how many ", "day and ", "remember ", "my a is ", "half of ", "sqrt(", "two hundred and ",
    "1 day, ", "hi ", "please ", "summarize ", "review this code ", "a|b\n", "a = b and ", "2026-01-01 ", "1 january ", "% of ",
    "2^", "the following ", "“", "1h30m ", "e", "not ", "\t", "é", "中", "add 3 to ", "! ", "//", "where ", "count by a ",
]  # fmt: skip
HEADS = [
    "",
    "What is ",
    "Summarize ",
    "How many words are in ",
    "What is the average a in this csv: ",
    "Review this code: ",
    "Remember that my ",
    "How many days between ",
    "Run this: ",
    "12 times ",
    "count by a\na,b\n",
    '"',
    "Describe this CSV: ",
    "Security audit of this Python: ",
    "Find secrets in this text: ",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.slow
def test_a_hostile_task_is_planned_or_refused_at_once(desk: Any, body: str) -> None:
    for head in HEADS:
        task = (head + body * (LONG // len(body)))[: LONG - 1] + "?"
        request = PlanRequest(task=task, skills=desk.catalogue.skills, now=datetime(2026, 11, 23, tzinfo=UTC))
        assert _seconds_to_plan(desk.planner, request) < 1, head


def _seconds_to_plan(planner: OfflinePlanner, request: PlanRequest) -> float:
    """Return the best of three in this thread's own time, which other processes do not add to."""
    best = 1.0
    for _ in range(3):
        started = time.thread_time()
        with contextlib.suppress(TaskError):
            planner.plan(request)
        best = min(best, time.thread_time() - started)
        if best < 0.1:
            break
    return best


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ('```python\nt = """\n```bash\nmake\n```\n"""\nlen(t)\n```', 18),
        ('Run this:\n```python\nt = """\n```\nx\n```\n"""\nlen(t)\n```\n', 11),
        ("Run this:\r\n```python\r\nx = 6\r\nx * 7\r\n```\r\n", 42),
        ("Run this:\n\ufeff```python\n\ufeff6 * 7\n```", 42),
        ("Run this:\n```python\n6 * 7```", 42),
        ("Run both:\n```python\nx = 6\n```\n```python\nx * 7\n```", 42),
    ],
)
def test_code_in_a_task_is_found_however_its_fence_is_written(desk: Any, task: str, answer: int) -> None:
    assert desk.answer(task) == answer
