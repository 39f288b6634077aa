"""Task definitions of ECS: what their containers, ports, volumes and limits may be, beside sizes and dependencies.

Sources: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html (limits of each field),
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html (what Fargate does not take).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from localcloud.request import Call, Refused

Definition = Mapping[str, Any]

HEALTH_CHECK = {"interval": range(5, 301), "timeout": range(2, 121), "retries": range(1, 11), "startPeriod": range(301)}
"""Seconds, and times."""
HEALTH_COMMANDS = ("CMD", "CMD-SHELL", "NONE")

LEAST_MEMORY_MIB = 4
MOST_CONTAINERS = 10
PORTS = range(65_536)
STOP_SECONDS = range(121)
START_SECONDS = range(2, 121)

FARGATE_LOG_DRIVERS = ("awslogs", "splunk", "awsfirelens")
NOT_ON_FARGATE = {
    "privileged": "privileged containers",
    "dockerSecurityOptions": "docker security options",
    "disableNetworking": "disabling of networking",
    "extraHosts": "extra hosts",
}
"""Parameter of a container -> its name in the refusal, where it is set."""
LINUX_NOT_ON_FARGATE = ("devices", "maxSwap", "sharedMemorySize", "swappiness")
FARGATE_CAPABILITIES = ("SYS_PTRACE",)
NOT_IN_AWSVPC = ("links", "hostname", "dnsServers", "dnsSearchDomains", "extraHosts")


def containers_are_valid(asked: Call) -> None:
    """What holds of every task definition, on Fargate and elsewhere."""
    definition = asked.arguments
    for finding in (*_sizes(definition), *_ports(definition), *_volumes(definition), *_each(definition)):
        raise Refused("ClientException", finding)
    if "FARGATE" in (definition.get("requiresCompatibilities") or []):
        for finding in _on_fargate(definition):
            raise Refused("ClientException", finding)


def _containers(definition: Definition) -> Sequence[Definition]:
    return definition.get("containerDefinitions") or []


def _mib(text: object) -> int | None:
    """A task's memory or CPU where it is a plain number, which is how most write it."""
    return int(text) if isinstance(text, str | int) and str(text).isdecimal() else None


def _sizes(definition: Definition) -> Iterator[str]:
    task, units = _mib(definition.get("memory")), _mib(definition.get("cpu"))
    containers = _containers(definition)
    for one in containers:
        where = f"Invalid setting for container '{one.get('name')}'."
        memory, reserved = one.get("memory"), one.get("memoryReservation")
        if memory is None and reserved is None and task is None and definition.get("memory") is None:
            yield f"{where} At least one of 'memory' or 'memoryReservation' must be specified."
        for name, value in (("memory", memory), ("memoryReservation", reserved)):
            if value is not None and value < LEAST_MEMORY_MIB:
                yield f"{where} '{name}' must be at least {LEAST_MEMORY_MIB} MiB."
        if memory is not None and reserved is not None and reserved > memory:
            yield f"{where} The hard memory limit must be greater than the soft one (memoryReservation)."
        if memory is not None and task is not None and memory > task:
            yield f"{where} The container's memory ({memory}) must not exceed the task's ({task})."
        if (one.get("cpu") or 0) < 0:
            yield f"{where} 'cpu' must not be negative."
    if task is not None and sum(one.get("memoryReservation") or 0 for one in containers) > task:
        yield f"The memory reserved by all containers must not exceed the task's ({task})."
    if units is not None and sum(one.get("cpu") or 0 for one in containers) > units:
        yield f"The cpu reserved by all containers must not exceed the task's ({units})."


def _ports(definition: Definition) -> Iterator[str]:
    shared = definition.get("networkMode") in ("awsvpc", "host")
    seen = set()
    for one in _containers(definition):
        for mapping in one.get("portMappings") or []:
            inside, outside = mapping.get("containerPort"), mapping.get("hostPort")
            for port in (inside, outside):
                if port is not None and port not in PORTS:
                    yield f"Invalid port {port}: it must be between {PORTS[0]} and {PORTS[-1]}."
            if shared and inside is not None and outside not in (None, 0, inside):
                yield "When networkMode=awsvpc, the host ports and container ports in port mappings must match."
            key = inside, mapping.get("protocol") or "tcp"
            if shared and inside is not None and key in seen:
                yield f"The container port {inside} is mapped twice: containers of a task share their ports."
            seen.add(key)


