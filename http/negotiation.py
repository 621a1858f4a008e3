"""Which media type an answer has, decided before anything is done. Imported by http/app.py only."""

from typing import Any

import falcon

from callboard.http.codec import JSON, MSGPACK, prefers, reply_type_of, wants_page
from callboard.http.errors import NotAcceptable
from callboard.http.request import Request
from callboard.http.sse import EVENT_STREAM

STREAMING = {
    ("POST", "/agent/execute"),
    ("GET", "/agent/events"),
    ("HEAD", "/agent/events"),
    ("GET", "/agent/tasks/{task_id}/events"),
    ("HEAD", "/agent/tasks/{task_id}/events"),
}
"""The operations that can answer with a stream."""

_PAGED = "/"
"""The path from which a browser is sent to a page."""


class Negotiation:
    """The middleware that refuses a client that accepts nothing we can send: early, so that nothing is half done.

    A resource with the attribute `own_type` is exempt: it has one type and sends that. The operations in `STREAMING`
    answer with a stream where the client prefers that; their errors are JSON then.
    """

    def process_resource(self, req: Request, _resp: falcon.Response, resource: object, _params: dict[str, Any]) -> None:
        if getattr(resource, "own_type", False) or req.method == "OPTIONS":
            return
        if (req.method, req.uri_template) in STREAMING:
            req.wants_stream = prefers(req, EVENT_STREAM)
        if req.uri_template == _PAGED:
            req.wants_page = wants_page(req.env.get("HTTP_ACCEPT", "*/*"))
        reply_type = reply_type_of(req) or (JSON if req.wants_stream or req.wants_page else None)
        if reply_type is None:
            raise NotAcceptable(f"The answer can be {JSON} or {MSGPACK}; the Accept header takes neither.")
        req.reply_type = reply_type
