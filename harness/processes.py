"""Processes of this machine, any of which may end, or be a zombie, between being listed and being looked at."""

from __future__ import annotations

import psutil

ENDED = (psutil.Error, OSError)
"""What psutil raises for a process that ended: rarely the system's own error."""


def runs(pid: int) -> bool:
    """Whether the process has not ended. One that its parent has not waited for yet, a zombie, has."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except ENDED:
        return False


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; empty if it has ended."""
    try:
        return list(process.cmdline())
    except ENDED:
        return []


def variables_of(process: psutil.Process) -> dict[str, str]:
    """Its environment; empty if it has ended."""
    try:
        return dict(process.environ())
    except ENDED:
        return {}
