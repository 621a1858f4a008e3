"""What a model is asked and what it answers. Immutable values; any thread. Imported by planners and by every adapter."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from callboard.agent.cancel import CancelToken

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture in a message; `media_type` such as `image/png`."""

    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn: text, and pictures before it."""

    role: Role
    text: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUse:
    """Tokens of one call as the API counted them; `cached` are those of `read` that it had kept."""

    read: int = 0
    written: int = 0
    cached: int = 0

    def __add__(self, other: "TokenUse") -> "TokenUse":
        return TokenUse(
            read=self.read + other.read, written=self.written + other.written, cached=self.cached + other.cached
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call. `deadline_s` is in seconds of `time.monotonic`: by then it has returned or raised, retries included.

    `token` ends it early; `hear` is told the text as it comes, in the thread of the call (a retry after some text
    was heard begins with `hear(None)`: forget it), and `hear_thoughts` what the model thinks.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    deadline_s: float
    token: CancelToken
    hear: Callable[[str | None], None] = lambda _text: None
    hear_thoughts: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """An answer: what was said, and apart from it what was thought. `cost_usd` is None where nobody knows the price.

    `cut` says that it ended at `max_tokens`; `tools` is what the model called in the API's way of calling tools, where
    nothing was offered: neither is a whole answer. `use` has the tries before it that were paid in vain, too. Where the API counted no tokens, or absurdly, `use` is estimated from the texts and `estimated` says so.
    """

    text: str
    provider: str
    model: str
    use: TokenUse
    cost_usd: float | None
    thoughts: str = ""
    cut: bool = False
    tools: str = ""
    estimated: bool = False
    tries: int = 1


class Model(Protocol):
    """Anything that answers; safe to call from several threads at once.

    `name` is `provider/model`, as the log has it.
    """

    name: str
    takes_images: bool

    @property
    def context_tokens(self) -> int:
        """How many tokens it reads and writes in one call."""

    def complete(self, call: ModelCall) -> Completion:
        """Return the answer.

        Raises `TaskError` with one of the `model_…` codes (those that may go away by themselves are retryable), and
        `Cancelled` when the token was set. What is blank, or did not end as an answer does, is none.
        """

    def price_usd(self, read: int, written: int) -> float | None:
        """Return what a call of so many tokens costs at most, None where nobody knows."""

    def check(self) -> None:
        """Raise why the model cannot be used now (a circuit that is open), at once and without calling it."""
