"""What Falcon calls when a responder or a middleware raises: every error leaves in the documented shape.

In the waitress thread of the request. Imported by http/app.py only.
"""

import traceback
from typing import Any

import falcon
from falcon.http_error import HTTPError

from callboard.errors import CallboardError
from callboard.http.codec import encode, reply_type_of
from callboard.http.errors import SERVER_STATUSES, Problem, body_of, problem_of, status_line
from callboard.http.request import Request
from callboard.logs import get_logger

_log = get_logger("callboard.http")


class ErrorHandlers:
    """The three handlers; `production` decides how much a client is told of a defect."""

    def __init__(self, *, production: bool) -> None:
        self._production = production

    def register(self, app: "falcon.App[Request, falcon.Response]") -> None:
        app.add_error_handler(Exception, self._defect)
        app.add_error_handler(HTTPError, self._refused_by_falcon)
        app.add_error_handler(CallboardError, self._known)

    def _known(self, req: Request, resp: falcon.Response, error: CallboardError, params: dict[str, Any]) -> None:
        problem = problem_of(error, req.request_id)
        if problem.status == 500:
            self._defect(req, resp, error, params)
        else:
            _send(req, resp, problem)

    def _refused_by_falcon(
        self, req: Request, resp: falcon.Response, error: HTTPError, _params: dict[str, Any]
    ) -> None:
        status = error.status_code
        title, code = SERVER_STATUSES.get(status, SERVER_STATUSES[400])
        message = {
            404: "There is nothing at this path; GET / lists what there is.",
            405: f"This path does not take {req.method[:20]}; the Allow header says what it takes.",
        }.get(status, error.description or "The request cannot be read.")
        headers = {str(name): str(value) for name, value in dict(error.headers or {}).items()}
        _send(req, resp, Problem(status=status, body=body_of(title, message, code, req.request_id), headers=headers))

    def _defect(self, req: Request, resp: falcon.Response, error: Exception, _params: dict[str, Any]) -> None:
        _log.error("request failed", exc_info=error, request_id=req.request_id, method=req.method, path=req.path[:500])
        details = None
        # SECURITY: what went wrong inside is told to developers only; in production the log has it, by request id.
        if not self._production:
            lines = "".join(traceback.format_exception(error)).splitlines()
            details = {"type": type(error).__name__, "message": str(error)[:2000], "traceback": lines[-100:]}
        title, code = SERVER_STATUSES[500]
        message = "Something went wrong inside the server; its log has the details under the request id."
        _send(req, resp, Problem(status=500, body=body_of(title, message, code, req.request_id, details)))


def _send(req: Request, resp: falcon.Response, problem: Problem) -> None:
    resp.status = status_line(problem.status)
    if problem.headers:
        resp.set_headers(problem.headers)
    # An error about the Accept header itself goes out as JSON.
    resp.content_type = reply_type = reply_type_of(req) or falcon.MEDIA_JSON
    resp.text = None
    resp.data = encode(problem.body, reply_type)
