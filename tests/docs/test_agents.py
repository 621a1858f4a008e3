"""The agents that ship, and the keys of their files, are those that docs/agents.md names."""

from callboard.agent.catalogue import Catalogue
from callboard.agent.roster import Roster
from callboard.agent.roster_files import AgentFile
from callboard.messages.tasks import MASTER
from tests.docs.documents import ROOT, rows

AGENTS = ROOT / "docs" / "agents.md"


def test_every_agent_is_documented_with_its_skills() -> None:
    roster = Roster.load(None, Catalogue.load().names)
    assert roster.problems == ()
    real = {f"`{agent.name}`": agent.skills for agent in roster if agent.name != MASTER}
    table = {cells[0]: cells[2] for cells in rows(AGENTS) if cells[0] in real}
    assert {name: tuple(cell.replace("`", "").split(", ")) for name, cell in table.items()} == real


def test_every_key_of_an_agents_file_is_documented() -> None:
    fields = AgentFile.model_fields.values()
    real = {f"`{field.alias}`": "yes" if field.is_required() else "no" for field in fields}
    assert {cells[0]: cells[1] for cells in rows(AGENTS) if cells[1] in ("yes", "no")} == real
