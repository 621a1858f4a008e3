"""The Falcon application: reading this file shows every route and every middleware.

Built once at start; called by all waitress threads at once. Imported by http/server.py and by tests.
"""

from typing import TYPE_CHECKING, Any

import falcon

from callboard.http.about import DocsPage, Index, OpenApi, whole_server
from callboard.http.access_log import AccessLog, request_line
from callboard.http.catalogue import Agents, Skills
from callboard.http.client_address import ClientAddress
from callboard.http.console import Console
from callboard.http.cors import cors
from callboard.http.cross_origin import CrossOriginProtection
from callboard.http.dead_letters import DeadLetters
from callboard.http.deliveries import Deliveries
from callboard.http.door import Door
from callboard.http.error_handlers import ErrorHandlers
from callboard.http.execute import Execute
from callboard.http.feed import Feed
from callboard.http.health import Health
from callboard.http.negotiation import Negotiation
from callboard.http.request import Request
from callboard.http.results import Results
from callboard.http.routing import Router
from callboard.http.sessions import Sessions
from callboard.http.statistics import Statistics
from callboard.http.streams import Streams
from callboard.http.tasks import Tasks
from callboard.http.waiting import Waiting

if TYPE_CHECKING:
    from callboard.system import AgentSystem


def build_app(system: "AgentSystem") -> "falcon.App[Request, falcon.Response]":
    """Return the application over a running system.

    Requests pass the middleware from first to last, answers from last to first. The security headers are not here:
    http/channel.py adds them to every answer of the server, waitress's own included.
    """
    settings = system.settings
    middleware: list[Any] = [
        AccessLog(request_line(settings)),
        CrossOriginProtection(settings),
        cors(settings),
        *([ClientAddress(settings.trusted_networks)] if settings.trusted_networks else []),
        Door(system),
        Negotiation(),
    ]
    app: falcon.App[Request, falcon.Response] = falcon.App(request_type=Request, middleware=middleware, router=Router())
    ErrorHandlers(production=settings.production).register(app)

    waiting, streams = Waiting(system), Streams(system)
    tasks, skills, health = Tasks(system, waiting, streams), Skills(system), Health(system)
    dead_letters, sessions = DeadLetters(system), Sessions(system)
    app.add_sink(whole_server, prefix=r"\*$")
    app.add_route("/", Index(settings))
    app.add_route("/agent/execute", Execute(system, waiting, streams))
    app.add_route("/agent/events", Feed(system, waiting, streams))
    app.add_route("/agent/results", Results(system))
    app.add_route("/agent/tasks/{task_id}", tasks)
    app.add_route("/agent/tasks/{task_id}/events", tasks, suffix="events")
    app.add_route("/agent/tasks/{task_id}/cancel", tasks, suffix="cancel")
    app.add_route("/agent/tasks/{task_id}/pause", tasks, suffix="pause")
    app.add_route("/agent/tasks/{task_id}/decide", tasks, suffix="decide")
    app.add_route("/agent/tasks/{task_id}/retry", tasks, suffix="retry")
    app.add_route("/agent/dead-letters", dead_letters)
    app.add_route("/agent/dead-letters/{task_id}/redrive", dead_letters, suffix="redrive")
    app.add_route("/agent/sessions", sessions, suffix="all")
    app.add_route("/agent/sessions/{session_id}", sessions)
    deliveries = Deliveries(system)
    app.add_route("/agent/deliveries", deliveries)
    app.add_route("/agent/deliveries/{delivery_id}", deliveries, suffix="one")
    app.add_route("/agent/deliveries/{delivery_id}/redrive", deliveries, suffix="redrive")
    app.add_route("/agent/skills", skills)
    app.add_route("/agent/skills/{name}", skills, suffix="one")
    app.add_route("/agent/agents", Agents(system))
    app.add_route("/agent/statistics", Statistics(system))
    app.add_route("/health", health)
    app.add_route("/health/live", health, suffix="live")
    app.add_route("/health/ready", health, suffix="ready")
    app.add_route("/openapi.json", OpenApi(settings))
    app.add_route("/docs", DocsPage(settings))
    console = Console(settings)
    app.add_route("/console", console)
    app.add_route("/console/{name:path}", console, suffix="file")
    return app
