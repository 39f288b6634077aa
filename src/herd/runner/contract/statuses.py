"""How a run ends: the runner's exit status for the state machine, and the word in the run's record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# sysexits.h, timeout(1) and the shell have these numbers in the same meaning.
CHECK_FAILED: Final = 65
INPUT_MISSING: Final = 66
UNAVAILABLE: Final = 69  # S3 refuses, or cannot be reached
INTERNAL: Final = 70
CANNOT_PUBLISH: Final = 73
BAD_SETTINGS: Final = 78
TIMED_OUT: Final = 124
CANNOT_EXECUTE: Final = 126
NOT_FOUND: Final = 127

OUT_OF_MEMORY: Final = 137
"""What SIGKILL leaves; out of memory, mostly."""
STOPPED: Final = 143
"""What SIGTERM leaves."""

KILLED: Final = (OUT_OF_MEMORY, STOPPED)
NOT_RETRIED: Final = (INPUT_MISSING, CANNOT_PUBLISH, BAD_SETTINGS, CANNOT_EXECUTE, NOT_FOUND)
"""The next attempt would end in the same way. Nor is CHECK_FAILED retried, which has a word of its own."""

SUCCEEDED_RUN: Final = "succeeded"
FAILED_RUN: Final = "failed"
CHECK_FAILED_RUN: Final = "check-failed"
TIMED_OUT_RUN: Final = "timed-out"
KILLED_RUN: Final = "killed"
ABORTED_RUN: Final = "aborted"
SKIPPED_RUN: Final = "skipped"
FAILED_RUNS: Final = frozenset({FAILED_RUN, CHECK_FAILED_RUN, TIMED_OUT_RUN, KILLED_RUN, ABORTED_RUN})

IN_A_PIPELINE: Final = "pipeline"
"""The `trigger` of a job's run that a pipeline starts."""

OF_MAIL: Final = "mail"
"""The kind of what stands in a record beside its checks where the mail of a report was refused or changed."""

FAILED_ERROR: Final = "Herd.Failed"
CHECK_FAILED_ERROR: Final = "Herd.CheckFailed"
TIMED_OUT_ERROR: Final = "Herd.TimedOut"
KILLED_ERROR: Final = "Herd.Killed"
STATUS_OF_ERROR: Final[Mapping[str, str]] = {
    FAILED_ERROR: FAILED_RUN,
    CHECK_FAILED_ERROR: CHECK_FAILED_RUN,
    TIMED_OUT_ERROR: TIMED_OUT_RUN,
    KILLED_ERROR: KILLED_RUN,
}
"""Error name of a failed execution -> the word of the run's record."""


def status_of(exit_status: int) -> str:
    """The word for an exit status of the runner.

    >>> status_of(65)
    'check-failed'
    """
    words = {0: SUCCEEDED_RUN, CHECK_FAILED: CHECK_FAILED_RUN, TIMED_OUT: TIMED_OUT_RUN}
    return words.get(exit_status, KILLED_RUN if exit_status in KILLED else FAILED_RUN)
