"""The executables that a Pulumi engine starts to reach the providers of `plugins`.

Apart from them and the standard library only, because whoever installs the executables need not load the providers.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from localcloud import atomic

VERSIONS = {"aws": "7.51.1", "docker": "5.2.0"}
"""The providers by package, and the release that each stands for."""

LAUNCHER = Path(__file__).parent / "plugins/launcher.py"


def install_plugins(home: Path, pulumi_home: Path, python: str = sys.executable) -> list[Path]:
    """Write the executables that an engine with this PULUMI_HOME finds; the paths. Safe to repeat."""
    endpoint = (home / "endpoint.json").absolute()
    written = []
    for package, version in VERSIONS.items():
        folder = pulumi_home / "plugins" / f"resource-{package}-v{version}"
        folder.mkdir(parents=True, exist_ok=True)
        # The shell starts it, because a `#!` line cannot name an interpreter whose path has a space.
        command = shlex.join([python, "-I", "-S", str(LAUNCHER), str(endpoint), package])
        executable = folder / f"pulumi-resource-{package}"
        atomic.write(executable, f'#!/bin/sh\nexec {command} "$@"\n', 0o755)
        written.append(executable)
    return written
