"""A worker that dies, or whose server does, at the N-th frame of a kind that it sends; see `order.py`.

`count` is called in a worker's process before it begins; what it does to `Pipe` is all there is of it.
"""

import os
from pathlib import Path

from callboard.workers.codec import HEAD, unpacked
from callboard.workers.pipe import Pipe
from callboard.workers.protocol import Request
from chaos.order import SERVER, WORKER, Order


def count(path: str) -> None:
    """Have every frame that this process sends be a point before it, in the middle of it and after it."""
    order = Order(Path(path))
    send = Pipe._send

    def counted(pipe: Pipe, frame: bytes) -> None:
        if not frame:
            return
        kinds, pids = _kinds(frame), {WORKER: [os.getpid()], SERVER: [os.getppid()]}
        if _any_due(order, kinds, "before"):
            order.strike(pids)
        if _any_due(order, kinds, "cut"):
            pipe._connection.sendall(frame[: len(frame) // 2])
            order.strike(pids)
        send(pipe, frame)
        if _any_due(order, kinds, "after"):
            order.strike(pids)

    Pipe._send = counted  # type: ignore[method-assign]


def _any_due(order: Order, kinds: set[str], when: str) -> bool:
    return any(order.due(f"{kind}.{when}") for kind in kinds)


def _kinds(frame: bytes) -> set[str]:
    (size,) = HEAD.unpack_from(frame)
    messages = unpacked(frame[HEAD.size : HEAD.size + size])
    return {type(one.asks if isinstance(one, Request) else one).__name__ for one in messages}
