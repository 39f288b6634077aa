"""Checks in the first seconds that the machine has what the build needs, so that nothing fails half an hour later.

As root on Debian it installs what is missing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from herd.toolchain import browser, debian, docker, machine, pulumi_cli, uv
from herd.toolchain.machine import ToolMissing

LEAST_FREE_GB = 3


@dataclass(frozen=True)
class Need:
    """A program or module of the machine, and Debian's package for it. `why`: what it is needed for."""

    what: str
    why: str
    package: str
    is_there: Callable[[Path], bool]
    """Whether it is installed; the argument is the user's cache."""


def _program(name: str, why: str, package: str) -> Need:
    return Need(name, why, package, lambda cache: shutil.which(name) is not None)


NEEDS = (
    Need(
        "Python's own venv",
        "installs uv, which installs the packages",
        "python3-venv",
        lambda cache: uv.find(cache) is not None or importlib.util.find_spec("ensurepip") is not None,
    ),
)
"""Needed by every command."""

NEEDS_OF_TESTS = (
    _program("git", "lists the files that the tests copy", "git"),
    _program("curl", "asks an API as its users do", "curl"),
    *([_program("setsid", "starts what must not outlive its task", "util-linux")] if sys.platform == "linux" else []),
)


def look(root: Path, cache: Path, tests: bool) -> bool:
    """Check the machine, and install what can be installed before there are packages.

    Returns whether Selenium's manager is to install a browser later. Raises ToolMissing with everything that is
    missing, and the commands that install it.
    """
    if misread := [why for why in map(machine.unusable, (root, cache)) if why]:
        raise ToolMissing("\n".join(misread))
    trouble = _bring(NEEDS + (NEEDS_OF_TESTS if tests else ()), cache)
    if pulumi_cli.find(cache) is None and not shutil.which("go"):
        trouble.append(pulumi_cli.HOW_TO_INSTALL)
    trouble += _disk(root, cache)
    reachable = False
    if tests:
        trouble += _git(root)
        for skipped in _skipped():
            print(f"not tried here: {skipped}", file=sys.stderr)
        if not browser.is_unwanted() and browser.find(cache) is None:
            reachable = browser.is_reachable()
            if not reachable and not debian.can_install():
                trouble.append(browser.advice())
        if not docker.is_unwanted():
            try:
                docker.ensure(cache)
            except ToolMissing as error:
                trouble.append(str(error))
    if trouble:
        raise ToolMissing("\n".join(trouble))
    if tests and not browser.is_unwanted() and not reachable:
        browser.ensure(cache, Path(sys.executable), reachable)
    return reachable


def _bring(needs: tuple[Need, ...], cache: Path) -> list[str]:
    missing = [need for need in needs if not need.is_there(cache)]
    why_not = []
    if missing and debian.can_install():
        try:
            debian.install([need.package for need in missing])
        except ToolMissing as error:
            why_not = [str(error)]
        importlib.invalidate_caches()
        missing = [need for need in missing if not need.is_there(cache)]
    if not missing:
        return []
    packages = debian.line([need.package for need in missing])
    return [*why_not, *(f"{need.what} is missing: it {need.why}" for need in missing), f"    {packages}     (Debian)"]


def _git(root: Path) -> list[str]:
    """A line with Git's reason if it does not list this checkout: an archive, or another user's folder."""
    if not shutil.which("git"):
        return []
    done = subprocess.run(["git", "-C", str(root), "ls-files", "Makefile"], capture_output=True, text=True)
    if done.returncode == 0 and done.stdout.strip():
        return []
    said = done.stderr.strip() or "it does not know this checkout's files"
    return [f"the tests copy the files that Git lists, and Git will not list those of {root}: {said}"]


def _disk(root: Path, cache: Path) -> list[str]:
    places = {existing(root), existing(cache)}
    return [
        f"{free:.1f} GB are free at {place}: {LEAST_FREE_GB} GB are needed; make room there"
        for place in sorted(places)
        if (free := shutil.disk_usage(place).free / 1e9) < LEAST_FREE_GB
    ]


def existing(path: Path) -> Path:
    """The folder itself, or its nearest parent that exists."""
    while not path.exists():
        path = path.parent
    return path


def _skipped() -> list[str]:
    """What the tests leave out on this machine, with the reason."""
    left_out = {
        f"pages in a browser ({browser.SWITCH}=1)": browser.is_unwanted(),
        f"images and containers of Docker ({docker.SWITCH}=1)": docker.is_unwanted(),
        "the workflows by actionlint, which Go builds (https://go.dev/doc/install)": shutil.which("go") is None,
        "a full disk, and another user's hands, for which one has to be root": os.geteuid() != 0,
    }
    return [what for what, is_left_out in left_out.items() if is_left_out]
