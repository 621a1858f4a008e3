"""/agent/tasks/{id} with its log, its cancel, another try, and the decision that a paused task waits for."""

from typing import TYPE_CHECKING, Any

import falcon

from callboard.http import views
from callboard.http.codec import read_body, respond
from callboard.http.decision import decision_from
from callboard.http.gateway_client import GatewayClient
from callboard.http.idempotency import check_key, mark_replayed
from callboard.http.places import Place, place_in
from callboard.http.query import expect_no_page, query_of, task_id_from, whole_number
from callboard.http.request import Request
from callboard.http.sse import CONTENT_TYPE
from callboard.http.streams import Streams
from callboard.http.task_stream import stream_task
from callboard.http.validation import expect_no_wish
from callboard.http.waiting import Waiting, wished_wait_s
from callboard.messages.decisions import GetPause
from callboard.messages.events import AwaitEvents, EventPage, GetEvents
from callboard.messages.tasks import CancelTask, GetKeptAnswer, GetTask, RetryTask, TaskAccepted

if TYPE_CHECKING:
    from callboard.system import AgentSystem

MAX_EVENTS = 1000


class Tasks:
    """Answers for one task: as it stands (no suffix), `events`, `pause`, `cancel`, `decide`, `retry`."""

    def __init__(self, system: "AgentSystem", waiting: Waiting, streams: Streams) -> None:
        self._system = system
        self._streams = streams
        self._gateway = GatewayClient(system)
        self._waiting = waiting
        self._max_body_bytes = system.settings.max_body_bytes

    def on_get(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        req.task_id = task_id_from(task_id)
        record = self._gateway.ask(req, GetTask(task_id=req.task_id))
        respond(resp, views.task(record), req.reply_type)

    on_head = on_get

    def on_get_pause(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        req.task_id = task_id_from(task_id)
        pause = self._gateway.ask(req, GetPause(task_id=req.task_id))
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
            "after": place_in(req, query).after,
            "limit": whole_number(query, "limit", MAX_EVENTS, least=1, most=MAX_EVENTS),
        }
        wait_s = wished_wait_s(req, query)
        page: EventPage | None = None
        if wait_s:
            page = self._waiting.hold(
                req, wait_s, lambda slice_s: AwaitEvents(wait_s=slice_s, **which), lambda page: page.tells
            )
        held = page is not None
        if page is None:
            page = self._gateway.ask(req, GetEvents(**which))
        if wait_s:
            self._waiting.tell(resp, wait_s, held=held)
        respond(resp, views.events(page, which["after"]), req.reply_type)

    def on_head_events(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        if not req.wants_stream:
            self.on_get_events(req, resp, task_id)
            return
        _stream_place(req)
        req.task_id = task_id_from(task_id)
        self._gateway.ask(req, GetTask(task_id=req.task_id))
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
        wish = CancelTask(task_id=req.task_id)
        record = self._gateway.ask(req, wish)
        respond(resp, views.cancelled(record), req.reply_type)

    def on_post_retry(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        key = req.env.get("HTTP_IDEMPOTENCY_KEY")
        expect_no_wish(req, self._max_body_bytes)
        wish = RetryTask(
            task_id=task_id_from(task_id),
            idempotency_key=None if key is None else check_key(key),
        )
        accepted = self._retried(req, wish) or self._gateway.ask(req, wish)
        if accepted.replayed:
            mark_replayed(resp)
        req.task_id = accepted.task_id
        respond(resp, views.accepted(accepted), req.reply_type)

    def _retried(self, req: Request, wish: RetryTask) -> TaskAccepted | None:
        """Return what a request with the same key was answered with, also while no new tasks are taken."""
        if wish.idempotency_key is None:
            return None
        asked = GetKeptAnswer(key=wish.idempotency_key, fingerprint=wish.fingerprint)
        kept = self._gateway.ask(req, asked)
        return None if kept is None else kept.accepted()

    def on_post_decide(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        body = read_body(req, self._max_body_bytes)
        req.task_id = task_id_from(task_id)
        wish = decision_from(body, req.task_id)
        record = self._gateway.ask(req, wish)
        respond(resp, views.decided(record, wish.decision), req.reply_type)


def _stream_place(req: Request) -> Place:
    """Return where a stream is resumed."""
    query = query_of(req, "after", "limit", "wait")
    expect_no_page(query, MAX_EVENTS)
    return place_in(req, query)
