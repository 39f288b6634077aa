"""A state's time limit does not run while its task waits for a slot on this machine.

On Fargate a task has a machine within a minute, so a job's limit is about the job. Here tasks wait for one another
(agent/slots.py): with a hundred jobs due at once the last ones would be over their limits before they had begun.
"""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.asl.component.state.exec import execute_state

_made = threading.local()
_current = threading.local()


class Patience(threading.Event):
    """Set when a state has been carried out; `wait` does not count the time in which its task waits for a place."""

    def __init__(self) -> None:
        super().__init__()
        self._waited = 0.0
        self._since: float | None = None
        _made.latest = self

    def pause(self) -> None:
        """The task of the state waits from now on."""
        self._since = time.monotonic()

    def go_on(self) -> None:
        """It has its place."""
        since, self._since = self._since, None
        if since is not None:
            self._waited += time.monotonic() - since

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None:
            return super().wait()
        began = time.monotonic()
        while True:
            now, since = time.monotonic(), self._since
            waited = self._waited + (now - since if since is not None else 0.0)
            left = timeout - (now - began - waited)
            if left <= 0 or super().wait(min(left, threading.TIMEOUT_MAX)):
                return self.is_set()


class PatientThread(threading.Thread):
    """Carries a state out; what happens on it belongs to the event that was made just before it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = getattr(_made, "latest", None)

    def run(self) -> None:
        _current.patience = self._patience
        super().run()


def of_this_thread() -> Patience | None:
    """The time limit of the state that this thread carries out, if it does so."""
    return getattr(_current, "patience", None)


def apply() -> None:
    """Count a state's time as its task's own."""
    # execute_state.py:192-203 makes an event, starts a thread that sets it, and waits for the limit's seconds.
    execute_state.threading = SimpleNamespace(Event=Patience)
    execute_state.Thread = PatientThread
