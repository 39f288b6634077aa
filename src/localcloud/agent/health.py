"""Health checks of service tasks against their target groups, as a load balancer makes them.

A new target is asked often, so that a service is up as soon as it answers; the verdict "unhealthy" takes as long as the
target group says. A healthy target is asked at the target group's own interval.
Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""

from __future__ import annotations

import http.client
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from localcloud.agent.run import TaskRun
from localcloud.agent.worker import Worker
from localcloud.balancer_address import balancer_address
from localcloud.patches.elbv2.api import Health
from localcloud.server import Server

log = logging.getLogger(__name__)

FIRST_INTERVAL_SECONDS = 0.1
SLOWER_AFTER_SECONDS = 5.0
SLOWER_INTERVAL_SECONDS = 0.5
"""A target that has not yet answered is asked at the first interval, after a while at the slower one."""

CHECKS_AT_ONCE = 4

HEALTHY: Health = ("healthy", None, None)
DRAINING: Health = ("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")


@dataclass(eq=False)
class Target:
    """A port of a task in a target group. Changed under the server's lock."""

    run: TaskRun
    group: Any
    port: int
    registered: float
    due: float
    healthy: bool = False
    was_healthy: bool = False
    failures: int = 0
    checking: bool = False

    @property
    def entry(self) -> dict[str, Any] | None:
        """The target as the load balancer's models know it; None once it is deregistered."""
        return self.group.targets.get(f"127.0.0.1:{self.port}")  # type: ignore[no-any-return]


class HealthChecks:
    """Registers targets and asks them when they are due. `on_change` is called under the lock when a target's health
    changes, and after each check of one that is unhealthy."""

    def __init__(self, server: Server, on_change: Callable[[Target], None], worker: Worker):
        self._server = server
        self._on_change = on_change
        self._targets: list[Target] = []
        self._pool = ThreadPoolExecutor(CHECKS_AT_ONCE, thread_name_prefix="health")
        self._step = worker.add("health checks", self._begin_checks)

    def stop(self) -> None:
        """Check no more."""
        self._step.remove()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def register(self, run: TaskRun, group: Any, port: int) -> Target:
        """Make a port of a task a target. Hold the lock."""
        now = time.monotonic()
        group.register([{"Id": "127.0.0.1", "Port": port}])
        target = Target(run, group, port, registered=now, due=now)
        self._targets.append(target)
        self._step.wake()
        return target

    def drain(self, target: Target) -> None:
        """No new requests for it. Hold the lock."""
        if target.entry is not None:
            target.entry["health"] = DRAINING
        if target in self._targets:
            self._targets.remove(target)

    def deregister(self, target: Target) -> None:
        """It is no target any more. Hold the lock."""
        self.drain(target)
        target.group.deregister([{"Id": "127.0.0.1", "Port": target.port}])

    def _begin_checks(self) -> float | None:
        """Hand those that are due to the pool. Seconds until the next one is."""
        with self._server.lock:
            now = time.monotonic()
            waiting = [target for target in self._targets if not target.checking]
            for target in (target for target in waiting if target.due <= now):
                target.checking = True
                self._pool.submit(self._check, target)
            upcoming = [target.due for target in waiting if not target.checking]
        return max(0.0, min(upcoming) - now) if upcoming else None

    def _check(self, target: Target) -> None:
        try:
            group = target.group
            timeout = float(group.health_check_timeout_seconds)
            status = probe(target.port, group.health_check_path or "/", timeout)
            with self._server.lock:
                self._judge(target, status)
        except Exception:
            log.exception("a health check of port %d failed", target.port)
        finally:
            with self._server.lock:
                target.checking = False
                target.due = time.monotonic() + next_interval(target)
            self._step.wake()

    def _judge(self, target: Target, status: int | None) -> None:
        entry = target.entry
        if entry is None or target not in self._targets:
            return
        before = entry["health"]
        group = target.group
        if matches(status, str((group.matcher or {}).get("HttpCode") or "200")):
            target.failures = 0
            target.healthy = target.was_healthy = True
            entry["health"] = HEALTHY
        else:
            target.failures += 1
            if target.failures >= int(group.unhealthy_threshold_count) and self._had_time(target):
                target.healthy = False
                entry["health"] = unhealthy(status)
        if entry["health"] != before or entry["health"][0] == "unhealthy":
            self._on_change(target)

    def _had_time(self, target: Target) -> bool:
        """Whether a target that never answered would have failed its checks by now on AWS too."""
        group = target.group
        needed = int(group.unhealthy_threshold_count) * float(group.health_check_interval_seconds)
        return target.was_healthy or time.monotonic() - target.registered >= needed


def next_interval(target: Target) -> float:
    """Seconds until the target is asked again."""
    if target.was_healthy:
        return float(target.group.health_check_interval_seconds)
    waited = time.monotonic() - target.registered
    return FIRST_INTERVAL_SECONDS if waited < SLOWER_AFTER_SECONDS else SLOWER_INTERVAL_SECONDS


def probe(port: int, path: str, timeout: float) -> int | None:
    """The status of a GET, redirects not followed; None if there was no answer."""
    source = (balancer_address(), 0)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout, source_address=source)
    try:
        connection.request("GET", path, headers={"User-Agent": "ELB-HealthChecker/2.0"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def matches(status: int | None, codes: str) -> bool:
    """Whether a status is one of `200`, `200,302` or `200-299`."""
    if status is None:
        return False
    for part in codes.split(","):
        first, _, last = part.partition("-")
        if int(first) <= status <= int(last or first):
            return True
    return False


def unhealthy(status: int | None) -> Health:
    """What DescribeTargetHealth says of a target that fails."""
    if status is None:
        return ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
    return ("unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]")
