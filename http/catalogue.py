"""/agent/skills and /agent/agents: what a task can make use of."""

from typing import TYPE_CHECKING

import falcon

from callboard.http import views
from callboard.http.codec import respond
from callboard.http.query import query_of
from callboard.http.request import Request
from callboard.messages import AGENTS

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class Skills:
    """Lists the skills (no suffix), or describes `one`."""

    def __init__(self, system: "AgentSystem") -> None:
        self._catalogue = system.catalogue

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query_of(req)
        skills = [views.skill(skill) for skill in self._catalogue.skills.values()]
        respond(resp, {"success": True, "count": len(skills), "skills": skills}, req.reply_type)

    on_head = on_get

    def on_get_one(self, req: Request, resp: falcon.Response, name: str) -> None:
        query_of(req)
        skill = views.skill(self._catalogue.get(name[:100]))
        respond(resp, {"success": True, "skill": skill}, req.reply_type)

    on_head_one = on_get_one


class Agents:
    """Lists the agents."""

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query_of(req)
        agents = [{"name": name, "description": description} for name, description in AGENTS.items()]
        respond(resp, {"success": True, "count": len(agents), "agents": agents}, req.reply_type)

    on_head = on_get
