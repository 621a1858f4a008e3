"""An API's answer as the JSON values that came: those of an event stream, or a whole one in place of a stream.

Rule: what an API says of a failure is told, in whatever form it comes: an error with status 200, an error among the events,
a page of HTML. The event stream is read by httpx-sse. In the thread of the call. Imported by the adapters.
"""

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from httpx_sse import EventSource

from callboard.agent.models.dialect import NoAnswer, ToldError

if TYPE_CHECKING:
    import httpx2

DONE = object()
"""What stands in place of `[DONE]`."""

_STREAM = "text/event-stream"
_SAID_CHARS = 300


def values(response: "httpx2.Response") -> Generator[Any]:
    """Yield each value of an answer, then `DONE` if the stream had that mark. Raises `ToldError` and `NoAnswer`.

    Closes the answer at its end. What it is shows in how it begins: servers, and proxies before them, name it wrongly.
    """
    try:
        texts = response.iter_text()
        head = ""
        while not head and (text := next(texts, None)) is not None:
            head = text.lstrip("\ufeff \t\r\n")
        if head[:1] in ("{", "[", "<"):
            yield from _whole(head + "".join(texts), response)
        else:
            yield from _events(head, texts, response)
    finally:
        response.close()


class _Streamed:
    """What `EventSource` needs of a response; an event at the end counts without the blank line behind it."""

    def __init__(self, *texts: Iterable[str]) -> None:
        self.headers = {"content-type": _STREAM}
        self._texts = texts

    def iter_text(self) -> Iterator[str]:
        return chain(*self._texts, ("\n\n",))


def _events(head: str, texts: Iterator[str], response: "httpx2.Response") -> Iterator[Any]:
    streamed: Any = _Streamed((head,) if head else (), texts)
    any_yet = False
    for event in EventSource(streamed).iter_sse():
        if not event.data.strip():
            continue
        any_yet = True
        if event.data.strip() == "[DONE]":
            yield DONE
            return
        try:
            value = json.loads(event.data)
        except ValueError:
            if event.event == "error" or event.data.lstrip().upper().startswith(("[ERROR", "ERROR")):
                raise ToldError({"message": event.data}, response) from None
            raise
        if isinstance(value, Mapping) and (event.event == "error" or is_error(value)):
            raise ToldError(value, response)
        yield value
    if head and not any_yet:
        raise _no_answer(head, response)


def _whole(text: str, response: "httpx2.Response") -> Iterator[Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise _no_answer(text, response) from None
    if not isinstance(value, Mapping):
        raise _no_answer(text, response)
    if is_error(value) or not ("choices" in value or "content" in value):
        raise ToldError(value, response)
    yield value
    yield DONE


def _no_answer(text: str, response: "httpx2.Response") -> NoAnswer:
    kind = response.headers.get("content-type") or "no content type"
    return NoAnswer(f"answered with what is no event stream ({kind}): {text[:_SAID_CHARS]}")


def is_error(value: Mapping[str, Any]) -> bool:
    """Tell whether a value is an error, as the APIs write them."""
    return bool(value.get("error")) or value.get("object") == "error" or value.get("type") == "error"
