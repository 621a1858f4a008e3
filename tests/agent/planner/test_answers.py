"""What a model has written, read: as code to run, as an answer, or as neither."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.planner.answers import MEANT, SEVERAL, read_answer


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\n6 * 7\n```", "6 * 7"),
        ("```py\n6 * 7\n```", "6 * 7"),
        ("```Python3\n6 * 7\n```", "6 * 7"),
        ('```python title="a.py"\n6 * 7\n```', "6 * 7"),
        ("```{python}\n6 * 7\n```", "6 * 7"),
        ("```{.python .numberLines}\n6 * 7\n```", "6 * 7"),
        ("~~~python\n6 * 7\n~~~", "6 * 7"),
        ("```\nx = 6\nx * 7\n```", "x = 6\nx * 7"),
        ("I work it out.\n\n```python\n6 * 7\n```\n\n", "6 * 7"),
        ("```python\r\nx = 6\r\nx * 7\r\n```\r\n", "x = 6\nx * 7"),
        ("```python\rx = 6\rx * 7\r```\r", "x = 6\nx * 7"),
        ("\ufeff```python\n6 * 7\n```", "6 * 7"),
        ("Here:\n\ufeff```python\n\ufeff6 * 7\n```", "6 * 7"),
        ("```python\n6 * 7```", "6 * 7"),
        ("```python\nx = 6\nx * 7 ```\n", "x = 6\nx * 7"),
        ("```python 6 * 7```", "6 * 7"),
        ("```python\n6 * 7", "6 * 7"),
        ("> ```python\n> x = 6\n> x * 7\n> ```", "x = 6\nx * 7"),
        ("1. Run:\n   ```python\n   x = 6\n   x * 7\n   ```\n", "x = 6\nx * 7"),
        ("Run:\n\n    ```python\n    if True:\n        x = 6\n    x * 7\n    ```\n", "if True:\n    x = 6\nx * 7"),
        ("Run:\n    ```python\n    x = 6\n    x * 7\n    ```", "x = 6\nx * 7"),
        ("- Run:\n\t```python\n\tx = 6\n\tx * 7\n\t```", "x = 6\nx * 7"),
        ("```python\n   x = 6\n   x * 7\n```", "x = 6\nx * 7"),
        ('````python\nt = """\n```bash\nmake\n```\n"""\nlen(t)\n````', 't = """\n```bash\nmake\n```\n"""\nlen(t)'),
        ('```python\nt = """\n```bash\nmake\n```\n"""\nlen(t)\n```', 't = """\n```bash\nmake\n```\n"""\nlen(t)'),
        ('```python\nt = """\n```\n"""\nlen(t)\n```', 't = """\n```\n"""\nlen(t)'),
        ('```python\nt = "# ```"\nlen(t)\n```', 't = "# ```"\nlen(t)'),
        ("```python\nx = 6\n```\nThen:\n```python\nx * 7\n```", "x = 6\n\nx * 7"),
        ("```python\n6 * 7\n```\nOnce more:\n```python\n6 * 7\n```", "6 * 7"),
        ("```bash\nmake\n```\n```python\n6 * 7\n```", "6 * 7"),
        ("```python\n\n```\n```python\n6 * 7\n```", "6 * 7"),
        ("```python\nthis is (\n```", "this is ("),
    ],
)
def test_code_is_found_however_its_fence_is_written(text: str, code: str) -> None:
    plan = read_answer(text)
    assert (plan.code, plan.intent, plan.doubt) == (code, "code", "")


@pytest.mark.parametrize(
    "text",
    [
        "Paris.",
        "```json\n{}\n```",
        "```\n42\n```",
        "```\nkey = /a value/ that is no Python =\n```",
        "```javascript\nconst x = 6;\n```",
        "```pycon\n>>> 6 * 7\n42\n```",
        "Use `6 * 7`.",
        "Use a slice:\n\n```python\ndef rev(s):\n    return s[::-1]\n```\n\nIt works for any text.",
    ],
)
def test_words_are_the_answer_and_so_is_what_they_show(text: str) -> None:
    plan = read_answer(text)
    assert (plan.code, plan.again, plan.text) == (None, "", text)


