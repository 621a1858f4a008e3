"""/agent/skills and /agent/agents: what a task can make use of, and what could not be loaded."""

from bisect import bisect
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING

import falcon

from callboard.agent.catalogue import Catalogue
from callboard.agent.skill import AnySkill
from callboard.budget import Usage
from callboard.cursors import decode_cursor, encode_cursor
from callboard.excerpts import excerpt
from callboard.http import views
from callboard.http.codec import JSON, encode, respond
from callboard.http.gateway_client import GatewayClient
from callboard.http.query import query_of
from callboard.http.request import Request
from callboard.limits import PAGE_BYTES
from callboard.messages.usage import GetAgentUsage, GetSkillUsage

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class Skills:
    """Lists the skills (no suffix), or describes `one`."""

    def __init__(self, system: "AgentSystem") -> None:
        self._system = system
        self._gateway = GatewayClient(system)

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query = query_of(req, "cursor")
        usage, catalogue = self._gateway.ask(req, GetSkillUsage()), self._system.catalogue
        skills = [views.short_skill(_view(skill, catalogue, usage)) for skill in catalogue.skills.values()]
        respond(resp, _page("skills", skills, self._system.skill_problems, query.get("cursor")), req.reply_type)

    on_head = on_get

    def on_get_one(self, req: Request, resp: falcon.Response, name: str) -> None:
        query_of(req)
        catalogue = self._system.catalogue
        skill = catalogue.get(name[:100])
        usage = self._gateway.ask(req, GetSkillUsage())
        respond(resp, {"success": True, "skill": _view(skill, catalogue, usage)}, req.reply_type)

    on_head_one = on_get_one


def _view(skill: AnySkill, catalogue: Catalogue, usage: dict[str, Usage]) -> views.View:
    approval = catalogue.needs_approval(skill.name)
    return views.skill(skill, approval=approval, usage=usage.get(skill.name, Usage()))


def _page(key: str, entries: list[views.View], problems: Iterable[str], cursor: str | None) -> views.View:
    """Return the entries behind the one that the cursor names, as many as a page has room for; the first page has the problems."""
    told: list[str] = excerpt(list(problems)) if cursor is None else []
    if cursor is not None:
        last, names = decode_cursor(cursor), [entry["name"] for entry in entries]
        place = names.index(last) + 1 if last in names else bisect(names, last)  # of skills, which may go, in order
        entries = entries[place:]
    sums = accumulate(len(encode(entry, JSON)) for entry in entries)
    page = [
        entry
        for number, (entry, size) in enumerate(zip(entries, sums, strict=True))
        if not number or size <= PAGE_BYTES
    ]
    more = encode_cursor(page[-1]["name"]) if len(page) < len(entries) else None
    return {"success": True, "count": len(page), key: page, "problems": told, "nextCursor": more}


class Agents:
    """Lists the agents."""

    def __init__(self, system: "AgentSystem") -> None:
        self._system = system
        self._gateway = GatewayClient(system)
        self._max_rounds = system.settings.max_rounds

    def on_get(self, req: Request, resp: falcon.Response) -> None:
        query = query_of(req, "cursor")
        usage = self._gateway.ask(req, GetAgentUsage())
        agents = [
            views.agent(agent, max_rounds=self._max_rounds, usage=usage.get(agent.name, Usage()))
            for agent in self._system.roster
        ]
        respond(resp, _page("agents", agents, self._system.agent_problems, query.get("cursor")), req.reply_type)

    on_head = on_get
