"""/agent/dead-letters: tasks under which the server died again and again, and giving them one more chance."""

from typing import TYPE_CHECKING

import falcon

from callboard.errors import DeadLetterNotFound, TaskNotFound
from callboard.http import views
from callboard.http.codec import respond, shown
from callboard.http.gateway_client import GatewayClient
from callboard.http.query import query_of, task_id_from, whole_number
from callboard.http.request import Request
from callboard.http.results import DEFAULT_LIMIT, MAX_LIMIT
from callboard.http.validation import expect_no_wish
from callboard.messages.tasks import ListTasks, RedriveTask

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class DeadLetters:
    """Lists dead letters (no suffix) and redrives one (`redrive`)."""

    def __init__(self, system: "AgentSystem") -> None:
        self._gateway = GatewayClient(system)
        self._max_body_bytes = system.settings.max_body_bytes

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query = query_of(req, "limit", "cursor")
        limit = whole_number(query, "limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT)
        wish = ListTasks(dead=True, limit=limit, cursor=query.get("cursor"))
        page = self._gateway.ask(req, wish)
        letters = [views.dead_letter(record) for record in page.tasks]
        view = {"success": True, "count": len(letters), "results": letters, "nextCursor": page.next_cursor}
        respond(resp, view, req.reply_type)

    on_head = on_get

    def on_post_redrive(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)
        expect_no_wish(req, self._max_body_bytes)
        try:
            dead_id = task_id_from(task_id)
        except TaskNotFound as error:
            raise DeadLetterNotFound(f"There is no dead letter {shown(task_id)}.") from error
        wish = RedriveTask(task_id=dead_id)
        record = self._gateway.ask(req, wish)
        req.task_id = record.task_id
        respond(resp, views.accepted(record.accepted()), req.reply_type)
