"""A wish beside a text, code or search is neither taken for a part of it nor passed over: the task is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from callboard.agent.planner import Plan
from callboard.agent.planner.wishes import beside_text
from callboard.errors import TaskError

TEXT = "The server keeps a log. Every reader can replay it. Readers of the log never slow the server."
BEHIND = [
    "in five words",
    "In five words.",
    "in no more than ten words",
    "under 20 words",
    "max 20 words",
    "20 words max",
    "in one sentence",
    "as bullet points",
    "in bullet points.",
    "as a list",
    "as a haiku",
    "in the style of a poem",
    "in JSON",
    "in German",
    "in simple terms",
    "in plain English please",
    "(keep it short)",
    "(in French)",
    "Keep it short.",
    "keep it short",
    "Make it funny.",
    "Be brief!",
    "Use bullet points.",
    "Don't use jargon.",
    "No more than ten words please.",
    "without jargon",
    "briefly",
    ", but only the first part",
    "and translate it to French",
    "Translate it to French.",
    "Then translate it.",
    "And how many words are there?",
    "[in five words]",
    "{short}",
    "Five words.",
    "You have five words.",
    "Return JSON.",
    "TLDR",
    "Who keeps the log?",
]
COUNTS = [
    "Count the words: the cat sat on the mat without stop words",
    "Count the words: the cat sat on the mat, ignoring the",
    "Count the words: the cat sat (not counting the)",
    "Count the words: the cat sat please",
    "Count the words: the cat sat in bullet points",
    "Count the words: the cat sat and translate it",
    "Count the words: the cat sat. And how many letters?",
    "Count the words (without stop words): the cat sat",
    "Count the words without stop words: the cat sat",
    "Count the words: without stop words: the cat sat",
    "Count the words: (ignoring case) the cat sat",
    "Count the words: the cat sat only unique ones",
    "Count the words: the cat sat starting with t",
    "Count the words: the cat sat except the first",
    "Count the words: the cat sat and characters",
    "Count the words: the cat sat times two",
    "Count the words: the cat sat * 2",
    "Count the words: the cat sat per sentence",
    "Count the words: the cat sat [ignore the]",
    "Count the words: the cat sat in total",
    'Count the words in "the cat sat" without stop words',
    'Count the words: "the cat sat" without stop words',
    'Count the words: "the cat sat" and the letters',
    "Count the words without stop words:\n```\nthe cat sat\n```",
    "```\nthe cat sat\n```\nCount the words without stop words",
    "Count the words and letters in: a b",
    "How many words are in the sentence The cat sat excluding articles?",
    "How many words are in this text? one two three, case-insensitive",
    'How many characters are in "hello" without spaces?',
    "How many unique words are in: a b a ignoring case",
    "text statistics of: a b c as json",
]
CODE = [
    "Review this code and fix it: ```python\nx=1\n```",
    "Don't review this code: ```python\nx=1\n```",
    "Review this code in German: ```python\nx=1\n```",
    "Review only the style of this code: ```python\nx=1\n```",
    "Review this code, ignoring style: ```python\nx=1\n```",
    "```python\nx=1\n```\nReview this code in five words",
    "Analyze this code and then rewrite it in Rust: ```python\nx=1\n```",
    "Security audit of this Python, without the low ones: ```python\nx=1\n```",
    "Do a security scan of this code and fix it:\n```python\nx=1\n```",
    "Review this Python: x = 1 and fix it",
    "Review this JavaScript: var a = 1; in five words",
    "Find secrets in this text: password=abc123xyz and explain them",
    'Find secrets in this text: "password=abc123xyz" and mask them',
    "Do not run a security scan of this code:\n```python\nx=1\n```",
]
SEARCHES = [
    "Search the web for actor systems and summarize the results",
    "Search the web for actor systems then send them to Bob",
    "Search the web for actor systems, top 3 results",
    "Search the web for actor systems in five words",
]


@pytest.mark.parametrize("wish", BEHIND)
def test_a_wish_behind_a_text_is_not_summarised_with_it(plan: Callable[..., Plan], wish: str) -> None:
    with pytest.raises(TaskError, match="may belong to the text") as caught:
        plan(f"Summarize: {TEXT} {wish}".replace(" ,", ","))
    assert caught.value.code == "no_skill_fits"


@pytest.mark.parametrize("wish", BEHIND)
def test_a_wish_behind_quotes_is_not_passed_over(plan: Callable[..., Plan], wish: str) -> None:
    for task in (f'Summarize: "{TEXT}" {wish}', f'Summarize "{TEXT}" {wish}'):
        if wish not in ("in one sentence", "briefly", "Be brief!", "{short}", "TLDR"):  # these can be obeyed
            with pytest.raises(TaskError) as caught:
                plan(task)
            assert caught.value.code == "no_skill_fits"


@pytest.mark.parametrize("task", COUNTS)
def test_a_wish_beside_a_count_is_not_passed_over(plan: Callable[..., Plan], task: str) -> None:
    with pytest.raises(TaskError) as caught:
        plan(task)
    assert caught.value.code == "no_skill_fits"


@pytest.mark.parametrize("task", CODE)
def test_a_wish_beside_code_is_not_passed_over(plan: Callable[..., Plan], task: str) -> None:
    with pytest.raises(TaskError) as caught:
        plan(task)
    assert caught.value.code == "no_skill_fits"


@pytest.mark.parametrize("task", SEARCHES)
def test_a_wish_about_what_a_search_finds_is_not_sent_to_it(plan: Callable[..., Plan], task: str) -> None:
    with pytest.raises(TaskError, match="is not understood"):
        plan(task)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ('Count the words in "the cat sat", please', 3),
        ('Count the words: "the cat sat without stop words"', 6),
        ("Count the words in this:\n```\nthe cat sat in five words\n```", 6),
        ('Count the words: "the cat sat". Thanks!', 3),
        ("How many words are in: he left without a hat", 5),
        ("How many words are in: keep it simple", 3),
        ("How many words are in: it costs 1,250.50 dollars, i.e. 3.5 each at 10:30", 9),
    ],
)
def test_what_is_marked_off_as_text_is_text(answer: Callable[..., Any], task: str, expected: int) -> None:
    assert answer(task) == expected


@pytest.mark.parametrize(
    "text",
    [
        "It works without locks. Nobody waits.",
        "The log has numbers. We met, e.g. on Monday. All was well.",
        "He wrote to her. She never answered, and then he left.",
        "Prices rose by 5 percent in May. Wages did not.",
        "The first came early. The last came with a hat.",
        "A letter came. Thanks to Bob it was read.",
    ],
)
def test_sentences_that_only_tell_something_are_no_wish(text: str) -> None:
    assert beside_text(text) is None
