"""Escapes control characters in text from programs, services and files before it is printed.

A terminal obeys escape sequences in the text that it shows: they clear it, change its title, fill the clipboard, turn
the direction of writing or hide an address. So control characters become visible escapes (`\\x1b`), here and nowhere
else, before anything that Herd did not write itself is printed.
"""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable

OBEYED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # direction, and what cannot be seen
    "\u2028\u2029\ud800-\udfff\U000e0000-\U000e007f"  # other ends of lines, half characters, tags
    "]"
)
"""Joiners and soft hyphens are not among them: people's languages and emoji need those."""

ENDS = re.compile(r"\r*\n|\r+")
"""A carriage return alone returns to the beginning of the line, where the next text overwrites it."""

SHOWN_EVERY_SECONDS = 1.0
"""Interval at which a line that is rewritten, such as a progress bar, is printed."""


def shown(text: str) -> str:
    """Escape a text of any number of lines."""
    if "\r" in text:
        text = ENDS.sub("\n", text.strip("\r"))
    return _escaped(text)


def on_one_line(text: str) -> str:
    """Escape a text that must stay on one line: a name, a path, a cell of a table."""
    return _escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def _escaped(text: str) -> str:
    return OBEYED.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


class Printed:
    """Escapes a program's output as it arrives: bytes in, escaped text out to `write`.

    A line without an end, such as a question, is written at once; one that is rewritten, every SHOWN_EVERY_SECONDS.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._rewritten = False
        self._open = False  # a beginning of a line has been shown
        self._seen = -SHOWN_EVERY_SECONDS

    def feed(self, data: bytes, last: bool = False) -> None:
        """Add output; `last`: the program has ended."""
        text = self._line + self._decoder.decode(data, last)
        self._line = ""
        # A carriage return at the end may be the first half of an end of line.
        held = "" if last else text[len(text.rstrip("\r")) :]
        text = text[: len(text) - len(held)]
        while end := ENDS.search(text):
            self._ended(text[: end.start()], rewritten=not end[0].endswith("\n"))
            text = text[end.end() :]
        if self._rewritten and not last:
            self._line = text + held
        else:
            self._show(text)
            self._line = held

    def _ended(self, line: str, rewritten: bool) -> None:
        now = self._clock()
        if not rewritten or self._open:
            self._show(f"{line}\n")
        elif line and now - self._seen >= SHOWN_EVERY_SECONDS:
            self._show(f"{line}\n")
            self._seen = now
        self._rewritten = rewritten

    def _show(self, text: str) -> None:
        if text:
            self._write(_escaped(text))
            self._open = not text.endswith("\n")
