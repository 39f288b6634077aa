"""Who may run now: this machine is one, while Fargate has a machine for each task.

Tasks of jobs get a slot in the order in which they were asked for. Who has none yet waits as PROVISIONING, which is
what a task does on AWS while capacity is found for it, and says so as its containers' reason. Tasks of services take no
slot and wait for none: a service that jobs keep from starting would be down.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass

import psutil

from localcloud.agent.containers import mebibytes
from localcloud.agent.run import TaskRun
from localcloud.config import TASKS_AT_ONCE

TASKS_PER_CORE, LEAST_TASKS = 2, 4
"""Tasks of jobs read and write for a good part of their time; four keep a fan-out going on the smallest machine."""

SHARE_OF_MEMORY = 0.75
"""Of this machine's memory, for what tasks of jobs may use at most by their own limits."""


@dataclass(frozen=True)
class Capacity:
    """What this machine bears: how many tasks of jobs at once, and how much memory they may ask for together."""

    tasks: int
    memory_mb: int

    @classmethod
    def of_this_machine(cls, tasks: int | None = None) -> Capacity:
        """By its cores and memory; `tasks` replaces the number."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        memory = int(psutil.virtual_memory().total * SHARE_OF_MEMORY) >> 20
        return cls(tasks or max(LEAST_TASKS, TASKS_PER_CORE * cores), memory)


class Slots:
    """Hands slots out. Hold the server's lock."""

    def __init__(self, capacity: Capacity):
        self.capacity = capacity
        self._waiting: deque[TaskRun] = deque()
        self._taken: dict[TaskRun, int] = {}

    def queue(self, run: TaskRun) -> None:
        """It wants to run; `admit` says when."""
        self._waiting.append(run)

    def admit(self) -> list[TaskRun]:
        """Who has a slot from now on. Nobody overtakes: who waits for memory is not passed by who needs less."""
        admitted = []
        while self._waiting and not (why := self._full(self._waiting[0])):
            run = self._waiting.popleft()
            self._taken[run] = wanted_memory(run)
            admitted.append(run)
        for run in self._waiting:
            if run.waiting != why:
                run.waiting = why
                for container in run.task.containers:
                    container.reason = why
        for run in admitted:
            if run.waiting:
                run.waiting = ""
                for container in run.task.containers:
                    container.reason = None
        return admitted

    def leave(self, run: TaskRun) -> None:
        """It needs no slot any more, whether it had one or waited."""
        if self._taken.pop(run, None) is None and run in self._waiting:
            self._waiting.remove(run)

    def is_waiting(self, run: TaskRun) -> bool:
        """Has it been queued and not admitted?"""
        return run in self._waiting

    def _full(self, run: TaskRun) -> str:
        """Why there is no slot for a task now; empty if there is one. Whoever is alone always finds one."""
        if not self._taken:
            return ""
        if len(self._taken) >= self.capacity.tasks:
            return (
                f"Waiting for a slot: {self.capacity.tasks} tasks of jobs run at once on this machine, in the order "
                f"in which they were started ({TASKS_AT_ONCE} changes the number when the local cloud starts)"
            )
        if sum(self._taken.values()) + wanted_memory(run) > self.capacity.memory_mb:
            return (
                f"Waiting for memory: the tasks of jobs that run may use {sum(self._taken.values())} of the "
                f"{self.capacity.memory_mb} MiB that this machine has for them, and the next one wants "
                f"{wanted_memory(run)} MiB"
            )
        return ""


def wanted_memory(run: TaskRun) -> int:
    """The task's memory in MiB, as its definition or its start says; 0 for none."""
    return mebibytes(run.task.memory) or 0


def is_of_service(run: TaskRun) -> bool:
    """Was the task started by a service?"""
    return str(run.task.group or "").startswith("service:")
