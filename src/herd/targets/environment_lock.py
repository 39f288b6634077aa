"""The lock of an environment: one command at a time changes it, a second one waits and says for whom.

It is an flock on `.herd/<environment>.update-lock`. The kernel releases it however its holder ends, so a lock is never
stale. A holder that ends in order empties the file; text that is left tells the next holder that the last was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from herd import console
from herd.checkout.find import Checkout
from herd.errors import HerdError

WAIT_SECONDS = 1800.0
POLL_SECONDS = 0.1
SUFFIX = ".update-lock"


@dataclass(frozen=True)
class Holder:
    """The command that holds a lock: its process, its command line, and since when (HH:MM:SS, local time)."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        return f"`{self.command}` (process {self.pid}, since {self.since})"


class EnvironmentLock:
    """A lock that this process holds. `killed`: the holder before it, if that was killed; else None."""

    def __init__(self, file: IO[str], killed: Holder | None) -> None:
        self._file = file
        self.killed = killed

    def release(self) -> None:
        """Release the lock. Calling it again does nothing."""
        if not self._file.closed:
            self._file.truncate(0)
            self._file.close()


@contextmanager
def held(checkout: Checkout, environment: str) -> Iterator[EnvironmentLock]:
    """Hold the lock of an environment; waits for another holder and says so.

    Raises HerdError, naming the holder, after WAIT_SECONDS.
    """
    lock = _acquire(checkout, environment)
    try:
        yield lock
    finally:
        lock.release()


@contextmanager
def all_held(checkout: Checkout) -> Iterator[None]:
    """Hold the locks of all environments of a checkout, so that no command uses its local cloud."""
    with ExitStack() as locks:
        for path in sorted(checkout.folder().glob(f"*{SUFFIX}")):
            locks.enter_context(held(checkout, path.stem))
        yield


def holder(checkout: Checkout, environment: str) -> Holder | None:
    """The command that holds the lock of an environment; None if it is free."""
    try:
        with _path(checkout, environment).open("r+") as file:
            if _flock(file):
                return None
            return _read(file) or Holder(0, "another command", "a moment ago")
    except FileNotFoundError:
        return None


def holders(checkout: Checkout) -> dict[str, Holder]:
    """Environment -> the command that holds its lock, for all environments of the checkout that are locked."""
    names = [path.stem for path in sorted(checkout.folder().glob(f"*{SUFFIX}"))]
    return {name: command for name in names if (command := holder(checkout, name))}


def _acquire(checkout: Checkout, environment: str) -> EnvironmentLock:
    checkout.folder()
    # Only whoever holds the lock writes, so opening must not truncate. The file stays: removing one that others
    # wait for would let two in.
    descriptor = os.open(_path(checkout, environment), os.O_RDWR | os.O_CREAT, 0o600)
    file = os.fdopen(descriptor, "r+")
    deadline = time.monotonic() + WAIT_SECONDS
    announced = False
    while not _flock(file):
        now = _read(file)
        if time.monotonic() > deadline:
            file.close()
            raise HerdError(
                f"{now or 'another command'} still holds the lock of {environment} after {WAIT_SECONDS / 60:.0f} "
                "minutes; end it, then try again"
            )
        if not announced and now is not None:
            console.note(f"{now} holds the lock of {environment}: waiting for it (Ctrl-C gives up)")
            announced = True
        time.sleep(POLL_SECONDS)
    killed = _read(file)
    me = Holder(os.getpid(), shlex.join(["herd", *sys.argv[1:]]), time.strftime("%H:%M:%S"))
    file.seek(0)
    file.truncate(0)
    file.write(json.dumps(asdict(me)))
    file.flush()
    return EnvironmentLock(file, killed)


def _path(checkout: Checkout, environment: str) -> Path:
    return checkout.state / f"{environment}{SUFFIX}"


def _flock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _read(file: IO[str]) -> Holder | None:
    file.seek(0)
    try:
        content = json.loads(file.read())
        return Holder(int(content["pid"]), str(content["command"]), str(content["since"]))
    except (ValueError, KeyError, TypeError):
        return None
