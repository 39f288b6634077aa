"""A service's deployments: what is rolled out, how far it is, and whether it has failed."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.utils import utcnow
from moto.moto_api._internal import mock_random

from localcloud.agent.health import Target
from localcloud.agent.run import TaskRun

FIRST_RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 60.0
"""A deployment whose tasks fail waits before it starts the next one, twice as long each time."""

BREAKER_LEAST, BREAKER_MOST = 3, 200
"""Bounds of the circuit breaker's threshold, half the desired count.
Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html"""

STEADY_SECONDS = 3.0
"""How long a task without a health check must have run to count as up: a program that cannot work ends by itself."""

EVENTS_KEPT = 100


@dataclass(eq=False)
class ServiceTask:
    """A task of a service: its run and its targets."""

    run: TaskRun
    targets: list[Target] = field(default_factory=list)
    registered: bool = False
    unhealthy: bool = False

    @property
    def live(self) -> bool:
        """Neither stopped nor on its way there."""
        return not self.run.stopping

    @property
    def steady_at(self) -> float | None:
        """time.monotonic() from which it counts as up without a health check; None if it has one, or does not run."""
        return self.run.started + STEADY_SECONDS if self.live and self.registered and not self.targets else None

    @property
    def ready(self) -> bool:
        """Running, and healthy in the eyes of each of its target groups; without any, running for a while."""
        steady_at = self.steady_at
        if steady_at is not None:
            return time.monotonic() >= steady_at
        return self.live and self.registered and all(target.healthy for target in self.targets)


@dataclass(eq=False)
class Deployment:
    """One roll-out of a task definition."""

    task_definition: str
    reason: str = ""
    id: str = field(default_factory=lambda: f"ecs-svc/{mock_random.randint(10**18, 10**19 - 1)}")
    created: datetime = field(default_factory=utcnow)
    updated: datetime = field(default_factory=utcnow)
    state: str = "IN_PROGRESS"
    tasks: list[ServiceTask] = field(default_factory=list)
    failed: int = 0
    restart_at: float = 0.0
    """time.monotonic() before which no further task is started"""
    _failed_at: float = -math.inf
    _in_a_row: int = 0

    def __post_init__(self) -> None:
        self.reason = self.reason or f"ECS deployment {self.id} in progress."

    @property
    def live(self) -> list[ServiceTask]:
        return [task for task in self.tasks if task.live]

    @property
    def ready(self) -> list[ServiceTask]:
        return [task for task in self.tasks if task.ready]

    def task_failed(self) -> None:
        """A task ended that should not have: count it, and wait before the next."""
        now = time.monotonic()
        self.failed += 1
        self._in_a_row = self._in_a_row + 1 if now - self._failed_at < LONGEST_RESTART_SECONDS * 2 else 1
        self._failed_at = now
        self.restart_at = now + min(LONGEST_RESTART_SECONDS, FIRST_RESTART_SECONDS * 2 ** min(self._in_a_row - 1, 10))

    def settle(self, state: str, reason: str) -> None:
        """COMPLETED or FAILED."""
        self.state, self.reason, self.updated = state, reason, utcnow()

    def record(self) -> dict[str, Any]:
        """What outlives the process: everything but tasks."""
        return {
            "id": self.id,
            "task_definition": self.task_definition,
            "state": self.state,
            "reason": self.reason,
            "failed": self.failed,
            "created": self.created.isoformat(),
            "updated": self.updated.isoformat(),
        }

    @classmethod
    def recalled(cls, record: Mapping[str, Any]) -> Deployment:
        """What `record` told of, without tasks."""
        dates = {name: datetime.fromisoformat(record[name]) for name in ("created", "updated")}
        return cls(**{**record, **dates})

    def describe(self, service: Any, primary: bool) -> dict[str, Any]:
        """As DescribeServices shows it."""
        statuses = [task.run.task.last_status for task in self.tasks]
        shown = {
            "id": self.id,
            "status": "PRIMARY" if primary else "ACTIVE",
            "taskDefinition": self.task_definition,
            "desiredCount": service.desired_count if primary else 0,
            "pendingCount": sum(status in ("PROVISIONING", "PENDING") for status in statuses),
            "runningCount": sum(status == "RUNNING" for status in statuses),
            "failedTasks": self.failed,
            "createdAt": self.created,
            "updatedAt": self.updated,
            "rolloutState": self.state,
            "rolloutStateReason": self.reason,
            "platformFamily": "Linux",
            "platformVersion": service.platform_version or "1.4.0",
            "networkConfiguration": service.network_configuration or None,
        }
        if service.capacity_provider_strategy:
            shown["capacityProviderStrategy"] = service.capacity_provider_strategy
        else:
            shown["launchType"] = service.launch_type
        return {key: value for key, value in shown.items() if value is not None}


@dataclass(eq=False)
class ServiceState:
    """What the agent knows of a service: its deployments, the primary one first, and the last one that worked."""

    service: Any
    deployments: list[Deployment] = field(default_factory=list)
    last_good: str | None = None

    @property
    def primary(self) -> Deployment:
        return self.deployments[0]

    @property
    def older(self) -> list[Deployment]:
        return self.deployments[1:]

    def record(self) -> dict[str, Any]:
        """What outlives the process."""
        events = [{**event, "createdAt": event["createdAt"].isoformat()} for event in self.service.events]
        return {"last_good": self.last_good, "deployment": self.primary.record(), "events": events}

    def recall(self, record: Mapping[str, Any]) -> None:
        """Take up what an earlier process told: its tasks are gone, its deployment goes on unless another is due."""
        if not record:
            return
        self.last_good = record["last_good"]
        self.service.events = [
            {**event, "createdAt": datetime.fromisoformat(event["createdAt"])} for event in record["events"]
        ]
        deployment = Deployment.recalled(record["deployment"])
        if deployment.task_definition == self.service.task_definition:
            self.deployments = [deployment]
            self.service.new_deployment_forced = False

    def bounds(self) -> tuple[int, int]:
        """How many tasks must stay healthy and how many there may be during a roll-out."""
        configuration = self.service.deployment_configuration or {}
        want = self.service.desired_count
        least = math.ceil(want * configuration.get("minimumHealthyPercent", 100) / 100)
        most = max(want, math.floor(want * configuration.get("maximumPercent", 200) / 100))
        return least, most

    def breaker(self) -> tuple[bool, bool]:
        """Whether the circuit breaker is on, and whether it rolls back."""
        breaker = (self.service.deployment_configuration or {}).get("deploymentCircuitBreaker") or {}
        return bool(breaker.get("enable")), bool(breaker.get("rollback"))

    def failures_allowed(self) -> int:
        """Failed tasks at which the circuit breaker trips."""
        half: int = math.ceil(self.service.desired_count / 2)
        return min(BREAKER_MOST, max(BREAKER_LEAST, half))

    def say(self, message: str) -> None:
        """Add to the service's own events, newest first."""
        event = {"id": str(uuid.uuid4()), "createdAt": utcnow(), "message": f"(service {self.service.name}) {message}"}
        self.service.events.insert(0, event)
        del self.service.events[EVENTS_KEPT:]

    def publish(self) -> None:
        """Write counts and deployments where DescribeServices finds them."""
        service = self.service
        service.deployments = [
            deployment.describe(service, primary=deployment is self.primary) for deployment in self.deployments
        ]
        service.running_count = sum(shown["runningCount"] for shown in service.deployments)
        service.pending_count = sum(shown["pendingCount"] for shown in service.deployments)
