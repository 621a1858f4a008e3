"""Thoughts are not speech: what is told apart in a whole text, and what is left alone."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.models.thoughts import Listener, apart


@pytest.mark.parametrize(
    ("text", "said", "thought"),
    [
        ("<think>\nParis, surely.\n</think>\n\nParis", "Paris", "Paris, surely."),
        ("\ufeff <think>a</think>b", "b", "a"),
        ("<thinking>a</thinking>b", "b", "a"),
        ("<THINK>a</THINK>b", "b", "a"),
        ("<thought>a</thought>b", "b", "a"),
        ('<think duration="3">a</think>b', "b", "a"),
        ("[THINK]a[/THINK]b", "b", "a"),
        ("◁think▷a◁/think▷b", "b", "a"),
        ("<reasoning>a</reasoning>b", "b", "a"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", "b", "a"),
        ("<|begin_of_thought|>a<|end_of_thought|>b", "b", "a"),
        ("Thinking...\na\n...done thinking.\n\nb", "b", "a"),
        ("<unused94>thought\na<unused95>b", "b", "a"),
        ("<think>a</think>b\n<think>c</think>\nd", "b\n\nd", "a\n\nc"),
        ("<think>a</think><think>b</think>c", "c", "a\n\nb"),
        ("a</think>b", "b", "a"),
        ("a\n</think>\n\nb", "b", "a"),
        ("A draft:\n```python\n1/0\n```\nNo.\n</think>\nIt is 4.", "It is 4.", "A draft:\n```python\n1/0\n```\nNo."),
        ("A draft:\n```python\n1/0\n</think>\nIt is 4.", "It is 4.", "A draft:\n```python\n1/0"),
        ("```python\n1/0\n</think>\n```python\n6*7\n```", "```python\n6*7\n```", "```python\n1/0"),
        ("<think>a <think> b</think>c</think>d", "d", "a <think> b\n\nc"),
        ("<think>never closed\n```python\n1\n```", "", "never closed\n```python\n1\n```"),
        ("It is 4.\n<think>cut", "It is 4.", "cut"),
        ("Well. <think>hm</think> Four.", "Well.  Four.", "hm"),
        ('<think>say "</think>" there? It is "4"</think>4', "4", 'say "</think>" there? It is "4"'),
    ],
)
def test_thoughts_are_taken_out(text: str, said: str, thought: str) -> None:
    assert apart(text) == (said, thought)


@pytest.mark.parametrize(
    "text",
    [
        "Paris",
        "The tag `<think>` begins a thought and `</think>` ends it.",
        'Between "<think>" and "</think>" it thinks.',
        "```python\ntext.split('</think>')[-1]\n```",
        "```python\nx = '''<think>\na\n</think>\nb'''\nx\n```",
        "```xml\n<think>\n  a\n</think>\n```\nis an example.",
        "a <thinker> b",
        "I <think> so",
    ],
)
def test_what_only_speaks_of_thoughts_stays(text: str) -> None:
    assert apart(text) == (text, "")


@given(st.text(st.sampled_from("<think>/`\n ab"), max_size=60), st.integers(1, 5))
def test_however_a_text_comes_in_pieces_the_same_is_heard(text: str, size: int) -> None:
    def heard(pieces: list[str]) -> tuple[str, str]:
        listener = Listener()
        told = [listener.feed(piece) for piece in pieces]
        return "".join(said for said, _ in told), "".join(thought for _, thought in told)

    assert heard([text[at : at + size] for at in range(0, len(text), size)]) == heard(list(text))


@given(st.text(st.sampled_from("<think>/`\n ab"), max_size=200))
def test_any_text_is_told_apart(text: str) -> None:
    said, thought = apart(text)
    assert len(said) + len(thought) <= len(text) + text.count(">") * 2


@pytest.mark.parametrize(
    "text",
    [
        "<think></think>" * 60_000,
        "<think>" * 140_000,
        "a</think>" * 100_000,
        "```\n</think>\n```\n" * 50_000,
        "`" * 900_000 + "</think>",
    ],
    ids=range(5),
)
def test_a_hostile_text_is_told_apart_in_a_time_that_is_bounded(text: str) -> None:
    began = time.process_time()
    apart(text)
    listener = Listener()
    for at in range(0, len(text), 40):
        listener.feed(text[at : at + 40])
    assert time.process_time() - began < 5
