"""A progress line without any package: rewritten on a terminal, elsewhere printed at intervals."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from herd.foreign import on_one_line

QUIET_SECONDS = 30.0
"""How often a line appears where it cannot be rewritten: a log of CI should show life, not thousands of lines."""


class Progress:
    """`with Progress("building Pulumi") as progress: progress.note("120 packages")`."""

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Progress:
        self._write(f"{self._label} …")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        ended = "done" if kind is None else "failed"
        self._write(f"{self._label}: {ended} ({self.elapsed})", last=True)

    @property
    def elapsed(self) -> str:
        """`0:07`, `3:55`."""
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        return f"{minutes}:{seconds:02d}"

    def note(self, text: str) -> None:
        """Show progress; cheap enough to be called for every line of a build."""
        now = time.monotonic()
        if now - self._shown >= (0.1 if self._terminal else QUIET_SECONDS):
            self._shown = now
            self._write(f"{self._label}: {text} ({self.elapsed})")

    def _write(self, text: str, last: bool = False) -> None:
        text = on_one_line(text)
        if self._terminal:
            self._stream.write(f"\r\x1b[K{text[:110]}" + ("\n" if last else ""))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()
