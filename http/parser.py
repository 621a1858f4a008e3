"""Reads requests as RFC 9110 and 9112 have them, in the place of waitress's parser.

waitress drives it: it makes one for each request, gives it what came (`received`), and reads its attributes. The head is
read here and in http/request_head.py, a body in chunks by http/chunks.py, a body of a length by waitress itself. What is
refused is an error of one kind, `Fault`, and the end of the connection: what comes behind it is not looked at.
tests/http/test_waitress_hooks.py holds waitress to what this builds on. In the thread that runs the server's loop.
Imported by http/channel.py only.
"""

import re
from contextlib import suppress

from waitress.buffers import OverflowableBuffer  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser  # type: ignore[import-untyped]
from waitress.receiver import FixedStreamReceiver  # type: ignore[import-untyped]

from callboard.http import request_head
from callboard.http.chunks import Chunks
from callboard.http.codec import shown, too_large
from callboard.http.request_head import TOKEN, Fault
from callboard.limits import REQUEST_LINE_BYTES

_END = b"\r\n\r\n"
_LONE_LF = re.compile(rb"(?<!\r)\n")
_BLANK_LINES = re.compile(rb"(?:\r\n)++")
_BEGINNING = re.compile(rb"\r?\Z|" + TOKEN)
_TLS = b"\x16\x03"


class StrictParser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """One request, from its first byte to the last one of its body."""

    completed = False
    header_plus = b""
    began_s: float | None = None
    """When its first byte came, which its connection says."""

    # What is told of a request that could not be read, and the version that it is answered in.
    version = "1.1"
    command = path = query = fragment = request_uri = proxy_scheme = proxy_netloc = ""

    def received(self, data: bytes) -> int:
        """Take bytes and return how many; `completed` is set with the last one, or with `error`."""
        if self.completed:
            return 0
        try:
            return self._receive_head(data) if self.body_rcv is None else self._receive_body(data)
        except Fault as fault:
            self.refuse(fault.with_traceback(None))  # which would hold this very object
            return len(data)

    def refuse(self, fault: Fault) -> None:
        """End it with an error, whole or not; the log names it by its line, if that has come."""
        self.close()
        if not self.command:
            with suppress(Fault):
                self._read_line(self.header_plus.partition(b"\r\n")[0])
        self.header_plus = b""
        self.error = fault
        self.connection_close = True
        self.completed = True

    def _receive_head(self, data: bytes) -> int:
        known = max(0, len(self.header_plus) - len(_END))  # what has been looked through
        came = self.header_plus + data
        if (blank := _BLANK_LINES.match(came)) is not None:  # RFC 9112, 2.2
            came = came[blank.end() :]
        end = came.find(_END, known)
        consumed = len(data) if end < 0 else len(data) - (len(came) - end - len(_END))
        self.header_bytes_received += consumed
        self.header_plus = came
        self._look_at(came)
        if end < 0:
            if _LONE_LF.search(came, known):
                raise Fault("A line of the head ends with LF alone; a line ends with CR and LF.")
        else:
            self.headers_finished = True
            self._read_head(came[:end])
            self.header_plus = b""
        return consumed

    def _look_at(self, came: bytes) -> None:
        """Refuse what is too long, and what cannot become a request: its client would wait for ever."""
        if came.startswith(_TLS):
            hint = "This is TLS, and this port speaks plain HTTP; use http:// and not https://."
            raise Fault(hint, logged=hint)
        if not _BEGINNING.match(came):
            raise Fault(f"The request begins with {shown(came[:20].decode('latin-1'))}; it must begin with a method.")
        line_end = came.find(b"\r\n", 0, REQUEST_LINE_BYTES + 2)
        if line_end < 0 and len(came) > REQUEST_LINE_BYTES + 1:
            raise Fault(f"The request line is longer than the limit of {REQUEST_LINE_BYTES} bytes.", 414)
        limit_bytes = self.adj.max_request_header_size
        if self.header_bytes_received >= limit_bytes:
            raise Fault(f"The headers are larger than the limit of {limit_bytes} bytes.", 431)

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        self.headers = request_head.fields(lines)
        target = self._read_line(first)
        self.url_scheme = self.adj.url_scheme
        host = request_head.host_of(self.version, self.headers, target)
        if host is not None:
            self.headers["HOST"] = host
        self._decide_connection()
        self._expect_body()

    def _read_line(self, first: bytes) -> request_head.Target:
        line = request_head.request_line(first)
        self.command, self.request_uri, self.version = line.method, line.target, line.version
        request_head.known_method(line.method)
        target = request_head.target_of(line.method, line.target)
        self.path, self.query = target.path, target.query
        return target

    def _decide_connection(self) -> None:
        wanted = request_head.connection_of(self.headers)
        self.connection_close = wanted == "close" or (self.version == "1.0" and wanted != "keep-alive")
        if "CONNECTION" in self.headers:
            self.headers["CONNECTION"] = wanted  # where waitress looks when it answers

    def _expect_body(self) -> None:
        """Find out where the body ends, and make what takes it; without a body the request is complete."""
        waits = request_head.waits_for_continue(self.version, self.headers)
        length = request_head.body_length(self.version, self.headers)
        limit_bytes = self.adj.max_request_body_size  # waitress's word for the first size that is refused
        refusal = too_large(limit_bytes - 1, self.path)
        if length is None:
            del self.headers["TRANSFER_ENCODING"]  # of no concern to an application, which gets the body whole
            self.chunked = True
            self.body_rcv = Chunks(OverflowableBuffer(self.adj.inbuf_overflow), limit_bytes, refusal)
        elif length >= limit_bytes:
            raise Fault(refusal, 413)
        elif length:
            self.content_length = length
            self.body_rcv = FixedStreamReceiver(length, OverflowableBuffer(self.adj.inbuf_overflow))
        if "CONTENT_LENGTH" in self.headers:
            self.headers["CONTENT_LENGTH"] = str(length)
        self.completed = self.body_rcv is None
        self.expect_continue = waits and not self.completed

    def _receive_body(self, data: bytes) -> int:
        consumed: int = self.body_rcv.received(data)
        self.body_bytes_received += consumed
        if self.body_rcv.completed:
            self.completed = True
            if self.chunked:
                self.headers["CONTENT_LENGTH"] = str(len(self.body_rcv))
        return consumed
