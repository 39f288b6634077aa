"""What an environment has published, as its workloads read it: by name, the current version of their outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from functools import cached_property
from pathlib import Path
from typing import Protocol

from .contract.documents import Baseline, File, History, Snapshot, Version
from .contract.keys import SNAPSHOTS, baseline_key, check_path, history_key, latest_key, version_prefix
from .contract.statuses import INPUT_MISSING
from .errors import RunFailed, say
from .storage import Storage
from .task import AnyTask

# `fetch` is imported where it is used: a workload without inputs starts without it.


def current_version(storage: Storage, bucket: str, name: str) -> Version | None:
    """The published version of a workload, or None if there is none yet. Raises RunFailed (66) if it cannot be read."""
    return current_with_etag(storage, bucket, name)[0]


def current_with_etag(storage: Storage, bucket: str, name: str) -> tuple[Version | None, str | None]:
    """The same, with the ETag of its latest.json."""
    result = storage.get_with_etag(bucket, latest_key(name))
    if result is None:
        return None, None
    text, etag = result
    try:
        version = Version.from_json(text)
        if not version.prefix.startswith(f"{name}/"):
            raise ValueError(f"it names files of another workload, {version.prefix!r}")
        return version, etag
    except ValueError as error:
        raise RunFailed(f"input {name}: {latest_key(name)} cannot be read: {error}", INPUT_MISSING) from error


def history_of(storage: Storage, bucket: str, workload: str) -> History:
    """What its checks saw in the last published runs; empty before the first. Raises ValueError if it is not ours."""
    text = storage.get(bucket, history_key(workload))
    return History.from_json(text) if text is not None else History()


def in_snapshots(storage: Storage, bucket: str, workload: str, run_ids: Set[str]) -> Set[str]:
    """Which of these runs a snapshot names; all of them while a snapshot cannot be read. Raises StorageError."""
    named: set[str] = set()
    for stored in storage.list(bucket, f"{SNAPSHOTS}/") if run_ids else ():
        text = storage.get(bucket, stored.key)
        try:
            version = Snapshot.from_json(text).outputs.get(workload) if text is not None else None
        except ValueError as error:
            say(f"{stored.key} cannot be read, so no version is marked for expiry: {error}")
            return run_ids
        if version is not None:
            named.add(version.run_id)
    return run_ids & named


class Published(Protocol):
    """What an environment has published, as its workloads read it."""

    def version(self, name: str) -> Version | None:
        """The current version of a workload; None before the first. Raises RunFailed (66) if it cannot be read."""

    def version_of(self, name: str, run_id: str) -> Version | None:
        """The version that a run has published, also a superseded one; None where there is none, or it has expired."""

    def baseline(self, workload: str) -> Baseline | None:
        """The accepted values; None before the first. Raises ValueError if the object is not one of ours."""

    def history(self, workload: str) -> History:
        """What its checks saw in the last published runs."""

    def fetch(self, version: Version, target: Path, *, mark: bool = False) -> None:
        """Fetch a version's files to the folder `target`, as `fetch.fetch` does."""

    def uris(self, names: Iterable[str]) -> Mapping[str, str]:
        """Where the latest.json of these workloads lies in S3: for services, which outlive a version."""


class DataBucket:
    """Published by an environment that is up."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    @cached_property
    def storage(self) -> Storage:
        """Connects when it is asked first: a trial that reads nothing does without, and so without importing boto3."""
        return Storage()

    def version(self, name: str) -> Version | None:
        return current_version(self.storage, self.bucket, name)

    def version_of(self, name: str, run_id: str) -> Version | None:
        current = self.version(name)
        if current is not None and current.run_id == run_id:
            return current
        # Its manifest was overwritten by the next one; its record is the writer's own. But the folder is what it was.
        prefix = version_prefix(name, run_id)
        stored = {one.key.removeprefix(prefix): one.bytes for one in self.storage.list(self.bucket, prefix)}
        files = tuple(File(check_path(path), size, None) for path, size in stored.items() if path and path[-1] != "/")
        return Version(name, run_id, "", prefix, None, files, ()) if files else None

    def baseline(self, workload: str) -> Baseline | None:
        text = self.storage.get(self.bucket, baseline_key(workload))
        return Baseline.from_json(text) if text is not None else None

    def history(self, workload: str) -> History:
        return history_of(self.storage, self.bucket, workload)

    def fetch(self, version: Version, target: Path, *, mark: bool = False) -> None:
        from .fetch import fetch

        fetch(self.storage, self.bucket, version, target, mark=mark)

    def uris(self, names: Iterable[str]) -> Mapping[str, str]:
        return {name: f"s3://{self.bucket}/{name}/" for name in names}


class NothingPublished:
    """Of an environment that is not up: a trial has those inputs only that lie on this machine."""

    def version(self, name: str) -> None:
        return None

    def version_of(self, name: str, run_id: str) -> None:
        return None

    def baseline(self, workload: str) -> None:
        return None

    def history(self, workload: str) -> History:
        return History()

    def fetch(self, version: Version, target: Path, *, mark: bool = False) -> None:
        raise LookupError(version.prefix)

    def uris(self, names: Iterable[str]) -> Mapping[str, str]:
        return {}


def published_for(task: AnyTask) -> DataBucket | NothingPublished:
    """What a task can read."""
    return NothingPublished() if task.data_bucket is None else DataBucket(task.data_bucket)
