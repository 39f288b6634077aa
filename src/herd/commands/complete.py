"""What a shell completes behind `herd`: names of workloads, images, environments, stacks and runs.

From files alone and at once: a shell waits for it at each Tab. Nothing of it ever fails: there is nothing to complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from herd.checkout.find import Checkout, find_checkout
from herd.errors import HerdError
from herd.runner.contract import names
from herd.runner.contract.kinds import FOLDERS

MOST_RUNS = 50

_Completer = Callable[[str], "list[tuple[str, str]]"]


def _completer(offered: Callable[[Checkout], Iterable[tuple[str, str]]]) -> _Completer:
    def complete(incomplete: str) -> list[tuple[str, str]]:
        with suppress(HerdError, OSError, ValueError):
            return [(name, help) for name, help in offered(find_checkout()) if name.startswith(incomplete)]
        return []

    return complete


def _folders(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


@_completer
def workloads(checkout: Checkout) -> Iterable[tuple[str, str]]:
    """Name, kind."""
    for kind, folder in FOLDERS.items():
        for name in _folders(checkout.root / folder):
            if names.WORKLOAD.fullmatch(name):
                yield name, kind


@_completer
def images(checkout: Checkout) -> Iterable[tuple[str, str]]:
    return [(name, "image") for name in _folders(checkout.root / "images")]


@_completer
def environments(checkout: Checkout) -> Iterable[tuple[str, str]]:
    """Those that are up on this machine, and those that have a file of settings."""
    stacks = checkout.pulumi / ".pulumi/stacks" / checkout.project
    up = {path.stem: "on this machine" for path in stacks.glob("*.json")}
    return sorted({**dict(_with_settings(checkout)), **up}.items())


@_completer
def stacks(checkout: Checkout) -> Iterable[tuple[str, str]]:
    return _with_settings(checkout)


def _with_settings(checkout: Checkout) -> list[tuple[str, str]]:
    files = sorted(path.name for path in checkout.root.glob("Pulumi.*.yaml"))
    named = [(file.removeprefix("Pulumi.").removesuffix(".yaml"), file) for file in files]
    return [(name, file) for name, file in named if names.ENVIRONMENT.fullmatch(name)]


@_completer
def runs(checkout: Checkout) -> Iterable[tuple[str, str]]:
    """The newest that `herd runs`, `status` or `show` has seen end."""
    from herd.runs.index import FILE, RunIndex

    return RunIndex(checkout.state / FILE).newest(MOST_RUNS)
