"""What turns a task into code: the planner's interface and the built-in planner."""

from callboard.agent.planner.base import Plan, Planner, PlanRequest
from callboard.agent.planner.offline import OfflinePlanner

__all__ = ["OfflinePlanner", "Plan", "PlanRequest", "Planner"]
