"""Plans are not looked at but carried out: real planner, real sandbox, real skills."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from callboard.agent.bindings import bound_names
from callboard.agent.cancel import CancelToken
from callboard.agent.catalogue import Catalogue
from callboard.agent.planner import Plan, PlanRequest
from callboard.agent.planner.offline import OfflinePlanner
from callboard.agent.sandbox import Sandbox
from callboard.agent.sandbox_run import Script
from callboard.agent.skill import SkillContext
from callboard.conversation import Turn
from callboard.errors import TaskError
from callboard.settings import Settings
from callboard.values import storable
from tests.agent.answers import one_by_one

NOW = datetime(2026, 11, 23, 14, 3, tzinfo=UTC)
"""A Monday."""


class Desk:
    """Takes tasks: plans them, checks the plan's types, runs it, and answers."""

    def __init__(self, catalogue: Catalogue, sandbox: Sandbox) -> None:
        self.catalogue = catalogue
        self.sandbox = sandbox
        self.planner = OfflinePlanner()

    def plan(self, task: str, **changes: Any) -> Plan:
        return self.planner.plan(PlanRequest(**{"task": task, "skills": self.catalogue.skills, "now": NOW, **changes}))

    def answer(self, task: str, **changes: Any) -> Any:
        plan = self.plan(task, **changes)
        assert plan.code is not None
        self.sandbox.check(plan.code)
        return self.sandbox.run(
            Script(code=plan.code, keep_state=False), answer=one_by_one(self.call), token=CancelToken()
        ).value

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        context = SkillContext(task_id="t", session_id="s", effect_id="t:1")
        skill = self.catalogue.get(name.replace("_", "-"))
        try:
            return storable(skill.call(args, kwargs, context))
        except ValueError as error:  # as the runner does
            raise TaskError("skill_failed", str(error)) from error


class Talk:
    """One session: keeps its conversation and the sandbox's variables between tasks."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.turns: list[Turn] = []
        self.variables: frozenset[str] = frozenset()
        self.state: bytes | None = None

    def say(self, task: str) -> Any:
        plan = self.desk.plan(task, variables=self.variables, conversation=tuple(self.turns))
        assert plan.code is not None
        self.desk.sandbox.check(plan.code, self.variables)
        run = self.desk.sandbox.run(
            Script(code=plan.code, state=self.state), answer=one_by_one(self.desk.call), token=CancelToken()
        )
        self.state = run.state or self.state
        self.variables |= bound_names(plan.code)
        self.turns += [Turn(role="user", content=task), Turn(role="assistant", content=str(run.value))]
        return run.value


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    catalogue = Catalogue.load()
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), workers=1)
    names = [skill.python_name for skill in catalogue.skills.values()]
    sandbox = Sandbox(settings, stubs=catalogue.stubs(twins=True), skills=names)
    sandbox.start()
    yield Desk(catalogue, sandbox)
    sandbox.close()


@pytest.fixture
def answer(desk: Desk) -> Callable[..., Any]:
    """Return a function that carries a task out and returns its output."""
    return desk.answer


@pytest.fixture
def plan(desk: Desk) -> Callable[..., Plan]:
    return desk.plan


@pytest.fixture
def talk(desk: Desk) -> Talk:
    """A session of its own."""
    return Talk(desk)
