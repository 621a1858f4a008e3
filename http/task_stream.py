"""The stream of one task: its log and the logs of the tasks below it, then its result.

Imported within `http/` only.
"""

import re
from typing import TYPE_CHECKING, NamedTuple

import falcon

from callboard.errors import InvalidRequest, Unavailable
from callboard.http import sse, views
from callboard.http.codec import shown
from callboard.http.request import Request
from callboard.http.streams import Place
from callboard.messages import GetTask, TaskRecord
from callboard.values import INT64_MAX

if TYPE_CHECKING:
    from callboard.actors.following import TaskFollower
    from callboard.system import AgentSystem

PLACE_PATTERN = r"^[0-9]{1,19}(\.[0-9]{1,19})?$"
_PLACE = re.compile(PLACE_PATTERN.removeprefix("^").removesuffix("$"))


class StreamPlace(NamedTuple):
    """Where a task's stream is resumed: behind its own number `after`, or behind that position."""

    after: int = 0
    position: int | None = None


def stream_place(text: str | None, name: str) -> StreamPlace:
    """Return the place that an id of the stream stands for; raise `InvalidRequest`."""
    if not text:
        return StreamPlace()
    if not _PLACE.fullmatch(text):
        raise InvalidRequest(f"{name} is {shown(text)}; give the id of an event, such as 12 or 12.345.")
    numbers = [int(part) for part in text.split(".")]
    if max(numbers) > INT64_MAX:
        raise InvalidRequest(f"{name} is {shown(text)}, which is higher than any number of an event.")
    return StreamPlace(*numbers)


class TaskStream:
    """What a task's stream tells."""

    def __init__(self, system: "AgentSystem", follower: "TaskFollower") -> None:
        self._gateway = system.gateway
        self._timeout_s = system.settings.ask_timeout_s
        self._follower = follower
        self.over = False
        self.wake = follower.wake
        self.close = follower.close

    def next(self, wait_s: float) -> list[bytes]:
        pieces = [sse.entry(place, views.event(event)) for place, event in self._follower.next(wait_s)]
        if self._follower.ended:
            record: TaskRecord = self._gateway.ask(GetTask(task_id=self._follower.task_id), timeout_s=self._timeout_s)
            pieces.append(sse.end(views.result(record)))
        self.over = self._follower.over
        return pieces

    def idle(self) -> bytes:
        self._follower.look_again()  # in case the event bus was given up
        return sse.HEARTBEAT


def stream_task(
    system: "AgentSystem", req: Request, resp: falcon.Response, place: Place, task_id: str, wanted: StreamPlace
) -> None:
    """Answer with a task's stream, or 204 if all of it has been sent. Raises `TaskNotFound` and what the gateway does."""
    follower = system.follow(task_id, after=wanted.after, position=wanted.position)
    try:
        follower.open()
        if follower.ended:
            follower.close()
            resp.status = 204
            return
    except BaseException:
        follower.close()
        raise
    place.send(req, resp, TaskStream(system, follower))


def stream_accepted(system: "AgentSystem", req: Request, resp: falcon.Response, place: Place, task_id: str) -> None:
    """Answer with the stream of a task that has just been accepted: no error now may have the client send it again."""
    follower = system.follow(task_id)
    try:
        follower.open()
    except Unavailable:
        pass  # tried again when the answer has begun
    except BaseException:
        follower.close()
        raise
    place.send(req, resp, TaskStream(system, follower))
