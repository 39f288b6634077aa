"""From a run's outputs to the version that readers see. Killed at any point, readers see the old or the new version.

The order makes it so: files go to a folder that nothing names yet; then the baseline (only ever created); then a
report's page; then latest.json, one small object, is the switch; only then is the old version marked for expiry. The
switch is made only if latest.json is still what it was before the page was put, else both are done again. A file is
marked from the moment it is uploaded until just before the switch: what a run that dies leaves behind expires.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from . import pages
from .checks import accepted_values, values_of
from .contract.checks import Measured
from .contract.documents import File, Version
from .contract.keys import (
    BadPath,
    baseline_key,
    check_path,
    history_key,
    kept_page_key,
    latest_key,
    report_version_prefix,
    version_prefix,
)
from .contract.tags import PUBLISHED, REJECTED, SUPERSEDED
from .errors import say
from .footer import footer_of
from .published import current_version, current_with_etag, history_of, in_snapshots
from .record import Progress
from .storage import CONNECTIONS, Storage, StorageError
from .task import DeployedTask, format_time
from .workspace import opened

NOT_PUBLISHED = f"{REJECTED.replace(':', '%3A')}=true"
"""The tag of what is not, or not yet, part of a published version, as a header has it."""


def upload(storage: Storage, bucket: str, prefix: str, files: Mapping[str, Path], **extra: str) -> tuple[File, ...]:
    """Upload files, several at a time, and return their manifest entries. Raises StorageError."""

    def one(path: str) -> File:
        with opened(files[path]) as stream:
            size = os.fstat(stream.fileno()).st_size
            entry = File(path, size, hashlib.file_digest(stream, "sha256").hexdigest())
            storage.upload(stream, bucket, prefix + path, **extra)
        return entry

    with ThreadPoolExecutor(max_workers=CONNECTIONS // 4) as pool:
        return tuple(pool.map(one, files))


def streamed(storage: Storage, bucket: str, prefix: str, uploaded: Sequence[File]) -> tuple[File, ...]:
    """The files that the workload itself wrote to HERD_OUTPUT_URI: they belong to the version too.

    Names that readers could not fetch into a folder are left out, and said.
    """
    known = {file.path for file in uploaded}
    files: list[File] = []
    for stored in storage.list(bucket, prefix):
        path = stored.key.removeprefix(prefix)
        if path in known or not path or path.endswith("/"):  # "folders" that some programs write as empty objects
            continue
        try:
            files.append(File(check_path(path), stored.bytes, None))
        except BadPath as error:
            say(f"not published: {error}")
    return tuple(files)


def clear(storage: Storage, bucket: str, prefix: str) -> None:
    """Remove what a failed attempt of the same run has left where this one writes."""
    for stored in list(storage.list(bucket, prefix)):
        storage.delete(bucket, stored.key)


def reject(storage: Storage, task: DeployedTask, files: Mapping[str, Path]) -> str:
    """Keep outputs that failed a check where nobody reads them by accident; return their address."""
    upload(storage, task.data_bucket, task.keys.rejected, files, Tagging=NOT_PUBLISHED)
    return f"s3://{task.data_bucket}/{task.keys.rejected}"


def publish(
    task: DeployedTask,
    storage: Storage,
    progress: Progress,
    local: Mapping[str, Path],
    before_switch: Callable[[], None],
) -> None:
    """Make what is uploaded (`progress.files`) the current version; `local`: the same files on disk, for reports."""
    bucket, workload, published = task.data_bucket, task.workload, datetime.now(UTC)
    _accept(task, storage, progress)
    # What the workload itself streamed has no mark: its manifest entries have no sum.
    own = [task.keys.version + file.path for file in progress.files if file.sha256]
    footer = None
    if task.is_page and task.reports_bucket is not None and task.footer:
        footer = footer_of(task, storage, published, progress.inputs)
    for _ in range(MOST_SWITCHES):
        old, etag = current_with_etag(storage, bucket, workload)
        # A retry of a run that died after its switch: the version to mark is the one that was current before the run.
        superseded = (old.previous if old.run_id == task.run_id else old.run_id) if old is not None else None
        version = Version(
            workload=workload,
            run_id=task.run_id,
            published=format_time(published),
            prefix=version_prefix(workload, task.run_id),
            items=task.fan_out or None,
            files=progress.files,
            inputs=progress.inputs,
            previous=superseded,
        )
        if task.is_page and task.reports_bucket is not None:
            pages.publish(storage, task.reports_bucket, workload, task.run_id, local, task.fan_out, footer)
        _each(lambda key: storage.tag(bucket, key, PUBLISHED), own)
        before_switch()
        if _switch(storage, bucket, version, etag):
            break
    else:
        raise StorageError(f"{latest_key(workload)} was changed by others each time that it was to be written")
    # After the switch: a run that nobody can read is none of those to compare with.
    _add_to_history(task, storage, progress)
    # The version before the last is marked again, in case that the last run was killed right here.
    before_last = old.previous if old is not None else None
    marked = {run_id for run_id in (superseded, before_last) if run_id is not None} - {task.run_id}
    marked -= in_snapshots(storage, bucket, workload, marked)
    for run_id in marked:
        _mark(task, storage, run_id, SUPERSEDED)
    # Somebody may have made one of them current again while it was being marked, or taken a snapshot of it: what is
    # current never expires, nor does what a snapshot names.
    current = current_version(storage, bucket, workload)
    kept = {current.run_id} if current is not None else set()
    for run_id in marked & (kept | in_snapshots(storage, bucket, workload, marked)):
        _mark(task, storage, run_id, PUBLISHED)


MOST_SWITCHES = 10
"""How often a run begins again to publish, because another version has become current meanwhile."""


def remember(task: DeployedTask, storage: Storage, progress: Progress) -> None:
    """Of a run without files, which has published elsewhere: what the next ones are compared with."""
    _accept(task, storage, progress)
    _add_to_history(task, storage, progress)


def _accept(task: DeployedTask, storage: Storage, progress: Progress) -> None:
    """The first run that passes its checks gives the baseline."""
    accepted = accepted_values(task.run_id, progress.checks)
    if accepted.values:
        storage.put(task.data_bucket, baseline_key(task.workload), accepted.to_json(), only_if_absent=True)


def _add_to_history(task: DeployedTask, storage: Storage, progress: Progress) -> None:
    if any(isinstance(check, Measured) and check.trend is not None for check in task.checks):
        history = history_of(storage, task.data_bucket, task.workload)
        later = history.after(task.run_id, values_of(progress.checks))
        storage.put(task.data_bucket, history_key(task.workload), later.to_json())


def _switch(storage: Storage, bucket: str, version: Version, etag: str | None) -> bool:
    """Make it the current version; False if the one that was is not any more: a run or `herd rollback` was faster."""
    key, body = latest_key(version.workload), version.to_json()
    if etag is None:
        return storage.put(bucket, key, body, only_if_absent=True, CacheControl="no-cache")
    return storage.put(bucket, key, body, only_if=etag, CacheControl="no-cache")


def _mark(task: DeployedTask, storage: Storage, run_id: str, tag: str) -> None:
    """Tag all files of a version, its pages too."""
    places = [(task.data_bucket, version_prefix(task.workload, run_id))]
    if task.is_page and task.reports_bucket is not None:
        places += [(task.reports_bucket, of(task.workload, run_id)) for of in (report_version_prefix, kept_page_key)]
    objects = [(bucket, stored.key) for bucket, prefix in places for stored in storage.list(bucket, prefix)]
    _each(lambda place: storage.tag(*place, tag), objects)


T = TypeVar("T")


def _each(action: Callable[[T], None], items: Sequence[T]) -> None:
    with ThreadPoolExecutor(max_workers=CONNECTIONS // 2) as pool:
        list(pool.map(action, items))
