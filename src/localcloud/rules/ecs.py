"""ECS: what Fargate offers, and what must be there or gone first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localcloud import backends
from localcloud.request import Call, Refused
from localcloud.rules.balancing import in_use

MIB_PER_GB = 1024

FARGATE_MEMORY: Mapping[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}
"""CPU units -> MiB that Fargate offers with them.
Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html"""

FARGATE_DISK_GIB = range(21, 201)
NAME = re.compile(r"[a-zA-Z0-9_-]{1,255}")
OVERRIDES_LIMIT = 8192
"""Characters of a task's overrides, JSON included. Source: RunTask, API reference."""


def names(asked: Call) -> None:
    """Letters, digits, hyphens and underscores."""
    for parameter, code in (("family", "ClientException"), ("serviceName", ""), ("clusterName", "")):
        name = asked.text(parameter)
        if name and not NAME.fullmatch(name):
            message = f"Invalid {parameter} '{name}': it must satisfy the pattern {NAME.pattern}"
            raise Refused(code or "InvalidParameterException", message)


def _size(text: Any, unit: str, factor: int) -> int | None:
    """`"1024"`, `1024` or `"1 vCPU"` / `"2 GB"` in CPU units or MiB; None if it is neither."""
    match = re.fullmatch(rf"\s*([\d.]+)\s*({unit})?\s*", str(text), re.IGNORECASE)
    if match is None:
        return None
    try:
        return int(float(match[1]) * (factor if match[2] else 1))
    except ValueError:
        return None


def fargate_task_definition(asked: Call) -> None:
    """Fargate takes certain pairs of CPU and memory, the network mode awsvpc, and needs a role to pull and to log."""
    definition = asked.arguments
    if "FARGATE" not in (definition.get("requiresCompatibilities") or []):
        return
    if definition.get("networkMode") != "awsvpc":
        raise Refused("ClientException", "Fargate only supports network mode ‘awsvpc’.")
    cpu, memory = definition.get("cpu"), definition.get("memory")
    if not cpu:
        raise Refused("ClientException", "Fargate requires that 'cpu' be defined at the task level.")
    if not memory:
        raise Refused("ClientException", "Fargate requires that 'memory' be defined at the task level.")
    fargate_size(cpu, memory)
    disk = (definition.get("ephemeralStorage") or {}).get("sizeInGiB")
    if disk is not None and disk not in FARGATE_DISK_GIB:
        message = f"sizeInGiB must be between {FARGATE_DISK_GIB[0]} and {FARGATE_DISK_GIB[-1]}, was {disk}."
        raise Refused("ClientException", f"Invalid setting for ephemeral storage: {message}")
    for container in definition.get("containerDefinitions", []):
        if any(need["type"] == "GPU" for need in container.get("resourceRequirements") or []):
            raise Refused(
                "ClientException", "Tasks using the Fargate launch type do not support GPU resource requirements."
            )
    if not definition.get("executionRoleArn"):
        _needs_execution_role(definition)


def fargate_size(cpu: Any, memory: Any) -> None:
    """Fargate has certain pairs."""
    units, mib = _size(cpu, "vCPU", 1024), _size(memory, "GB", MIB_PER_GB)
    if units is None or mib not in FARGATE_MEMORY.get(units, ()):
        message = f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory."
        raise Refused("ClientException", f"{message} See the Amazon ECS documentation for the valid values.")


def _needs_execution_role(definition: Mapping[str, Any]) -> None:
    for container in definition.get("containerDefinitions", []):
        if (container.get("logConfiguration") or {}).get("logDriver") == "awslogs":
            needed = "log driver awslogs"
        elif ".dkr.ecr." in container.get("image", ""):
            needed = "ECR images"
        elif container.get("secrets"):
            needed = "container secrets"
        else:
            continue
        message = f"Fargate requires task definition to have execution role ARN to support {needed}."
        raise Refused("ClientException", message)


def essential_container(asked: Call) -> None:
    """One container at least must be essential, and names are told apart."""
    containers = asked.arguments.get("containerDefinitions") or []
    if not any(each.get("essential", True) for each in containers):
        raise Refused("ClientException", "A task definition must have at least one essential container.")
    named = [each.get("name") for each in containers]
    if len(set(named)) < len(named):
        raise Refused("ClientException", "Container names within a task definition must be unique.")


