"""`herd down` of a protected environment: list what is removed, ask for its name, turn the protection off."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herd import console
from herd.engine.changes import short, type_and_name
from herd.errors import HerdError, WrongInput
from herd.infra.settings.keys import config_key, own
from herd.review.exposure import LOST
from herd.targets.target import Target

GUARDS = {
    "aws:lb:LoadBalancer": ("enableDeletionProtection", False),
    "aws:s3:Bucket": ("forceDestroy", True),
    "aws:ecr:Repository": ("forceDelete", True),
}
"""Type -> the property that prevents its deletion, and the value that allows it."""

ADOPTED = {
    "data_bucket": "the data bucket",
    "image_repositories": "the image repositories",
    "encryption_key": "the key",
    "log_bucket": "the log bucket",
    "vpc": "the network",
    "boundary": "the permission boundary",
    "dns_zone": "the DNS zone",
    "certificate": "the certificate",
}
"""Setting -> the resource that an environment adopts by it, in words."""


@dataclass(frozen=True)
class ManagedResource:
    """A resource in Pulumi's state."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]

    @property
    def guarded(self) -> bool:
        guard = GUARDS.get(self.type)
        return guard is not None and bool(self.inputs.get(guard[0], False)) != guard[1]


def adopted_buckets(target: Target) -> frozenset[str]:
    """Names of adopted buckets, which stay. As deployed, else as the settings file says."""
    if target.deployed:
        adopted: Mapping[str, Any] = target.deployed.adopted
    else:
        try:
            config = target.settings().get("config") or {}
        except HerdError:  # an environment that never was, without a file
            config = {}
        adopted = own(config)
    return frozenset(str(adopted[key]) for key in ("data_bucket", "log_bucket") if adopted.get(key))


def resources_of(target: Target) -> list[ManagedResource]:
    """The resources in the environment's state, without components and providers."""
    resources = []
    for entry in target.state_resources():
        type_, name = type_and_name(entry["urn"])
        if entry.get("custom") and not type_.startswith("pulumi:"):
            resources.append(ManagedResource(short(type_), name, entry["urn"], entry.get("inputs") or {}))
    return resources


def approve(target: Target, resources: list[ManagedResource], confirmed: str | None) -> None:
    """Print what the removal means and ask for the environment's name. Raises HerdError if it is not typed."""
    if confirmed is not None and confirmed != target.name:
        raise WrongInput(f"--confirm {confirmed}: this environment is called {target.name}; nothing was done")
    target.announce()
    for line in explain(target, resources):
        console.note(line)
    if confirmed is not None:
        return
    how = f"herd down {' '.join(target.option)} --confirm {target.name}"
    typed = console.ask(f"type the environment's name to go on ({target.name}): ")
    if typed is None:
        raise HerdError(f"{target.name} is protected, and nobody is at the terminal to say its name; in scripts: {how}")
    if typed != target.name:
        raise HerdError("that is not its name; nothing was done")


def explain(target: Target, resources: list[ManagedResource]) -> list[str]:
    """Lines for a person: what is removed, what is lost with it, which protection is turned off, what stays."""
    lines = [f"{target.name} is protected. Taking it down removes all of its {len(resources)} resources, and with them"]
    counted = Counter(resource.type for resource in resources if resource.type in LOST)
    for type_, count in sorted(counted.items()):
        names = [resource.name for resource in resources if resource.type == type_]
        shown = ", ".join(sorted(names)[:3]) + (f" and {count - 3} more" if count > 3 else "")
        lines.append(f"    {type_} {shown}: {LOST[type_]}")
    if guarded := sorted(resource.name for resource in resources if resource.guarded):
        lines.append(f"before that it turns off what keeps these from being deleted: {', '.join(guarded)}")
    adopted = target.deployed.adopted if target.deployed else {}
    stays = [f"{ADOPTED.get(key, key)} {value}" for key, value in sorted(adopted.items())]
    lines.append(f"what it only adopted stays: {', '.join(stays)}" if stays else "it adopted nothing, so nothing stays")
    lines.append("its secrets stay; `herd secret rm` removes one")
    return lines


@contextlib.contextmanager
def unprotected_settings(target: Target) -> Iterator[Path]:
    """A temporary copy of the stack's settings, unprotected, with the values it was deployed with: its file may have
    changes since then that a running environment refuses.
    """
    import yaml

    checkout = target.checkout
    settings = target.settings()
    runs_with = {
        key if ":" in key else config_key(key): value
        for key, value in (target.deployed.runs_with if target.deployed else {}).items()
    }
    settings["config"] = {**(settings.get("config") or {}), **runs_with, config_key("protect"): False}
    handle, name = tempfile.mkstemp(suffix=".yaml", prefix="unprotected-", dir=checkout.folder())
    try:
        with os.fdopen(handle, "w") as file:
            yaml.safe_dump(settings, file, sort_keys=False)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
