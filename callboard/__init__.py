"""Callboard: a self-hosted, durable agent task server made of actors.

The public names. `skill` and `SkillContext` for those who write skills; `AgentSystem`, `SubmitTask` and `Settings`
for those who run tasks from Python; `Client` for those who ask a server; `CallboardError` for all. Loaded when first used, so that a skill's file or
`callboard --version` does not load the server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from callboard import _checkout

_checkout.install()

__version__ = "0.1.0"

if TYPE_CHECKING:
    from callboard.agent.skill import RetryableError, Skill, SkillContext, skill
    from callboard.budget import Budget
    from callboard.client import Client
    from callboard.errors import CallboardError, TaskError
    from callboard.messages.decisions import DecideTask, GetPause
    from callboard.messages.deliveries import GetDelivery, ListDeliveries, Redeliver
    from callboard.messages.events import AwaitEvents, GetEvents, TaskEvent, Topic
    from callboard.messages.health import GetStatistics
    from callboard.messages.pauses import Decision
    from callboard.messages.sessions import DeleteSession, GetSession, ListSessions
    from callboard.messages.tasks import (
        AwaitTask,
        CancelTask,
        GetTask,
        ListTasks,
        RedriveTask,
        RetryTask,
        Status,
        SubmitTask,
        TaskAccepted,
        TaskRecord,
    )
    from callboard.principal import Principal
    from callboard.settings import Settings
    from callboard.system import AgentSystem
    from callboard.task_spec import Attachment

_HOMES = {
    "callboard.agent.skill": ("RetryableError", "Skill", "SkillContext", "skill"),
    "callboard.budget": ("Budget",),
    "callboard.client": ("Client",),
    "callboard.errors": ("CallboardError", "TaskError"),
    "callboard.messages.deliveries": ("GetDelivery", "ListDeliveries", "Redeliver"),
    "callboard.messages.events": ("AwaitEvents", "GetEvents", "TaskEvent", "Topic"),
    "callboard.messages.health": ("GetStatistics",),
    "callboard.messages.decisions": ("DecideTask", "GetPause"),
    "callboard.messages.pauses": ("Decision",),
    "callboard.messages.sessions": ("DeleteSession", "GetSession", "ListSessions"),
    "callboard.messages.tasks": (
        "AwaitTask",
        "CancelTask",
        "GetTask",
        "ListTasks",
        "RedriveTask",
        "RetryTask",
        "Status",
        "SubmitTask",
        "TaskAccepted",
        "TaskRecord",
    ),
    "callboard.principal": ("Principal",),
    "callboard.settings": ("Settings",),
    "callboard.system": ("AgentSystem",),
    "callboard.task_spec": ("Attachment",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AgentSystem",
    "Attachment",
    "AwaitEvents",
    "AwaitTask",
    "Budget",
    "CallboardError",
    "CancelTask",
    "Client",
    "DecideTask",
    "Decision",
    "DeleteSession",
    "GetDelivery",
    "GetEvents",
    "GetPause",
    "GetSession",
    "GetStatistics",
    "GetTask",
    "ListDeliveries",
    "ListSessions",
    "ListTasks",
    "Principal",
    "Redeliver",
    "RedriveTask",
    "RetryTask",
    "RetryableError",
    "Settings",
    "Skill",
    "SkillContext",
    "Status",
    "SubmitTask",
    "TaskAccepted",
    "TaskError",
    "TaskEvent",
    "TaskRecord",
    "Topic",
    "__version__",
    "skill",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'callboard' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
