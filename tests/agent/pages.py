"""Web servers on real ports that send what a test wants sent, and a resolver that says what a test wants said."""

import contextlib
import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Page = Callable[["Handler"], object]


class Handler(BaseHTTPRequestHandler):
    """Sends one page and closes."""

    protocol_version = "HTTP/1.1"
    site: "Site"

    def do_GET(self) -> None:
        self.close_connection = True
        self.site.asked.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
        with contextlib.suppress(OSError):  # the client may have had enough
            self.site.pages[self.path](self)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


class Site:
    """A web server; `pages` by their paths, `asked` what came in, `over` set when it goes down."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[dict[str, str]] = []
        self.begun = threading.Event()
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"site": self}))
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="site")

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wrap(self, context: Any) -> None:
        """Speak TLS; call it before the first request."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def then(self, stop: threading.Event) -> None:
        """Set an event when a slow page has begun."""
        self.begun.wait(10)
        stop.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()
    site.start()
    try:
        yield site
    finally:
        site.stop()


def page(body: bytes | str, media_type: str = "text/html; charset=utf-8", status: int = 200, **headers: str) -> Page:
    """Send a body; `Content_Encoding` is Content-Encoding."""
    sent = body.encode() if isinstance(body, str) else body

    def send(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": media_type, "Content-Length": str(len(sent)), **headers}.items():
            if value:
                handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(sent)

    return send


def packed_zeros(mib: int, wbits: int) -> bytes:
    """Return so many MiB of zeros, packed as zlib has it with `wbits`; one of them is packed and stands there so often."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    once = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    head = zlib.compressobj(9, zlib.DEFLATED, wbits)
    begun = head.compress(b"") + head.flush(zlib.Z_FULL_FLUSH)
    return begun + once * mib + packer.flush()


def zipped_zeros(mib: int) -> Page:
    """Send so many MiB of zeros in a kilobyte each, without the checksum at their end."""
    return page(packed_zeros(mib, 16 + zlib.MAX_WBITS), "text/plain", Content_Encoding="gzip")


def zipped(body: bytes) -> Page:
    return page(gzip.compress(body), "text/plain", Content_Encoding="gzip")


def to(location: str, status: int = 302) -> Page:
    return page(b"", status=status, Location=location)


def drip(handler: Handler) -> None:
    """Send a byte now and then, and never all of it."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.end_headers()
    handler.site.begun.set()
    while not handler.site.over.wait(0.02):
        handler.wfile.write(b"x")


def drip_head(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    handler.site.begun.set()
    while not handler.site.over.wait(0.02):
        handler.wfile.write(b"x")


def silent(handler: Handler) -> None:
    """Send nothing."""
    handler.site.begun.set()
    handler.site.over.wait(60)


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.end_headers()
    while not handler.site.over.is_set():
        handler.wfile.write(b"x" * 65_536)


class Names:
    """A resolver: what names resolve to, an answer for each time they are asked, the last one for all that follow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)

    def __setitem__(self, name: str, answers: list[list[str]]) -> None:
        self.answers[name] = answers

    def _resolve(self, host: str, port: Any, *args: Any, **wishes: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in self.answers:
            # only what is written as an address is passed on: a test asks nobody outside
            return self._real(name, port, **{**wishes, "flags": socket.AI_NUMERICHOST})
        self.asked.append(name)
        answers = self.answers[name]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kind = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(kind[":" in address], socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]
