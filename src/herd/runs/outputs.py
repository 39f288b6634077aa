"""Published outputs of a job or report: versions in the data bucket."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from herd.errors import HerdError
from herd.runner.contract import keys
from herd.runner.contract.documents import Rollback
from herd.runner.contract.statuses import CHECK_FAILED_RUN
from herd.runs import runs
from herd.targets.target import Target


@dataclass(frozen=True)
class File:
    """One file of a version; `path` is relative, with "/"."""

    path: str
    bytes: int


@dataclass(frozen=True)
class Version:
    """The outputs of one run. `published` is ISO 8601, empty for a run that did not publish."""

    workload: str
    run_id: str
    published: str
    prefix: str
    files: tuple[File, ...]
    rollback: Rollback | None = None
    """Set where it is current because somebody made it so again."""

    def as_json(self) -> dict[str, Any]:
        """The document of `herd outputs --json`."""
        return {
            "workload": self.workload,
            "run": self.run_id,
            "published": self.published or None,
            "files": [{"path": file.path, "bytes": file.bytes} for file in self.files],
            "rollback": asdict(self.rollback) if self.rollback else None,
        }


def find(target: Target, workload: str, run_id: str | None) -> Version:
    """The current version (`run_id` None), or that of a run, also a rejected one. Raises HerdError if there is none."""
    manifest = runs.read_json(target, keys.latest_key(workload))
    if run_id is None:
        if manifest is None:
            raise HerdError(f"{workload} has published nothing yet; `herd run {workload}` starts it")
        return _version(workload, manifest, manifest["prefix"])
    if manifest is not None and manifest["run_id"] == run_id:
        return _version(workload, manifest, manifest["prefix"])
    record = runs.read_record(target, workload, run_id)
    if record is None:
        raise HerdError(f"{workload} has no record of a run {run_id!r}; `herd runs {workload}` lists them")
    rejected = record["status"] == CHECK_FAILED_RUN
    prefix = keys.rejected_prefix(workload, run_id) if rejected else keys.version_prefix(workload, run_id)
    files = tuple(_listed(target, prefix))
    if not files:
        raise HerdError(f"run {run_id} of {workload} ({record['status']}) has no files, or they have expired")
    return Version(workload, run_id, "" if rejected else str(record.get("ended") or ""), prefix, files)


def _listed(target: Target, prefix: str) -> Iterator[File]:
    """Files below a prefix of the data bucket; the record of a rejected run does not list them."""
    for page in runs.listing(target, prefix):
        for entry in page.get("Contents", ()):
            yield File(entry["Key"].removeprefix(prefix), int(entry["Size"]))


def _version(workload: str, manifest: dict[str, Any], prefix: str) -> Version:
    files = tuple(File(str(entry["path"]), int(entry["bytes"])) for entry in manifest["files"])
    made = Rollback.from_entry(manifest["rollback"]) if manifest.get("rollback") else None
    return Version(workload, str(manifest["run_id"]), str(manifest.get("published") or ""), prefix, files, made)


def copy(target: Target, version: Version, folder: Path, progress: Callable[[str], None]) -> None:
    """Download every file into `folder`. Raises HerdError for a path outside of it, or a file that has expired."""
    from botocore.exceptions import ClientError

    bucket = target.exports.data_bucket
    s3 = target.client("s3")
    for number, file in enumerate(version.files, 1):
        progress(f"{number} of {len(version.files)}: {file.path}")
        path = inside(folder, file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.part")
        try:
            s3.download_file(bucket, version.prefix + file.path, str(scratch))
        except ClientError as error:
            raise HerdError(
                f"{file.path}: {error.response['Error'].get('Message', 'is not there')}; superseded versions expire"
            ) from None
        os.replace(scratch, path)


def inside(folder: Path, path: str) -> Path:
    """The local path of a published file. Raises HerdError if it is not below `folder`, symbolic links followed."""
    parts = PurePosixPath(path).parts
    destination = folder.joinpath(*parts)
    if (
        not parts
        or ".." in parts
        or path.startswith("/")
        or "\\" in path
        or not destination.resolve().is_relative_to(folder.resolve())
    ):
        raise HerdError(f"refused to write {path!r}: it would leave {folder}")
    return destination
