"""Leftovers of `herd down`: resources in the account, processes, files.

In the local cloud resources are compared with a listing from before the environment was made, so that leftovers without
its name or tag are seen too. On AWS, where others use the same account, only resources with its name or tag count.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from herd.checkout.find import Checkout
from herd.deploy import inventory
from herd.deploy.inventory import Item
from herd.deploy.unmanaged import Unmanaged
from herd.errors import HerdError
from herd.targets.local import LocalTarget
from herd.targets.target import Target
from herd.toolchain import atomic

STAYS = {
    "cloud": ("aws", "cloud.log", "engine", "lock", "port", "set-aside-"),
    "pulumi": (".pulumi", "Pulumi.yaml", "passphrase", "set-aside-"),
}
"""Folder below `.herd/` -> prefixes of the names that stay after the last environment: the local cloud's address, keys
and log, copies that were set aside, Pulumi's passphrase and the backend's own settings.
"""


@dataclass(frozen=True)
class Left:
    """What still exists after a removal. `own`: the environment's, which should be gone. `others`: of no environment;
    `added`: those of them that were made after the environment. `unseen`: kinds that could not be listed. `secrets`: of
    protected environments. `retained`: declared so, or removed from Pulumi's state by hand.
    """

    own: list[Item]
    others: list[Item]
    added: list[Item]
    unseen: tuple[str, ...]
    secrets: list[Item] = field(default_factory=list)
    retained: tuple[Unmanaged, ...] = ()


def record_existing(target: LocalTarget) -> None:
    """Record the account's resources before an environment is made. A new local cloud, which has none, is not asked."""
    items = [] if target.cloud.is_unused else inventory.take(target).items
    names = {str(item) for item in items if item.environment != target.name}
    atomic.write(_memory(target), json.dumps(sorted(names)))


def look(
    target: Target, keeps_secrets: bool = False, adopted: Collection[str] = (), retained: tuple[Unmanaged, ...] = ()
) -> Left:
    """The leftovers of an environment; waits up to `pace.gone` for dependent resources to disappear.

    `adopted`: buckets that are not its own, though they may have its name or tag.
    """
    names = {name for one in retained for name in one.names}
    whole = target.owns_account
    before = _before(target)
    deadline = time.monotonic() + target.pace.gone
    while True:
        now = inventory.take(target)
        secrets = sorted(item for item in now.items if whole and item.kind == "secret" and item.environment)
        own = sorted(item for item in now.items if item.environment == target.name)
        own = [item for item in own if item.kind != "bucket" or item.name not in adopted]
        own = [item for item in own if item.name not in names]
        if keeps_secrets:
            own = [item for item in own if item.kind != "secret"]
        if not own or time.monotonic() > deadline:
            others = sorted(item for item in now.items if whole and not item.environment and item.name not in names)
            added = [item for item in others if str(item) not in before]
            return Left(own, others, added, now.unseen, secrets, retained)
        time.sleep(target.pace.poll)


def raise_if_any(target: Target, left: Left) -> None:
    """Raise HerdError that names the environment's leftovers, if there are any."""
    if not left.own:
        return
    again = f"herd down {' '.join(target.option)}"
    retained = f", or by `{again} --retained`" if target.can_remove_retained else ""
    ways = f"Remove them with `aws`{retained}; `{again}` then looks again"
    raise HerdError(
        "\n".join(
            [
                f"{target.name} is removed, but this is left of it:",
                *(f"    {item}" for item in left.own),
                f"No update knows these any more. {ways}",
            ]
        )
    )


def clear_files(target: Target) -> None:
    """Remove the files of a removed environment: build contexts of its images; Pulumi's history, backups and locks."""
    backend = target.checkout.pulumi / ".pulumi"
    project = target.checkout.project
    _memory(target).unlink(missing_ok=True)
    target.is_going = False
    for folder in (
        target.checkout.state / "build" / target.name,
        backend / "history" / project / target.name,
        backend / "backups" / project / target.name,
        backend / "locks" / "organization" / project / target.name,
    ):
        shutil.rmtree(folder, ignore_errors=True)


def files(checkout: Checkout) -> list[str]:
    """Files below `.herd/` that should be gone after the last environment; paths relative to it.

    Build contexts of stacks on AWS may stay: a preview or `herd check` made them.
    """
    paths = [
        path
        for folder, kept in STAYS.items()
        for path in (checkout.state / folder).glob("*")
        if not path.name.startswith(kept)
    ]
    paths += (checkout.pulumi / ".pulumi" / "stacks").rglob("*.json")
    return sorted(str(path.relative_to(checkout.state)) for path in paths)


def processes(checkout: Checkout) -> list[str]:
    """Processes that work in the checkout's `.herd/` or were started from there."""
    return sorted(_processes(lambda path: path.startswith(f"{checkout.state}/")))


def _processes(inside: Callable[[str], bool]) -> Iterable[str]:
    import psutil

    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        words = process.info["cmdline"] or []
        if inside(process.info["cwd"] or "") or (words and inside(words[0])):
            yield f"process {process.info['pid']}: {' '.join(words)[:100]}"


def _memory(target: Target) -> Path:
    return target.checkout.folder("pulumi") / f"{target.name}.before.json"


def _before(target: Target) -> frozenset[str]:
    try:
        return frozenset(map(str, json.loads(_memory(target).read_text())))
    except (OSError, ValueError):
        return frozenset()
