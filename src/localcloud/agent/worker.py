"""One thread for what the agent does from time to time: services, health checks, schedules, log lines.

    worker = Worker("agent")
    step = worker.add("schedules", schedules.fire)    # returns the seconds until it wants to be called again
    worker.start()
    step.wake()                                       # something changed: call it now

Steps are called one after the other, the longest due first, so one that is woken all the time keeps no other from its
turn. None may wait for anything but the server's lock, which it would share with the others in any case: what can take
long (a probe, a delivery) a step hands to a pool of its own. A step that took longer than `SLOW_SECONDS` is named in
the log.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""When a step that failed is called again."""

SLOW_SECONDS = 1.0

STOP_SECONDS = 5.0
"""How long a step that is being carried out may take to end."""


class Step:
    """One thing that a worker does. Its methods may be called from any thread, with any lock held."""

    def __init__(self, worker: Worker, name: str, action: Callable[[], float | None]):
        self.name = name
        self.action = action
        self.due = math.inf
        """time.monotonic(); changed under the worker's lock"""
        self._worker = worker

    def wake(self, after: float = 0.0) -> None:
        """Have it called in so many seconds, or sooner if it is due sooner."""
        self._worker._wake(self, time.monotonic() + after)

    def remove(self) -> None:
        """Have it called no more. If it is just being called, wait until that is over: hold no lock that it takes."""
        self._worker._remove(self)


class Worker:
    """Calls its steps when they are due, in a thread of its own."""

    def __init__(self, name: str):
        self._name = name
        self._steps: list[Step] = []
        self._changed = threading.Condition()
        self._current: Step | None = None
        self._running = False
        self._thread: threading.Thread | None = None

    def add(self, name: str, action: Callable[[], float | None]) -> Step:
        """A step that is due at once. `action` returns in how many seconds it is due again, None for: when woken.

        If it raises, that is logged, and it is called again in `RETRY_SECONDS`.
        """
        step = Step(self, name, action)
        with self._changed:
            self._steps.append(step)
        step.wake()
        return step

    def start(self) -> None:
        """Begin to call steps."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Call no step any more; one that is being called ends first."""
        with self._changed:
            self._running = False
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _wake(self, step: Step, due: float) -> None:
        with self._changed:
            if due < step.due:
                step.due = due
                self._changed.notify_all()

    def _remove(self, step: Step) -> None:
        with self._changed:
            if step in self._steps:
                self._steps.remove(step)
            if threading.current_thread() is not self._thread:
                self._changed.wait_for(lambda: self._current is not step, STOP_SECONDS)

    def _run(self) -> None:
        while (step := self._next()) is not None:
            again = self._call(step)
            with self._changed:
                self._current = None
                if again is not None:
                    step.due = min(step.due, time.monotonic() + again)
                self._changed.notify_all()

    def _next(self) -> Step | None:
        """Wait for a step that is due; None to end."""
        with self._changed:
            while self._running:
                step = min(self._steps, key=lambda step: step.due, default=None)
                left = math.inf if step is None else step.due - time.monotonic()
                if step is not None and left <= 0:
                    step.due, self._current = math.inf, step
                    return step
                self._changed.wait(None if left == math.inf else min(left, threading.TIMEOUT_MAX))
        return None

    def _call(self, step: Step) -> float | None:
        began = time.monotonic()
        try:
            return step.action()
        except Exception:
            log.exception("%s: step %s failed; it is called again in %g s", self._name, step.name, RETRY_SECONDS)
            return RETRY_SECONDS
        finally:
            took = time.monotonic() - began
            if took > SLOW_SECONDS:
                log.warning("%s: step %s took %.1f s; the others waited for it", self._name, step.name, took)
