"""/agent/tasks/{id} with its log, its cancel and the decision that a paused task waits for."""

from typing import TYPE_CHECKING, Any

import falcon

from callboard.http import views
from callboard.http.codec import read_body, respond
from callboard.http.decision import decision_from
from callboard.http.query import query_of, seconds, task_id_from, whole_number
from callboard.http.request import Request
from callboard.http.validation import expect_no_wish
from callboard.http.waiting import Waiting
from callboard.messages import AwaitEvents, CancelTask, EventPage, GetEvents, GetTask, TaskRecord

if TYPE_CHECKING:
    from callboard.system import AgentSystem

MAX_EVENTS = 1000


class Tasks:
    """Answers for one task: as it stands (no suffix), `events`, `cancel`, `decide`."""

    def __init__(self, system: "AgentSystem", waiting: Waiting) -> None:
        self._gateway = system.gateway
        self._waiting = waiting
        self._timeout_s = system.settings.ask_timeout_s
        self._max_body_bytes = system.settings.max_body_bytes

    def on_get(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        req.task_id = task_id_from(task_id)
        record: TaskRecord = self._gateway.ask(GetTask(task_id=req.task_id), timeout_s=self._timeout_s)
        respond(resp, views.task(record), req.reply_type)

    on_head = on_get

    def on_get_events(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query = query_of(req, "after", "limit", "wait")
        req.task_id = task_id_from(task_id)
        which: dict[str, Any] = {
            "task_id": req.task_id,
            "after": whole_number(query, "after", 0, least=0),
            "limit": whole_number(query, "limit", MAX_EVENTS, least=1, most=MAX_EVENTS),
        }
        wait_s = seconds(query, "wait")
        page: EventPage | None = None
        if wait_s:
            page = self._waiting.hold(
                req, wait_s, lambda slice_s: AwaitEvents(wait_s=slice_s, **which), lambda p: bool(p.events) or p.ended
            )
        if page is None:
            page = self._gateway.ask(GetEvents(**which), timeout_s=self._timeout_s)
        respond(resp, views.events(page, which["after"]), req.reply_type)

    on_head_events = on_get_events

    def on_post_cancel(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        expect_no_wish(req, self._max_body_bytes)
        req.task_id = task_id_from(task_id)
        wish = CancelTask(task_id=req.task_id, request_id=req.request_id)
        record: TaskRecord = self._gateway.ask(wish, timeout_s=self._timeout_s)
        respond(resp, views.cancelled(record), req.reply_type)

    def on_post_decide(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        body = read_body(req, self._max_body_bytes)
        req.task_id = task_id_from(task_id)
        wish = decision_from(body, req, req.task_id)
        record: TaskRecord = self._gateway.ask(wish, timeout_s=self._timeout_s)
        respond(resp, views.decided(record, wish.decision), req.reply_type)
