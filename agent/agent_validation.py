"""Says what a server would load of files that define agents, and everything that is wrong, before they are there.

The roster itself reads them, so that both say the same; what they name is looked up: skills, and the model. Imported by
the command line.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from callboard.agent.findings import Finding, Report, error, note
from callboard.agent.loadable import KnownSkills, Loadable
from callboard.agent.models.loading import LoadedModel, load_model
from callboard.agent.roster import Roster
from callboard.agent.roster_files import AgentFile, lines_of, read_agent
from callboard.errors import ConfigurationError, NotFound
from callboard.settings import Settings


def validate(path: Path, settings: Settings) -> list[Report]:
    """Examine a file that defines an agent, or a folder of those, as CALLBOARD_AGENTS_DIR names one.

    Raises `NotFound` where there is none, and `ConfigurationError` for settings that cannot work.
    """
    path = path.absolute()
    if not path.exists() and not path.is_symlink():
        raise NotFound(f"There is nothing at {path}; give an agent's YAML file, or a folder of those.")
    known = Loadable(settings).known_skills
    roster = Roster.load(path, known) if path.is_dir() else Roster.of_files([path], known)
    reports = roster.reports
    if path.is_file() and reports and not reports[0].names and reports[0].valid:  # somebody takes it for an agent
        reports = tuple(replace(one, findings=tuple(error(f.message, f.line) for f in one.findings)) for one in reports)
    if not any(report.names or not report.valid for report in reports):
        raise NotFound(f"There is no agent in {path}: no file that ends in .yaml or .yml.")
    model = _model(settings)
    return [_looked_up(report, known, model) for report in reports]


def _model(settings: Settings) -> LoadedModel | None:
    try:
        return load_model(settings)
    except ConfigurationError:
        return None  # the start of a server says it


def _looked_up(report: Report, known: KnownSkills, model: LoadedModel | None) -> Report:
    """Add to the report on an agent that is loaded what there is to say of what its file names."""
    if not report.names:
        return report
    found, lines = read_agent(report.path, report.names[0]), lines_of(report.path)
    more = [*_of_skills(found, known, lines.get(("skills",))), *_of_model(found, model, lines.get(("model",)))]
    return replace(report, findings=(*report.findings, *more))


def _of_skills(found: AgentFile, known: KnownSkills, line: int | None) -> Iterator[Finding]:
    for name in dict.fromkeys(found.skills or ()):
        if name not in known:
            yield error(
                f"it would do without {name!r}, which no skill here is called; see `callboard skills list`", line
            )
        elif known.may_come(name):
            yield note(f"whether there is {name!r} only its MCP server can tell", line)


def _of_model(found: AgentFile, model: LoadedModel | None, line: int | None) -> Iterator[Finding]:
    if found.model is None:
        return
    if model is None:
        yield note("its model is asked where CALLBOARD_LLM_PROVIDER names a provider", line)
    elif model.named(found.model).price_usd(1, 1) is None:
        yield note(f"nobody here knows a model {found.model!r}, nor what it costs; look whether it is spelt so", line)
