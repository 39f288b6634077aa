"""Resources in the local cloud that Pulumi's state does not know.

A killed update leaves resources that no state ever had: the next update adopts them, and those that are no longer
declared are swept. Resources that were retained (`retain_on_delete`) or removed from the state by hand are a person's
decision, as on AWS: they stay, also after `herd down`, until `aws` or `herd down --retained` removes them. The local
cloud's plugins distinguish the two (docs/decisions/0016).
"""

from __future__ import annotations

from dataclasses import dataclass

from herd import console
from herd.errors import HerdError
from herd.targets.local import LocalTarget
from herd.targets.local_cloud import LocalCloud
from herd.targets.target import DEFAULT

SWEEP_SECONDS = 600.0
"""Time limit of a sweep: a bucket with many objects takes long."""


@dataclass(frozen=True)
class Unmanaged:
    """A resource that was retained or removed from the state. `stack`: `project/environment`; `names`: id and ARN."""

    stack: str
    urn: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        *_, kind, name = self.urn.split("::", 3)
        return f"{kind.split('$')[-1]} {name} ({self.names[0]})"


def all_of(cloud: LocalCloud) -> tuple[Unmanaged, ...]:
    """The retained resources of all environments in a local cloud."""
    entries = cloud.ask({"do": "unowned"}, SWEEP_SECONDS)["unowned"]
    return tuple(Unmanaged(one["stack"], one["urn"], (one["id"], one["identity"])) for one in entries)


def sweep(target: LocalTarget, retained: bool = False) -> None:
    """Remove orphans of interrupted updates that no later update adopted; with `retained` also retained resources."""
    request = {"do": "sweep", "project": target.checkout.project, "stack": target.name, "released": retained}
    swept = target.cloud.ask(request, SWEEP_SECONDS)["removed"]
    if swept:
        what = "left by an interrupted update" + (", retained or removed from the state" if retained else "")
        console.note(f"swept {len(swept)} {what}: {', '.join(map(str, swept))}")


def tidy(target: LocalTarget) -> None:
    """Sweep after a successful update. Resources that are still in use are left for the next update."""
    try:
        sweep(target)
    except HerdError as error:
        console.note(f"left by an interrupted update, and not removed yet: {error}", style="yellow")


def mention(kept: tuple[Unmanaged, ...], target: LocalTarget) -> None:
    """Print which resources of an environment were retained, and how to remove them."""
    mine = [one for one in kept if one.stack == f"{target.checkout.project}/{target.name}"]
    if mine:
        again = "herd down --retained" + ("" if target.name == DEFAULT else f" -e {target.name}")
        things = "\n".join(f"    {one}" for one in mine)
        console.note(
            f"not removed, because it was retained or removed from Pulumi's state:\n{things}\n`{again}` removes it"
        )


def adopt_resources(target: LocalTarget) -> None:
    """Where a stack's state file is lost, let the next update adopt the resources that the local cloud still has."""
    request = {"do": "take-up", "project": target.checkout.project, "stack": target.name}
    if taken := target.cloud.ask(request)["taken"]:
        console.note(
            f"Pulumi's state of {target.name} is gone, and the local cloud holds {len(taken)} resources that it named: "
            "those that the files declare are adopted"
        )
