"""Where a log or the feed is read on: `after`, or the `Last-Event-ID` of a stream, which counts before it; for pages and for streams.

In the request's waitress thread; imported within `http/` only.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from callboard.errors import InvalidRequest
from callboard.http.codec import shown
from callboard.http.query import whole_number
from callboard.http.request import Request
from callboard.messages.events import MOST_POSITION

NUMBER_PATTERN = r"^([0-9]{1,15})?$"
"""The `id` of an event of the feed: a position, `MOST_POSITION` at most."""

FAMILY_PATTERN = r"^[0-9]{1,15}\.[0-9]{1,15}$"
PLACE_PATTERN = r"^([0-9]{1,15}(\.[0-9]{1,15})?)?$"
_NUMBER, _PLACE = re.compile(r"[0-9]{1,15}"), re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,15}))?")


class Place(NamedTuple):
    """Where a task's log is read on: behind its own number `after`, of a stream with a position behind that one."""

    after: int = 0
    position: int | None = None


def place_in(req: Request, query: Mapping[str, str]) -> Place:
    """Return where a task's log is read on; raise `InvalidRequest` for what is no `id` of its stream."""
    sent = req.env.get("HTTP_LAST_EVENT_ID")
    text, name = (sent, "Last-Event-ID") if sent else (query.get("after"), "The query parameter after")
    if text is None:
        return Place()
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidRequest(
            f"{name} is {shown(text)}; give the id of an event, such as 12 or 12.345, of 15 digits at most."
        )
    return Place(int(found[1]), int(found[2]) if found[2] else None)


def position_in(req: Request, query: Mapping[str, str]) -> int | None:
    """Return where the feed is read on, None where nothing says it; raise `InvalidRequest`."""
    sent = req.env.get("HTTP_LAST_EVENT_ID")
    if sent:
        if not _NUMBER.fullmatch(sent):
            raise InvalidRequest(f"Last-Event-ID is {shown(sent)}; give the id of an event of this feed.")
        return int(sent)
    return whole_number(query, "after", 0, least=0, most=MOST_POSITION) if "after" in query else None
