"""What services publish once a minute: the length of queues, the health of targets, the requests of load balancers,
what tasks of services use, and how many tasks a cluster with Container Insights has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from localcloud import backends
from localcloud.agent.clock import Clock
from localcloud.agent.meters import Meters
from localcloud.agent.slots import is_of_service, wanted_memory
from localcloud.agent.tasks import Tasks
from localcloud.agent.traffic import Traffic
from localcloud.agent.worker import Worker
from localcloud.engines.memory import memory_of_tree, processor_seconds_of_tree
from localcloud.metrics.series import MINUTE
from localcloud.patches.cloudwatch import metrics
from localcloud.server import Server

log = logging.getLogger(__name__)

QUEUE_ACTIVE = timedelta(hours=6)
"""How long an empty queue publishes metrics after something was in it.
Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html"""


@dataclass
class Gauges:
    """Reads the account's gauges once a minute."""

    server: Server
    meters: Meters
    traffic: Traffic
    tasks: Tasks
    clock: Clock
    worker: Worker
    _processor: dict[str, tuple[datetime, float]] = field(default_factory=dict)
    """When a task was looked at last, and the processor time that it had used by then, by ARN."""

    _minute: float = -1.0
    _active: dict[str, datetime] = field(default_factory=dict)
    """When something was in a queue, by ARN."""

    def __post_init__(self) -> None:
        self._step = self.worker.add("gauges", self._read)

    def stop(self) -> None:
        """Read no more."""
        self._step.remove()

    def tick(self) -> None:
        """Read all gauges if that has not been done in this minute; requests are taken over at any time."""
        now = self.clock.now()
        with self.server.lock:
            self._guarded(self._requests)
            if now.timestamp() // MINUTE == self._minute:
                return
            self._minute = now.timestamp() // MINUTE
            self._guarded(lambda: self._queues(now))
            self._guarded(self._targets)
            self._guarded(lambda: self._use(now))
            self._guarded(self._clusters)
            for _, backend in backends.regions("cloudwatch", self.server.account):
                metrics.prune(backend, now)

    def _read(self) -> float:
        self.tick()
        return MINUTE - self.clock.now().timestamp() % MINUTE

    def _guarded(self, read: Callable[[], None]) -> None:
        try:
            read()
        except Exception:
            log.exception("a gauge could not be read")

    def _queues(self, now: datetime) -> None:
        seen = set()
        for region, backend in backends.regions("sqs", self.server.account):
            for queue in list(backend.queues.values()):
                arn, waiting = str(queue.queue_arn), list(queue._messages)
                if waiting:
                    self._active[arn] = now
                if arn not in self._active or now - self._active[arn] > QUEUE_ACTIVE:
                    continue
                seen.add(arn)
                came = [it.arrived for it in waiting if getattr(it, "arrived", None) is not None]
                values = {
                    "ApproximateNumberOfMessagesVisible": queue.approximate_number_of_messages,
                    "ApproximateNumberOfMessagesNotVisible": queue.approximate_number_of_messages_not_visible,
                    "ApproximateNumberOfMessagesDelayed": queue.approximate_number_of_messages_delayed,
                    "ApproximateAgeOfOldestMessage": max(0.0, (now - min(came, default=now)).total_seconds()),
                }
                for name, value in values.items():
                    self.meters.record(region, "AWS/SQS", name, {"QueueName": queue.name}, float(value))
        self._active = {arn: moment for arn, moment in self._active.items() if arn in seen}

    def _targets(self) -> None:
        for region, backend in backends.regions("elbv2", self.server.account):
            for group in list(backend.target_groups.values()):
                states = [entry["health"][0] for entry in group.targets.values() if entry.get("health")]
                if not states:
                    continue  # published only where there are targets
                for balancer in dict.fromkeys(group.load_balancer_arns):
                    of = {"LoadBalancer": suffix(balancer), "TargetGroup": suffix(group.arn)}
                    for name, state in (("HealthyHostCount", "healthy"), ("UnHealthyHostCount", "unhealthy")):
                        self.meters.record(region, "AWS/ApplicationELB", name, of, float(states.count(state)))

    def _requests(self) -> None:
        for moment, balancer, group, name, values in self.traffic.take():
            of = {"LoadBalancer": suffix(balancer), **({"TargetGroup": suffix(group)} if group else {})}
            self.meters.measure(balancer.split(":")[3], "AWS/ApplicationELB", name, of, values, moment)

    def _use(self, now: datetime) -> None:
        """Of tasks of services only, as on Fargate.

        Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cloudwatch-metrics.html
        """
        before, self._processor = self._processor, {}
        for run in self.tasks.alive():
            task = run.task
            if not is_of_service(run) or task.last_status != "RUNNING":
                continue
            service, cluster = str(task.group).removeprefix("service:"), task.cluster_arn.rpartition("/")[2]
            of = {"ClusterName": cluster, "ServiceName": service}
            pids = [handle.pid for handle in run.handles.values()]
            seconds = sum(processor_seconds_of_tree(pid) for pid in pids)
            self._processor[run.arn] = now, seconds
            if run.arn in before and task.cpu:
                since, earlier = before[run.arn]
                available = (now - since).total_seconds() * int(task.cpu) / 1024
                share = 100 * (seconds - earlier) / available if available > 0 else 0.0
                self.meters.record(task.region_name, "AWS/ECS", "CPUUtilization", of, max(0.0, share))
            if limit := wanted_memory(run):
                share = 100 * sum(memory_of_tree(pid) for pid in pids) / (limit << 20)
                self.meters.record(task.region_name, "AWS/ECS", "MemoryUtilization", of, share)

    def _clusters(self) -> None:
        for region, backend in backends.regions("ecs", self.server.account):
            for cluster in list(backend.clusters.values()):
                if has_container_insights(cluster):
                    self._cluster(region, backend, cluster)

    def _cluster(self, region: str, backend: Any, cluster: Any) -> None:
        services = [
            service
            for service in list(backend.services.values())
            if service.cluster_arn == cluster.arn and service.status != "INACTIVE"
        ]
        running = [task for task in backend.tasks.get(cluster.name, {}).values() if task.last_status == "RUNNING"]
        whole = {"TaskCount": len(running), "ServiceCount": len(services)}
        for name, value in whole.items():
            self.meters.record(region, "ECS/ContainerInsights", name, {"ClusterName": cluster.name}, float(value))
        for service in services:
            of = {"ClusterName": cluster.name, "ServiceName": service.name}
            counts = {
                "RunningTaskCount": service.running_count,
                "PendingTaskCount": service.pending_count,
                "DesiredTaskCount": service.desired_count,
            }
            for name, value in counts.items():
                self.meters.record(region, "ECS/ContainerInsights", name, of, float(value))


def has_container_insights(cluster: Any) -> bool:
    """Is Container Insights on? Without it the namespace ECS/ContainerInsights does not exist."""
    settings = {each.get("name"): each.get("value") for each in cluster.settings or ()}
    return settings.get("containerInsights") in ("enabled", "enhanced")


def suffix(arn: str) -> str:
    """The dimension of a load balancer or target group: `app/name/id`, `targetgroup/name/id`."""
    resource = arn.split(":", 5)[5]
    return resource.removeprefix("loadbalancer/")
