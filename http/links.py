"""What can be asked next with what an answer says, as OpenAPI's links. Constants; imported by http/operations.py only."""

from collections.abc import Mapping

Link = tuple[str, Mapping[str, str]]
"""The operation that is asked next, and where in the answer each of its parameters is (RFC 6901)."""


def _about(place: str, *operations: str, name: str = "taskId") -> dict[str, Link]:
    return {operation: (operation, {name: place}) for operation in operations}


def _next(operation: str, place: str, name: str, **others: str) -> dict[str, Link]:
    return {"nextPage": (operation, {name: place, **others})}


_TASK = ("getTask", "listEvents", "cancelTask", "getPause", "decideTask", "retryTask")

OF_TASK = {**_about("/taskId", *_TASK), "getResult": ("listResults", {"taskId": "/taskId"})}
OF_PAUSE = _about("/taskId", "decideTask", "getTask", "cancelTask")
OF_NEW_TASK = {**OF_TASK, **_about("/sessionId", "getSession", "deleteSession", name="sessionId")}
OF_RESULTS = _about("/results/0/taskId", "getTask", "listEvents")
OF_EVENTS = _next("listEvents", "/nextAfter", "after", taskId="/events/0/taskId")
OF_FEED = {**_next("listAllEvents", "/nextAfter", "after"), **_about("/events/0/taskId", "getTask")}
OF_DEAD_LETTERS = _about("/results/0/taskId", "redriveTask", "getTask")
OF_SESSIONS = _about("/sessions/0/sessionId", "getSession", "deleteSession", name="sessionId")
OF_SESSION = _about("/session/sessionId", "deleteSession", "listResults", name="sessionId")
OF_DELIVERIES = _about("/deliveries/0/deliveryId", "getDelivery", "redriveDelivery", name="deliveryId")
OF_DELIVERY = {
    **_about("/delivery/deliveryId", "getDelivery", "redriveDelivery", name="deliveryId"),
    **_about("/delivery/taskId", "getTask"),
}
OF_SKILLS = _about("/skills/0/name", "getSkill", name="name")
