"""The processes below this one, also those that have left their process group, their session or their parent.

On Linux a process can adopt the orphans below it; then all that was ever started here is found below this process,
whatever it calls itself and whatever its environment. Elsewhere nothing is listed: a container's end is the answer
there.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress

# prctl(2), linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36

_ROUNDS = 50
_PAUSE_SECONDS = 0.02


def can_be_listed() -> bool:
    return sys.platform == "linux"


def adopt_orphans() -> None:
    """From now on a process below this one whose parent ends becomes a child of this one. Where possible."""
    if can_be_listed():
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def living() -> list[int]:
    """Process ids of all that live below this process, none of those that have ended and wait to be reaped."""
    below = {os.getpid()}
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as stream:
                # The name, in parentheses, may itself have any character.
                state, parent = stream.read().rpartition(b")")[2].split()[:2]
                parents[int(name)] = (int(parent), state == b"Z")
    descendants: list[int] = []
    grown = True
    while grown:
        more = [pid for pid, (parent, _) in parents.items() if parent in below and pid not in below]
        grown = bool(more)
        below.update(more)
        descendants += more
    return [pid for pid in descendants if not parents[pid][1]]


def kill_all() -> None:
    """SIGKILL to all that live below this process, until nothing does: one may have forked while the list was read."""
    if not can_be_listed():
        return
    for _ in range(_ROUNDS):
        left = living()
        if not left:
            return
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)
