"""A task on its way, as the agent's parts share it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.agent.containers import Plan
from localcloud.agent.dependencies import Progress
from localcloud.engines import Handle
from localcloud.patches.stepfunctions.patience import Patience


@dataclass(eq=False)
class TaskRun:
    """A task on its way from RunTask to STOPPED. Changed under the server's lock only."""

    task: Any
    finished: threading.Event = field(default_factory=threading.Event)
    plans: list[Plan] = field(default_factory=list)
    handles: dict[str, Handle] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)
    """By container"""

    waiting_plans: list[Plan] = field(default_factory=list)
    """Containers that have not started yet: `dependsOn`"""

    start_lock: threading.Lock = field(default_factory=threading.Lock)
    """One thread at a time starts its containers. Taken before the server's."""

    exited: set[str] = field(default_factory=set)
    waiting: str = ""
    """Why it has no slot on this machine yet; empty if it has one"""

    patience: Patience | None = None
    """The time limit of the state that started it, if a state machine did"""

    starting: bool = True
    stopping: bool = False
    started: float = 0.0
    """time.monotonic() when it became RUNNING"""

    unhealthy: bool = False
    """Has the health check of an essential container failed?"""

    before_stop: Callable[[], None] | None = None
    """Called, without the lock, before a running container is asked to end: the load balancer's draining."""

    on_change: Callable[[TaskRun], None] | None = None
    """Called under the lock when it has become RUNNING or STOPPED."""

    @property
    def arn(self) -> str:
        return str(self.task.task_arn)

    def forget_process(self) -> None:
        """It has stopped and is only looked at from now on: what it ran with is let go."""
        self.plans, self.handles, self.waiting_plans, self.progress = [], {}, [], {}
        self.before_stop = self.on_change = self.patience = None
