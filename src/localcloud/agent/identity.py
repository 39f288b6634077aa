"""Who a task is, and what it is given: the seam between the agent and whoever hands out credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class TaskIdentity:
    """A task that is about to start: its ARN, the role its code acts as (None: none), its task definition's family."""

    task_arn: str
    role_arn: str | None
    family: str


class TaskEnvironment(Protocol):
    """Gives a task the AWS_* variables that let its code reach this cloud as its own role, and takes them back."""

    def __call__(self, identity: TaskIdentity) -> Mapping[str, str]:
        """The variables for the task's containers."""

    def release(self, task_arn: str) -> None:
        """The task has stopped: its credentials are void from now on."""
