"""Pulumi: the one on PATH if its version suffices, else one that is built once from its Go modules into the cache.

The build needs Go and its module proxy only, so it works in networks that reach nothing but package registries.
`pulumi/go.mod` and `go.sum` beside this file pin every module with its hash.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from herd.toolchain import machine
from herd.toolchain.machine import ToolMissing
from herd.toolchain.progress import Progress

VERSION = "3.259.0"
OWN_HOST = Path(__file__).parents[1] / "language_host"
"""The folder of Herd's own language host; it must be on PATH for the engine."""
MODULE = Path(__file__).parent / "pulumi"
COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"

# Without the version `pulumi version` is empty and the program's SDK refuses to talk to it.
FLAGS = [
    "-trimpath",
    "-tags",
    "osusergo,grpcnotrace",
    "-ldflags",
    f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}",
]

PACKAGES = 2000
"""About how many Go packages the build compiles, for the progress line."""

HOW_TO_INSTALL = (
    f"Pulumi {VERSION} or newer is not on PATH, and neither is Go to build it with.\n"
    "Install one of them, then try again:\n"
    "    Pulumi   https://www.pulumi.com/docs/install/   (or: brew install pulumi)\n"
    "    Go       https://go.dev/doc/install             (Pulumi is then built once, which takes about four minutes)"
)


def find(cache: Path, path: str | None = None) -> Path | None:
    """Pulumi on PATH if it is of the pinned minor version or newer, else one that was built earlier; None: neither."""
    on_path = shutil.which("pulumi", path=path)
    if on_path and _suits(version_of(Path(on_path))):
        return Path(on_path)
    built = _built(cache)
    return built if os.access(built, os.X_OK) else None


def ensure(cache: Path) -> Path:
    """Pulumi, built if necessary. Raises ToolMissing if it is neither installed nor can be built."""
    return find(cache) or _build(cache)


def version_of(pulumi: Path) -> tuple[int, ...]:
    """`(3, 259, 0)`; () if it prints no version."""
    quiet = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        said = subprocess.run([pulumi, "version"], capture_output=True, text=True, timeout=30, env=quiet).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", said.strip())
    return tuple(map(int, match.groups())) if match else ()


def has_language_host(pulumi: Path) -> bool:
    """Whether this Pulumi has the official Python language host beside it, as every official distribution does."""
    return (pulumi.resolve().parent / "pulumi-language-python").exists()


def path_with_host(path: str) -> str:
    """PATH with Herd's own language host on it, once."""
    own = str(OWN_HOST)
    return os.pathsep.join([own, *(entry for entry in path.split(os.pathsep) if entry != own)])


def missing_plugins(packages: Sequence[str], base: Mapping[str, str] = os.environ) -> list[str]:
    """Official plugins that are not installed, in the exact versions that the packages need: `aws 7.51.1`."""
    home = Path(base.get("PULUMI_HOME") or Path(base.get("HOME") or "~").expanduser() / ".pulumi")
    needed = [(package, metadata.version(f"pulumi-{package}")) for package in packages]
    return [
        f"{package} {version}"
        for package, version in needed
        if not (home / "plugins" / f"resource-{package}-v{version}" / f"pulumi-resource-{package}").exists()
        and not shutil.which(f"pulumi-resource-{package}", path=base.get("PATH"))
    ]


def plugin_install_advice(missing: Sequence[str]) -> str:
    """Advice for networks that cannot download Pulumi's plugins."""
    names = " and ".join(missing)
    commands = " and ".join(f"`pulumi plugin install resource {entry} --file FILE`" for entry in missing)
    return (
        f"Pulumi lacks the plugins {names}, which it downloads at the first use; where the network does not let it, "
        f"take their archives from get.pulumi.com elsewhere and bring them by {commands}"
    )


def _suits(version: tuple[int, ...]) -> bool:
    pinned = tuple(map(int, VERSION.split(".")))
    return version[:1] == pinned[:1] and version[:2] >= pinned[:2]


def _built(cache: Path) -> Path:
    return cache / "pulumi" / VERSION / "pulumi"


def _build(cache: Path) -> Path:
    go = shutil.which("go")
    if not go:
        raise ToolMissing(HOW_TO_INSTALL)
    target = _built(cache)
    label = f"building Pulumi {VERSION} from its Go modules, once (about four minutes)"
    with machine.exclusive(target.parent / "lock", lambda: print("waiting for another process that builds Pulumi …")):
        if os.access(target, os.X_OK):
            return target
        half_built = target.with_name("pulumi.new")
        with Progress(label) as progress:
            compiled = 0

            def count(line: str) -> None:
                nonlocal compiled
                if line.startswith("go: downloading"):
                    progress.note(line.removeprefix("go: "))
                elif " " not in line:
                    compiled += 1
                    progress.note(f"{compiled} of about {max(PACKAGES, compiled)} packages")

            environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
            machine.run([go, "build", "-v", *FLAGS, "-o", str(half_built), COMMAND], MODULE, environment, count)
            if version_of(half_built) != tuple(map(int, VERSION.split("."))):
                raise ToolMissing(
                    f"the Pulumi that was built does not say that it is {VERSION}; remove {target.parent}"
                )
        # Renamed at the end, so that an interrupted build is never used.
        half_built.replace(target)
        return target
