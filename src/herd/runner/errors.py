"""What ends a run early, with the exit status that says so to the state machine."""

from __future__ import annotations

import sys

# 65, 66, 73 and 78 say that trying again cannot help: the state machine does not
# (src/herd/infra/workloads/states/job.py).
CHECK_FAILED = 65
INPUT_MISSING = 66
UNAVAILABLE = 69  # S3 refuses, or cannot be reached
INTERNAL = 70
CANNOT_PUBLISH = 73
BAD_SETTINGS = 78
TIMED_OUT = 124  # as timeout(1) has it
CANNOT_EXECUTE = 126
NOT_FOUND = 127


class RunFailed(Exception):
    """A run cannot go on. The message is for the workload's author; `status` is the runner's exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def say(message: str) -> None:
    """Write to the log what the runner itself has to say, apart from the workload's own lines.

    Standard error is unbuffered here and shared with the workload, so lines appear in the order in which they happened.
    """
    for line in message.splitlines():
        sys.stderr.write(f"herd: {line}\n")
    sys.stderr.flush()
