"""`dependsOn`: a container starts when others of its task have started, ended or become well.

Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

START, COMPLETE, SUCCESS, HEALTHY = "START", "COMPLETE", "SUCCESS", "HEALTHY"

START_TIMEOUT_SECONDS = 180
"""How long others wait for a container without a `startTimeout` of its own: Fargate's three minutes.
Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html"""

WAITS = {COMPLETE: "to end", SUCCESS: "to end with 0", HEALTHY: "to be healthy", START: "to start"}


@dataclass(frozen=True)
class Dependencies:
    """(container, condition) of what must be true before a container starts, and how long those that wait for this
    one do so.
    """

    on: tuple[tuple[str, str], ...] = ()
    timeout_seconds: int = START_TIMEOUT_SECONDS


def dependencies(definition: Mapping[str, Any]) -> Dependencies:
    """Of one container."""
    on = tuple((one["containerName"], one["condition"]) for one in definition.get("dependsOn") or ())
    return Dependencies(on, int(definition.get("startTimeout") or START_TIMEOUT_SECONDS))


@dataclass
class Progress:
    """How far a container is, as those see it that wait for it."""

    started: float | None = None
    """time.monotonic()"""

    exit_code: int | None = None
    health: str = "UNKNOWN"
    timeout_seconds: int = START_TIMEOUT_SECONDS


def state_of(after: Dependencies, containers: Mapping[str, Progress]) -> tuple[bool, str]:
    """May it start, and else, why it never will; empty where it waits."""
    may_start = True
    for name, condition in after.on:
        other = containers[name]
        if _is_met(condition, other):
            continue
        may_start = False
        waits = f"it waits for container {name} {WAITS[condition]}"
        if other.exit_code is not None:
            return False, f"{waits}, and that has ended with {other.exit_code}"
        if condition == HEALTHY and other.health == "UNHEALTHY":
            return False, f"{waits}, and its health check failed"
        if other.started is not None and time.monotonic() - other.started >= other.timeout_seconds:
            return False, f"{waits}, which took longer than its startTimeout of {other.timeout_seconds} s"
    return may_start, ""


def _is_met(condition: str, other: Progress) -> bool:
    if condition == COMPLETE:
        return other.exit_code is not None
    if condition == SUCCESS:
        return other.exit_code == 0
    if condition == HEALTHY:
        return other.exit_code is None and other.health == "HEALTHY"
    return other.started is not None
