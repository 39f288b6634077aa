"""How a container becomes something that runs: one small protocol, answered by types.

An engine takes a `Container` (what a task definition and its overrides say, already merged) and gives a `Handle`.
It calls back with each line of output and, exactly once, with the `Exit`. `process.ProcessEngine` runs containers as
processes of this machine, `docker.engine.DockerEngine` as containers of its Docker daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

KILLED = 137
"""Exit code of a container that was killed: 128 + SIGKILL, as every container runtime reports it."""

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
"""What ECS says as the container's reason when its memory limit was passed."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume of the task at a path of the container."""

    volume: str
    path: str
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """A command whose status says whether the container is well; all times in seconds."""

    test: tuple[str, ...]
    interval_seconds: int = 30
    timeout_seconds: int = 5
    retries: int = 3
    start_period_seconds: int = 0


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One of setrlimit(2), by ECS's name, such as `nofile`."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """What a task definition says of how a container is shut in. Which engine keeps what: kept.py.

    `user` is as in Dockerfile's USER; None is the image's. `cpus` are whole processors.
    """

    user: str | None = None
    read_only_root: bool = False
    init: bool = False
    capabilities_dropped: tuple[str, ...] = ()
    capabilities_added: tuple[str, ...] = ()
    no_new_privileges: bool = False
    cpus: float | None = None
    mounts: tuple[Mount, ...] = ()
    limits: tuple[Limit, ...] = ()
    working_folder: str | None = None
    health_check: HealthCheck | None = None
    on_health: Callable[[str], None] | None = None
    """Called with HEALTHY or UNHEALTHY when the health check has found so."""


@dataclass(frozen=True, kw_only=True)
class TaskNetwork:
    """What the containers of one task share. `ports` are (in the container, on this machine's loopback) of all of
    them. It is there from the first start of one of them until `Engine.end_task`.
    """

    identity: str
    ports: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container to start.

    `entrypoint` and `command` are None where the image's own hold; as in ECS and Docker, a given `entrypoint` drops the
    image's CMD. `environment` comes on top of the image's ENV. `memory_mb` is a hard limit in MiB over all processes of
    the container; None is no limit. `stop_timeout_seconds` lies between SIGTERM and SIGKILL. Without a `task` it is one
    by itself.
    """

    name: str
    image: str
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int | None = None
    stop_timeout_seconds: int = 30
    isolation: Isolation = field(default_factory=Isolation)
    task: TaskNetwork | None = None


@dataclass(frozen=True)
class Exit:
    """How a container ended: its exit code (128 + signal when a signal ended it) and, if the engine knows more, why."""

    code: int
    reason: str = ""


class CannotStart(Exception):
    """The container did not start; the text is the reason, in words for the person whose container it is."""


class Handle(Protocol):
    """A container that was started."""

    @property
    def pid(self) -> int:
        """Process id of the container's first process on this machine; 0 where there is none (any more)."""

    def stop(self) -> None:
        """Ask it to end: SIGTERM, SIGKILL after the grace period. Returns at once; a second call changes nothing."""

    def wait(self, timeout: float | None = None) -> Exit | None:
        """The exit, or None if it still runs after `timeout` seconds."""


class Engine(Protocol):
    """Something that starts containers."""

    has_own_network: bool
    """Has each task a network of its own, so that its containers bind the ports that their definition names?"""

    def start(self, container: Container, on_line: Callable[[str], None], on_exit: Callable[[Exit], None]) -> Handle:
        """Start it.

        `on_line` gets each line of standard output and standard error without its line end; `on_exit` is called once,
        after the last line. Both are called on threads of the engine, possibly before `start` has returned: a container
        can be that quick. Raises `CannotStart`, and then neither is ever called.
        """

    def end_task(self, identity: str) -> None:
        """All containers of a task have ended: let go what they shared. Returns at once; unknown ones are ignored."""
