"""What a task definition says of how its containers are shut in, for engines that keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from localcloud.agent.execution_role import CannotPrepare
from localcloud.engines import HealthCheck, Isolation, Limit, Mount

CPU_UNITS = 1024
"""CPU units of one processor."""

HEALTH_DEFAULTS = {"interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0}
"""Seconds and tries.
Source: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html"""


def isolation(task: Any, definition: Mapping[str, Any]) -> Isolation:
    """Of one container of a task. Raises `CannotPrepare` for what this machine must not or cannot do."""
    linux = definition.get("linuxParameters") or {}
    capabilities = linux.get("capabilities") or {}
    if definition.get("privileged"):
        raise CannotPrepare(
            f"CannotStartContainerError: container {definition['name']} is privileged, which would give it this "
            "machine; the local cloud starts no such container"
        )
    return Isolation(
        user=definition.get("user"),
        read_only_root=bool(definition.get("readonlyRootFilesystem")),
        init=bool(linux.get("initProcessEnabled")),
        capabilities_dropped=tuple(capabilities.get("drop") or ()),
        capabilities_added=tuple(capabilities.get("add") or ()),
        no_new_privileges="no-new-privileges" in " ".join(definition.get("dockerSecurityOptions") or ()),
        cpus=processors(task.cpu) or processors(definition.get("cpu")),
        mounts=tuple(_mounts(task, definition)),
        limits=tuple(
            Limit(name=one["name"], soft=int(one["softLimit"]), hard=int(one["hardLimit"]))
            for one in definition.get("ulimits") or ()
        ),
        working_folder=definition.get("workingDirectory"),
        health_check=_health_check(definition.get("healthCheck")),
    )


def processors(cpu: Any) -> float | None:
    """A task's CPU as ECS takes it: `256`, `"256"` or `".25 vCPU"`; None for none."""
    words = str(cpu or "").lower().removesuffix("vcpu")
    try:
        size = float(words)
    except ValueError:
        return None
    return (size if words != str(cpu).lower() else size / CPU_UNITS) or None


def _mounts(task: Any, definition: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> list[Mount]:
    """Its own, and those of the containers that `volumesFrom` names, where it has none at the same path."""
    mounts = {mount.path: mount for mount in _own_mounts(task, definition)}
    containers = {one["name"]: one for one in task.definition.container_definitions}
    for source in definition.get("volumesFrom") or ():
        name = source.get("sourceContainer")
        if name not in containers:
            raise CannotPrepare(
                f"CannotStartContainerError: container {definition['name']} takes volumes from {name}, which the task "
                "definition has not"
            )
        if name in seen:
            continue
        for mount in _mounts(task, containers[name], seen | {definition["name"]}):
            mounts.setdefault(mount.path, replace(mount, read_only=mount.read_only or bool(source.get("readOnly"))))
    return list(mounts.values())


def _own_mounts(task: Any, definition: Mapping[str, Any]) -> list[Mount]:
    volumes = {one["name"]: one for one in task.definition.volumes or ()}
    mounts = []
    for point in definition.get("mountPoints") or ():
        volume = volumes.get(point["sourceVolume"], {})
        if (volume.get("host") or {}).get("sourcePath") or set(volume) & {
            "efsVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration",
        }:  # fmt: skip
            raise CannotPrepare(
                f"CannotStartContainerError: volume {point['sourceVolume']} is a folder of a machine or of a file "
                "server; the local cloud has volumes only that come and go with their task"
            )
        mounts.append(
            Mount(volume=point["sourceVolume"], path=point["containerPath"], read_only=bool(point.get("readOnly")))
        )
    return mounts


def _health_check(said: Mapping[str, Any] | None) -> HealthCheck | None:
    if not said or not said.get("command"):
        return None
    of = {name: int(said.get(name) or default) for name, default in HEALTH_DEFAULTS.items()}
    return HealthCheck(
        test=tuple(said["command"]),
        interval_seconds=of["interval"],
        timeout_seconds=of["timeout"],
        retries=of["retries"],
        start_period_seconds=of["startPeriod"],
    )
