"""POST /agent/execute: a task comes in and, if the client wishes, its result goes out in the same answer.

PERF: this is the path that is measured; see bench/.
"""

from typing import TYPE_CHECKING

import falcon

from callboard.clock import new_id
from callboard.errors import TaskNotFound, Unavailable
from callboard.http import views
from callboard.http.codec import read_body, respond
from callboard.http.query import query_of
from callboard.http.request import Request
from callboard.http.validation import task_from
from callboard.http.waiting import Waiting, preferred_wait_s
from callboard.messages import AwaitTask, ExecuteTask, GetTask, SubmitTask, TaskAccepted, TaskRecord

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
        wait_s = preferred_wait_s(req.env.get("HTTP_PREFER"))
        record = self._held(req, task, wait_s) if wait_s else None
        if record is None:
            accepted: TaskAccepted = self._gateway.ask(task, timeout_s=self._timeout_s)
            req.task_id = accepted.task_id
            respond(resp, views.accepted(accepted), req.reply_type)
            return
        req.task_id = record.task_id
        if wait_s:
            resp.set_header("Preference-Applied", f"wait={self._waiting.capped(wait_s):g}")
        view = views.result(record) if record.status.ended else views.accepted(record)
        respond(resp, view, req.reply_type)

    def _held(self, req: Request, task: SubmitTask, wait_s: float) -> TaskRecord | None:
        """Submit the task and return it at its end, or as it stands when the time is up; None: nothing was done."""
        task_id, submitted = new_id(), False

        def next_message(slice_s: float) -> ExecuteTask | AwaitTask:
            nonlocal submitted
            if submitted:
                return AwaitTask(task_id=task_id, wait_s=slice_s)
            submitted = True
            # validated when it was made; validating it again would cost as much as the rest of this method
            return ExecuteTask.model_construct(**{**vars(task), "task_id": task_id, "wait_s": slice_s})

        try:
            held: TaskRecord | None = self._waiting.hold(req, wait_s, next_message, lambda record: record.status.ended)
        except Unavailable as error:
            # If the task is committed, an error now would have the client send it again, and it would run twice.
            return self._committed(task_id, error)
        return held

    def _committed(self, task_id: str, error: Unavailable) -> TaskRecord:
        try:
            record: TaskRecord = self._gateway.ask(GetTask(task_id=task_id), timeout_s=self._timeout_s)
        except (TaskNotFound, Unavailable):
            raise error from None
        return record
