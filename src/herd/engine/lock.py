"""Pulumi's own locks on a local stack: removed when the engine that made them has ended, respected while it runs.

The file backend's locks are files with the engine's process, host and time; they have no expiry. An engine that is
killed leaves its lock, and every later update refuses. `pulumi cancel` would remove the locks of running engines too:
those of a person's own `pulumi up`, or of an engine whose `herd` was killed and that still runs.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from herd import console
from herd.errors import HerdError
from herd.targets.local import LocalTarget

WAIT_SECONDS = 900.0
POLL_SECONDS = 0.2
UNKNOWN = -1
"""Process id of a lock file that this user cannot read: whether its engine runs is unknown."""
CLOCK_SECONDS = 5.0
"""Tolerance between clocks: a process that began so long after the lock was taken has a reused process id."""


@dataclass(frozen=True)
class Lock:
    """One lock file. `since`: ISO 8601. `pid` is 0 where the file is incomplete, as after a power failure."""

    file: Path
    pid: int = 0
    host: str = ""
    since: str = ""

    @property
    def is_dead(self) -> bool:
        """Whether its engine has ended. A lock of another machine never counts as dead, since that cannot be seen."""
        if not self.pid:
            return True
        if self.host != socket.gethostname():
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            taken = _seconds(self.since)
            later = taken is not None and process.create_time() > taken + CLOCK_SECONDS
            return later and not process.name().startswith("pulumi")
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False

    def __str__(self) -> str:
        return f"pulumi (process {self.pid} on {self.host}, since {self.since})"


def settle(target: LocalTarget) -> bool:
    """Remove the locks of engines that have ended and wait for running ones; True if a lock was removed.

    Raises HerdError, naming the holder, for a lock of another machine, and after WAIT_SECONDS.
    """
    released = _release(target)
    deadline = time.monotonic() + WAIT_SECONDS
    announced = False
    while living := next(read_locks(target), None):
        if living.host != socket.gethostname():
            raise HerdError(
                f"{target.name} is locked by {living}: this machine cannot see whether that engine still runs.\n"
                f"If it does not (or this machine had another name then), remove {living.file}"
            )
        if time.monotonic() > deadline:
            raise HerdError(f"{target.name} is still locked by {living}; end that, then try again")
        if not announced:
            console.note(f"{living} holds the lock of {target.name}: waiting for it (Ctrl-C gives up)")
            announced = True
        time.sleep(POLL_SECONDS)
        released |= _release(target)
    return released


def read_locks(target: LocalTarget) -> Iterator[Lock]:
    """The locks on a stack as they are now."""
    folder = target.checkout.pulumi / ".pulumi" / "locks" / "organization" / target.checkout.project / target.name
    for file in sorted(folder.glob("*.json")):
        try:
            content = json.loads(file.read_text())
            yield Lock(file, int(content["pid"]), str(content["hostname"]), str(content["timestamp"]))
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Lock(file, UNKNOWN, f"an unknown machine ({file.name} cannot be read: {error.strerror})")
        except (ValueError, KeyError, TypeError):
            yield Lock(file)


def _release(target: LocalTarget) -> bool:
    dead = [lock for lock in read_locks(target) if lock.is_dead]
    for lock in dead:
        lock.file.unlink(missing_ok=True)
    return bool(dead)


def _seconds(text: str) -> float | None:
    """ISO 8601, as seconds since 1970."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
