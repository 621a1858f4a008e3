"""Which media type an answer has, decided before anything is done. Imported by http/app.py only."""

from typing import Any

import falcon

from callboard.http.codec import JSON, MSGPACK, reply_type_of
from callboard.http.errors import NotAcceptable
from callboard.http.request import Request


class Negotiation:
    """The middleware that refuses a client that accepts nothing we can send: early, so that nothing is half done.

    A resource with the attribute `own_type` is exempt: it has one type and sends that.
    """

    def process_resource(self, req: Request, _resp: falcon.Response, resource: object, _params: dict[str, Any]) -> None:
        if getattr(resource, "own_type", False) or req.method == "OPTIONS":
            return
        reply_type = reply_type_of(req)
        if reply_type is None:
            raise NotAcceptable(f"The answer can be {JSON} or {MSGPACK}; the Accept header takes neither.")
        req.reply_type = reply_type