def _volumes(definition: Definition) -> Iterator[str]:
    volumes = definition.get("volumes") or []
    names = [volume.get("name") for volume in volumes]
    if len(set(names)) < len(names):
        yield "Volume names within a task definition must be unique."
    for volume in volumes:
        files = volume.get("efsVolumeConfiguration") or {}
        if files.get("authorizationConfig") and files.get("transitEncryption") != "ENABLED":
            yield "EFS volume: transitEncryption must be ENABLED where authorizationConfig is given."
    for one in _containers(definition):
        for mount in one.get("mountPoints") or []:
            if mount.get("sourceVolume") not in names:
                yield f"Unknown volume '{mount.get('sourceVolume')}'."
        known = {other.get("name") for other in _containers(definition)}
        for source in one.get("volumesFrom") or []:
            if source.get("sourceContainer") not in known:
                yield f"Unknown container '{source.get('sourceContainer')}' in volumesFrom."


def _each(definition: Definition) -> Iterator[str]:
    if len(_containers(definition)) > MOST_CONTAINERS:
        yield f"A task definition has at most {MOST_CONTAINERS} containers."
    in_vpc = definition.get("networkMode") == "awsvpc"
    for one in _containers(definition):
        where = f"Invalid setting for container '{one.get('name')}'."
        if not one.get("name"):
            yield "Container.name should not be null or empty."
        if not one.get("image"):
            yield "Container.image should not be null or empty."
        for name in NOT_IN_AWSVPC if in_vpc else ():
            if one.get(name):
                yield f"{where} '{name}' is not supported when networkMode=awsvpc."
        yield from (f"{where} {finding}" for finding in _health_check(one.get("healthCheck") or {}))
        variables = {pair.get("name") for pair in one.get("environment") or []}
        secrets = [pair.get("name") for pair in one.get("secrets") or []]
        if doubled := sorted({name for name in secrets if name in variables or secrets.count(name) > 1}):
            yield (
                "The secret name must be unique and not shared with any new or existing environment variables set on "
                f"the container, such as '{doubled[0]}'."
            )
        for file in one.get("environmentFiles") or []:
            if not str(file.get("value", "")).endswith(".env"):
                yield f"{where} An environment file must end with .env, was '{file.get('value')}'."
        for limit in one.get("ulimits") or []:
            if limit.get("softLimit", 0) > limit.get("hardLimit", 0):
                yield f"{where} The soft limit of {limit.get('name')} must not exceed its hard limit."


def _health_check(check: Definition) -> Iterator[str]:
    command = check.get("command") or []
    if check and (not command or command[0] not in HEALTH_COMMANDS):
        yield f"The health check's command must begin with one of {', '.join(HEALTH_COMMANDS)}."
    for name, allowed in HEALTH_CHECK.items():
        value = check.get(name)
        if value is not None and value not in allowed:
            yield f"The health check's {name} must be between {allowed[0]} and {allowed[-1]}, was {value}."


def _on_fargate(definition: Definition) -> Iterator[str]:
    if definition.get("placementConstraints"):
        yield "Fargate tasks do not support placement constraints."
    if definition.get("inferenceAccelerators"):
        yield "Fargate tasks do not support inference accelerators."
    if definition.get("pidMode") == "host":
        yield "Fargate only supports pidMode ‘task’."
    if definition.get("ipcMode"):
        yield "Fargate tasks do not support ipcMode."
    for volume in definition.get("volumes") or []:
        if (volume.get("host") or {}).get("sourcePath"):
            yield "host.sourcePath should not be set for volumes in Fargate."
        if volume.get("dockerVolumeConfiguration"):
            yield "Fargate tasks do not support docker volumes."
    for one in _containers(definition):
        yield from _container_on_fargate(one)


def _container_on_fargate(one: Definition) -> Iterator[str]:
    where = f"Invalid setting for container '{one.get('name')}'."
    driver = (one.get("logConfiguration") or {}).get("logDriver")
    if driver is not None and driver not in FARGATE_LOG_DRIVERS:
        yield f"Log driver {driver} is not supported on Fargate; supported: {', '.join(FARGATE_LOG_DRIVERS)}."
    for name, words in NOT_ON_FARGATE.items():
        if one.get(name):
            yield f"{where} Fargate does not support {words}."
    for name, allowed in (("stopTimeout", STOP_SECONDS), ("startTimeout", START_SECONDS)):
        value = one.get(name)
        if value is not None and value not in allowed:
            yield f"{where} '{name}' must be between {allowed[0]} and {allowed[-1]} on Fargate, was {value}."
    linux = one.get("linuxParameters") or {}
    for name in LINUX_NOT_ON_FARGATE:
        if linux.get(name):
            yield f"{where} Fargate does not support linuxParameters.{name}."
    for capability in (linux.get("capabilities") or {}).get("add") or []:
        if capability not in FARGATE_CAPABILITIES:
            yield f"{where} Fargate does not let containers add the capability {capability}."
