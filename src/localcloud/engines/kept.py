"""What a task definition may say, and what each engine makes of it: the one table, which docs/local-cloud.md shows.

A text that begins with "no" says that the engine does not keep it. What a task definition asks for and its engine does
not keep is said to who deploys it, once (`Notices`).
"""

from __future__ import annotations

import json
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud import atomic

YES = "yes"
PROCESS, DOCKER = "process", "docker"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row. `task` and `container` are members of RegisterTaskDefinition and of ContainerDefinition that say it, a
    dot before an inner one; `asks` narrows down which of their values ask for it.
    """

    what: str
    short: str = ""
    """How a sentence calls it, where that is shorter."""

    process: str = YES
    docker: str = YES
    task: tuple[str, ...] = ()
    container: tuple[str, ...] = ()
    asks: Callable[[Any], bool] = bool

    def is_kept(self, engine: str) -> bool:
        """By an engine's name."""
        text = self.docker if engine == DOCKER else self.process
        return text.split(":")[0].split(";")[0] != "no"

    def is_asked(self, definition: Mapping[str, Any]) -> bool:
        """Does the task definition say anything of it?"""
        containers = definition.get("containerDefinitions") or ()
        said = [_member(definition, path) for path in self.task]
        said += [_member(one, path) for one in containers for path in self.container]
        return any(self.asks(value) for value in said if value not in (None, "", 0, False, [], {}))


def _member(said: Any, path: str) -> Any:
    for name in path.split("."):
        said = said.get(name) if isinstance(said, Mapping) else None
    return said


def _is_other_processor(wanted: Any) -> bool:
    here = "ARM64" if platform.machine().lower() in ("aarch64", "arm64") else "X86_64"
    return str(wanted) != here


SETTINGS: Sequence[Setting] = (
    Setting(
        what="command, entry point, environment, working folder",
        container=("name", "image", "essential", "command", "entryPoint", "environment", "workingDirectory"),
        task=("family", "containerDefinitions", "tags", "requiresCompatibilities"),
    ),
    Setting(what="secrets", docker="yes; in no list of processes", container=("secrets",)),
    Setting(what="`environmentFiles`", process="no", docker="no", container=("environmentFiles",)),
    Setting(what="roles and credentials", process="yes; at the gateway, with a token",
            docker="yes; at 169.254.170.2, as on ECS", task=("taskRoleArn", "executionRoleArn")),
    Setting(what="memory: 137 and OutOfMemoryError", process="yes; looked at five times a second",
            docker="yes; by the kernel", task=("memory",), container=("memory",)),
    Setting(what="`memoryReservation`", process="no", docker="no", container=("memoryReservation",)),
    Setting(what="CPU", process="no", docker="yes; at most this machine's", task=("cpu",), container=("cpu",)),
    Setting(what="user", process="no: yours", container=("user",)),
    Setting(what="read-only root file system", process="no", container=("readonlyRootFilesystem",)),
    Setting(what="capabilities", process="no", container=("linuxParameters.capabilities",)),
    Setting(what="`no-new-privileges`", process="no", container=("dockerSecurityOptions",),
            asks=lambda value: "no-new-privileges" in " ".join(value)),
    Setting(what="other security options", process="no", docker="no", container=("dockerSecurityOptions",),
            asks=lambda value: any("no-new-privileges" not in one for one in value)),
    Setting(what="`ulimits`", process="no", container=("ulimits",)),
    Setting(what="an init process", process="yes; as if it were always set",
            container=("linuxParameters.initProcessEnabled",)),
    Setting(what="volumes, `mountPoints`, `volumesFrom`", short="volumes",
            process="no; TMPDIR is a folder of the container's own", docker="yes; they come and go with the task",
            task=("volumes",), container=("mountPoints", "volumesFrom")),
    Setting(what="`privileged`; folders of the machine, EFS and FSx as volumes", process="refused", docker="refused",
            container=("privileged",)),
    Setting(what="`dependsOn`, `startTimeout`", container=("dependsOn", "startTimeout")),
    Setting(what="`stopTimeout`, the image's STOPSIGNAL", container=("stopTimeout",)),
    Setting(what="`healthCheck`: shown by DescribeTasks; a service replaces a task that is not well",
            process="yes; by this machine's programs, the port is PORT", container=("healthCheck",)),
    Setting(what="a network for each task", process="no: this machine's", task=("networkMode",)),
    Setting(what="ports", process="yes; PORT and HOST say which one",
            docker="yes; as the definition names them, so replicas bind one port", container=("portMappings",)),
    Setting(what="log driver `awslogs`", container=("logConfiguration.logDriver",),
            asks=lambda value: value == "awslogs"),
    Setting(what="other log drivers, FireLens", short="log drivers other than awslogs",
            process="no: its lines go nowhere", docker="no: its lines go nowhere",
            container=("logConfiguration.logDriver", "firelensConfiguration"), asks=lambda value: value != "awslogs"),
    Setting(what="`ephemeralStorage`", process="no", docker="no", task=("ephemeralStorage",)),
    Setting(what="`systemControls`", process="no", docker="no", container=("systemControls",)),
    Setting(what="GPUs, other accelerators", short="GPUs", process="no", docker="no", task=("inferenceAccelerators",),
            container=("resourceRequirements",)),
    Setting(what="another processor than this machine's", process="no", docker="no: what the image was built for",
            task=("runtimePlatform.cpuArchitecture",), asks=_is_other_processor),
    Setting(what="Windows", process="no", docker="no", task=("runtimePlatform.operatingSystemFamily",),
            asks=lambda value: not str(value).startswith("LINUX")),
    Setting(what="`restartPolicy`", process="no", docker="no", container=("restartPolicy",)),
    Setting(what="`pidMode`, `ipcMode`", process="no", docker="no", task=("pidMode", "ipcMode")),
    Setting(what="devices, `tmpfs`, shared memory, swap", short="devices and memory of other kinds",
            process="no", docker="no", container=(
                "linuxParameters.devices", "linuxParameters.tmpfs", "linuxParameters.sharedMemorySize",
                "linuxParameters.maxSwap", "linuxParameters.swappiness")),
    Setting(what="names of hosts: `hostname`, `extraHosts`, DNS, `links`, `disableNetworking`",
            short="names of hosts", process="no", docker="no",
            container=("hostname", "extraHosts", "dnsServers", "dnsSearchDomains", "links", "disableNetworking")),
    Setting(what="`interactive`, `pseudoTerminal`, `dockerLabels`", short="terminals and Docker's labels",
            process="no", docker="no",
            container=("interactive", "pseudoTerminal", "dockerLabels")),
    Setting(what="`repositoryCredentials`, `credentialSpecs`, `proxyConfiguration`",
            short="credentials of registries and domains, and proxies", process="no", docker="no",
            task=("proxyConfiguration",), container=("repositoryCredentials", "credentialSpecs")),
    Setting(what="`versionConsistency`", process="yes; an image's digest", docker="yes; an image's digest",
            container=("versionConsistency",)),
    Setting(what="`placementConstraints`, fault injection, trusted execution", short="placement and fault injection",
            process="no: there is one machine", docker="no: there is one machine",
            task=("placementConstraints", "enableFaultInjection", "trustedExecutionConfiguration")),
)  # fmt: skip

