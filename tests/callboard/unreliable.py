"""A network that fails as told: an HTTP server on a real port that answers each request with the next of its script."""

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
TASK = "019b9d6b-5b10-7d19-b48c-1f18f2dc055f"
AT = "2026-01-08T12:00:00.123Z"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Wire:
    """One connection, after its request has been read."""

    socket: socket.socket
    closing: threading.Event
    client_left: threading.Event = field(default_factory=threading.Event)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def chunk(self, *pieces: bytes) -> None:
        """Send pieces of a chunked body."""
        self.send(*(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces))

    def end(self) -> None:
        """End a chunked body as it should be."""
        self.send(b"0\r\n\r\n")

    def reset(self) -> None:
        """Break the connection off, so that the client is told at once."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def hang(self) -> None:
        """Say nothing more until the client has left."""
        while not self.closing.is_set():
            try:
                if not self.socket.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.client_left.set()


Step = Callable[[Wire], None]


class Unreliable:
    """The server; `asked` are the requests so far, `script` is what is still to be answered."""

    def __init__(self, *script: Step) -> None:
        self.script = list(script)
        self.asked: list[Asked] = []
        self.wires: list[Wire] = []
        self._closing = threading.Event()
        self._port = 0
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Listen, on the same port as before."""
        if self._listener is None:
            self._closing.clear()
            self._listener = socket.create_server(("127.0.0.1", self._port))
            self._listener.settimeout(0.02)
            self._port = self._listener.getsockname()[1]
            self._thread = threading.Thread(target=self._serve, name="unreliable")
            self._thread.start()

    def down(self) -> None:
        """Stop listening; connections are refused from then on."""
        if self._listener is not None:
            self._closing.set()
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join(10)
            self._listener.close()
            self._listener = None

    def _serve(self) -> None:
        listener = self._listener
        assert listener is not None
        while not self._closing.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with connection:
                connection.settimeout(0.02)
                self._answer(Wire(connection, self._closing))

    def _answer(self, wire: Wire) -> None:
        asked = _request(wire.socket)
        if asked is None:
            return
        self.asked.append(asked)
        self.wires.append(wire)
        try:
            (self.script.pop(0) if self.script else problem(500, "more_than_the_script_has"))(wire)
        except OSError:  # the client has left, as some tests want it to
            wire.client_left.set()


def _request(connection: socket.socket) -> Asked | None:
    read = b""
    connection.settimeout(5)
    while b"\r\n\r\n" not in read:
        piece = connection.recv(65536)
        if not piece:
            return None
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    connection.settimeout(0.02)
    method, target, _ = first.split(" ")
    return Asked(method, target, headers, body)


# --- steps of a script ---


def answer(status: int, body: Any, **headers: str) -> Step:
    """Answer with JSON, or with bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return lambda wire: wire.send(f"HTTP/1.1 {status} Some\r\n{head}\r\n".encode() + content)


def problem(status: int, code: str, **headers: str) -> Step:
    """Answer with an error in the shape that all have."""
    body = {"error": "Title", "message": f"About {code}.", "code": code, "requestId": "r1", "details": {"a": 1}}
    return answer(status, body, **headers)


def streams(*pieces: bytes, ending: str = "end") -> Step:
    """Answer with an event stream of these pieces, begun as they all are; `ending` is end, reset, hang or cut.

    cut: closed in the middle of the body.
    """

    def step(wire: Wire) -> None:
        wire.send(STREAM)
        wire.chunk(b"retry: 1000\n\n", *pieces)
        match ending:
            case "end":
                wire.end()
            case "reset":
                wire.reset()
            case "hang":
                wire.hang()
            case _:  # just closes
                pass

    return step


def no_content(wire: Wire) -> None:
    """Answer that there is nothing more."""
    wire.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


def hangs(wire: Wire) -> None:
    """Take the request and never answer."""
    wire.hang()


def resets(wire: Wire) -> None:
    """Take the request and break the connection off."""
    wire.reset()


def event(seq: int, text: str = "", *, cursor: str = "", **more: Any) -> bytes:
    """Return an event as it stands in the stream."""
    view = {"taskId": TASK, "seq": seq, "topic": "agent.step.started", "timestamp": AT, "data": {"text": text}, **more}
    return f"id: {cursor or seq}\ndata: {json.dumps(view, ensure_ascii=False)}\n\n".encode()


def end(output: Any = 84, **more: Any) -> bytes:
    """Return the end of a stream."""
    return f"event: end\ndata: {json.dumps(result(output, **more))}\n\n".encode()


def result(output: Any = 84, **more: Any) -> dict[str, Any]:
    """Return a result as it stands on the wire."""
    return {
        "success": True,
        "taskId": TASK,
        "task": "What is 12 times 7?",
        "sessionId": "alice",
        "status": "completed",
        "output": output,
        "error": None,
        "errorCode": None,
        "executionTime": 3.206,
        "elapsedTime": 4.806,
        "metadata": {"planner": "offline", "attempt": 1},
        "timestamp": AT,
        **more,
    }
