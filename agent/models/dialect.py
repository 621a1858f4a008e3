"""What every vendor's adapter gives: an answer in parts, in one vocabulary. Imported by the adapters and `tries.py`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from callboard.agent.models.base import ModelCall
from callboard.agent.models.endings import End
from callboard.agent.models.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of an answer as it comes: text, words of a refusal, how it ended, tokens so far (None: not sent).

    `reason` is the API's own word for `end`; `tool` is a piece of a call of a tool, in the API's way, which nothing here
    offers; `done`: the stream says that it is over. The counts are what the API sent, whatever that is; nobody has looked
    at them yet.
    """

    text: str = ""
    thoughts: str = ""
    refusal: str = ""
    tool: str = ""
    end: End = ""
    reason: str = ""
    done: bool = False
    read: Any = None
    written: Any = None
    cached: Any = None


class ToldError(Exception):
    """An error that came as an answer. `body` is what was sent; `response` has the head."""

    def __init__(self, body: Mapping[str, Any], response: object) -> None:
        super().__init__("the answer is an error")
        self.body = body
        self.response = response


class NoAnswer(Exception):
    """Something that is neither an event stream nor JSON."""


class Dialect(Protocol):
    """One vendor's API, by the vendor's own client."""

    def parts(self, call: ModelCall, model: str, watch: Watch) -> Iterator[Part]:
        """Yield an answer; one try. Raises whatever the vendor's client raises.

        `watch` is the one that this thread's connections mind already.
        """

    def close(self) -> None:
        """Close the connections."""


def field(value: Any, *path: str) -> Any:
    """Return what stands under a path of attributes, None where there is nothing.

    The vendors' clients do not check what came in against their own types.
    """
    for name in path:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return value


def text_field(value: Any, *path: str) -> str:
    """Return the text under a path, nothing where there is something else."""
    found = field(value, *path)
    return found if isinstance(found, str) else ""
