"""Tokens of a call: what the API counted where that can be, an estimate from the texts elsewhere. Pure.

Budgets are checked against these numbers, so one that is missing, negative or absurd must not pass. Imported by
`api_model.py`, and by whoever estimates a call before it is made.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from callboard.agent.models.base import Message, ModelCall, TokenUse

_BYTES_A_TOKEN = 4
"""English has about 4.5, code about 3.5, Chinese about 3 (UTF-8): an estimate, within a third."""

_A_MESSAGE = 5
_A_PICTURE = 1600  # the most that Anthropic counts; OpenAI's most is close to it
_ABSURD = 100
_SLACK = 10_000  # a proxy's own prompt


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has, at least one for any text."""
    size = len(text.encode("utf-8", "surrogatepass"))
    return -(-size // _BYTES_A_TOKEN)


def estimate_read(messages: Sequence[Message]) -> int:
    """Return about how many tokens a model reads."""
    return sum(_A_MESSAGE + estimate_tokens(m.text) + _A_PICTURE * len(m.images) for m in messages)


def most_read(messages: Sequence[Message]) -> int:
    """Return how many tokens a model reads at most, by any of the usual tokenizers: what a budget sets aside.

    English and code come to four characters a token and other scripts to one or two a character; here it is three, and
    a token and a half.
    """
    plain = sum(len(message.text) for message in messages)
    # PERF: looking at each character in Python took 16 µs a thousand, 0.1 ms for the prompt alone; this takes 1 µs
    other = sum(len(m.text) - len(m.text.encode("ascii", "ignore")) for m in messages if not m.text.isascii())
    pictures = sum(len(message.images) for message in messages)
    return math.ceil((plain - other) / 3 + other * 1.5) + 2 * _A_MESSAGE * len(messages) + _A_PICTURE * pictures


def tokens_of(counts: Mapping[str, Any], call: ModelCall, text: str) -> tuple[TokenUse, bool]:
    """Return the tokens of a call, and whether any of them is an estimate."""
    guess_read, guess_written = estimate_read(call.messages), estimate_tokens(text)
    # A model that thinks writes more than is seen, but no more than it was allowed.
    most_written = max(2 * call.max_tokens, _ABSURD * guess_written)
    read = _count(counts.get("read"), _ABSURD * guess_read + _SLACK)
    written = _count(counts.get("written"), most_written, least=1 if text else 0)
    use = TokenUse(
        read=guess_read if read is None else read,
        written=guess_written if written is None else written,
        cached=0 if read is None else _count(counts.get("cached"), read, least=0) or 0,
    )
    return use, read is None or written is None


def _count(value: Any, most: int, *, least: int = 1) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    return None
