"""Texts, code and Python that a task brings along are found in it, however it is put."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.cancel import CancelToken
from callboard.agent.planner import Plan
from callboard.agent.planner.base import literal
from callboard.agent.sandbox_run import Script
from callboard.errors import TaskError
from tests.agent.answers import one_by_one
from tests.profiles import examples

TEXT = (
    "The server keeps a log. The log has gap-free numbers. Every reader can replay the log from any number. "
    "Lunch was soup. Readers of the log never slow the server."
)
SHORT = ["The server keeps a log."]
THREE = [
    "The server keeps a log.",
    "Every reader can replay the log from any number.",
    "Readers of the log never slow the server.",
]

SUMMARIES = [
    (f"Summarize: {TEXT}", THREE),
    (f"summarise this: {TEXT}", THREE),
    (f"Summarize {TEXT}", THREE),
    (f"Please summarize the following:\n{TEXT}", THREE),
    (f"Summarize the following text.\n\n{TEXT}", THREE),
    (f"Summarize the following text. {TEXT}", THREE),
    (f"Can you sum up this text for me: {TEXT}", THREE),
    (f"tl;dr {TEXT}", THREE),
    (f"TL;DR: {TEXT}", THREE),
    (f"{TEXT}\n\ntl;dr", THREE),
    (f"{TEXT}\n\nPlease summarize the above.", THREE),
    (f"Here is a text: {TEXT} Please summarize it.", THREE),
    (f"Give me a short summary of this article: {TEXT}", THREE),
    (f"Could you please provide a brief summary of the following article? {TEXT}", THREE),
    (f"What are the key points of this text: {TEXT}", THREE),
    (f"```\n{TEXT}\n```\nSummarize this", THREE),
    (f"Summarize the following paragraph in a single sentence: {TEXT}", SHORT),
    (f"Summarize this in one sentence: {TEXT}", SHORT),
    (f"Summarise the following text in 1 sentence: {TEXT}", SHORT),
    (f'Summarize "{TEXT}" in one sentence', SHORT),
    (f"Summarize in 3 sentences:\n{TEXT}", THREE),
    (f"Give me a one sentence summary of: {TEXT}", SHORT),
    (f"Briefly summarize this: {TEXT}", THREE),
    (f"Summarize this briefly: {TEXT}", THREE),
    (f"short summary of: {TEXT}", THREE),
    (f"Summarize in 20 sentences: {SHORT[0]}", SHORT),
    ("Summarize: Short text.", ["Short text."]),
    ("Summarize: At 10:30 the team met. It was late.", ["At 10:30 the team met.", "It was late."]),
]


@pytest.mark.parametrize(("task", "expected"), SUMMARIES, ids=[task[:60] for task, _ in SUMMARIES])
def test_a_text_is_summarised(answer: Callable[..., Any], task: str, expected: list[str]) -> None:
    assert answer(task) == " ".join(expected)


@pytest.mark.parametrize(
    "task",
    [
        "Summarize",
        "Summarize this",
        "Summarise the following text:",
        "Can you summarize the text above?",
        "Summarize the plot of Hamlet",
        "Summarize https://example.com/article",
        "Summarize this article: https://example.com/article",
        "tl;dr",
    ],
)
def test_without_a_text_the_error_says_to_include_it(plan: Callable[..., Plan], task: str) -> None:
    with pytest.raises(TaskError, match="Put the text itself behind the request") as caught:
        plan(task)
    assert caught.value.code == "no_skill_fits"


@pytest.mark.parametrize(
    "task",
    [
        f"Summarize in five words: {TEXT}",
        f"Summarize in five words {TEXT}",
        f"Summarize in 0 sentences: {TEXT}",
        f"Summarize in 21 sentences: {TEXT}",
        f"Summarize in 2 sentences or 3 sentences: {TEXT}",
        f"Summarize in German: {TEXT}",
        f"Summarize this text in German {TEXT}",
        f"Give me a German summary of: {TEXT}",
        f"Summarize as bullet points: {TEXT}",
        f"Summarize this and count the words: {TEXT}",
        f'Summarize "{TEXT}" and count the words',
        f"```\n{TEXT}\n```\nSummarize this in German",
        f"Here is a text: {TEXT} Please summarize it in German.",
        f"{TEXT}\n\ntl;dr in five words",
    ],
)
def test_a_summary_that_asks_for_more_is_refused(plan: Callable[..., Plan], task: str) -> None:
    with pytest.raises(TaskError, match=r"nothing else can be asked of it|Put a colon in front") as caught:
        plan(task)
    assert caught.value.code == "no_skill_fits"


COUNTS: list[tuple[str, Any]] = [
    ("How many words are in: the cat sat on the mat", 6),
    ("How many words are in the sentence 'The cat sat'?", 3),
    ("How many words are in the sentence The cat sat?", 3),
    ("How many words are in this text? one two three", 3),
    ('How many words does "one two three" contain?', 3),
    ("How many words are there in 'one two three'?", 3),
    ("Count the words in this sentence: one two three", 3),
    ("count words: one two three", 3),
    ("Count the number of words in the following text:\none two three", 3),
    ("word count: one two three", 3),
    ("How many words are in: it's a well-known fact", 4),
    ("count the characters in 'hello world'", 11),
    ('How many characters are in "hello"?', 5),
    ("character count of 'abc'", 3),
    ("how many letters are in the word strawberry", 10),
    ("how many unique words are in: a b a", 2),
    (f"How many sentences are in this text: {TEXT}", 5),
    ("How many lines are in this:\na\nb\nc", 3),
    ("How many paragraphs are in the following text:\none\n\ntwo", 2),
    ("What is the average word length of: ab abcd", 3),
]


@pytest.mark.parametrize(("task", "expected"), COUNTS, ids=[task[:60] for task, _ in COUNTS])
def test_words_and_characters_are_counted(answer: Callable[..., Any], task: str, expected: Any) -> None:
    assert answer(task) == expected


@pytest.mark.parametrize(
    "task", ["text statistics of: a b c", "Give me statistics for this text: a b c", "Analyze this text: a b c"]
)
def test_statistics_come_as_an_object(answer: Callable[..., Any], task: str) -> None:
    assert answer(task)["words"] == 3


@pytest.mark.parametrize(
    "task",
    [
        "How many words are in the Bible?",
        "How many words are in the English language?",
        "How many people live in: Paris",
        "how many letters are in Welsh?",
        "Count the words",
    ],
)
def test_a_text_that_is_not_marked_off_is_not_counted(plan: Callable[..., Plan], task: str) -> None:
    with pytest.raises(TaskError) as caught:
        plan(task)
    assert caught.value.code == "no_skill_fits"


ANALYSES = [
    ("Analyze this code: ```python\neval('1')\n```", "python", "eval"),
    ("Review this JavaScript: function f(a){ eval(a) }", "javascript", "eval"),
    ("Review the following code for bugs:\n```python\nx == None\n```", "python", "none-comparison"),
    ("Analyze this code:\ndef f(x):\n    return x == None", "python", "none-comparison"),
    ("Could you analyze this Python code?\n\ndef f(a, b=[]):\n    return a", "python", "mutable-default"),
    ("```js\nvar a = 1;\n```\nreview this", "javascript", "var"),
    ("```python\nimport os\n```\nAnalyze the code above", "python", "unused-import"),
    ("find bugs in this code: ```\nint main(void) { char b[3]; gets(b); }\n```", "c", "unsafe-function"),
    ("what is wrong with this code? ```python\nprint(1\n```", "python", "syntax-error"),
    ("Find security issues in this PHP code: <?php eval($_GET['x']); ?>", "php", "eval"),
    ("Check this C code: int main() { gets(x); }", "c", "unsafe-function"),
    ("Analyze this code: ```python eval('1')```", "python", "eval"),
    ("code-analysis: ```rust\nfn main() { a.unwrap(); }\n```", "rust", "unwrap"),
    ("Run a code review on this: ```python\nimport os\n```", "python", "unused-import"),
]


@pytest.mark.parametrize(("task", "language", "rule"), ANALYSES, ids=[task[:60] for task, _, _ in ANALYSES])
def test_code_is_analysed(answer: Callable[..., Any], task: str, language: str, rule: str) -> None:
    found = answer(task)
    assert found["language"] == language
    assert rule in [finding["rule"] for finding in found["findings"]]


def test_without_code_the_error_says_to_include_it(plan: Callable[..., Plan]) -> None:
    with pytest.raises(TaskError, match="Put the code itself behind the request"):
        plan("Analyze this code")


def test_a_language_that_is_not_known_is_named_with_those_that_are(answer: Callable[..., Any]) -> None:
    with pytest.raises(TaskError, match="'haskell' is not known; there are c, cpp"):
        answer("Analyze this code: ```haskell\nmain = print 1\n```")


RUNS: list[tuple[str, Any]] = [
    ("Run this: ```python\n1 + 1\n```", 2),
    ("```python\nsum(i * i for i in range(4))\n```", 14),
    ("Execute:\n```py\n'a' * 3\n```", "aaa"),
    ("Please run the following Python: ```python\n10/4\n```", 2.5),
    ("Run this: ```\n5*5\n```", 25),
    ("Run this: ```python 2 + 3```", 5),
    ("run this python code: 2*3", 6),
    ("Execute this Python script:\nx = 4\nx * 2", 8),
    ("What is the output of this code?\n```python\n1+1\n```", 2),
    ("```python\nfrom skills import calculate\ncalculate('2+2')\n```", 4),
    ("Please run this Python code:\n```python\n1+1\n```", 2),
    ("Execute the following script\n```python\n1+1\n```", 2),
    ("Run this code for me:\n```python\n1+1\n```", 2),
    ("run:\n```python\n1+1\n```", 2),
    ("Can you run this?\n```python\n1+1\n```", 2),
    ("What does this print?\n```python\n1+1\n```", 2),
    ("```python\n1+1\n```\nRun the code above, please.", 2),
    ("Run both:\n```python\na = 2\n```\nand\n```python\na * 21\n```", 42),
]


@pytest.mark.parametrize(("task", "expected"), RUNS, ids=[task[:60] for task, _ in RUNS])
def test_a_python_block_is_run(answer: Callable[..., Any], task: str, expected: Any) -> None:
    assert answer(task) == expected


def test_a_block_of_another_language_is_not_run(plan: Callable[..., Plan]) -> None:
    with pytest.raises(TaskError, match="Only Python can be run here, and the block is marked bash"):
        plan("Run this: ```bash\nls\n```")


@pytest.mark.parametrize(
    "task",
    [
        "```js\n1\n```",
        "Explain this code: ```python\n1\n```",
        "Translate this: ```python\n1\n```",
        "What does this code do? ```python\n1\n```",
        "Run this 3 times:\n```python\n1\n```",
        "Run this tomorrow:\n```python\n1\n```",
        "Run this if it is Monday:\n```python\n1\n```",
        "Can you run this without calling slow?\n```python\n1\n```",
        "Don't run this:\n```python\n1\n```",
        "Run this: ```python\n1\n``` and then explain it",
        "Run this python code 3 times: 2*3",
        f"{'Never run this. ' * 100}\n```python\n1\n```",
        "What would this return if x were 2?\n```python\nx = 1\nx\n```",
    ],
)
def test_a_block_is_not_run_unless_it_is_asked_for(plan: Callable[..., Plan], task: str) -> None:
    with pytest.raises(TaskError) as caught:
        plan(task)
    assert caught.value.code == "no_skill_fits"


@examples(40)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=100),
    times=st.sampled_from([1, 30]),
)
def test_any_text_means_itself_in_a_plan(desk: Any, text: str, times: int) -> None:
    source = literal(text * times)
    desk.sandbox.check(source)
    assert (
        desk.sandbox.run(Script(code=source, keep_state=False), answer=one_by_one(desk.call), token=CancelToken()).value
        == text * times
    )


@pytest.mark.parametrize(
    "text",
    [
        "a" + "()" * 300,
        "é" + "+1" * 300,
        "中" + ".a" * 300,
        "'" + '"' * 200 + "\\",
        "x" * 5000,
        "(" * 99_000,
        "{x} {{" * 9000,
        "not " * 9000 + "\\N{DASH}",
    ],
)
def test_a_text_that_looks_like_deep_code_is_only_text(answer: Callable[..., Any], text: str) -> None:
    assert answer(f"How many characters are in: {text}") == len(text)
