"""What came with a task, put where its code and its model find it. In the worker's thread; imported by the runner."""

from typing import TYPE_CHECKING

from callboard.agent.attachments import Attached as Attached
from callboard.agent.attachments import materialise
from callboard.agent.job import Job, Tools

if TYPE_CHECKING:
    from callboard.agent.skill_calls import SkillCalls


def attached(job: Job, tools: Tools, calls: "SkillCalls") -> Attached:
    """Put a task's files into its workspace and return what there is; once more after a crash, to the same end."""
    if not job.task.attachments:
        return Attached()
    return materialise(tools.control.files(job.task.task_id), calls.context())
