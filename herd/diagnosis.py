"""What `herd doctor` looks at. It changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass

from herd import checkout as checkouts
from herd import local_cloud
from herd.checkout import Checkout
from herd.errors import HerdError
from herd.toolchain import packages, pulumi_cli, uv

LEAST_FREE_GB = 3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` is given when it is not good."""

    what: str
    good: bool
    found: str
    advice: str = ""


def examine() -> list[Finding]:
    """Everything, in the order in which one thing needs the other."""
    checkout = checkouts.current()
    return [look(checkout) for look in CHECKS]


def _python(checkout: Checkout) -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding("Python", good, f"{platform.python_version()} ({sys.executable})", "3.11 or newer is needed")


def _packages(checkout: Checkout) -> Finding:
    good = packages.is_current(checkout.root, packages.RUN)
    return Finding(
        "packages", good, "as locked" if good else "not as requirements.lock says", "`make up` installs them"
    )


def _uv(checkout: Checkout) -> Finding:
    found = uv.find(checkout.cache)
    return Finding("uv", found is not None, str(found or "none"), "`make up` installs it")


def _pulumi(checkout: Checkout) -> Finding:
    found = pulumi_cli.find(checkout.cache)
    if found is None:
        return Finding(
            "Pulumi",
            False,
            "none",
            pulumi_cli.HOW_TO_INSTALL if not shutil.which("go") else "`make up` builds it, once",
        )
    version = ".".join(map(str, pulumi_cli.version_of(found)))
    host = "official" if pulumi_cli.has_language_host(found) else "Herd's own"
    return Finding("Pulumi", True, f"{version} ({found}); language host: {host}")


def _settings(checkout: Checkout) -> Finding:
    from herd import project

    try:
        specs = project.load(checkout, "dev")
    except HerdError as error:
        return Finding("settings", False, f"{len(str(error).splitlines())} problems", str(error))
    return Finding("settings", True, f"{len(specs.workloads)} workloads")


def _cloud(checkout: Checkout) -> Finding:
    found = local_cloud.running(checkout)
    if found:
        told = found.ask({"do": "status"})
        return Finding("local cloud", True, f"{found.endpoint}, process {found.pid}, {told.get('memory_mb', '?')} MB")
    return Finding("local cloud", True, "not running; `herd up` starts it")


def _private(checkout: Checkout) -> Finding:
    files = [checkout.cloud / "aws" / "credentials", checkout.cloud / "endpoint.json", checkout.pulumi / "passphrase"]
    open_ = [str(file) for file in files if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077]
    return Finding(
        "credentials", not open_, "readable by you only" if not open_ else ", ".join(open_), "chmod 600 these files"
    )


def _disk(checkout: Checkout) -> Finding:
    free = {str(path): shutil.disk_usage(path).free / 1e9 for path in (checkout.root, _existing(checkout))}
    least = min(free.values())
    return Finding(
        "disk", least >= LEAST_FREE_GB, f"{least:.0f} GB free", f"make room: {LEAST_FREE_GB} GB are needed at times"
    )


def _existing(checkout: Checkout) -> str:
    path = checkout.cache
    while not path.exists():
        path = path.parent
    return str(path)


def _shell(checkout: Checkout) -> Finding:
    backend = os.environ.get("PULUMI_BACKEND_URL", "")
    foreign = backend.startswith("file://") and backend != f"file://{checkout.pulumi}"
    return Finding(
        "this shell",
        not foreign,
        "has variables of another environment" if foreign else "fine",
        'open a new one, or eval "$(herd env)" here',
    )


CHECKS: tuple[Callable[[Checkout], Finding], ...] = (
    _python,
    _packages,
    _uv,
    _pulumi,
    _settings,
    _cloud,
    _private,
    _disk,
    _shell,
)
