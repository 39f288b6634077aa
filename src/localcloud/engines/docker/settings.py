"""From a `Container` to what the Docker daemon takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import Container, HealthCheck

SECOND = 1_000_000_000
"""The daemon counts nanoseconds."""


def settings(
    container: Container,
    image: str,
    network: str,
    labels: Mapping[str, str],
    files: Mapping[str, str],
    processors: float,
    volume_prefix: str,
) -> dict[str, Any]:
    """The body of `POST /containers/create`.

    `network` is the container whose network it shares; `files` are files of this machine that it may read, and where;
    `processors` is how many this machine has: the daemon refuses more.
    """
    kept = container.isolation
    volumes = [
        {
            "Type": "volume",
            "Source": volume_prefix + mount.volume,
            "Target": mount.path,
            "ReadOnly": mount.read_only,
            "VolumeOptions": {"Labels": dict(labels)},
        }
        for mount in kept.mounts
    ]
    binds = [{"Type": "bind", "Source": here, "Target": there, "ReadOnly": True} for here, there in files.items()]
    memory = (container.memory_mb or 0) << 20
    body: dict[str, Any] = {
        "Image": image,
        "Env": [f"{name}={value}" for name, value in container.environment.items()],
        "Labels": {**labels, "localcloud.container": container.name},
        "AttachStdout": True,
        "AttachStderr": True,
        "StopTimeout": container.stop_timeout_seconds,
        # ECS looks at the definition's health check only, never at the image's.
        "Healthcheck": _health_check(kept.health_check) if kept.health_check else {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": f"container:{network}",
            "Memory": memory,
            "MemorySwap": memory,  # the sum of both: no swap, as on Fargate
            "NanoCpus": round(min(kept.cpus, processors) * SECOND) if kept.cpus else 0,
            "ReadonlyRootfs": kept.read_only_root,
            "Init": kept.init,
            "CapDrop": list(kept.capabilities_dropped),
            "CapAdd": list(kept.capabilities_added),
            "SecurityOpt": ["no-new-privileges"] if kept.no_new_privileges else [],
            "Ulimits": [{"Name": one.name, "Soft": one.soft, "Hard": one.hard} for one in kept.limits],
            "Mounts": [*volumes, *binds],
            "LogConfig": {"Type": "none"},  # its lines come by the connection that is made before it starts
        },
    }
    if container.entrypoint is not None:
        body["Entrypoint"] = list(container.entrypoint)
    if container.command is not None:
        body["Cmd"] = list(container.command)
    if kept.user is not None:
        body["User"] = kept.user
    if kept.working_folder is not None:
        body["WorkingDir"] = kept.working_folder
    return body


def _health_check(check: HealthCheck) -> dict[str, Any]:
    return {
        "Test": list(check.test),
        "Interval": check.interval_seconds * SECOND,
        "Timeout": check.timeout_seconds * SECOND,
        "Retries": check.retries,
        "StartPeriod": check.start_period_seconds * SECOND,
    }
