"""Server-Sent Events as bytes. Pure functions; any thread; imported within `http/` only."""

from callboard.http import views
from callboard.http.codec import JSON, encode

EVENT_STREAM = "text/event-stream"
CONTENT_TYPE = "text/event-stream; charset=utf-8"
RETRY = b"retry: 1000\n\n"
"""What every stream begins with: how long a client waits before it connects again, in milliseconds."""

HEARTBEAT = b": \n\n"
"""A comment, which clients skip; it keeps connections and proxies from timing out."""


def entry(place: str, view: views.View) -> bytes:
    """Return one entry; JSON is one line, since it escapes what would end it."""
    return b"id: %b\ndata: %b\n\n" % (place.encode(), encode(view, JSON))


def end(view: views.View) -> bytes:
    """Return the end of a task's stream, with its result. No id: who resumes behind it is told that all is over."""
    return b"event: end\ndata: %b\n\n" % encode(view, JSON)


def mark(place: str) -> bytes:
    """Return an id alone: where to resume, and nothing to tell."""
    return b"id: %b\n\n" % place.encode()
