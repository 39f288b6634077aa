"""What the agent remembers from one process to the next: the seam between it and whoever keeps the runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Memory(Protocol):
    """Hold the server's lock at each call."""

    def task_changed(self, task: Any) -> None:
        """A task was submitted, or its status is another one now."""

    def task_forgotten(self, arn: str) -> None:
        """A task stopped long ago: DescribeTasks shows it no more."""

    def stopped_tasks(self) -> list[Any]:
        """Tasks of earlier processes, all of them STOPPED, the one that stopped first first."""

    def service(self, arn: str) -> Mapping[str, Any] | None:
        """What was last remembered of a service."""

    def service_changed(self, arn: str, record: Mapping[str, Any] | None) -> None:
        """Remember this of a service; None: it is gone."""


class NoMemory:
    """A memory for an agent whose cloud does not outlive its process."""

    def task_changed(self, task: Any) -> None:
        pass

    def task_forgotten(self, arn: str) -> None:
        pass

    def stopped_tasks(self) -> list[Any]:
        return []

    def service(self, arn: str) -> Mapping[str, Any] | None:
        return None

    def service_changed(self, arn: str, record: Mapping[str, Any] | None) -> None:
        pass
