"""What runs tasks and where their images are, by the engine that was chosen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from localcloud.config import LOOPBACK, Config, LocalCloudError
from localcloud.docker.client import WITHOUT, DockerClient, DockerError
from localcloud.engines.docker.api import Daemon, DaemonError
from localcloud.engines.docker.engine import DockerEngine
from localcloud.engines.docker.network import CREDENTIALS

_SOCKET = "unix://"

DESKTOP = "Docker Desktop"
"""How its daemon calls the system that it runs on."""


def daemon_of_this_machine(client: DockerClient) -> Daemon:
    """The daemon behind a client. Raises LocalCloudError with the way out where its containers cannot be tasks."""
    try:
        client.check()
        host = client.host
        if not host.startswith(_SOCKET):
            raise LocalCloudError(
                f"the Docker daemon at {host} is not asked by a socket of this machine; unset DOCKER_HOST or choose "
                f"another context (docker context use default), {WITHOUT}"
            )
        daemon = Daemon(host.removeprefix(_SOCKET))
        system = str(daemon.call("GET", "/info").get("OperatingSystem"))
    except (DockerError, DaemonError) as error:
        raise LocalCloudError(str(error)) from error
    if sys.platform != "linux" or system == DESKTOP:
        raise LocalCloudError(
            f"tasks run in a daemon on this Linux machine itself, not in the virtual machine of {DESKTOP}: a task's "
            f"network is opened by handing over sockets, which no virtual machine lets through; {WITHOUT}"
        )
    return daemon


def docker(
    config: Config, port: int, databases: Callable[[], Mapping[tuple[str, int], int]], parts: ExitStack
) -> tuple[Any, DockerEngine]:
    """Images and engine of a cloud whose tasks are containers. Raises LocalCloudError.

    Tasks reach the cloud at `port` of their own loopback, and its databases at theirs.
    """
    from localcloud.docker.images import DockerImages

    try:
        client = DockerClient.find()
        daemon = daemon_of_this_machine(client)
        images = DockerImages(config.home / "images" / "docker", client)
        parts.callback(images.close)
        engine = DockerEngine(
            daemon, config.identity, images, lambda: {(LOOPBACK, port): port, CREDENTIALS: port, **databases()}
        )
    except (DockerError, DaemonError) as error:
        raise LocalCloudError(f"{error}; {WITHOUT}" if WITHOUT not in str(error) else str(error)) from error
    parts.callback(engine.close)
    return images, engine
