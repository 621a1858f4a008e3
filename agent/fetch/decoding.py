"""Content codings of HTTP, unpacked in steps whose size is bounded: a small reply may unpack to gigabytes.

Pure. Imported by `client.py`.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

ACCEPT_ENCODING = "gzip, deflate"
_STEP_BYTES = 65_536
_GZIP = zlib.MAX_WBITS | 16


class CannotDecode(Exception):
    """A reply in a coding that was not asked for, or one that is broken."""


class Decoder(Protocol):
    """Turns what was sent into what was meant."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield what a piece unpacks to, at most 64 KiB at a time; raise `CannotDecode`."""

    def end(self) -> None:
        """Raise `CannotDecode` if more should have come."""


def decoder(coding: str) -> Decoder:
    """Return the decoder for a Content-Encoding; raise `CannotDecode` for one that was not asked for."""
    match coding.strip().lower():
        case "" | "identity":
            return _Identity()
        case "gzip" | "x-gzip":
            return _Inflate(_GZIP)
        case "deflate":
            return _Inflate(zlib.MAX_WBITS)
        case other:
            raise CannotDecode(f"is encoded as {other[:60]!r}, and only gzip and deflate were asked for")


class _Identity:
    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield piece

    def end(self) -> None:
        """Nothing is ever missing."""


class _Inflate:
    """gzip (RFC 1952) in one or more members, zlib (RFC 1950), and the bare deflate that some servers send for it."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflate = zlib.decompressobj(wbits)
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        found = b""
        while piece or len(found) == _STEP_BYTES:  # a full step may have left more inside
            if self._inflate.eof:
                if self._wbits != _GZIP or not piece.strip(b"\0"):
                    return  # padding, or whatever else follows the end
                self._inflate = zlib.decompressobj(_GZIP)
            found = self._step(piece)
            yield found
            piece = self._inflate.unconsumed_tail or self._inflate.unused_data

    def end(self) -> None:
        if self._begun and not self._inflate.eof:
            raise CannotDecode("broke off in the middle of its compressed body")

    def _step(self, piece: bytes) -> bytes:
        try:
            found = self._inflate.decompress(piece, _STEP_BYTES)
        except zlib.error as error:
            if self._begun or self._wbits != zlib.MAX_WBITS:
                raise CannotDecode(f"has a compressed body that is broken ({error})") from error
            self._wbits = -zlib.MAX_WBITS
            self._inflate = zlib.decompressobj(self._wbits)
            return self._step(piece)
        self._begun = True
        return found
