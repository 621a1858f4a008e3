"""Skills of servers that have not said yet what they have: a task that needs one waits for its server.

A server may need a minute to start, and a task may come back, after a restart, to a call of a skill that is not there yet: that
must not be its end. A run keeps to the skills that it began with, so it is the next attempt that has them. In the worker's
thread. Imported by the runner and its skill calls.
"""

from collections.abc import Collection, Iterable

from callboard.agent.job import Job, Tools
from callboard.errors import SkillNotReady, TaskError


def wait_for_named(job: Job, tools: Tools) -> None:
    """Wait for servers that are late where the task names skills of theirs: it was let in when those were there."""
    for name in job.task.spec.available_skills or ():
        why_late(name, job, tools)


def check(code: str, variables: Iterable[str], job: Job, tools: Tools, allowed: Collection[str], *, own: bool) -> None:
    """Type-check code that may call the skills `allowed`; raise `TaskError`, or `SkillNotReady` when what it lacks was of a server that was late."""
    try:
        tools.sandbox.check(code, variables, job.token, allowed=allowed, own=own)
    except TaskError as error:
        for name in (error.details or {}).get("lacks", ()):
            if (late := why_late(name.replace("_", "-"), job, tools)) is not None:
                raise late from error
        raise


def why_late(name: str, job: Job, tools: Tools) -> TaskError | None:
    """Wait for the server that may have a skill, if it is late; return why it is not there if the server did not come.

    None where no server is late. Raises `SkillNotReady`, which puts the task off, when the server has said what it has.
    """
    server = tools.catalogue.late(name)
    if server is None:
        return None
    if server.wait(job.token):
        raise SkillNotReady(f"The server of the skill {name[:64]} has only now said what it has.")
    told = f"The skill {name[:64]} is not available now. {server.trouble or 'Its server has come just now.'}"
    return TaskError("skill_unavailable", told, retryable=True)
