"""The environments of a project: those of this checkout's local cloud, and its stacks on AWS."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from herd.checkout.find import Checkout
from herd.errors import HerdError
from herd.targets import environment_lock, local_cloud
from herd.targets.aws import AwsTarget
from herd.targets.local import LocalTarget


@dataclass(frozen=True)
class Environment:
    """`where`: `this machine` or `AWS`. `state`: `up`, `stopped` (its local cloud), `half made`, `empty`, `updating`.

    `deployed`: when it was last; `by`: whom, empty where that is not known here; `ends`: when it is removed, ISO 8601.
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


def here(checkout: Checkout) -> list[Environment]:
    """Those of the local cloud, by name. Starts nothing."""
    stacks = checkout.pulumi / ".pulumi" / "stacks" / checkout.project
    running = local_cloud.running(checkout) is not None
    return [_local(LocalTarget(checkout, file.stem), file, running) for file in sorted(stacks.glob("*.json"))]


def _local(target: LocalTarget, file: Path, running: bool) -> Environment:
    seen = file.stat()
    deployed, by = datetime.fromtimestamp(seen.st_mtime, UTC), _person(seen.st_uid)
    try:
        count = sum(1 for entry in target.state_resources() if entry.get("custom"))
        whole, ends = target.deployed is not None, str(getattr(target.deployed, "ends_at", None) or "")
    except HerdError:
        return Environment(target.name, "this machine", "unreadable", deployed, by, "", None)
    if environment_lock.holder(target.checkout, target.name):
        state = "updating"
    elif not whole or target.unsettled:
        state = "half made" if count else "empty"
    else:
        state = "up" if running else "stopped"
    return Environment(target.name, "this machine", state, deployed, by, ends, count)


def _person(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def on_aws(checkout: Checkout) -> list[Environment]:
    """The stacks that Pulumi's backend knows of this project. Raises HerdError where one cannot log in."""
    if not _has_login():
        raise HerdError("no login to Pulumi's backend here: `pulumi login`, or PULUMI_BACKEND_URL")
    entries = AwsTarget(checkout, "").stacks()
    return [_of_stack(entry) for entry in sorted(entries, key=lambda entry: str(entry["name"]))]


def _has_login() -> bool:
    if os.environ.get("PULUMI_BACKEND_URL") or os.environ.get("PULUMI_ACCESS_TOKEN"):
        return True
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        return bool(json.loads((home / "credentials.json").read_text()).get("current"))
    except (OSError, ValueError, AttributeError):
        return False


def _of_stack(entry: dict[str, Any]) -> Environment:
    count = entry.get("resourceCount")
    state = "updating" if entry.get("updateInProgress") else "up" if count is None or count else "empty"
    try:
        deployed = datetime.fromisoformat(str(entry.get("lastUpdate")).replace("Z", "+00:00"))
    except ValueError:  # never, or in words
        deployed = None
    return Environment(str(entry["name"]), "AWS", state, deployed, "", "", count)
