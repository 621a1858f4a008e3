"""/health and its two short forms for load balancers: live (the process answers) and ready (send it work).

They read the health monitor's last report and never wait for an actor, so they answer when nothing else does.

SECURITY: open to everybody, so where the server has keys, what files and servers of others have said is for those who show one.
"""

from typing import TYPE_CHECKING

import falcon

from callboard import __version__
from callboard.http import views
from callboard.http.codec import respond
from callboard.http.request import Request
from callboard.principal import NOBODY

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class Health:
    """The whole report (no suffix), `live`, `ready`."""

    def __init__(self, system: "AgentSystem") -> None:
        self._system = system

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        report = self._system.health(details=not self._system.settings.api_key or req.principal is not NOBODY)
        if report.status == "unhealthy":
            resp.status = falcon.HTTP_503
            resp.set_header("Retry-After", "5")
        view = views.health(report, version=__version__, uptime_s=self._system.uptime_s)
        respond(resp, view, req.reply_type)

    on_head = on_get

    def on_get_live(self, req: Request, resp: falcon.Response) -> None:
        respond(resp, {"status": "live"}, req.reply_type)

    on_head_live = on_get_live

    def on_get_ready(self, req: Request, resp: falcon.Response) -> None:
        status = self._readiness()
        if status != "ready":
            resp.status = falcon.HTTP_503
            resp.set_header("Retry-After", "5")
        respond(resp, {"status": status}, req.reply_type)

    on_head_ready = on_get_ready

    def _readiness(self) -> str:
        if self._system.draining:
            return "draining"
        report = self._system.health()
        if report.status == "unhealthy":
            return "unhealthy"
        return "ready" if report.workers.can_work else "no_worker"
