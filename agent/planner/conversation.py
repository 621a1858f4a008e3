"""What a model is sent of what was said before, so that it fits into the model and is in order. Pure.

Rules: a session is never dead for good, so what does not fit leaves the prompt, oldest first, and the history keeps it; and
turns alternate whatever happened before, so what has no counterpart, or is blank, is left out with it. Imported by `model.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from callboard.agent.models.base import Message
from callboard.agent.models.counting import most_read
from callboard.conversation import Turn, excerpt

Pair = tuple[Message, Message]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is sent, and how much of what was said before it is not."""

    messages: tuple[Message, ...]
    turns_left_out: int = 0
    rounds_left_out: int = 0

    @property
    def tokens(self) -> int:
        """How many tokens a model reads at most."""
        return most_read(self.messages)


def said_before(turns: Iterable[Turn]) -> list[Pair]:
    """Return the turns of a session in pairs of a question and its answer; long ones are shortened."""
    pairs: list[Pair] = []
    asked: Message | None = None
    for turn in turns:
        message = Message(role="user" if turn.role == "user" else "assistant", text=excerpt(turn).content)
        if message.role == "user":
            asked = message
        elif asked is not None:
            if asked.text.strip() and message.text.strip():
                pairs.append((asked, message))
            asked = None
    return pairs


def fitted(
    system: Message, before: Sequence[Pair], task: Message, rounds: Sequence[Message], most_tokens: int
) -> Prompt:
    """Return the messages, of which the oldest turns leave first, then the oldest rounds of the task but for the last.

    The system prompt, the task and its last round never leave: what does not fit without them is for the API to say.
    """
    done = [(rounds[at], rounds[at + 1]) for at in range(0, len(rounds) - 1, 2)]
    sizes = [most_read(pair) for pair in (*before, *done)]
    total = most_read((system, task)) + sum(sizes)
    left = 0
    while total > most_tokens and left < len(sizes) - bool(done):
        total -= sizes[left]
        left += 1
    turns, out = min(left, len(before)), max(0, left - len(before))
    kept, worked = before[turns:], done[out:]
    said = (message for pair in kept for message in pair)
    worked_out = (message for pair in worked for message in pair)
    return Prompt((system, *said, task, *worked_out), turns_left_out=2 * turns, rounds_left_out=out)
