"""A session remembers what it is told, and says so when it was told nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from callboard.agent.planner import Plan
from callboard.errors import TaskError


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("My name is Alice", "Alice"),
        ("My name is Alice.", "Alice"),
        ("Hi, my name is Alice!", "Alice"),
        ("I'm Alice", "Alice"),
        ("I am Alice Smith", "Alice Smith"),
        ("call me Al", "Al"),
        ("Hello! You can call me Jean-Luc.", "Jean-Luc"),
        ("Please remember that my name is Zoë", "Zoë"),
        ("my name is O'Brien", "O'Brien"),
        ("My name is Dr. John B. Smith.", "Dr. John B. Smith"),
        ("My name is Ludwig van der Rohe", "Ludwig van der Rohe"),
    ],
)
def test_a_name_is_remembered(talk: Any, told: str, name: str) -> None:
    assert name in talk.say(told)
    assert talk.say("What is my name?") == f"Your name is {name}."
    assert talk.say("who am I?") == f"Your name is {name}."


@pytest.mark.parametrize(
    ("told", "asked", "answer"),
    [
        ("My favourite colour is blue", "what is my favorite color?", "Your favorite color is blue."),
        (
            "My favorite food is pizza with olives",
            "What's my favourite food?",
            "Your favourite food is pizza with olives.",
        ),
        ("Remember that the door code is 1234", "What is the door code?", "The door code is 1234."),
        ('Remember the Wi-Fi password is "a\'b\\c"', "what is the wi-fi password", 'The wi-fi password is "a\'b\\c".'),
        ("Don't forget that my car is parked on level 3", "Where is my car?", "Your car is parked on level 3."),
        ("Remember that my sister is called Ann", "What is my sister called?", "Your sister is called Ann."),
        (
            "My favourite foods are pizza, pasta and rice",
            "what are my favourite foods",
            "Your favourite foods is pizza, pasta and rice.",
        ),
        ("note: our meeting room is B12", "what is our meeting room", "Your meeting room is B12."),
    ],
)
def test_a_fact_is_remembered(talk: Any, told: str, asked: str, answer: str) -> None:
    talk.say(told)
    assert talk.say("What is 2 + 2?") == 4
    assert talk.say(asked) == answer


@pytest.mark.parametrize("told", ["My name is Alice.", "Remember that my name is Alice.", "I am Alice."])
def test_a_name_is_kept_without_its_full_stop(talk: Any, told: str) -> None:
    assert talk.say(told) == "Nice to meet you, Alice. I will remember your name in this session."


def test_two_sentences_are_two_facts(talk: Any) -> None:
    talk.say("My name is Bob. My favourite colour is red.")
    assert talk.say("What is my name?") == "Your name is Bob."
    assert talk.say("What is my favourite colour?") == "Your favourite colour is red."


def test_everything_told_can_be_listed(talk: Any) -> None:
    assert talk.say("What do you remember?") == "You have not told me anything to remember in this session."
    talk.say("My name is Alice")
    talk.say("Remember to buy milk")
    talk.say("Remember that the door code is 1234")
    assert (
        talk.say("What do you remember?") == "In this session you told me: name: Alice; door code: 1234; to buy milk."
    )


def test_the_latest_word_counts(talk: Any) -> None:
    talk.say("My name is Alice")
    talk.say("My name is Bob")
    assert talk.say("What is my name?") == "Your name is Bob."


def test_what_was_told_can_be_forgotten(talk: Any) -> None:
    assert "nothing to forget" in talk.say("forget my name")
    talk.say("My name is Alice")
    talk.say("forget my name")
    assert "have not told me your name" in talk.say("What is my name?")
    talk.say("My name is Alice")
    talk.say("forget everything")
    assert talk.say("What do you remember?") == "You have not told me anything to remember in this session."


def test_what_was_never_told_gets_an_honest_answer(talk: Any) -> None:
    honest = "You have not told me your name in this session, so I do not know it."
    assert talk.say("What is my name?") == honest
    talk.say("My favourite colour is blue")
    assert talk.say("Do you know my name?") == honest


def test_the_world_at_large_is_not_looked_for_in_the_memory(talk: Any) -> None:
    talk.say("Remember that the door code is 1234")
    with pytest.raises(TaskError) as caught:
        talk.say("What is the capital of France?")
    assert caught.value.code == "no_skill_fits"


def test_a_statement_before_a_question_is_kept_and_the_question_answered(talk: Any) -> None:
    assert talk.say("My name is Alice. What is 2+2?") == 4
    assert talk.say("My favourite colour is blue. What is my name?") == "Your name is Alice."
    assert talk.say("What is my favourite colour?") == "Your favourite colour is blue."


@pytest.mark.parametrize(
    "task",
    [
        "I'm tired",
        "my code is broken",
        "what is my total if I spend 12 and 7",
        "Remember?",
        "My name is Alice?",
        "The sky is blue",
        "My name is Bob and my favourite colour is red",
        "Remember that my name is Bob and my favourite colour is red",
        "My name is not Bob",
        "My favourite colour is not red",
        "My favourite colour is red and what is 2+2",
        "hello my name is Max and what is 2+2",
        "My name is Alice and I",
        "call me later",
    ],
)
def test_not_every_sentence_is_something_to_remember(plan: Callable[..., Plan], task: str) -> None:
    with pytest.raises(TaskError) as caught:
        plan(task)
    assert caught.value.code == "no_skill_fits"
