"""GET /agent/results: one result by its task's id, or the history a page at a time, newest first."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import falcon

from callboard.errors import InvalidRequest
from callboard.http import views
from callboard.http.codec import respond
from callboard.http.gateway_client import GatewayClient
from callboard.http.query import parent_in, query_of, session_in, status_in, task_id_from, whole_number
from callboard.http.request import Request
from callboard.messages.tasks import GetTask, ListTasks

if TYPE_CHECKING:
    from callboard.system import AgentSystem

_OF_LISTS = ("sessionId", "status", "agent", "parentId", "q", "limit", "cursor")
DEFAULT_LIMIT, MAX_LIMIT = 10, 100


class Results:
    """Reads the history."""

    def __init__(self, system: "AgentSystem") -> None:
        self._gateway = GatewayClient(system)

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query = query_of(req, "taskId", *_OF_LISTS)
        view = self._one(req, query) if "taskId" in query else self._page(req, query)
        respond(resp, view, req.reply_type)

    on_head = on_get

    def _one(self, req: Request, query: Mapping[str, str]) -> views.View:
        sent = query.keys() - {"taskId"}
        if _limit(query) == DEFAULT_LIMIT:  # as it is unsent: clients that are made from the document send it
            sent -= {"limit"}
        if sent:
            others = ", ".join(sorted(sent))
            raise InvalidRequest(f"taskId names one task, so {others} cannot stand beside it; leave one out.")
        req.task_id = task_id_from(query["taskId"])
        record = self._gateway.ask(req, GetTask(task_id=req.task_id))
        return {"success": True, "result": views.result(record)}

    def _page(self, req: Request, query: Mapping[str, str]) -> views.View:
        wish = ListTasks(
            session_id=session_in(query),
            status=status_in(query),
            agent=query.get("agent"),
            parent_id=parent_in(query),
            q=query.get("q"),
            limit=_limit(query),
            cursor=query.get("cursor"),
        )
        page = self._gateway.ask(req, wish)
        results = [views.listed(record) for record in page.tasks]
        return {"success": True, "count": len(results), "results": results, "nextCursor": page.next_cursor}


def _limit(query: Mapping[str, str]) -> int:
    return whole_number(query, "limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT)
