"""Debian's packages: installed without a question where this user is root, after other installations have ended."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence

from herd.toolchain import machine
from herd.toolchain.machine import ToolMissing
from herd.toolchain.progress import Progress

LOCKED = "Could not get lock"
WAIT_SECONDS = 600.0
"""How long another installation on this machine may take; apt itself waits for some of its locks only."""

OPTIONS = [
    *("-q", "-y", "--no-install-recommends"),
    *("-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"),
]
"""With short time limits, so that an unreachable mirror is reported soon."""


def can_install() -> bool:
    """Whether this is Debian or a derivative, and this user is root."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def line(packages: Sequence[str]) -> str:
    """The command line that installs them."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y {' '.join(packages)}"


def install(packages: Sequence[str]) -> None:
    """Install packages from the sources of this machine. Raises ToolMissing with apt's last lines."""
    with Progress(f"installing {' '.join(packages)}") as progress:
        unreached: ToolMissing | None = None
        try:
            _apt("update", progress=progress)
        except ToolMissing as error:
            # Another source may have the package.
            unreached = error
        try:
            _apt("install", *packages, progress=progress)
        except ToolMissing as error:
            raise (unreached or error) from None


def _apt(command: str, *packages: str, progress: Progress) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l", "LC_ALL": "C.UTF-8"}
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            machine.run(["apt-get", command, *OPTIONS, *packages], env=quiet, on_line=progress.note)
        except ToolMissing as error:
            if LOCKED not in str(error) or time.monotonic() > deadline:
                raise
            progress.note("another process is installing")
            time.sleep(1)
        else:
            return
