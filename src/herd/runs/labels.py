"""Which item of a fan-out a log line is of."""

from __future__ import annotations

import time
from collections.abc import Mapping

from herd.runs import tasks
from herd.runs.tasks import RunTask
from herd.targets.target import Target


class Labels:
    """Which item the task of a log line was for, as the history of its run says; empty for a run without a fan-out.

    The history is read again when a task shows up that it did not name before, at most every few seconds.
    """

    def __init__(self, target: Target, machine: str, run_id: str) -> None:
        self._target, self._machine, self._run_id = target, machine, run_id
        self._tasks: Mapping[str, RunTask] = {}
        self._asked = float("-inf")

    def of(self, stream: str) -> str:
        """The label of a stream's task."""
        task = stream.rsplit("/", 1)[-1]
        if task not in self._tasks and time.monotonic() > self._asked + ASK_AGAIN_SECONDS:
            self._asked = time.monotonic()
            self._tasks = tasks.of_run(self._target, self._machine, self._run_id)
        known = self._tasks.get(task)
        return known.label if known is not None and self.fans_out else ""

    @property
    def fans_out(self) -> bool:
        """Whether the run has tasks for items."""
        return any(task.item for task in self._tasks.values())

    def prefix(self, name: str, stream: str, *, named: bool) -> str:
        """What stands before a line: `train[north] | `; with one workload and no fan-out nothing."""
        label = self.of(stream)
        return f"{name}[{label}] | " if label else f"{name} | " if named else ""


ASK_AGAIN_SECONDS = 1.0
