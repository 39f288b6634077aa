"""What a run reads: its inputs, all of them before its command starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from .contract.documents import InputVersion, Version
from .contract.statuses import INPUT_MISSING
from .errors import RunFailed
from .fetch import MARK
from .published import Published
from .task import AnyTask, Trial
from .workspace import remove

Versions = Mapping[str, Version | None]
"""Input -> the version to read; None for a run's own last output where there is none yet."""


def versions(task: AnyTask, published: Published) -> Versions:
    """The version of each input that is published by a workload, and does not lie on this machine for a trial.

    Raises RunFailed (66) naming every input that has never been published, or whose pinned version is gone.

    A run's own last output is allowed to be missing: the first run has none, and finds an empty folder.
    """
    chosen: dict[str, Version | None] = {}
    missing: list[str] = []
    expired: list[str] = []
    for read in task.reads:
        if read.uri is not None or (isinstance(task, Trial) and read.name in task.inputs):
            continue
        pinned = task.pins.get(read.name)
        if pinned is not None:
            version = published.version_of(read.name, pinned)
            if version is None:
                expired.append(f"input {read.name}: the version of run {pinned} is gone; superseded versions expire")
        else:
            # A pin of None: the run that is done again was the first one.
            version = None if read.name in task.pins else published.version(read.name)
            if version is None and read.name != task.workload:
                missing.append(read.name)
        chosen[read.name] = version
    if missing or expired:
        never = [f"input {name} has no published version yet: run {name} first" for name in missing]
        raise RunFailed("\n".join([*never, *expired]), INPUT_MISSING)
    return chosen


def fetch_all(
    task: AnyTask, published: Published, chosen: Versions, folder: Path
) -> tuple[tuple[InputVersion, ...], Mapping[str, str]]:
    """Fetch a run's inputs to `folder`/<name>/; return the versions read, and where each lies in S3."""
    inputs: list[InputVersion] = []
    uris: dict[str, str] = {}
    for read in task.reads:
        target = folder / read.name
        if read.uri is not None:
            uris[read.name] = read.uri
        elif isinstance(task, Trial) and read.name in task.inputs:
            remove(target)
            shutil.copytree(task.inputs[read.name], target)
        elif (version := chosen[read.name]) is not None:
            if read.fetch:
                published.fetch(version, target, mark=isinstance(task, Trial))
            inputs.append(InputVersion(read.name, version.run_id))
            uris[read.name] = f"s3://{task.data_bucket}/{version.prefix}"
        elif read.fetch:
            remove(target)
            target.mkdir()
    _remove_others(folder, {read.name for read in task.reads if read.fetch})
    return tuple(inputs), uris


def _remove_others(folder: Path, wanted: Iterable[str]) -> None:
    """In a trial: remove inputs that an earlier one read and this one does not."""
    keep = {*wanted, *(f"{name}{MARK}" for name in wanted)}
    for entry in folder.iterdir():
        if entry.name not in keep:
            remove(entry)
