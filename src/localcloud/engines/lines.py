"""A container's output as lines, the way CloudWatch Logs takes them."""

from __future__ import annotations

from collections.abc import Iterator

MAX_LINE_BYTES = (256 << 10) - 26
"""A longer line is handed on in pieces of this size: CloudWatch Logs takes 256 KiB, less 26 bytes an event."""


class Lines:
    """Lines of one stream as its bytes come, without their ends; bytes that are not UTF-8 are replaced."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The lines that these bytes complete."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            yield from pieces(line)
        while len(self._rest) > MAX_LINE_BYTES:
            cut = _cut(self._rest)
            piece, self._rest = self._rest[:cut], self._rest[cut:]
            yield piece.decode("utf-8", "replace")

    def end(self) -> Iterator[str]:
        """What came after the last line end."""
        rest, self._rest = self._rest, b""
        if rest:
            yield from pieces(rest)


def pieces(line: bytes) -> Iterator[str]:
    """A line in pieces that CloudWatch Logs takes."""
    line = line.removesuffix(b"\r")
    while len(line) > MAX_LINE_BYTES:
        cut = _cut(line)
        yield line[:cut].decode("utf-8", "replace")
        line = line[cut:]
    yield line.decode("utf-8", "replace")


def _cut(line: bytes) -> int:
    """Where to cut a long line: not inside a character."""
    cut = MAX_LINE_BYTES
    while cut > MAX_LINE_BYTES - 4 and cut < len(line) and line[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut
