"""A stream of bytes, cut at its line ends, with bounded memory however long a line is.

Runs in the loop's thread. Imported by the transports.
"""

from collections.abc import Iterator
from dataclasses import dataclass

MAX_LINE_BYTES = 200_000_000
"""A line that is longer, though all but its ends is thrown away, will have no end."""

_ENDS_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line without its end: all of it, or both ends of one that is too long. `size_bytes` is what it had."""

    text: bytes
    size_bytes: int

    @property
    def whole(self) -> bool:
        return self.size_bytes == len(self.text)


class Splitter:
    """Takes what comes in, gives lines; of one that is longer than `most_bytes` it keeps both ends only."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._head = b""
        """Begins the line, once that is too long."""
        self._parts: list[bytes] = []
        self._held_bytes = 0
        self._size_bytes = 0

    @property
    def endless(self) -> bool:
        """Whether the line that is being read has grown so long that nothing will come after it."""
        return self._size_bytes > MAX_LINE_BYTES

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Yield the lines that end in this chunk."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._add(part)
            yield self.rest()
        self._add(rest)

    def rest(self) -> Line:
        """Return what has no end yet, as a line, and begin a new one."""
        line = Line(text=self._head + b"".join(self._parts), size_bytes=self._size_bytes)
        self._head, self._parts, self._held_bytes, self._size_bytes = b"", [], 0, 0
        return line

    def _add(self, part: bytes) -> None:
        self._parts.append(part)
        self._held_bytes += len(part)
        self._size_bytes += len(part)
        if self._size_bytes > self._most_bytes and self._held_bytes > 2 * _ENDS_BYTES:
            held = b"".join(self._parts)
            self._head = self._head or held[:_ENDS_BYTES]
            self._parts = [held[-_ENDS_BYTES:]]
            self._held_bytes = _ENDS_BYTES
