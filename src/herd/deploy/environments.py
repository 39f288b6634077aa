"""The environments of a project, here or on AWS: whose each is, when it ends, and what a killed command has left.

An environment exists as a stack with resources, as a stack without any, or as resources that no stack knows.
"""

from __future__ import annotations

import json
import os
import pwd
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import singledispatch
from pathlib import Path
from typing import Any, Literal

from herd.checkout import review_dates
from herd.checkout.find import Checkout
from herd.deploy import ends, inventory, local_stack
from herd.deploy.ends import End
from herd.errors import HerdError, WrongInput
from herd.infra import lifetime
from herd.targets import environment_lock, local_cloud
from herd.targets.aws import AwsTarget
from herd.targets.local import LocalTarget
from herd.targets.target import Target

Trouble = Literal["over its time", "half destroyed", "half made", "empty", "orphaned"]


@dataclass(frozen=True)
class Listed:
    """An environment as a list has it. `where`: `this machine` or `AWS`. `state`: `up`, `stopped` (its local cloud),
    `updating`, `unreadable`, or its trouble.

    `deployed`: when it was last; `by`: who made it, empty where that is not known here; `ends`: when it is removed,
    ISO 8601, as `herd keep` has moved it.
    """

    name: str
    where: str
    state: str
    deployed: datetime | None
    by: str
    ends: str
    resources: int | None

    def as_json(self) -> dict[str, Any]:
        """Its entry in the output for scripts."""
        when = self.deployed.isoformat(timespec="seconds").replace("+00:00", "Z") if self.deployed else None
        own = {"name": self.name, "where": self.where, "state": self.state, "deployed": when}
        return {**own, "by": self.by or None, "ends": self.ends or None, "resources": self.resources}


@dataclass(frozen=True)
class Environment:
    """`resources`: how many there are, by its state or, of an orphaned one, by the cloud. `end`: None where it stays.
    `busy`: the command that works on it. `unreadable`: why it cannot be read.
    """

    target: Target
    resources: int
    end: End | None
    trouble: Trouble | None = None
    busy: str = ""
    unreadable: str = ""

    @property
    def name(self) -> str:
        return self.target.name

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "where": "AWS" if self.target.is_shared else "this machine",
            "resources": self.resources,
            "ends_at": lifetime.written(self.end.at) if self.end else None,
            "ttl": self.end.ttl if self.end else None,
            "made_by": (self.end.made_by or None) if self.end else None,
            "trouble": self.trouble,
            "busy": self.busy or None,
            "unreadable": self.unreadable or None,
        }


def here(checkout: Checkout) -> list[Environment]:
    """Those of the checkout's local cloud, by name. A local cloud that is not running is not started."""
    cloud = local_cloud.running(checkout)
    stacks: dict[str, int] = cloud.ask({"do": "status"}).get("stacks", {}) if cloud else {}
    held = {name.rpartition("/")[2]: count for name, count in stacks.items() if count}
    names = sorted({*local_stack.environments(checkout), *held})
    return [_local(LocalTarget(checkout, name), held, cloud is not None) for name in names]


def _local(target: LocalTarget, held: dict[str, int], running: bool) -> Environment:
    holder = environment_lock.holder(target.checkout, target.name)
    busy = str(holder) if holder else ""
    if not target.state_file.exists():
        return Environment(target, held.get(target.name, 0), ends.known(target), "orphaned", busy)
    try:
        resources = max(count(target), held.get(target.name, 0))
        end = ends.of(target) if running else ends.known(target)
    except HerdError as error:
        return Environment(target, held.get(target.name, 0), None, busy=busy, unreadable=str(error))
    half = target.is_going or (target.deployed is None and resources > 0)
    return Environment(target, resources, end, _trouble(target, resources, end, half), busy)


def on_aws(checkout: Checkout, names: list[str]) -> list[Environment]:
    """These stacks on AWS, and what is there of environments that no stack knows."""
    stacks = [_of_stack(AwsTarget(checkout, name)) for name in names]
    if not stacks:
        return []
    seen = inventory.take(stacks[0].target)
    counts = Counter(item.environment for item in seen.items if item.environment)
    known = {name.rpartition("/")[2] for name in names}
    orphans = [
        Environment(AwsTarget(checkout, name), number, None, "orphaned")
        for name, number in sorted(counts.items())
        if name not in known
    ]
    return [*stacks, *orphans]


