"""Resources that the local cloud has lost while Pulumi's state still has them; the next `herd up` makes them again.

A power failure may lose the last second of requests. The local cloud counts how often that happened or may have
happened; each environment records the count at its last `herd up`. Only where the two counts differ does the next
update refresh its state first.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from herd import console
from herd.checkout.find import Checkout
from herd.errors import HerdError
from herd.targets.local_cloud import LocalCloud
from herd.toolchain import atomic

SHOWN = 6
"""Lost resources that a message names; the rest are counted."""


class Environment(Protocol):
    """The part of a local target that this module uses."""

    @property
    def checkout(self) -> Checkout: ...

    @property
    def name(self) -> str: ...

    @property
    def cloud(self) -> LocalCloud: ...


@dataclass(frozen=True)
class Record:
    """The local cloud that an environment was deployed into, and that cloud's count of losses at the time."""

    instance: str
    losses: int


def recorded(target: Environment) -> Record | None:
    """The environment's record; None where there is none that can be read."""
    try:
        record = json.loads(_file(target).read_text())
        return Record(str(record["instance"]), int(record.get("losses", 0)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def record(target: Environment, losses: int | None = None) -> None:
    """Record that the environment belongs to the present local cloud. `losses`: its count; None keeps the last one."""
    before = recorded(target)
    known = losses if losses is not None else before.losses if before else -1
    atomic.write(_file(target), json.dumps(asdict(Record(target.cloud.instance, known))))


def forget(target: Environment) -> None:
    """Remove the record of an environment that was removed."""
    _file(target).unlink(missing_ok=True)


def is_another_cloud(target: Environment) -> bool:
    """Whether the environment was deployed into a local cloud that no longer exists; False without a record."""
    known = recorded(target)
    return known is not None and known.instance != target.cloud.instance


def suspected(target: Environment) -> bool:
    """Whether the local cloud may have lost resources since the environment's last `herd up`."""
    known = recorded(target)
    return known is None or known.losses != target.cloud.losses


def mention(target: Environment, then: str = "`herd up` makes them again") -> None:
    """Print which resources of the environment the local cloud has lost, if any."""
    if not suspected(target):
        return
    try:
        asked = {"do": "missing", "project": target.checkout.project, "stack": target.name}
        names = [str(urn).rsplit("::", 1)[-1] for urn in target.cloud.ask(asked)["missing"]]
    except (OSError, HerdError):
        return  # it is busy or going: the next command says it
    if names:
        count = f"{len(names)} resources" if len(names) > 1 else "a resource"
        what = f"{count} of {target.name} ({listed(names)})"
        console.note(f"the local cloud has lost {what}, as after a power failure: {then}", style="yellow")


def listed(names: list[str]) -> str:
    """The first SHOWN names, and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _file(target: Environment) -> Path:
    return target.checkout.folder("pulumi") / f"{target.name}.cloud.json"
