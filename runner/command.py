"""The workload's process: started at once, told what the platform tells us, never talked over."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from runner.errors import CANNOT_EXECUTE, NOT_FOUND, RunFailed

_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_STOPPED = 128 + signal.SIGTERM


class Command:
    """One process. From the moment this is made SIGTERM no longer ends the runner: it reaches the process, or `check`.

    The process stays in the runner's process group, so that a platform which kills the group after its grace period
    leaves nothing behind; it writes to the runner's own standard output and error: nothing delays or alters its lines.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_to_stop = threading.Event()
        for number in _FORWARDED:
            signal.signal(number, self._on_signal)
        # Ctrl-C reaches the process itself as well, being in the terminal's foreground group: the runner only waits.
        signal.signal(signal.SIGINT, self._on_interrupt)

    @property
    def stopped(self) -> bool:
        """Whether we were asked to stop."""
        return self._asked_to_stop.is_set()

    def check(self) -> None:
        """Raise RunFailed (143) if we were asked to stop: for the time in which no process could be told."""
        if self.stopped:
            raise RunFailed("stopped before the command was started", _STOPPED)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start the process. Raises RunFailed (126, 127) when there is no such program, (143) when it is too late."""
        self.check()
        try:
            program = _find(arguments[0], environment)
            self._process = subprocess.Popen(
                [program, *arguments[1:]], env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL
            )
        except FileNotFoundError as error:
            raise RunFailed(f"the command {arguments[0]!r}, or what it is run by, is not there", NOT_FOUND) from error
        except OSError as error:
            raise RunFailed(
                f"the command {arguments[0]!r} cannot be started: {error.strerror}", CANNOT_EXECUTE
            ) from error
        if self.stopped:
            self._tell(signal.SIGTERM)

    def wait(self) -> int:
        """The process's exit status as a shell gives it: 128 + n when signal n ended it."""
        assert self._process is not None, "wait() comes after start()"
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            self._asked_to_stop.set()
        self._tell(number)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self._asked_to_stop.set()
        if os.getpid() == 1:  # in a container there is no terminal's group
            self._tell(number)

    def _tell(self, number: int) -> None:
        # send_signal polls first, so that a process which has ended, and whose id may be another's, is left alone.
        if self._process is not None:
            self._process.send_signal(number)


def _find(program: str, environment: Mapping[str, str]) -> str:
    """The program by the workload's PATH: without this Popen would search the runner's."""
    if os.sep in program:
        return program
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        candidate = os.path.join(folder, program)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise RunFailed(f"the command {program!r} is not there (PATH is {environment.get('PATH', '')})", NOT_FOUND)


def describe_exit(status: int) -> str:
    """An exit status in words, for the record."""
    if status == 128 + signal.SIGKILL:
        return "the command was killed (SIGKILL); if nobody did, it most likely used more than memory_gb"
    if status > 128 and status - 128 in signal.valid_signals():
        return f"the command was ended by {signal.Signals(status - 128).name}"
    return f"the command ended with exit status {status}"
