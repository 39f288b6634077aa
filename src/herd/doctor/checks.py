"""The checks of `herd doctor` on this machine; those of the checkout's state are in `herd.doctor.local_state`."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable

from herd.checkout.apply import UNDER_WAY
from herd.checkout.find import Checkout, find_checkout
from herd.checkout.project_files import LOCK
from herd.doctor import local_state
from herd.doctor.local_state import Finding
from herd.errors import HerdError
from herd.targets import local_cloud
from herd.toolchain import browser, machine, packages, preflight, pulumi_cli, uv


def run_checks() -> list[Finding]:
    """All checks, in the order in which they depend on each other. Changes nothing."""
    checkout = find_checkout()
    return [look(checkout) for look in CHECKS]


def fix(findings: list[Finding]) -> list[str]:
    """Run the repairs, which lose no data; a line for each, with what was done or why it failed."""
    done = []
    for finding in findings:
        if finding.good or finding.repair is None:
            continue
        try:
            done.append(f"{finding.what}: {finding.repair()}")
        except (OSError, HerdError, machine.ToolMissing) as error:
            done.append(f"{finding.what}: could not be repaired: {error}")
    return done


def _python(checkout: Checkout) -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding("Python", good, f"{platform.python_version()} ({sys.executable})", "3.11 or newer is needed")


def _packages(checkout: Checkout) -> Finding:
    lock, installed = checkout.root / LOCK, checkout.root / ".venv" / LOCK
    if lock.is_file():  # a project that has Herd from wheels: its Makefile installs, and keeps a copy of the lock
        if (checkout.root / UNDER_WAY).exists():
            return Finding("packages", False, "an upgrade was interrupted", "`herd upgrade` finishes it")
        good = installed.is_file() and installed.read_bytes() == lock.read_bytes()
        return Finding("packages", good, "as locked" if good else f"not as {LOCK} says", "`make tools` installs them")
    good = packages.is_current(checkout.root, packages.RUN)

    def install() -> str:
        packages.ensure(checkout.root, checkout.cache, packages.RUN)
        return "installed as requirements.lock says"

    state = "as locked" if good else "not as requirements.lock says"
    return Finding("packages", good, state, "`make up` installs them", install)


def _uv(checkout: Checkout) -> Finding:
    path = uv.find(checkout.cache)
    return Finding(
        "uv", path is not None, str(path or "none"), "`make up` installs it", lambda: str(uv.ensure(checkout.cache))
    )


def _pulumi(checkout: Checkout) -> Finding:
    path = pulumi_cli.find(checkout.cache)
    if path is None:
        if not shutil.which("go"):
            return Finding("Pulumi", False, "none", pulumi_cli.HOW_TO_INSTALL)
        build = lambda: f"built: {pulumi_cli.ensure(checkout.cache)}"  # noqa: E731
        return Finding("Pulumi", False, "none", "`make up` builds it, once", build)
    version = ".".join(map(str, pulumi_cli.version_of(path)))
    host = "official" if pulumi_cli.has_language_host(path) else "Herd's own"
    return Finding("Pulumi", True, f"{version} ({path}); language host: {host}")


def _settings(checkout: Checkout) -> Finding:
    from herd.checkout import team_files

    try:
        specs = team_files.load(checkout, "dev")
    except HerdError as error:
        return Finding("settings", False, f"{len(str(error).splitlines())} problems", str(error))
    return Finding("settings", True, f"{len(specs.workloads)} workloads")


def _disk(checkout: Checkout) -> Finding:
    places = {checkout.root, preflight.existing(checkout.state), preflight.existing(checkout.cache)}
    free = {place: shutil.disk_usage(place).free / 1e9 for place in places}
    fullest = min(free, key=lambda place: free[place])
    return Finding(
        "disk",
        free[fullest] >= preflight.LEAST_FREE_GB,
        f"{free[fullest]:.1f} GB free at {fullest}",
        f"make room: {preflight.LEAST_FREE_GB} GB are needed at times; "
        f"`uv cache prune` and old folders in {checkout.cache} help",
    )


def _shell(checkout: Checkout) -> Finding:
    backend = os.environ.get("PULUMI_BACKEND_URL", "")
    foreign = backend.startswith("file://") and backend != checkout.pulumi.as_uri()
    return Finding(
        "this shell",
        not foreign,
        "has variables of another environment" if foreign else "fine",
        'open a new one, or eval "$(herd env)" here',
    )


def _browser(checkout: Checkout) -> Finding:
    installed = browser.find(checkout.cache)
    if installed:
        return Finding("browser", True, str(installed.program))
    return Finding("browser", True, "none with its driver: only the project's own tests need one", note=True)


def _engine(checkout: Checkout) -> Finding:
    """What runs the checkout's tasks, and whether it can."""
    if local_cloud.engine(checkout) != local_cloud.DOCKER:
        return Finding("tasks run as", True, local_cloud.TASKS_RUN_AS[local_cloud.PROCESS])
    from localcloud.docker.client import EMPTY_CACHE, DockerClient, DockerError

    try:
        client = DockerClient.find()
        server = client.check().server
    except DockerError as error:
        return Finding("tasks run as", False, "containers, and Docker cannot be used", str(error))
    cache = client.build_cache()
    kept = f"; its build cache takes {cache}: `{EMPTY_CACHE}` empties it, for all that is built here" if cache else ""
    return Finding("tasks run as", True, f"containers, by Docker {server} at {client.host}{kept}")


CHECKS: tuple[Callable[[Checkout], Finding], ...] = (
    _python,
    _packages,
    _uv,
    _pulumi,
    local_state.stack_settings,
    _settings,
    _engine,
    local_state.cloud,
    local_state.port,
    local_state.credentials,
    local_state.kept_state,
    local_state.processes,
    local_state.locks,
    local_state.pending,
    local_state.unmanaged_resources,
    local_state.subscriptions,
    local_state.half_built,
    local_state.permissions,
    _disk,
    _shell,
    _browser,
)
