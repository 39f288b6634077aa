"""The code of the watch's function: Herd's own files, the plan, and the time zones that the plan names.

The same settings make the same archive on every machine: its files are those of the installed distributions, in a fixed
order, and none that Python makes besides. Zones are taken along because nobody promises that Lambda's runtime has them,
and because a due time must not depend on whose copy of the time zone database is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pulumi

from herd import PACKAGE
from herd.runner.contract.plan import FILE, Plan

HANDLER = "herd.watch.handler.handle"

PACKAGES = ("watch", "runner/contract")
"""Folders below `herd` that the function has."""

INIT = "# A package of the watch's function.\n"
"""What Herd's packages say of themselves is for whoever has all of them. It cannot be empty: Pulumi's SDK for Python
does not read a text of no characters back (runtime/rpc.py, 3.259, "Invalid asset encountered").
"""

ALWAYS = "UTC"
"""A zone that every plan has: of workloads without one."""


def archive(plan: Plan) -> pulumi.AssetArchive:
    """Name in the archive -> its file or text."""
    assets: dict[str, pulumi.Asset | pulumi.Archive] = {
        **{name: pulumi.StringAsset(INIT) for name in _packages("herd", "herd/runner", *_zone_packages(plan))},
        FILE: pulumi.StringAsset(plan.to_json()),
    }
    for folder in PACKAGES:
        for path in sorted((PACKAGE / folder).glob("*.py")):
            assets[f"herd/{folder}/{path.name}"] = pulumi.FileAsset(str(path))
    zones = Path(str(files("tzdata"))) / "zoneinfo"
    for zone in zones_of(plan):
        assets[f"tzdata/zoneinfo/{zone}"] = pulumi.FileAsset(str(zones / zone))
    return pulumi.AssetArchive(dict(sorted(assets.items())))


def zones_of(plan: Plan) -> list[str]:
    """The time zones in which something is due or read."""
    due = [one.due for one in plan.workloads] + [one.due for one in plan.pipelines]
    zones = {one.timezone for one in due if one is not None} | {workload.timezone for workload in plan.workloads}
    return sorted({ALWAYS} | zones)


def _zone_packages(plan: Plan) -> Iterator[str]:
    """Python looks for a zone in the package of its folder: `America/Indiana/Knox` in `tzdata.zoneinfo.America.Indiana`
    (zoneinfo, "Data sources").
    """
    yield from ("tzdata", "tzdata/zoneinfo")
    for zone in zones_of(plan):
        parts = zone.split("/")[:-1]
        yield from ("/".join(["tzdata", "zoneinfo", *parts[:length]]) for length in range(1, len(parts) + 1))


def _packages(*folders: str) -> list[str]:
    return [f"{folder}/__init__.py" for folder in folders]
