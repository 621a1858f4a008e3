"""/agent/deliveries: what webhooks have told and are to tell, and telling it again."""

from typing import TYPE_CHECKING

import falcon

from callboard.http import views
from callboard.http.codec import respond
from callboard.http.gateway_client import GatewayClient
from callboard.http.query import delivery_id_from, delivery_state_in, query_of, task_id_from, whole_number
from callboard.http.request import Request
from callboard.http.results import DEFAULT_LIMIT, MAX_LIMIT
from callboard.http.validation import expect_no_wish
from callboard.messages.deliveries import GetDelivery, ListDeliveries, Redeliver

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class Deliveries:
    """Lists deliveries (no suffix), shows `one`, sends one again (`redrive`)."""

    def __init__(self, system: "AgentSystem") -> None:
        self._gateway = GatewayClient(system)
        self._max_body_bytes = system.settings.max_body_bytes

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query = query_of(req, "taskId", "state", "limit", "cursor")
        wish = ListDeliveries(
            task_id=task_id_from(query["taskId"]) if "taskId" in query else None,
            state=delivery_state_in(query),
            limit=whole_number(query, "limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT),
            cursor=query.get("cursor"),
        )
        page = self._gateway.ask(req, wish)
        respond(resp, views.deliveries(page), req.reply_type)

    on_head = on_get

    def on_get_one(self, req: Request, resp: falcon.Response, delivery_id: str) -> None:
        query_of(req)
        self._answer(req, resp, GetDelivery(delivery_id=delivery_id_from(delivery_id)))

    on_head_one = on_get_one

    def on_post_redrive(self, req: Request, resp: falcon.Response, delivery_id: str) -> None:
        query_of(req)
        expect_no_wish(req, self._max_body_bytes)
        self._answer(req, resp, Redeliver(delivery_id=delivery_id_from(delivery_id)))

    def _answer(self, req: Request, resp: falcon.Response, wish: GetDelivery | Redeliver) -> None:
        delivery = self._gateway.ask(req, wish)
        req.task_id = delivery.task_id
        respond(resp, {"success": True, "delivery": views.delivery(delivery)}, req.reply_type)
