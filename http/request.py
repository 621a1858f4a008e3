"""The request as our resources see it: Falcon's, plus who asks, under which id, and since when.

Made once a request in the waitress thread that answers it. Imported within `http/` only.
"""

import os
import re
import time
from typing import Any

import falcon

from callboard.principal import NOBODY, Principal

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def request_id_from(sent: str | None) -> str:
    """Return the id the client sent if it is a sane one, else a fresh one.

    # SECURITY: the id is echoed in a header, stored and logged, so only plain characters are taken.
    """
    if sent is not None and _SANE_ID.fullmatch(sent):
        return sent
    return os.urandom(12).hex()


class Request(falcon.Request):
    """A request with what the middleware found out about it.

    `client` is its address as text, `principal` who asks (`NOBODY` until the door has seen it, and where it need not),
    `task_id` the task it is about, for the log line, `reply_type` the media type of the answer, `wants_stream` whether
    the answer is a stream of events instead, `wants_page` whether it is a way to a page.
    """

    __slots__ = (
        "client",
        "principal",
        "reply_type",
        "request_id",
        "started_s",
        "task_id",
        "wants_page",
        "wants_stream",
    )

    request_id: str
    started_s: float
    client: str
    principal: Principal
    task_id: str | None
    reply_type: str
    wants_stream: bool
    wants_page: bool

    def __init__(self, env: dict[str, Any], options: falcon.RequestOptions | None = None) -> None:
        super().__init__(env, options)
        # Set here and not by a middleware: Falcon answers some malformed requests before any middleware has run.
        self.started_s = time.monotonic()
        self.request_id = request_id_from(env.get("HTTP_X_REQUEST_ID"))
        self.client = env.get("REMOTE_ADDR", "")
        self.principal = NOBODY
        self.task_id = None
        self.reply_type = falcon.MEDIA_JSON
        self.wants_stream = False
        self.wants_page = False
