"""What happens to tasks and deployments, told on the event bus in AWS's shape.

Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moto.core.utils import utcnow

from localcloud import backends
from localcloud.agent.clock import Clock, SystemClock

log = logging.getLogger(__name__)

ECS = "aws.ecs"


class EventBus:
    """Puts events on the account's default buses. Hold the server's lock."""

    def __init__(self, account: str, clock: Clock | None = None):
        self._account = account
        self._clock = clock or SystemClock()

    def task_changed(self, task: Any) -> None:
        """The task's status, or its desired status, is another one now."""
        if self._anybody_listens(task.region_name):
            self.put(task.region_name, ECS, "ECS Task State Change", [task.task_arn], task_detail(task))

    def deployment_changed(self, service: Any, name: str, kind: str, deployment_id: str, reason: str) -> None:
        """`name` is SERVICE_DEPLOYMENT_IN_PROGRESS, _COMPLETED or _FAILED; `kind` is INFO or ERROR."""
        detail = {
            "eventType": kind,
            "eventName": name,
            "deploymentId": deployment_id,
            "updatedAt": f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}",
            "reason": reason,
        }
        self.put(service.region_name, ECS, "ECS Deployment State Change", [service.arn], detail)

    def service_acted(self, service: Any, name: str, kind: str) -> None:
        """`name` is SERVICE_STEADY_STATE, SERVICE_TASK_START_IMPAIRED …; `kind` is INFO, WARN or ERROR."""
        detail = {
            "eventType": kind,
            "eventName": name,
            "clusterArn": service.cluster_arn,
            "createdAt": _iso(self._clock.now()),
        }
        self.put(service.region_name, ECS, "ECS Service Action", [service.arn], detail)

    def _anybody_listens(self, region: str) -> bool:
        return any(bus.rules for bus in backends.events(self._account, region).event_buses.values())

    def put(
        self,
        region: str,
        source: str,
        kind: str,
        resources: list[str],
        detail: Mapping[str, Any],
        time: datetime | None = None,
    ) -> None:
        """Tell the default bus of a region what happened, now unless it says when."""
        if not self._anybody_listens(region):
            return
        moment = (time or self._clock.now()).timestamp()
        event = {
            "Source": source,
            "DetailType": kind,
            "Resources": resources,
            "Detail": json.dumps(detail),
            "Time": moment,
        }
        try:
            backends.events(self._account, region).put_own_events([event])
        except Exception:
            log.exception("an event was lost: %s of %s", kind, resources)


def task_detail(task: Any) -> dict[str, Any]:
    """A task as ECS Task State Change events show it; what has no value is left out."""
    detail = {
        "attachments": task.attachments,
        "availabilityZone": task.availability_zone,
        "capacityProviderName": task.capacity_provider_name,
        "clusterArn": task.cluster_arn,
        "connectivity": task.connectivity,
        "containers": [_container_detail(container) for container in task.containers],
        "cpu": task.cpu,
        "createdAt": _iso(task.created_at),
        "desiredStatus": task.desired_status,
        "group": task.group,
        "lastStatus": task.last_status,
        "launchType": task.launch_type,
        "memory": task.memory,
        "overrides": task.overrides,
        "platformVersion": task.platform_version,
        "startedAt": _iso(task.started_at),
        "startedBy": task.started_by or None,
        "stopCode": task.stop_code,
        "stoppedAt": _iso(task.stopped_at),
        "stoppedReason": task.stopped_reason,
        "stoppingAt": _iso(task.stopping_at),
        "taskArn": task.task_arn,
        "taskDefinitionArn": task.task_definition_arn,
        "updatedAt": _iso(utcnow()),
        "version": task.version,
    }
    return {key: value for key, value in detail.items() if value is not None}


def _container_detail(container: Any) -> dict[str, Any]:
    detail = {
        "containerArn": container.container_arn,
        "cpu": container.cpu,
        "exitCode": container.exit_code,
        "image": container.image,
        "lastStatus": container.last_status,
        "memory": container.memory,
        "name": container.name,
        "networkInterfaces": container.network_interfaces,
        "reason": container.reason,
        "runtimeId": container.runtime_id,
        "taskArn": container.task_arn,
    }
    return {key: value for key, value in detail.items() if value is not None}


def _iso(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z" if moment else None
