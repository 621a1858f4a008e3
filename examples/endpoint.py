"""Template of an endpoint: a Falcon resource beside those of Callboard, behind the same keys, limits and errors.

Run it: python examples/endpoint.py, then: curl http://127.0.0.1:3000/agent/tasks/TASK_ID/output

In the project a resource has a file of its own under http/, a route in http/app.py and an entry in
http/operations.py; CONTRIBUTING.md lists what else to touch.
"""

import falcon
import waitress

from callboard import AgentSystem, GetTask
from callboard.errors import NotFound
from callboard.http.app import build_app
from callboard.http.gateway_client import GatewayClient
from callboard.http.query import query_of, task_id_from
from callboard.http.request import Request


class NoOutput(NotFound):
    """The task has no output: it has not ended, or it did not complete."""

    code = "no_output"


class Output:
    """GET /agent/tasks/{task_id}/output: what a task came to, as plain text."""

    own_type = True  # answers text/plain whatever the Accept header says

    def __init__(self, system: AgentSystem) -> None:
        self._gateway = GatewayClient(system)

    def on_get(self, req: Request, resp: falcon.Response, task_id: str) -> None:
        query_of(req)  # refuses query parameters it does not know
        req.task_id = task_id_from(task_id)  # for the log line
        record = self._gateway.ask(req, GetTask(task_id=req.task_id))
        if not record.success:
            raise NoOutput(f"The task {task_id} is {record.status} and has no output; GET /agent/tasks/{task_id}.")
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{record.output}\n"


def app(system: AgentSystem) -> "falcon.App[Request, falcon.Response]":
    """Return Callboard's application with the resource added."""
    application = build_app(system)
    application.add_route("/agent/tasks/{task_id}/output", Output(system))
    return application


def main() -> None:
    with AgentSystem.start() as system:
        waitress.serve(app(system), host=system.settings.host, port=system.settings.port)


if __name__ == "__main__":
    main()
