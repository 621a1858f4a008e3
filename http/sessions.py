"""/agent/sessions: the sessions by their last use; what one remembers, and forgetting it."""

from typing import TYPE_CHECKING

import falcon

from callboard.http import views
from callboard.http.codec import respond
from callboard.http.gateway_client import GatewayClient
from callboard.http.query import query_of, session_id_from, whole_number
from callboard.http.request import Request
from callboard.http.results import DEFAULT_LIMIT, MAX_LIMIT
from callboard.messages.sessions import DeleteSession, GetSession, ListSessions

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class Sessions:
    """Lists sessions (`all`); reads and deletes one (no suffix)."""

    def __init__(self, system: "AgentSystem") -> None:
        self._gateway = GatewayClient(system)

    def on_get_all(self, req: Request, resp: falcon.Response) -> None:
        query = query_of(req, "limit", "cursor")
        limit = whole_number(query, "limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT)
        wish = ListSessions(limit=limit, cursor=query.get("cursor"))
        page = self._gateway.ask(req, wish)
        respond(resp, views.sessions(page), req.reply_type)

    on_head_all = on_get_all

    def on_get(self, req: Request, resp: falcon.Response, session_id: str) -> None:
        query = query_of(req, "before")
        before = whole_number(query, "before", 0, least=1)
        wish = GetSession(session_id=session_id_from(session_id), before=before or None)
        record = self._gateway.ask(req, wish)
        respond(resp, {"success": True, "session": views.session(record)}, req.reply_type)

    on_head = on_get

    def on_delete(self, req: Request, resp: falcon.Response, session_id: str) -> None:
        query_of(req)
        wish = DeleteSession(session_id=session_id_from(session_id))
        self._gateway.ask(req, wish)
        view = {"success": True, "message": "Session deleted", "sessionId": session_id}
        respond(resp, view, req.reply_type)
