"""One command at a time changes an environment; who comes second waits, and hears for whom.

A turn is an flock on `.herd/<environment>.turn`. The kernel gives it back however its holder ends, so none is ever
stale; what the file still says then is how the next one knows that the last was killed.
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
SUFFIX = ".turn"


@dataclass(frozen=True)
class Holder:
    """Whose turn it is: a process, what it was asked to do, and since when (local time)."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        return f"`{self.command}` (process {self.pid}, since {self.since})"


class Turn:
    """A turn that has been taken. `killed` is whose turn was cut short before this one."""

    def __init__(self, file: IO[str], killed: Holder | None) -> None:
        self._file = file
        self.killed = killed

    def give_back(self) -> None:
        """Let the next one in; safe to repeat."""
        if not self._file.closed:
            self._file.truncate(0)
            self._file.close()


@contextmanager
def taken(checkout: Checkout, environment: str) -> Iterator[Turn]:
    """Hold the turn on an environment.

    Waits for whoever has it, and says so. Raises HerdError, naming the holder, after half an hour.
    """
    turn = _take(checkout, environment)
    try:
        yield turn
    finally:
        turn.give_back()


@contextmanager
def all_taken(checkout: Checkout) -> Iterator[None]:
    """Hold the turn on every environment of a checkout, so that nothing is at work in its local cloud."""
    with ExitStack() as held:
        for path in sorted(checkout.folder().glob(f"*{SUFFIX}")):
            held.enter_context(taken(checkout, path.stem))
        yield


def holder(checkout: Checkout, environment: str) -> Holder | None:
    """Who is at work on an environment now, if anybody is."""
    try:
        with _path(checkout, environment).open("r+") as file:
            if _lock(file):
                return None
            return _read(file) or Holder(0, "another command", "a moment ago")
    except FileNotFoundError:
        return None


def at_work(checkout: Checkout) -> dict[str, Holder]:
    """Every environment of the checkout that somebody is at work on, and who it is."""
    names = [path.stem for path in sorted(checkout.folder().glob(f"*{SUFFIX}"))]
    return {name: command for name in names if (command := holder(checkout, name))}


def _take(checkout: Checkout, environment: str) -> Turn:
    checkout.folder()
    # Only whoever holds the lock writes, so opening must not truncate. The file stays: removing one that others
    # wait for would let two in.
    descriptor = os.open(_path(checkout, environment), os.O_RDWR | os.O_CREAT, 0o600)
    file = os.fdopen(descriptor, "r+")
    deadline = time.monotonic() + WAIT_SECONDS
    announced = False
    while not _lock(file):
        now = _read(file)
        if time.monotonic() > deadline:
            file.close()
            raise HerdError(f"{now or 'another command'} is still at work on {environment} after half an hour; see it")
        if not announced and now is not None:
            console.note(f"{now} is at work on {environment}: waiting for it (Ctrl-C gives up)")
            announced = True
        time.sleep(POLL_SECONDS)
    killed = _read(file)
    me = Holder(os.getpid(), shlex.join(["herd", *sys.argv[1:]]), time.strftime("%H:%M:%S"))
    file.seek(0)
    file.truncate(0)
    file.write(json.dumps(asdict(me)))
    file.flush()
    return Turn(file, killed)


def _path(checkout: Checkout, environment: str) -> Path:
    return checkout.state / f"{environment}{SUFFIX}"


def _lock(file: IO[str]) -> bool:
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
