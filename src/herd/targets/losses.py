"""What the local cloud has lost while Pulumi's state still knows it: noticed, said, and settled by the next `herd up`.

A power cut may take the last second of what the cloud was asked. The cloud counts how often that was or may have been
so; with each environment stands the count with which it was brought up last. Only where the two differ anything is
looked at: then the engine asks what there really is before it compares.
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
"""So many of the resources that are lost are named."""


class Environment(Protocol):
    """A local environment, as far as its losses go."""

    @property
    def checkout(self) -> Checkout: ...

    @property
    def name(self) -> str: ...

    @property
    def cloud(self) -> LocalCloud: ...


@dataclass(frozen=True)
class Record:
    """The local cloud that an environment was brought up in, and how often that had lost something by then."""

    instance: str
    losses: int


def recorded(target: Environment) -> Record | None:
    """What stands with the environment; None where nothing does, or nothing that can be read."""
    try:
        record = json.loads(_file(target).read_text())
        return Record(str(record["instance"]), int(record.get("losses", 0)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def record(target: Environment, losses: int | None = None) -> None:
    """Let the environment belong to the local cloud of now. `losses` are those that it has been brought up after."""
    before = recorded(target)
    known = losses if losses is not None else before.losses if before else -1
    atomic.write(_file(target), json.dumps(asdict(Record(target.cloud.instance, known))))


def forget(target: Environment) -> None:
    """The environment is gone."""
    _file(target).unlink(missing_ok=True)


def is_another_cloud(target: Environment) -> bool:
    """Was it brought up in a local cloud that is no more? Where nothing says so, it was not."""
    known = recorded(target)
    return known is not None and known.instance != target.cloud.instance


def suspected(target: Environment) -> bool:
    """May the local cloud have lost something since the environment was brought up?"""
    known = recorded(target)
    return known is None or known.losses != target.cloud.losses


def mention(target: Environment, then: str = "`herd up` makes them again") -> None:
    """Say what the local cloud has lost of the environment, if it has."""
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
        console.note(f"the local cloud has lost {what}, as after a power cut: {then}", style="yellow")


def listed(names: list[str]) -> str:
    """The first of them, and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _file(target: Environment) -> Path:
    return target.checkout.folder("pulumi") / f"{target.name}.cloud.json"
