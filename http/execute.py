"""POST /agent/execute: a task comes in and, if the client wishes, its result goes out in the same answer.

PERF: this is the path that is measured; see bench/.
"""

from typing import TYPE_CHECKING

import falcon

from callboard.errors import Unavailable
from callboard.http import views
from callboard.http.codec import read_body, respond
from callboard.http.query import query_of
from callboard.http.request import Request
from callboard.http.validation import task_from
from callboard.http.waiting import Waiting, preferred_wait_s
from callboard.messages import AwaitTask, TaskAccepted, TaskRecord

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class Execute:
    """Accepts tasks."""

    def __init__(self, system: "AgentSystem", waiting: Waiting) -> None:
        self._gateway = system.gateway
        self._waiting = waiting
        self._timeout_s = system.settings.ask_timeout_s
        self._max_body_bytes = system.settings.max_body_bytes

    def on_post(self, req: Request, resp: falcon.Response) -> None:
        query_of(req)
        body = read_body(req, self._max_body_bytes)
        task = task_from(body, request_id=req.request_id, caller=req.caller)
        accepted: TaskAccepted = self._gateway.ask(task, timeout_s=self._timeout_s)
        req.task_id = accepted.task_id
        wait_s = preferred_wait_s(req.env.get("HTTP_PREFER"))
        record = self._ended(req, resp, accepted.task_id, wait_s) if wait_s else None
        view = views.accepted(accepted) if record is None else views.result(record)
        respond(resp, view, req.reply_type)

    def _ended(self, req: Request, resp: falcon.Response, task_id: str, wait_s: int) -> TaskRecord | None:
        """Return the task once it has ended, None if it does not within the time."""
        try:
            record: TaskRecord | None = self._waiting.hold(
                req, wait_s, lambda slice_s: AwaitTask(task_id=task_id, wait_s=slice_s), lambda r: r.status.ended
            )
        except Unavailable:
            # The task is committed. An error now would have the client send it again, and it would run twice.
            return None
        if record is None:
            return None
        resp.set_header("Preference-Applied", f"wait={self._waiting.capped(wait_s):g}")
        return record if record.status.ended else None
