"""Reading Server-Sent Events as a client would, one connection a stream."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

ACCEPT = {"Accept": "text/event-stream"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a stream; `data` is None for an id alone."""

    id: str | None = None
    event: str | None = None
    data: Any = None
    comment: bool = False
    retry: str | None = None


def entries(lines: Iterator[str]) -> Iterator[Entry]:
    """Yield what a stream says, comments included."""
    fields: dict[str, Any] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name or "comment"] = value.removeprefix(" ") if name else True
        elif fields:
            data = fields.pop("data", None)
            yield Entry(**fields, data=None if data is None else json.loads(data))
            fields = {}


@contextmanager
def stream(
    client: httpx.Client, path: str, method: str = "GET", *, patient: bool = False, **options: Any
) -> Iterator[Iterator[Entry]]:
    """Open a stream and give its entries; `patient`: as soon as there is a place for it."""
    headers = {**ACCEPT, **options.pop("headers", {})}
    while patient:
        with client.stream(method, path, headers=headers, **options) as reply:
            if reply.status_code == 503:
                continue
            yield entries(reply.iter_lines())
            return
    with client.stream(method, path, headers=headers, **options) as reply:
        assert reply.status_code == 200, reply.read()
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield entries(reply.iter_lines())


def events_of(client: httpx.Client, path: str, method: str = "GET", **options: Any) -> list[Entry]:
    """Return the events of a stream that ends, without its beginning."""
    with stream(client, path, method, **options) as found:
        first, *rest = found
        assert first == Entry(retry="1000")
        return rest
