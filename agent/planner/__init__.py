"""What turns a task into code: the planner's interface.

The planners themselves are imported by whoever has runs planned: `offline`, which is built in, or `model`.
"""

from callboard.agent.planner.base import Plan, Planner, PlanRequest

__all__ = ["Plan", "PlanRequest", "Planner"]
