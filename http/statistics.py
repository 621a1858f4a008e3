"""GET /agent/statistics: the last hour by minutes, for charts."""

from typing import TYPE_CHECKING

import falcon

from callboard.http import views
from callboard.http.codec import respond
from callboard.http.gateway_client import GatewayClient
from callboard.http.query import query_of
from callboard.http.request import Request
from callboard.messages.health import GetStatistics

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class Statistics:
    """Answers what the last hour was like."""

    def __init__(self, system: "AgentSystem") -> None:
        self._system = system
        self._gateway = GatewayClient(system)

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query_of(req)
        report = self._gateway.ask(req, GetStatistics())
        respond(resp, views.statistics(report, self._system.workers), req.reply_type)

    on_head = on_get