OF_THE_IMAGE = (("RUN, USER, system packages, the image's Python or R", "no: this machine's programs", YES),)
"""Rows of what an image says, not a task definition."""


def table() -> str:
    """As Markdown."""
    rows = [(one.what, one.process, one.docker) for one in SETTINGS]
    lines = [f"| {what} | {process} | {docker} |" for what, process, docker in (*rows, *OF_THE_IMAGE)]
    return "\n".join(["| what is said | process engine | Docker engine |", "|---|---|---|", *lines])


def not_kept(engine: str, definition: Mapping[str, Any]) -> list[str]:
    """What a task definition asks for and the engine does not keep, as a sentence calls it."""
    return [one.short or one.what.replace("`", "") for one in SETTINGS
            if not one.is_kept(engine) and one.is_asked(definition)]  # fmt: skip


class Notices:
    """What was said to the person who deploys, in a file beside the cloud's own."""

    def __init__(self, file: Path, engine: str) -> None:
        self._file, self._engine = file, engine
        self._lock = threading.Lock()

    def of(self, definition: Mapping[str, Any]) -> str:
        """One sentence about what it asks for in vain and was not said before; empty for nothing."""
        new = self._new(not_kept(self._engine, definition))
        if not new:
            return ""
        if self._engine == DOCKER:
            return (
                f"tasks run as containers of Docker here, which do not keep what task definitions say of {_list(new)}"
            )
        neither = [what for what in new if what in not_kept(DOCKER, definition)]
        way = f"; `herd up --engine docker` does{f', but for {_list(neither)}' if neither else ''}"
        way = "" if neither == new else way
        return f"tasks run as processes here, which do not keep what task definitions say of {_list(new)}{way}"

    def of_image(self, lines: Sequence[str]) -> str:
        """One message about the lines of a Dockerfile that were left out and not named before; empty for none."""
        if not (new := self._new(lines)):
            return ""
        head = "tasks run as processes here, so these lines of Dockerfiles were left out"
        return "\n".join([f"{head}; `herd up --engine docker` runs them:", *(f"    {line}" for line in new)])

    def _new(self, names: Sequence[str]) -> list[str]:
        """Those that were not said before; now they are."""
        with self._lock:
            known = self._read()
            new = [name for name in dict.fromkeys(names) if f"{self._engine} {name}" not in known]
            if new:
                atomic.write(self._file, json.dumps(sorted({*known, *(f"{self._engine} {name}" for name in new)})))
            return new

    def _read(self) -> set[str]:
        try:
            return set(json.loads(self._file.read_text()))
        except (OSError, ValueError, TypeError):
            return set()  # then it is said once more


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
