"""The time limit of one attempt, kept from inside the task: it ends itself, so that a retry never meets it.

The state machine has a limit too, minutes later: for tasks that never start, or whose machine hangs. When that one
passes, Step Functions no longer knows what became of the task.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

from .command import Command
from .contract.statuses import TIMED_OUT
from .errors import say
from .task import Task

RECORD_SECONDS = 20.0
"""For the last thing that is written: the record. S3 may be what hangs."""


class Limit:
    """Counts from the moment this is made, over everything: inputs, command, checks, uploads.

    When the time is over the command is told to end (SIGTERM), and killed after the grace period; the run then fails by
    itself. Where no command runs, or that does not help, `on_expiry` is called on the limit's own thread and the
    process ends with exit status 124. Who calls `settle` first has the last word on how the run ended.
    """

    def __init__(self, task: Task, command: Command, on_expiry: Callable[[], None]) -> None:
        self._task = task
        self._command = command
        self._on_expiry = on_expiry
        self._settled = threading.Event()
        self._last_word = threading.Lock()
        if task.timeout_seconds is not None:
            threading.Thread(target=self._keep, args=(task.timeout_seconds,), name="time limit", daemon=True).start()

    def settle(self) -> None:
        """The limit ends nothing any more. If it was faster this does not return: the process is about to end."""
        if self._settled.is_set():
            return
        if not self._last_word.acquire(blocking=False):
            threading.Event().wait()
        self._settled.set()

    def _keep(self, seconds: float) -> None:
        if self._settled.wait(seconds):
            return
        self._command.time_out()
        if self._command.running:
            say(f"the time is over, {self._task.limit_words}: stopping the command")
            if self._settled.wait(self._task.stop_seconds):
                return
            self._command.kill()
            if self._settled.wait(RECORD_SECONDS):
                return
        if not self._last_word.acquire(blocking=False):
            return
        last = threading.Thread(target=self._on_expiry, name="last words", daemon=True)
        last.start()
        last.join(RECORD_SECONDS)
        sys.stdout.flush()
        os._exit(TIMED_OUT)
