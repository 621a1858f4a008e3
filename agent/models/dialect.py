"""What every vendor's adapter gives: an answer in parts, in one vocabulary. Imported by the adapters and `tries.py`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from callboard.agent.models.base import ModelCall
from callboard.agent.models.watch import Watch

End = Literal["", "stop", "cut", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of an answer as it comes: text, words of a refusal, how it ended, tokens so far (what was not sent: None).

    The counts are what the API sent, whatever that is; nobody has looked at them yet.
    """

    text: str = ""
    refusal: str = ""
    end: End = ""
    read: Any = None
    written: Any = None
    cached: Any = None


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
