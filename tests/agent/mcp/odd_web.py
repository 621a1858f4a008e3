"""An MCP server over HTTP by hand, in a thread, that answers what a test says, byte for byte."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JSON, SSE = "application/json", "text/event-stream"


@dataclass(frozen=True)
class Reply:
    """A response; in its body $ID stands for the request's id. A `length` that is too large breaks off in the middle."""

    status: int = 200
    kind: str | None = JSON
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


ECHO = {"name": "echo", "inputSchema": {"type": "object", "properties": {"x": {}}}}


def result(value: Any) -> Reply:
    return Reply(body=b'{"jsonrpc":"2.0","id":$ID,"result":%s}' % json.dumps(value).encode())


def text(said: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}]}


class Quiet(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, *args: Any) -> None:
        self._taken: list[socket.socket] = []
        super().__init__(*args)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._taken.append(connection)
        return connection, address

    def hang_up(self) -> None:
        """Have no thread wait for the next request of a client that keeps its connection."""
        for connection in self._taken:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that hangs up on an answer that is too large."""


class OddWeb:
    """The server: `reply` answers calls, `refusal` requests of sessions it does not know, `listens` the GET stream."""

    def __init__(self) -> None:
        self.reply: Callable[[dict[str, Any]], Reply] = lambda message: result(text("fine"))
        self.refusal = Reply(404, "text/plain", b"Session not found")
        self.shake: Reply | None = None
        self.notified: Callable[[], None] = lambda: None
        self.calls: list[dict[str, Any]] = []
        self.seen: list[str] = []
        self._sessions: list[str] = []
        self._begun = 0
        self._server = Quiet(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def entry(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._server.server_port}/mcp"
        return {"url": url, "protocolVersion": "2025-11-25", "timeoutS": 20}

    def forget(self) -> None:
        """Know no session any more, as after a restart."""
        self._sessions.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def answer(self, message: dict[str, Any], session: str | None) -> Reply:
        method = message["method"]
        self.seen.append(method)
        if method == "initialize":
            return self.shake or self._begin()
        if session not in self._sessions:
            return self.refusal
        if "id" not in message:
            self.notified()
            return Reply(202, None)
        if method == "tools/list":
            return result({"tools": [ECHO]})
        self.calls.append(message["params"]["arguments"])
        return self.reply(message)

    def _begin(self) -> Reply:
        self._begun += 1
        self._sessions.append(f"session-{self._begun}")
        shake = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "o", "version": ""},
        }
        return Reply(body=result(shake).body, headers={"Mcp-Session-Id": self._sessions[-1]})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self.write(Reply(404, "text/plain", b"Not Found"), {})

            def do_DELETE(self) -> None:
                self.write(Reply(405, None), {})

            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.write(web.answer(message, self.headers.get("Mcp-Session-Id")), message)

            def write(self, reply: Reply, message: dict[str, Any]) -> None:
                body = reply.body.replace(b"$ID", str(message.get("id")).encode())
                if reply.status == 0:  # nothing at all
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                kind = {} if reply.kind is None else {"Content-Type": reply.kind}
                for name, value in {**kind, **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(reply.length or len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = reply.length is not None

        return Handler
