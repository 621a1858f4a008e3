"""The gateway as requests ask it: on behalf of who sent them, under their id, and never without a timeout.

In the request's waitress thread, or its greenlet. Imported within `http/` only.
"""

from typing import TYPE_CHECKING, TypeVar

from callboard.http.greenlets import suspension
from callboard.http.request import Request
from callboard.messages.ask import Asked

if TYPE_CHECKING:
    from callboard.actors.gateway import GatewayMessage
    from callboard.system import AgentSystem

R = TypeVar("R")


class GatewayClient:
    """What the door and the resources ask, instead of the gateway's address: none of them can forget who asks."""

    def __init__(self, system: "AgentSystem") -> None:
        self._address = system.gateway
        self._timeout_s = system.settings.ask_timeout_s

    def ask(self, req: Request, message: "Asked[GatewayMessage, R]", *, wait_s: float = 0.0) -> R:
        """Return the reply to a message, which may be held back for `wait_s` seconds. Raises what `Address.ask` does."""
        timeout_s = wait_s + self._timeout_s
        return self._address.ask(
            message,
            timeout_s=timeout_s,
            principal=req.principal,
            request_id=req.request_id,
            suspension=suspension(),
        )
