"""What only the machine can give, looked at in the first seconds: nobody is to learn after half an hour what lacks.

Where this user is root on a Debian, what is missing is installed.
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

from herd.toolchain import browser, debian, machine, pulumi_cli, uv
from herd.toolchain.machine import ToolMissing

LEAST_FREE_GB = 3


@dataclass(frozen=True)
class Need:
    """Something of the machine's, and Debian's package that has it."""

    what: str
    why: str
    package: str
    is_there: Callable[[Path], bool]
    """By the user's cache."""


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
"""Of every command."""

NEEDS_OF_TESTS = (
    _program("git", "lists the files that the tests copy", "git"),
    _program("curl", "asks an API as its users do", "curl"),
    *([_program("setsid", "starts what must not outlive its task", "util-linux")] if sys.platform == "linux" else []),
)


def look(root: Path, cache: Path, tests: bool) -> bool:
    """See that the machine has what it takes, bringing what can be brought before there are packages.

    Raises ToolMissing with everything that is missing and what to type. Is a browser to be brought by Selenium, once
    it is installed?
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
    """Git's own words where it will not list this checkout: it came as an archive, or belongs to another user."""
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
    """The folder itself, or the nearest one above it that there is."""
    while not path.exists():
        path = path.parent
    return path


def _skipped() -> list[str]:
    """What the tests leave out on this machine, and the way to have it."""
    left_out = {
        f"pages in a browser ({browser.SWITCH}=1)": browser.is_unwanted(),
        "the workflows by actionlint, which Go builds (https://go.dev/doc/install)": shutil.which("go") is None,
        "a full disk, and another user's hands, for which one has to be root": os.geteuid() != 0,
    }
    return [what for what, is_left_out in left_out.items() if is_left_out]
