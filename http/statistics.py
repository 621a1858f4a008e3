"""GET /agent/statistics: the last hour by minutes, for charts."""

from typing import TYPE_CHECKING

import falcon

from callboard.http import views
from callboard.http.codec import respond
from callboard.http.query import query_of
from callboard.http.request import Request
from callboard.questions import GetStatistics, StatisticsReport

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class Statistics:
    """Answers what the last hour was like."""

    def __init__(self, system: "AgentSystem") -> None:
        self._gateway = system.gateway
        self._timeout_s = system.settings.ask_timeout_s

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query_of(req)
        report: StatisticsReport = self._gateway.ask(GetStatistics(), timeout_s=self._timeout_s)
        respond(resp, views.statistics(report), req.reply_type)

    on_head = on_get