def _of_stack(target: AwsTarget) -> Environment:
    try:
        resources, end = count(target), ends.of(target)
    except HerdError as error:
        return Environment(target, 0, None, unreadable=str(error))
    return Environment(
        target, resources, end, _trouble(target, resources, end, target.deployed is None and resources > 0)
    )


def _trouble(target: Target, resources: int, end: End | None, half: bool) -> Trouble | None:
    if resources == 0:
        return "empty"
    if end is not None and end.at <= review_dates.now():
        return "over its time"
    if half:
        return "half made" if target.deployed is None and not target.is_going else "half destroyed"
    return None


def count(target: Target) -> int:
    """The resources of a stack, without components and providers."""
    entries = target.state_resources()
    return sum(1 for entry in entries if entry.get("custom") and not str(entry["type"]).startswith("pulumi:"))


def of_person(environments: list[Environment], person: str) -> list[Environment]:
    """Those that end by themselves and that somebody has made."""
    return [one for one in environments if one.end is not None and one.end.made_by == person]


@singledispatch
def beside(target: Target) -> list[Environment]:
    """The environments of where a target is."""
    return here(target.checkout)


@beside.register
def _(target: AwsTarget) -> list[Environment]:
    return on_aws(target.checkout, target.stack_names())


def refuse_too_many(target: Target, person: str, limit: int, environments: list[Environment]) -> None:
    """Raises WrongInput with the list of theirs where a new one would be one too many."""
    theirs = [one for one in of_person(environments, person) if one.name != target.name]
    if len(theirs) < limit:
        return
    lines = [f"    {' '.join(one.target.option)}, ends {_text(one.end)}" for one in theirs]
    raise WrongInput(
        "\n".join(
            [
                f"{person} has {len(theirs)} environments already, and environments_per_person is {limit}; remove one "
                "first with `herd down`:",
                *lines,
            ]
        )
    )


def _text(end: End | None) -> str:
    return lifetime.written(end.at) if end else ""


# --- the list that `herd environments` shows -----------------------------------------------------------------------


def listed_here(checkout: Checkout) -> list[Listed]:
    """Those of the checkout's local cloud, by name. Starts nothing."""
    running = local_cloud.running(checkout) is not None
    return [_listed(one, LocalTarget(checkout, one.name), running) for one in here(checkout)]


def _listed(one: Environment, target: LocalTarget, running: bool) -> Listed:
    file = target.state_file.stat() if target.state_file.exists() else None
    deployed = datetime.fromtimestamp(file.st_mtime, UTC) if file else None
    by = one.end.made_by if one.end and one.end.made_by else _person(file.st_uid) if file else ""
    if one.unreadable:
        return Listed(one.name, "this machine", "unreadable", deployed, by, "", None)
    state = "up" if running else "stopped"
    if one.busy:
        state = "updating"
    elif one.trouble:
        state = one.trouble
    elif target.unsettled:
        state = "half made"
    return Listed(one.name, "this machine", state, deployed, by, _text(one.end), one.resources)


def _person(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def listed_on_aws(checkout: Checkout) -> list[Listed]:
    """The stacks that Pulumi's backend knows of this project, by its list alone: none of them is read, so neither who
    made one nor when it ends is known. Raises HerdError where one cannot log in.
    """
    if not _has_login():
        raise HerdError("no login to Pulumi's backend here: `pulumi login`, or PULUMI_BACKEND_URL")
    entries = AwsTarget(checkout, "").stacks()
    return [_of_entry(entry) for entry in sorted(entries, key=lambda entry: str(entry["name"]))]


def _has_login() -> bool:
    if os.environ.get("PULUMI_BACKEND_URL") or os.environ.get("PULUMI_ACCESS_TOKEN"):
        return True
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        return bool(json.loads((home / "credentials.json").read_text()).get("current"))
    except (OSError, ValueError, AttributeError):
        return False


def _of_entry(entry: dict[str, Any]) -> Listed:
    count = entry.get("resourceCount")
    state = "updating" if entry.get("updateInProgress") else "up" if count is None or count else "empty"
    try:
        deployed = datetime.fromisoformat(str(entry.get("lastUpdate")).replace("Z", "+00:00"))
    except ValueError:  # never, or in words
        deployed = None
    return Listed(str(entry["name"]), "AWS", state, deployed, "", "", count)
