"""A body in chunks (RFC 9112, 7.1), decoded as it comes; what is not exactly that is refused.

Stands where waitress has its own decoder, which passes over empty lines and a LF alone, and has no limit on what stands
beside the data. In the thread that runs the server's loop. Imported by http/parser.py only.
"""

import re
from enum import Enum, auto
from typing import Any

from callboard.http.codec import shown
from callboard.http.request_head import TOKEN, Fault, field
from callboard.limits import CHUNK_EXTRA_BYTES

_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_EXTENSION = rb"[ \t]*+;[ \t]*+" + TOKEN + rb"(?:[ \t]*+=[ \t]*+(?:" + TOKEN + rb"|" + _QUOTED + rb"))?"
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:" + _EXTENSION + rb")*+)")
_SIZE_DIGITS = 16


class _At(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    END = auto()


class Chunks:
    """Takes bytes and gives the body; named as waitress names it. Trailers are checked and thrown away (RFC 9110, 6.5.1)."""

    def __init__(self, buffer: Any, limit_bytes: int, too_large: str) -> None:
        """Decode into `buffer`; a body of `limit_bytes` or more is refused as `too_large`."""
        self._buffer = buffer
        self._limit_bytes = limit_bytes
        self._too_large = too_large
        self._at = _At.SIZE
        self._left = 0
        self._size = 0
        self._pending = b""
        self._extra_left = CHUNK_EXTRA_BYTES

    def __len__(self) -> int:
        return self._size

    @property
    def completed(self) -> bool:
        return self._at is _At.END

    def received(self, data: bytes) -> int:
        """Return how many bytes were taken: all of them, unless the body ends before."""
        came, at = self._pending + data, 0
        self._pending = b""
        while at < len(came) and self._at is not _At.END:
            if self._at is _At.DATA:
                at = self._take(came, at)
                continue
            end = came.find(b"\r\n", at)
            if end < 0:
                self._keep(came[at:])
                return len(data)
            self._line(came[at:end])
            at = end + 2
        return len(data) - (len(came) - at)

    def _take(self, came: bytes, at: int) -> int:
        taken = came[at : at + self._left]
        self._buffer.append(taken)
        self._left -= len(taken)
        if not self._left:
            self._at = _At.DATA_END
        return at + len(taken)

    def _keep(self, begun: bytes) -> None:
        """Keep a line that has no end yet, if it can still become one."""
        if self._at is _At.DATA_END and begun != b"\r":
            raise Fault("A chunk is longer than it says.")
        if len(begun) > self._extra_left + _SIZE_DIGITS:
            self._refuse_extras()
        if b"\n" in begun:
            raise Fault("A line of the chunked body ends with LF alone; a line ends with CR and LF.")
        self._pending = begun

    def _line(self, line: bytes) -> None:
        if self._at is _At.SIZE:
            self._begin(line)
        elif self._at is _At.DATA_END:
            if line:
                raise Fault("A chunk is longer than it says.")
            self._at = _At.SIZE
        elif line:
            self._spend(len(line) + 2)
            field(line)
        else:
            self._at = _At.END

    def _begin(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise Fault(
                f"The line {shown(line.decode('latin-1'), 60)} is no chunk's size; it must be hexadecimal digits."
            )
        self._spend(len(found[2]))
        self._left = int(found[1], 16)
        self._size += self._left
        if self._size >= self._limit_bytes:
            raise Fault(self._too_large, 413)
        self._at = _At.DATA if self._left else _At.TRAILER

    def _spend(self, extra_bytes: int) -> None:
        self._extra_left -= extra_bytes
        if self._extra_left < 0:
            self._refuse_extras()

    def _refuse_extras(self) -> None:
        raise Fault(
            f"Extensions and trailers of the chunked body are larger than the limit of {CHUNK_EXTRA_BYTES} bytes.", 431
        )

    # --- how waitress asks for the body ---

    def getfile(self) -> Any:
        return self._buffer.getfile()

    def getbuf(self) -> Any:
        return self._buffer
