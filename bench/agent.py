"""What the agent costs: a round with a model, a hundred skills at the start, a thousand paused tasks."""

from bench import agent_round, many_skills, paused_tasks
from bench.figures import Figure, Run


def measure(run: Run) -> list[Figure]:
    return [*agent_round.measure(run), *many_skills.measure(run), *paused_tasks.measure(run)]
