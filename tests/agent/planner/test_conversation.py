"""What was said before, as a model is sent it: it fits, and it alternates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.models.base import Message
from callboard.agent.models.counting import most_read
from callboard.agent.planner.conversation import fitted, said_before
from callboard.conversation import Turn

SYSTEM = Message(role="system", text="s" * 300)
TASK = Message(role="user", text="t" * 300)
TURNS = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), st.sampled_from(["", " ", "a", "b" * 500])), max_size=20
)


def turns(*said: str) -> list[Turn]:
    return [Turn(role=("user", "assistant")[number % 2], content=text) for number, text in enumerate(said)]


@given(TURNS, st.integers(0, 3), st.integers(100, 3000))
def test_turns_alternate_and_none_is_blank_whatever_happened_before(
    said: list[tuple[str, str]], rounds: int, most: int
) -> None:
    before = said_before(Turn(role=role, content=text) for role, text in said)
    done = [Message(role=("assistant", "user")[at % 2], text=f"round {at}") for at in range(2 * rounds)]
    prompt = fitted(SYSTEM, before, TASK, done, most)
    roles = [message.role for message in prompt.messages]
    assert roles[0] == "system"
    assert roles[1::2] == ["user"] * len(roles[1::2])
    assert roles[2::2] == ["assistant"] * len(roles[2::2])
    assert all(message.text.strip() for message in prompt.messages)
    assert TASK in prompt.messages
    assert prompt.messages[-1] == (done[-1] if done else TASK)


def test_a_blank_turn_goes_with_its_pair() -> None:
    before = said_before(turns("one", "1", "two", "", "three", "3"))
    assert [asked.text for asked, _ in before] == ["one", "three"]


def test_a_conversation_that_begins_with_an_answer_begins_with_the_next_question() -> None:
    before = said_before(turns("one", "1", "two", "2")[1:])
    assert [asked.text for asked, _ in before] == ["two"]


@pytest.mark.parametrize(("room", "kept"), [(10_000, 4), (2_500, 2), (100, 0)])
def test_the_oldest_turns_leave_first(room: int, kept: int) -> None:
    before = said_before(turns(*(f"{number}" + "x" * 1500 for number in range(8))))
    prompt = fitted(SYSTEM, before, TASK, (), room)
    assert prompt.turns_left_out == 8 - 2 * kept
    assert [message.text[0] for message in prompt.messages[1:-1]] == [str(number) for number in range(8 - 2 * kept, 8)]
    assert kept == 0 or prompt.tokens == most_read(prompt.messages) <= room


def test_then_the_oldest_rounds_leave_but_never_the_last() -> None:
    rounds = [Message(role=("assistant", "user")[at % 2], text=f"{at}" + "x" * 1500) for at in range(6)]
    prompt = fitted(SYSTEM, said_before(turns("a", "b")), TASK, rounds, 100)
    assert (prompt.turns_left_out, prompt.rounds_left_out) == (2, 2)
    assert prompt.messages == (SYSTEM, TASK, *rounds[-2:])
