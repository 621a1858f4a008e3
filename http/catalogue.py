"""/agent/skills and /agent/agents: what a task can make use of, and what could not be loaded."""

from typing import TYPE_CHECKING

import falcon

from callboard.agent.catalogue import Catalogue
from callboard.agent.skill import AnySkill
from callboard.budget import Usage
from callboard.http import views
from callboard.http.codec import respond
from callboard.http.query import query_of
from callboard.http.request import Request
from callboard.messages import GetSkillUsage
from callboard.questions import GetAgentUsage

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class Skills:
    """Lists the skills (no suffix), or describes `one`."""

    def __init__(self, system: "AgentSystem") -> None:
        self._system = system
        self._gateway = system.gateway
        self._timeout_s = system.settings.ask_timeout_s

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query_of(req)
        usage, catalogue = self._usage(), self._system.catalogue
        skills = [_view(skill, catalogue, usage) for skill in catalogue.skills.values()]
        problems = list(self._system.skill_problems)
        respond(resp, {"success": True, "count": len(skills), "skills": skills, "problems": problems}, req.reply_type)

    on_head = on_get

    def on_get_one(self, req: Request, resp: falcon.Response, name: str) -> None:
        query_of(req)
        catalogue = self._system.catalogue
        skill = catalogue.get(name[:100])
        respond(resp, {"success": True, "skill": _view(skill, catalogue, self._usage())}, req.reply_type)

    on_head_one = on_get_one

    def _usage(self) -> dict[str, Usage]:
        usage: dict[str, Usage] = self._gateway.ask(GetSkillUsage(), timeout_s=self._timeout_s)
        return usage


def _view(skill: AnySkill, catalogue: Catalogue, usage: dict[str, Usage]) -> views.View:
    approval = catalogue.needs_approval(skill.name)
    return views.skill(skill, approval=approval, usage=usage.get(skill.name, Usage()))


class Agents:
    """Lists the agents."""

    def __init__(self, system: "AgentSystem") -> None:
        self._system = system
        self._gateway = system.gateway
        self._timeout_s = system.settings.ask_timeout_s
        self._max_rounds = system.settings.max_rounds

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query_of(req)
        usage: dict[str, Usage] = self._gateway.ask(GetAgentUsage(), timeout_s=self._timeout_s)
        agents = [
            views.agent(agent, max_rounds=self._max_rounds, usage=usage.get(agent.name, Usage()))
            for agent in self._system.roster
        ]
        problems = list(self._system.agent_problems)
        respond(resp, {"success": True, "count": len(agents), "agents": agents, "problems": problems}, req.reply_type)

    on_head = on_get
