"""One structured line for each request that was answered; of a stream when it ends.

PERF: a JSON line is encoded and written directly, 7 µs; through structlog and logging it would be several times that.
In the request's waitress thread. Imported by http/app.py and http/channel.py.
"""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import falcon

from callboard.http.request import Request
from callboard.http.streams import EventStream
from callboard.limits import REFUSAL_LINES
from callboard.logs import get_logger, write_line, writes_json
from callboard.settings import Settings

LogLine = Callable[[dict[str, Any]], None]

LOGGER = "callboard.http"
_MINUTE_S = 60
# SECURITY: ASCII with every control character escaped, so no header or path can forge or break a line.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def request_line(settings: Settings) -> LogLine:
    """Return the function that writes a line, by the settings' level and format."""
    if settings.log_level not in ("debug", "info"):
        return lambda _fields: None
    return _write_json if writes_json(settings) else _write_console


def _write_json(fields: dict[str, Any]) -> None:
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    line = _encode({"timestamp": now + "Z", "level": "info", "logger": LOGGER, "event": "request", **fields})
    write_line(line)


def _write_console(fields: dict[str, Any]) -> None:
    get_logger(LOGGER).info("request", **fields)


class AccessLog:
    """The outermost middleware: it sees the answer as it is sent.

    # SECURITY: neither headers (the key is one) nor bodies nor queries are logged, and what is logged has a length.
    """

    def __init__(self, write: LogLine) -> None:
        self._write = write

    def process_response(self, req: Request, resp: falcon.Response, _resource: object, _succeeded: bool) -> None:
        resp.set_header("X-Request-Id", req.request_id)
        fields: dict[str, Any] = {
            "method": req.method[:20],
            "path": req.path[:500],
            "status": resp.status_code,
            "duration_ms": _elapsed_ms(req),
            "client": req.client[:64],
            "user_agent": req.env.get("HTTP_USER_AGENT", "")[:200],
            "request_id": req.request_id,
        }
        if req.task_id is not None:
            fields["task_id"] = req.task_id
        if isinstance(resp.stream, EventStream) and req.method != "HEAD":
            resp.stream.at_end(lambda: self._write(fields | {"duration_ms": _elapsed_ms(req)}))
        else:
            self._write(fields)


class SparingLine:
    """Writes lines, `REFUSAL_LINES` a minute at most: whoever sends what is no HTTP is not limited, and would fill the log."""

    def __init__(self, write: LogLine, now_s: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._now_s = now_s
        self._lock = threading.Lock()  # guards the two below: any waitress thread writes
        self._until_s = 0.0
        self._asked = 0

    def __call__(self, fields: dict[str, Any]) -> None:
        with self._lock:
            now_s, unlogged = self._now_s(), 0
            if now_s >= self._until_s:
                unlogged = max(0, self._asked - REFUSAL_LINES)
                self._until_s, self._asked = now_s + _MINUTE_S, 0
            self._asked += 1
            if self._asked > REFUSAL_LINES:
                return
        self._write(fields | {"unlogged": unlogged} if unlogged else fields)


def _elapsed_ms(req: Request) -> float:
    return round((time.monotonic() - req.started_s) * 1000, 3)
