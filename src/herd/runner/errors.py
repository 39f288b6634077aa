"""What ends a run early, with the exit status that says so to the state machine."""

from __future__ import annotations

import sys
from collections.abc import Callable


class RunFailed(Exception):
    """A run cannot go on. The message is for the workload's author; `status` is the runner's exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


before_saying: list[Callable[[], None]] = []
"""What ends the line that a command has left open (`output`)."""


def say(message: str) -> None:
    """Write to the log what the runner itself has to say, apart from the workload's own lines.

    Standard error is unbuffered here and shared with the workload, so lines appear in the order in which they happened.
    """
    for end_line in before_saying:
        end_line()
    for line in message.splitlines():
        sys.stderr.write(f"herd: {line}\n")
    sys.stderr.flush()
