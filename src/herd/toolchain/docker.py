"""Docker for the tests: its daemon's programs, from Debian's packages where this user is root.

The tests start a daemon of their own (harness/docker_daemon.py), so that one which a person works with is left alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from herd.toolchain import debian, machine
from herd.toolchain.machine import ToolMissing

SWITCH = "HERD_NO_DOCKER"

PACKAGES = ("docker.io", "iproute2", "iptables", "mmdebstrap")
"""The daemon with its containers' runtime, what makes its network, and what makes base images."""

CLIENT_PACKAGES = ("docker-cli", "docker-buildx")
"""Where Debian's docker.io brings no client any more."""

PROGRAMS = ("dockerd", "containerd", "runc", "docker", "ip", "iptables", "mmdebstrap")

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where Debian's packages put them; an ordinary PATH may lack the first."""


def is_unwanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether HERD_NO_DOCKER=1 skips the tests with real containers."""
    return environment.get(SWITCH) == "1"


def missing() -> list[str]:
    """The programs that are not here."""
    return [name for name in PROGRAMS if program(name) is None]


def program(name: str) -> Path | None:
    """Where a program lies: Debian's first, which has BuildKit in its client."""
    path = shutil.which(name, path=PATH) or shutil.which(name)
    return Path(path) if path else None


def may_run() -> bool:
    """Whether this user can start a daemon: root, with the rights that mounts and bridges need."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    # In a container without privileges root may not even make a name space of its own.
    unshare = shutil.which("unshare", path=PATH)
    if unshare is None:
        return True
    return subprocess.run([unshare, "--mount", "--net", "true"], capture_output=True).returncode == 0


def ensure(cache: Path) -> None:
    """Install what is missing. Raises ToolMissing with reasons and advice."""
    if not may_run():
        raise ToolMissing(advice())
    if not missing():
        return
    with machine.exclusive(cache / "docker.lock", lambda: print("another process brings Docker …")):
        tried = []
        if debian.can_install():
            try:
                debian.install([*PACKAGES])
                if "docker" in missing():
                    debian.install([*CLIENT_PACKAGES])
            except ToolMissing as error:
                tried.append(str(error))
        if lacking := missing():
            raise ToolMissing("\n".join([*tried, f"not on PATH: {', '.join(lacking)}", advice()]))


def advice() -> str:
    """What to type where there are no rights or no packages."""
    why = "" if may_run() else "It takes root's rights on Linux (in a container: --privileged). "
    return (
        "The tests build and run real images with a Docker daemon that they start and end themselves.\n"
        f"{why}Run them as root, or leave those tests out:\n"
        f"    {debian.line(PACKAGES)}     (Debian)\n"
        f"    {SWITCH}=1 make test"
    )
