"""The workload's processes: started at once, told what the platform tells us, never talked over, none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from . import descendants
from .contract.statuses import CANNOT_EXECUTE, NOT_FOUND
from .errors import RunFailed
from .output import Output

_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_STOPPED = 128 + signal.SIGTERM
_POLL_SECONDS = 0.05


class Command:
    """One program and all that it starts. From the moment this is made SIGTERM no longer ends the runner.

    The platform's signals reach the runner only: in a container its init process passes them to its one child. To be
    stopped concerns every process of the command, so SIGTERM goes to its whole process group: else a shell would end
    and the program below it never hear of it. As in a container, what the program leaves running is killed when it
    ends; after SIGTERM the rest has the grace period to end by itself. What the command writes goes on at once to the
    runner's own standard output and error (`output`).
    """

    def __init__(self, grace_seconds: float = 30) -> None:
        self._grace_seconds = grace_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._output: Output | None = None
        self._ended = False
        self._asked_to_stop = threading.Event()
        self._out_of_time = threading.Event()
        self._last_moment = 0.0
        for number in _FORWARDED:
            signal.signal(number, self._on_signal)
        # The terminal's Ctrl-C reaches its foreground group: the runner, but not the command.
        signal.signal(signal.SIGINT, self._on_signal)

    @property
    def stopped(self) -> bool:
        """Whether we were asked to stop."""
        return self._asked_to_stop.is_set()

    @property
    def timed_out(self) -> bool:
        """Whether it was stopped because its time was over."""
        return self._out_of_time.is_set()

    @property
    def last_words(self) -> str:
        """The end of what it has written to standard error."""
        return self._output.last_words if self._output is not None else ""

    @property
    def running(self) -> bool:
        """Whether any process of it may still live."""
        return self._process is not None and not self._ended

    def check(self) -> None:
        """Raise RunFailed (143) if we were asked to stop: for the time in which no process could be told."""
        if self.stopped:
            raise RunFailed("stopped before the command was started", _STOPPED)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start the process. Raises RunFailed (126, 127) when there is no such program, (143) when it is too late.

        When it has ended another may be started in its place.
        """
        self.check()
        self._output = Output()
        try:
            program = _find(arguments[0], environment)
            self._process = subprocess.Popen(
                [program, *arguments[1:]],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=self._output.stdout,
                stderr=self._output.stderr,
                process_group=0,
            )
            self._ended = False
        except FileNotFoundError as error:
            raise RunFailed(f"the command {arguments[0]!r}, or what it is run by, is not there", NOT_FOUND) from error
        except OSError as error:
            raise RunFailed(
                f"the command {arguments[0]!r} cannot be started: {error.strerror}", CANNOT_EXECUTE
            ) from error
        finally:
            self._output.started()
        descendants.adopt_orphans()
        if self.stopped or self.timed_out:
            self._tell_all(signal.SIGTERM)

    def wait(self) -> int:
        """The program's exit status as a shell gives it, 128 + n when signal n ended it, after the last of it ended."""
        assert self._process is not None, "wait() comes after start()"
        _await_end(self._process)
        while (self.stopped or self.timed_out) and time.monotonic() < self._last_moment and self._left():
            time.sleep(_POLL_SECONDS)
        self.kill()
        self._ended = True
        code = self._process.wait()
        if self._output is not None:
            self._output.finish()
        return code if code >= 0 else 128 - code

    def time_out(self) -> None:
        """Its time is over: SIGTERM. `kill` comes after the grace period."""
        self._last_moment = time.monotonic() + self._grace_seconds
        self._out_of_time.set()
        self._tell_all(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to everything that is left of it."""
        if self._process is not None:
            self._tell_all(signal.SIGKILL)
            descendants.kill_all()

    def _left(self) -> bool:
        """Whether processes of it still run, after the program itself has ended."""
        assert self._process is not None
        if descendants.can_be_listed():
            return bool(descendants.living())
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, 0)
            return True
        return False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number not in (signal.SIGTERM, signal.SIGINT):
            self._tell(number)
            return
        self._last_moment = time.monotonic() + self._grace_seconds
        self._asked_to_stop.set()
        self._tell_all(number)

    def _tell(self, number: int) -> None:
        """The program alone. Until it is reaped, at the very end, its id is nobody else's."""
        if self._process is not None and not self._ended:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._process.pid, number)

    def _tell_all(self, number: int) -> None:
        """Its process group, whose id is the program's."""
        if self._process is not None and not self._ended:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def _await_end(process: subprocess.Popen[bytes]) -> None:
    """Wait until it has ended; orphans that were adopted meanwhile are reaped, or a service would collect zombies."""
    if not hasattr(os, "waitid"):
        process.wait()
        return
    with suppress(ChildProcessError):
        while True:
            # Left unreaped, it keeps its id, so that its group can be killed without meeting another's.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            if ended is None or ended.si_pid == process.pid:
                return
            os.waitpid(ended.si_pid, 0)


def _find(program: str, environment: Mapping[str, str]) -> str:
    """The program by the workload's PATH: without this Popen would search the runner's."""
    if os.sep in program:
        return program
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        candidate = os.path.join(folder, program)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise RunFailed(f"the command {program!r} is not there (PATH is {environment.get('PATH', '')})", NOT_FOUND)


def describe_exit(status: int, memory_gb: float | None = None) -> str:
    """An exit status in words, for the record; `memory_gb` is what the task has."""
    if status == 128 + signal.SIGKILL:
        limit = "memory_gb" if memory_gb is None else f"memory_gb = {memory_gb:g}"
        return f"the command was killed (SIGKILL); if nobody did, it most likely used more than {limit}"
    if status > 128 and status - 128 in signal.valid_signals():
        return f"the command was ended by {signal.Signals(status - 128).name}"
    return f"the command ended with exit status {status}"
