"""/agent/tasks/{id} with its log, its cancel, another try, and the decision that a paused task waits for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import falcon

from callboard.http import views
from callboard.http.codec import read_body, respond
from callboard.http.decision import decision_from
from callboard.http.idempotency import check_key, mark_replayed
from callboard.http.query import query_of, seconds, task_id_from, whole_number
from callboard.http.request import Request
from callboard.http.sse import CONTENT_TYPE
from callboard.http.streams import Streams
from callboard.http.task_stream import StreamPlace, stream_place, stream_task
from callboard.http.validation import expect_no_wish
from callboard.http.waiting import Waiting
from callboard.messages import (
    AwaitEvents,
    CancelTask,
    EventPage,
    GetEvents,
    GetKeptAnswer,
    GetTask,
    TaskAccepted,
    TaskRecord,
)
from callboard.questions import GetPause, RetryTask
from callboard.records import KeptAnswer

if TYPE_CHECKING:
    from callboard.system import AgentSystem

MAX_EVENTS = 1000


class Tasks:
    """Answers for one task: as it stands (no suffix), `events`, `pause`, `cancel`, `decide`, `retry`."""

    def __init__(self, system: "AgentSystem", waiting: Waiting, streams: Streams) -> None:
        self._system = system
        self._streams = streams
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

    def on_get_pause(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        req.task_id = task_id_from(task_id)
        pause: Mapping[str, Any] = self._gateway.ask(GetPause(task_id=req.task_id), timeout_s=self._timeout_s)
        respond(resp, views.pause(req.task_id, pause), req.reply_type)

    on_head_pause = on_get_pause

    def on_get_events(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        if req.wants_stream:
            self._stream(req, resp, task_id)
            return
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

    def on_head_events(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        if not req.wants_stream:
            self.on_get_events(req, resp, task_id)
            return
        _stream_place(req)
        req.task_id = task_id_from(task_id)
        self._gateway.ask(GetTask(task_id=req.task_id), timeout_s=self._timeout_s)
        resp.content_type = CONTENT_TYPE

    def _stream(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        wanted = _stream_place(req)
        req.task_id = task_id_from(task_id)
        with self._streams.take(req) as place:
            stream_task(self._system, req, resp, place, req.task_id, wanted)

    def on_post_cancel(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        expect_no_wish(req, self._max_body_bytes)
        req.task_id = task_id_from(task_id)
        wish = CancelTask(task_id=req.task_id, request_id=req.request_id)
        record: TaskRecord = self._gateway.ask(wish, timeout_s=self._timeout_s)
        respond(resp, views.cancelled(record), req.reply_type)

    def on_post_retry(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        key = req.env.get("HTTP_IDEMPOTENCY_KEY")
        expect_no_wish(req, self._max_body_bytes)
        wish = RetryTask(
            task_id=task_id_from(task_id),
            caller=req.caller,
            request_id=req.request_id,
            idempotency_key=None if key is None else check_key(key),
        )
        accepted = self._retried(wish) or self._gateway.ask(wish, timeout_s=self._timeout_s)
        if accepted.replayed:
            mark_replayed(resp)
        req.task_id = accepted.task_id
        respond(resp, views.accepted(accepted), req.reply_type)

    def _retried(self, wish: RetryTask) -> TaskAccepted | None:
        """Return what a request with the same key was answered with, also while no new tasks are taken."""
        if wish.idempotency_key is None:
            return None
        asked = GetKeptAnswer(caller=wish.caller or "", key=wish.idempotency_key, fingerprint=wish.fingerprint)
        kept: KeptAnswer | None = self._gateway.ask(asked, timeout_s=self._timeout_s)
        return None if kept is None else kept.accepted()

    def on_post_decide(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        body = read_body(req, self._max_body_bytes)
        req.task_id = task_id_from(task_id)
        wish = decision_from(body, req, req.task_id)
        record: TaskRecord = self._gateway.ask(wish, timeout_s=self._timeout_s)
        respond(resp, views.decided(record, wish.decision), req.reply_type)


def _stream_place(req: Request) -> StreamPlace:
    """Return where a stream is resumed: what a browser sends when it connects again counts before the address."""
    query = query_of(req, "after")
    last = req.env.get("HTTP_LAST_EVENT_ID")
    return (
        stream_place(last, "Last-Event-ID") if last else stream_place(query.get("after"), "The query parameter after")
    )
