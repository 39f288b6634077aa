"""What a local cloud holds of an environment that no state of Pulumi's names.

An update that was killed leaves what no state ever named: the next one takes it up, and what the files do not declare
any more is swept. What was retained (`retain_on_delete`) or removed from the state by hand is a person's decision, as
on AWS: it stays, also after `herd down`, until it is removed with `aws` or by `herd down --retained`. The local cloud's
plugins tell the two apart (docs/decisions/0016).
"""

from __future__ import annotations

from dataclasses import dataclass

from herd import console
from herd.errors import HerdError
from herd.targets.local import LocalTarget
from herd.targets.local_cloud import LocalCloud
from herd.targets.target import DEFAULT

SWEEP_SECONDS = 600.0
"""A bucket with many objects takes its time."""


@dataclass(frozen=True)
class Unmanaged:
    """One resource that exists and belongs to nobody. `stack` is `project/environment`; `names`: its id and its ARN."""

    stack: str
    urn: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        *_, kind, name = self.urn.split("::", 3)
        return f"{kind.split('$')[-1]} {name} ({self.names[0]})"


def all_of(cloud: LocalCloud) -> tuple[Unmanaged, ...]:
    """What a local cloud holds for nobody, of all environments."""
    entries = cloud.ask({"do": "unowned"}, SWEEP_SECONDS)["unowned"]
    return tuple(Unmanaged(one["stack"], one["urn"], (one["id"], one["identity"])) for one in entries)


def sweep(target: LocalTarget, retained: bool = False) -> None:
    """Remove what interrupted updates have left, and no later one took up; with `retained` also what was to stay."""
    request = {"do": "sweep", "project": target.checkout.project, "stack": target.name, "released": retained}
    swept = target.cloud.ask(request, SWEEP_SECONDS)["removed"]
    if swept:
        what = "left by an interrupted update" + (", retained or removed from the state" if retained else "")
        console.note(f"swept {len(swept)} {what}: {', '.join(map(str, swept))}")


def tidy(target: LocalTarget) -> None:
    """Sweep after an update that went well. What is still in use waits for the next one."""
    try:
        sweep(target)
    except HerdError as error:
        console.note(f"left by an interrupted update, and not removed yet: {error}", style="yellow")


def mention(kept: tuple[Unmanaged, ...], target: LocalTarget) -> None:
    """Say what of an environment stays, and how it goes."""
    mine = [one for one in kept if one.stack == f"{target.checkout.project}/{target.name}"]
    if mine:
        again = "herd down --retained" + ("" if target.name == DEFAULT else f" -e {target.name}")
        things = "\n".join(f"    {one}" for one in mine)
        console.note(
            f"not removed, because it was retained or removed from Pulumi's state:\n{things}\n`{again}` removes it"
        )


def adopt_resources(target: LocalTarget) -> None:
    """Where a stack's whole state is lost and the local cloud still holds what it had, let the next update have it."""
    request = {"do": "take-up", "project": target.checkout.project, "stack": target.name}
    if taken := target.cloud.ask(request)["taken"]:
        console.note(
            f"Pulumi's state of {target.name} is gone, and the local cloud holds {len(taken)} resources that it named: "
            "those that the files declare are taken up again"
        )
