"""What holds for a task: which skills it may call, and the budgets of it, its session and its caller. Imported by the runner."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from callboard.agent.job import Job, Tools
from callboard.agent.roster import AgentDefinition
from callboard.agent.skill import AnySkill
from callboard.agent.spending import Limit
from callboard.budget import Account, Budget
from callboard.messages.tasks import Task
from callboard.settings import Settings


def limits_of(task: Task, agent: AgentDefinition, settings: Settings, now: datetime) -> list[Limit]:
    """Return the limits on a task's spending, each with what to call it in an error.

    PERF: a budget that limits nothing, which is what the settings begin with, is left out before anything is made of
    it: 5 µs of each attempt instead of 35, the run's `Purse` included.
    """
    limits: list[Limit] = []

    def limit(budget: Budget | None, account: Account, called: str, setting: str) -> None:
        if budget is not None and not budget.unlimited:
            limits.append(Limit(account=account, budget=budget, called=called, setting=setting))

    account = Account("task", task.task_id)
    if settings.task_budget:
        limit(_parsed(settings.task_budget), account, "task", "CALLBOARD_TASK_BUDGET")
    if settings.session_budget:
        session = Account("session", task.session_id)
        limit(_parsed(settings.session_budget), session, "session", "CALLBOARD_SESSION_BUDGET")
    if settings.caller_day_budget:
        day = Account("caller", task.caller or "nobody", f"{now:%Y-%m-%d}")
        limit(_parsed(settings.caller_day_budget), day, "caller's day", "CALLBOARD_CALLER_DAY_BUDGET")
    where = "budget in the request" if task.parent_id is None else "its share of the task above it"
    limit(task.spec.budget, account, "task", where)
    limit(agent.budget, account, "task", f"budget of the agent {agent.name}")
    return limits


@lru_cache(maxsize=16)
def _parsed(text: str) -> Budget:
    """Return the budget of a setting, which stays the same as long as the server runs."""
    return Budget.parse(text)


def allowed_skills(job: Job, tools: Tools) -> Mapping[str, AnySkill]:
    """Return the skills that a task may call, by their wire names: those it names, of those that its agent has."""
    skills, agent = tools.catalogue.skills, tools.roster.get(job.task.spec.agent)
    for named in (agent.skills, job.task.spec.available_skills):
        if named is not None:
            skills = {name: skills[name] for name in named if name in skills}
    return skills
