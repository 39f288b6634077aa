"""What a workload reads: the current version of other workloads' outputs, each file verified against its manifest."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .contract.documents import File, InputVersion, Version
from .contract.keys import latest_key
from .contract.statuses import INPUT_MISSING
from .contract.task import Read
from .errors import RunFailed, say
from .storage import CONNECTIONS, Storage, StorageError
from .task import Task
from .workspace import remove

# Left in `herd try`'s folder, so that the next try knows which version it has.
_MARK = ".herd-version.json"


def current_version(storage: Storage, bucket: str, name: str) -> Version | None:
    """The published version of a workload, or None if there is none yet. Raises RunFailed (66) if it cannot be read."""
    text = storage.get(bucket, latest_key(name))
    if text is None:
        return None
    try:
        version = Version.from_json(text)
        if not version.prefix.startswith(f"{name}/"):
            raise ValueError(f"it names files of another workload, {version.prefix!r}")
        return version
    except ValueError as error:
        raise RunFailed(f"input {name}: {latest_key(name)} cannot be read: {error}", INPUT_MISSING) from error


def fetch_all(task: Task, storage: Storage | None, folder: Path) -> tuple[tuple[InputVersion, ...], Mapping[str, str]]:
    """Fetch a run's inputs to `folder`/<name>/; return the versions read, and where each lies in S3.

    Raises RunFailed (66) naming every input that has never been published.

    A run's own last output is allowed to be missing: the first run has none, and finds an empty folder.
    """
    versions: list[InputVersion] = []
    uris: dict[str, str] = {}
    missing: list[str] = []
    for read in task.reads:
        if read.uri is not None:
            uris[read.name] = read.uri
            continue
        target = folder / read.name
        if _copy_local(task, read, target):
            continue
        if storage is not None and task.data_bucket is not None:
            version = current_version(storage, task.data_bucket, read.name)
            if version is not None:
                if read.fetch:
                    fetch(storage, task.data_bucket, version, target, mark=task.trial is not None)
                versions.append(InputVersion(read.name, version.run_id))
                uris[read.name] = f"s3://{task.data_bucket}/{version.prefix}"
                continue
        if read.name != task.workload:
            missing.append(read.name)
        elif read.fetch:
            remove(target)
            target.mkdir()
    if missing:
        raise RunFailed(
            "\n".join(f"input {name} has no published version yet: run {name} first" for name in missing), INPUT_MISSING
        )
    _remove_others(folder, {read.name for read in task.reads if read.fetch})
    return tuple(versions), uris


def fetch(storage: Storage, bucket: str, version: Version, target: Path, *, mark: bool = False) -> None:
    """Fetch a version's files to the folder `target`, which appears only when complete. Raises RunFailed (66).

    With `mark` the version is written beside the folder, and a folder marked with the same version is left as it is.
    """
    mark_file = target.with_name(f"{target.name}{_MARK}")
    known = mark and target.is_dir() and not target.is_symlink() and mark_file.exists()
    if known and mark_file.read_bytes() == version.to_json():
        return
    partial = target.with_name(f".{target.name}.partial")
    for old in (target, partial, mark_file):
        remove(old)
    partial.mkdir(parents=True)
    for folder in sorted({(partial / file.path).parent for file in version.files}):
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=CONNECTIONS // 2) as pool:
        # list() so that the first failure is raised here
        list(pool.map(lambda file: _fetch_file(storage, bucket, version, file, partial / file.path), version.files))
    os.replace(partial, target)
    if mark:
        mark_file.write_bytes(version.to_json())


def _fetch_file(storage: Storage, bucket: str, version: Version, file: File, target: Path) -> None:
    name = f"input {version.workload}: {file.path} of run {version.run_id}"
    for attempt in (1, 2):
        try:
            storage.download(bucket, version.prefix + file.path, target, file.bytes)
        except StorageError as error:
            if attempt == 2:
                raise StorageError(f"{name} cannot be fetched: {error}") from error
            continue
        if target.stat().st_size == file.bytes and (file.sha256 is None or sha256(target) == file.sha256):
            return
        if attempt == 1:
            say(f"{name} is not what its manifest says; fetching it again")
    raise RunFailed(f"{name} is damaged: its size or SHA-256 differs from the manifest", INPUT_MISSING)


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy_local(task: Task, read: Read, target: Path) -> bool:
    """In a trial: take the input from the folder that was given, if it is there."""
    if task.trial is None or task.trial.inputs is None or not (task.trial.inputs / read.name).is_dir():
        return False
    remove(target)
    shutil.copytree(task.trial.inputs / read.name, target)
    return True


def _remove_others(folder: Path, wanted: Iterable[str]) -> None:
    """In a trial: remove inputs that an earlier one read and this one does not."""
    keep = {*wanted, *(f"{name}{_MARK}" for name in wanted)}
    for entry in folder.iterdir():
        if entry.name not in keep:
            remove(entry)