def container_dependencies(asked: Call) -> None:
    """`dependsOn` names other containers of the definition, in no circle, with a condition that they can reach.

    Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html
    """
    containers = {one.get("name"): one for one in asked.arguments.get("containerDefinitions") or []}
    waits = {name: [on["containerName"] for on in one.get("dependsOn") or []] for name, one in containers.items()}
    for name, one in containers.items():
        for on in one.get("dependsOn") or []:
            other, condition = containers.get(on["containerName"]), on["condition"]
            where = f"Invalid dependsOn of container '{name}': "
            if other is None:
                raise Refused("ClientException", f"{where}container '{on['containerName']}' is not in the definition.")
            if condition in ("COMPLETE", "SUCCESS") and other.get("essential", True):
                raise Refused(
                    "ClientException", f"{where}condition {condition} cannot be set on an essential container."
                )
            if condition == "HEALTHY" and not (other.get("healthCheck") or {}).get("command"):
                raise Refused(
                    "ClientException", f"{where}container '{on['containerName']}' has no healthCheck to be HEALTHY by."
                )
    while free := [name for name, others in waits.items() if not set(others) & waits.keys()]:
        for name in free:
            del waits[name]
    if waits:
        circle = ", ".join(f"'{name}'" for name in waits)
        raise Refused("ClientException", f"Cyclic dependsOn of containers {circle}: none of them could start.")


def overrides_are_short(asked: Call) -> None:
    """What a run overrides fits into 8192 characters."""
    import json

    length = len(json.dumps(asked.arguments.get("overrides") or {}, separators=(",", ":")))
    if length > OVERRIDES_LIMIT:
        message = f"Container Overrides length must be at most {OVERRIDES_LIMIT}, was {length}."
        raise Refused("InvalidParameterException", message)


def service_is_new(asked: Call) -> None:
    """A service's name is taken until the last one of that name has drained."""
    cluster = (asked.text("cluster") or "default").rsplit("/", 1)[-1]
    service = backends.ecs(asked.account, asked.region).services.get(f"{cluster}:{asked.text('serviceName')}")
    if service is None or service.status == "INACTIVE":
        return
    if service.status == "DRAINING":
        raise Refused("InvalidParameterException", "Unable to Start a service that is still Draining.")
    raise Refused("InvalidParameterException", "Creation of service was not idempotent.")


def target_group_has_load_balancer(asked: Call) -> None:
    """A service's target group must already be in use by a listener or one of its rules."""
    for entry in asked.arguments.get("loadBalancers") or []:
        arn, backend = entry.get("targetGroupArn"), backends.elbv2(asked.account, asked.region)
        if arn is None:
            continue
        if arn not in backend.target_groups:
            raise Refused("InvalidParameterException", f"The specified target group does not exist: {arn}")
        if not in_use(backend, arn):
            message = f"The target group with targetGroupArn {arn} does not have an associated load balancer."
            raise Refused("InvalidParameterException", message)


def cluster_is_empty(asked: Call) -> None:
    """A cluster goes after its services and tasks."""
    cluster = asked.text("cluster").rsplit("/", 1)[-1]
    backend = backends.ecs(asked.account, asked.region)
    services = [s for s in backend.services.values() if s.cluster_name == cluster and s.status != "INACTIVE"]
    if services:
        raise Refused("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
    if any(task.last_status != "STOPPED" for task in backend.tasks.get(cluster, {}).values()):
        raise Refused("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")


def capacity_provider_is_unused(asked: Call) -> None:
    """A capacity provider goes after it has left its clusters and their services."""
    name = asked.text("capacityProvider").rsplit("/", 1)[-1]
    backend = backends.ecs(asked.account, asked.region)
    for cluster in backend.clusters.values():
        if cluster.status == "ACTIVE" and name in (cluster.capacity_providers or []):
            message = f"The capacity provider cannot be deleted because it is associated with cluster: {cluster.name}."
            raise Refused(
                "ResourceInUseException", f"{message} Remove the capacity provider from the cluster and try again."
            )
