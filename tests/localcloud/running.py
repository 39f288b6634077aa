"""A container that was started: what the suites of both engines look at."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from localcloud.engines import Container, Engine, Exit, Handle

LONG_SECONDS = 60.0
"""How long a test waits for what takes a moment: the machine may be busy."""


class Running:
    """A started container, its lines and its exit."""

    def __init__(self, engine: Engine, *words: str, image: str = "host/app:1", **settings: object) -> None:
        self.lines: list[str] = []
        self.exits: list[Exit] = []
        self._changed = threading.Condition()
        settings = {"name": "main", "image": image, "entrypoint": words or None, **settings}
        self.handle: Handle = engine.start(Container(**settings), self._line, self.exits.append)  # type: ignore[arg-type]

    def _line(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def until(self, line: str) -> None:
        """Wait for a line."""
        with self._changed:
            assert self._changed.wait_for(lambda: line in self.lines, timeout=LONG_SECONDS), self.lines

    def ended(self) -> Exit:
        """Wait for the end."""
        exit = self.handle.wait(LONG_SECONDS)
        assert exit is not None, "still running"
        assert self.exits == [exit], "told once, before wait returns"
        return exit


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + LONG_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
