"""The stream of one task: its log and the logs of the tasks below it, then its result.

Imported within `http/` only.
"""

from typing import TYPE_CHECKING

import falcon

from callboard.errors import Unavailable
from callboard.http import places, sse, views
from callboard.http.gateway_client import GatewayClient
from callboard.http.request import Request
from callboard.http.streams import Place
from callboard.messages.tasks import GetTask

if TYPE_CHECKING:
    from callboard.actors.following import TaskFollower
    from callboard.system import AgentSystem


class TaskStream:
    """What a task's stream tells."""

    def __init__(self, system: "AgentSystem", req: Request, follower: "TaskFollower") -> None:
        self._req = req
        self._gateway = GatewayClient(system)
        self._follower = follower
        self.over = False
        self.wake = follower.wake
        self.close = follower.close

    def next(self, wait_s: float) -> list[bytes]:
        pieces = [sse.entry(place, views.event(event)) for place, event in self._follower.next(wait_s)]
        if self._follower.ended:
            record = self._gateway.ask(self._req, GetTask(task_id=self._follower.task_id))
            pieces.append(sse.end(views.result(record)))
        self.over = self._follower.over
        return pieces

    def idle(self) -> bytes:
        self._follower.look_again()  # in case the event bus was given up
        return sse.HEARTBEAT


def stream_task(
    system: "AgentSystem", req: Request, resp: falcon.Response, place: Place, task_id: str, wanted: places.Place
) -> None:
    """Answer with a task's stream, or 204 if all of it has been sent. Raises `TaskNotFound` and what the gateway does."""
    follower = system.follow(
        task_id, after=wanted.after, position=wanted.position, principal=req.principal, request_id=req.request_id
    )
    try:
        follower.open()
        if follower.ended:
            follower.close()
            resp.status = 204
            return
    except BaseException:
        follower.close()
        raise
    place.send(req, resp, TaskStream(system, req, follower))


def stream_accepted(system: "AgentSystem", req: Request, resp: falcon.Response, place: Place, task_id: str) -> None:
    """Answer with the stream of a task that has just been accepted: no error now may have the client send it again."""
    follower = system.follow(task_id, principal=req.principal, request_id=req.request_id)
    try:
        follower.open()
    except Unavailable:
        pass  # tried again when the answer has begun
    except BaseException:
        follower.close()
        raise
    place.send(req, resp, TaskStream(system, req, follower))
