"""What a call of `delegate` asks of another agent, as the task that the agent is to be given.

In the worker's thread. Imported by the run's skill calls.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from callboard.agent.delegation import DELEGATE, Delegate, Delegated, skills_for, too_deep
from callboard.agent.job import Job, Tools
from callboard.agent.skill import AnySkill
from callboard.clock import new_id
from callboard.errors import TaskError
from callboard.values import mend_text


def part_for(
    skill: Delegate,
    args: Sequence[Any],
    named: Mapping[str, Any],
    *,
    job: Job,
    tools: Tools,
    allowed: Mapping[str, AnySkill],
) -> Delegated:
    """Return what the agent is to do; its share of the budget is added when all that is asked at once is known.

    Raises `TaskError` where it cannot be asked so, or the task is too deep to ask at all.
    """
    try:
        name, task = skill.bound(args, named)
    except (TypeError, ValueError) as error:
        raise TaskError("skill_failed", f"The skill {DELEGATE} failed: {error}") from error
    depth, most = job.task.depth, tools.settings.max_depth
    if depth >= most:
        raise too_deep(depth, most)
    return Delegated(
        task_id=new_id(),
        agent=name,
        task=mend_text(task),
        available_skills=skills_for(tools.roster.get(name), allowed, deepest=depth + 1 >= most),
        budget=None,
        timeout_ms=_ms_left(job, tools),
    )


def _ms_left(job: Job, tools: Tools) -> int | None:
    if job.ends_by_s is None:
        return None
    return max(1, int((job.ends_by_s - tools.clock.monotonic()) * 1000))
