"""The files of a published version, each verified against its manifest."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .contract.documents import File, Version
from .contract.statuses import INPUT_MISSING
from .errors import RunFailed, say
from .storage import CONNECTIONS, Storage, StorageError
from .workspace import remove

MARK = ".herd-version.json"
"""Left in `herd try`'s folder, so that the next try knows which version it has."""


def fetch(storage: Storage, bucket: str, version: Version, target: Path, *, mark: bool = False) -> None:
    """Fetch a version's files to the folder `target`, which appears only when complete. Raises RunFailed (66).

    With `mark` the version is written beside the folder, and a folder marked with the same version is left as it is.
    """
    mark_file = target.with_name(f"{target.name}{MARK}")
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