@pytest.mark.parametrize(
    "text",
    [
        "```python\n1 / 0\n```\nNo, rather:\n```python\n2 + 2\n```",
        "```python\nfrom skills import pay\npay(1)\n```\nThat is wrong.\n```python\nfrom skills import pay\npay(2)\n```",
        "```python\nx = 6\n1 / 0\n```\n```python\nx = 6\nx * 7\n```",
        "```python\nx = (\n```\n```python\nx = 6\nx * 7\n```",
    ],
)
def test_of_several_blocks_none_is_chosen_by_guessing(text: str) -> None:
    plan = read_answer(text)
    assert (plan.code, plan.again) == (None, SEVERAL)


EXAMPLE = "Use sum:\n```python\nsum([1, 2, 3])\n```\nIt adds them up."


def test_words_behind_code_are_a_doubt_until_the_model_was_asked() -> None:
    plan = read_answer(EXAMPLE, task="Explain how to add numbers")
    assert (plan.code, plan.doubt) == ("sum([1, 2, 3])", MEANT)
    again = read_answer(EXAMPLE, task="Explain how to add numbers", said=[EXAMPLE], told=[f"The value: 6\n\n{MEANT}"])
    assert (again.code, again.text) == (None, EXAMPLE)
    asked = read_answer(EXAMPLE, task="What is 1 + 2 + 3?", said=[EXAMPLE], told=[f"The value: 6\n\n{MEANT}"])
    assert (asked.code, asked.doubt) == ("sum([1, 2, 3])", "")


def test_code_that_goes_on_with_earlier_code_is_meant_to_run() -> None:
    plan = read_answer("```python\nprice + 1\n```\nThat tells us.", variables={"price"})
    assert (plan.code, plan.doubt) == ("price + 1", "")


def test_code_that_calls_skills_is_not_run_while_it_may_be_an_example() -> None:
    code = "from skills import pay\npay(5)"
    text = f"Never write this:\n```python\n{code}\n```\nIt pays twice."
    assert read_answer(text, task="Explain this code").again == MEANT
    assert read_answer(text, task="Explain this code", said=[text], told=[MEANT]).text == text
    assert read_answer(text, task="What is due?", said=[text], told=[MEANT]).code == code


def test_a_definition_that_is_said_again_is_an_answer_with_its_words() -> None:
    text = "Here you are:\n```python\ndef rev(s):\n    return s[::-1]\n```"
    assert read_answer(text).code is not None
    assert read_answer(text, said=[text]).code is None


def test_examples_that_are_said_again_are_an_answer() -> None:
    text = "Either:\n```python\nsum([1])\n```\nor:\n```python\nmax([1])\n```\nBoth give 1."
    assert read_answer(text, task="Explain it").again == SEVERAL
    assert read_answer(text, task="Explain it", said=[text], told=[SEVERAL]).text == text


@given(st.text(st.sampled_from("`~ \n\tpython6*x=('\"#>-"), max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    plan = read_answer(text)
    assert plan.again or plan.code or plan.text == text.replace("\r", "\n").strip()


@pytest.mark.parametrize(
    "text",
    [
        "```python\n(\n```\n" * 20_000,
        "```python\n" + "x = 1\n" * 100_000 + "(",
        "```python\n" + "(" * 200_000,
        "> " * 200_000 + "```python",
        "- " * 200_000 + "```python",
        "    ```python\n" * 40_000,
        "`" * 500_000,
    ],
    ids=range(7),
)
def test_a_hostile_text_is_read_in_a_time_that_is_bounded(text: str) -> None:
    began = time.process_time()
    read_answer(text)
    assert time.process_time() - began < 10
