"""What the server says of itself: /, /openapi.json and /docs.

None needs a key, since none tells of an installation more than the highest priority that it takes.
"""

import base64
import hashlib
from functools import cache

import falcon

from callboard import __version__
from callboard.http.codec import HTML, JSON, encode, respond
from callboard.http.console import is_on
from callboard.http.docs_page import STYLE, docs_page
from callboard.http.openapi import openapi_document
from callboard.http.request import Request
from callboard.http.security_headers import CONTENT_SECURITY_POLICY
from callboard.settings import Settings

_LINKS = {
    "execute": "/agent/execute",
    "results": "/agent/results",
    "task": "/agent/tasks/{taskId}",
    "events": "/agent/events",
    "sessions": "/agent/sessions",
    "deliveries": "/agent/deliveries",
    "deadLetters": "/agent/dead-letters",
    "skills": "/agent/skills",
    "agents": "/agent/agents",
    "statistics": "/agent/statistics",
    "health": "/health",
    "live": "/health/live",
    "ready": "/health/ready",
    "openapi": "/openapi.json",
    "docs": "/docs",
    "console": "/console",
}


class Index:
    """GET /: name, version and where to go from here; whoever would rather have a page is sent to one."""

    def __init__(self, settings: Settings) -> None:
        self._page = "console/" if is_on(settings) else "docs"

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        resp.append_header("Vary", "Accept")
        if req.wants_page:
            # Relative, so that it also holds behind a proxy which serves Callboard below a path of its own.
            resp.set_header("Location", f"{self._page}?{req.query_string}" if req.query_string else self._page)
            resp.status = falcon.HTTP_302
            resp.content_type = HTML
            return
        respond(resp, {"name": "callboard", "version": __version__, "links": _LINKS}, req.reply_type)

    on_head = on_get


def whole_server(req: Request, resp: falcon.Response, **kwargs: object) -> None:  # noqa: ARG001  # Falcon names them
    """Answer `OPTIONS *` (RFC 9110, 9.3.7): what methods there are, whichever path takes them."""
    resp.set_header("Allow", "DELETE, GET, HEAD, OPTIONS, POST")
    resp.text = ""


# PERF: made when first asked for. Each takes 40 ms, a tenth of a server's start, and most servers are never asked.
@cache
def _document(max_priority: int) -> bytes:
    return encode(openapi_document(__version__, max_priority), JSON)


@cache
def _page(max_priority: int) -> bytes:
    return docs_page(openapi_document(__version__, max_priority)).encode()


class OpenApi:
    """GET /openapi.json: the document, encoded once."""

    own_type = True

    def __init__(self, settings: Settings) -> None:
        self._max_priority = settings.max_priority

    def on_get(self, _req: Request, resp: falcon.Response) -> None:
        resp.data = _document(self._max_priority)

    on_head = on_get


class DocsPage:
    """GET /docs: the same document for people, made once; it loads nothing and runs nothing."""

    own_type = True

    def __init__(self, settings: Settings) -> None:
        self._max_priority = settings.max_priority
        style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        self._policy = f"{CONTENT_SECURITY_POLICY}; style-src 'sha256-{style}'"

    def on_get(self, _req: Request, resp: falcon.Response) -> None:
        resp.content_type = "text/html; charset=utf-8"
        resp.set_header("Content-Security-Policy", self._policy)
        resp.data = _page(self._max_priority)

    on_head = on_get
