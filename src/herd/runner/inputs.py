"""What a run reads: its inputs, all of them before its command starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from .contract.documents import InputVersion
from .contract.statuses import INPUT_MISSING
from .errors import RunFailed
from .fetch import MARK
from .published import Published
from .task import AnyTask, Trial
from .workspace import remove


def fetch_all(task: AnyTask, published: Published, folder: Path) -> tuple[tuple[InputVersion, ...], Mapping[str, str]]:
    """Fetch a run's inputs to `folder`/<name>/; return the versions read, and where each lies in S3.

    Raises RunFailed (66) naming every input that has never been published, or whose pinned version is gone.

    A run's own last output is allowed to be missing: the first run has none, and finds an empty folder.
    """
    versions: list[InputVersion] = []
    uris: dict[str, str] = {}
    missing: list[str] = []
    expired: list[str] = []
    for read in task.reads:
        if read.uri is not None:
            uris[read.name] = read.uri
            continue
        target = folder / read.name
        if isinstance(task, Trial) and read.name in task.inputs:
            remove(target)
            shutil.copytree(task.inputs[read.name], target)
            continue
        pinned = task.pins.get(read.name)
        if pinned is not None:
            if (version := published.version_of(read.name, pinned)) is None:
                expired.append(f"input {read.name}: the version of run {pinned} is gone; superseded versions expire")
                continue
        else:
            # A pin of None: the run that is done again was the first one.
            version = None if read.name in task.pins else published.version(read.name)
        if version is not None:
            if read.fetch:
                published.fetch(version, target, mark=isinstance(task, Trial))
            versions.append(InputVersion(read.name, version.run_id))
            uris[read.name] = f"s3://{task.data_bucket}/{version.prefix}"
            continue
        if read.name != task.workload:
            missing.append(read.name)
        elif read.fetch:
            remove(target)
            target.mkdir()
    if missing or expired:
        never = [f"input {name} has no published version yet: run {name} first" for name in missing]
        raise RunFailed("\n".join([*never, *expired]), INPUT_MISSING)
    _remove_others(folder, {read.name for read in task.reads if read.fetch})
    return tuple(versions), uris


def _remove_others(folder: Path, wanted: Iterable[str]) -> None:
    """In a trial: remove inputs that an earlier one read and this one does not."""
    keep = {*wanted, *(f"{name}{MARK}" for name in wanted)}
    for entry in folder.iterdir():
        if entry.name not in keep:
            remove(entry)
