"""What `herd try A` has written, as the input of `herd try B` while nothing of A is published."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from herd.checkout import team_files
from herd.checkout.find import Checkout
from herd.runner.contract.keys import latest_key
from herd.targets import local_cloud
from herd.targets.local import LocalTarget

ALONE = "outputs"
"""The name of the mark of a workload without items."""


def forget(checkout: Checkout, name: str, item: str | None) -> None:
    """It is tried again: what lies there is of no use until that has gone well."""
    _mark(checkout, name, item).unlink(missing_ok=True)


def remember(checkout: Checkout, name: str, item: str | None) -> None:
    mark = _mark(checkout, name, item)
    mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.touch()


def of(target: LocalTarget, reads: Iterable[str], inputs: Path | None) -> dict[str, dict[str, Path]]:
    """Input -> its folders, by item, "" for one without, of trials that went well.

    Only of inputs that neither `inputs` has nor the environment has published.
    """
    datasets = team_files.offer(target.checkout, target.name).datasets
    there = {}
    for name in reads:
        if name in datasets or (inputs and (inputs / name).is_dir()):
            continue
        if (folders := _folders(target.checkout, name)) and not _is_published(target, name):
            there[name] = folders
    return there


def beside(checkout: Checkout, name: str, before: Mapping[str, Mapping[str, Path]], inputs: Path | None) -> Path:
    """A folder of links for the trial of `name`: to `before`, and to what `inputs` has."""
    folder = checkout.folder("try", ".inputs") / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for entry in sorted(inputs.iterdir()) if inputs else ():
        (folder / entry.name).symlink_to(entry.resolve())
    for name_of, folders in before.items():
        if "" in folders:
            (folder / name_of).symlink_to(folders[""])
            continue
        (folder / name_of).mkdir()
        for item, path in folders.items():
            (folder / name_of / item).symlink_to(path)
    return folder


def targets(inputs: Path | None) -> list[Path]:
    """Where the links of a folder lead to: a container has to see that too."""
    return sorted({path.resolve() for path in inputs.glob("*") if path.is_symlink()}) if inputs else []


def _mark(checkout: Checkout, name: str, item: str | None) -> Path:
    return checkout.folder("try", ".went-well") / name / (item or ALONE)


def _folders(checkout: Checkout, name: str) -> dict[str, Path]:
    marks = checkout.state / "try" / ".went-well" / name
    items = sorted(mark.name for mark in marks.iterdir()) if marks.is_dir() else []
    work = checkout.state / "try" / name
    folders = {("" if item == ALONE else item): (work if item == ALONE else work / item) / "outputs" for item in items}
    return {item: path for item, path in folders.items() if path.is_dir()}


def _is_published(target: LocalTarget, name: str) -> bool:
    """Whether the environment has a version of it. Where it is not up it has none."""
    if target.deployed is None or not local_cloud.running(target.checkout):
        return False
    if name not in target.deployed.workloads:
        return False
    client = target.client("s3")
    listed = client.list_objects_v2(Bucket=target.deployed.data_bucket, Prefix=latest_key(name), MaxKeys=1)
    return bool(listed.get("KeyCount"))
