"""`cache`: files that a workload keeps between its runs, restored before a run and saved after it.

They lie below `<workload>/cache/` of the data bucket, which only the workload's own role may read. One small object,
the manifest, names the objects that belong together and is the switch: a run that is killed leaves the cache as it
was. A cache is never needed: whatever is wrong with it is said in the log, and the run does without.

Runs at the same time do not disturb each other, because an object is only taken over from the manifest that is
replaced, on the condition that this is still the current one, and only whoever replaced a manifest deletes what it
alone has named.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BufferedReader
from pathlib import Path

from .contract import tags
from .contract.cached import EXPIRES_DAYS, FILE, FOLDER, LINK, MOST_BYTES, MOST_FILES, Cache, Entry
from .contract.keys import cache_manifest_key, cache_objects_prefix
from .errors import say
from .storage import CONNECTIONS, Storage, StorageError
from .task import DeployedTask, format_time
from .workspace import BehindLink, put_in_place, refuse_links, remove

MOST_TRIES = 5
"""How often it begins again because another run has saved meanwhile."""

EXPIRES = f"{tags.CACHED.replace(':', '%3A')}=true"
"""The tag of all of it, as a header has it."""


class Unusable(Exception):
    """This cache cannot be restored or saved; the message says why."""


def restore(storage: Storage, task: DeployedTask, root: Path) -> bool:
    """Put what the last run has left to where it was; leave nothing half-restored. False if it is not to be trusted."""
    try:
        entries = _fetched(storage, task, root)
    except (Unusable, BehindLink, StorageError, OSError, ValueError) as error:
        say(f"cache: not restored, the run does without: {error}")
        return False
    files = sum(entry.kind == FILE for entry in entries)
    if entries:
        say(f"cache: {files:,} file{'s' if files != 1 else ''} restored")
    return True


def _fetched(storage: Storage, task: DeployedTask, root: Path) -> Sequence[Entry]:
    """The entries that are in place now."""
    for _ in range(MOST_TRIES):
        text = storage.get(task.data_bucket, cache_manifest_key(task.workload, task.item))
        if text is None:
            return ()
        wanted = [entry for entry in Cache.from_json(text).entries if _of(entry.path, task.cache) is not None]
        scratch = root.with_name(f"{root.name}.cache")
        remove(scratch)
        try:
            _fetch(storage, task, wanted, scratch)
            for path in task.cache:
                put_in_place(scratch / path, root, path)
            return wanted
        except StorageError:
            # Another run has saved meanwhile and removed what its own does not need.
            if storage.get(task.data_bucket, cache_manifest_key(task.workload, task.item)) == text:
                raise
        finally:
            remove(scratch)
    raise Unusable("other runs have changed it each time that it was read")


def _fetch(storage: Storage, task: DeployedTask, entries: Sequence[Entry], scratch: Path) -> None:
    """Build it all below `scratch`. Links come last and folders get their modes at the very end, so that nothing is
    written through the one or refused by the other.
    """
    by_kind = {kind: [entry for entry in entries if entry.kind == kind] for kind in (FOLDER, FILE, LINK)}
    scratch.mkdir()
    for entry in by_kind[FOLDER]:
        (scratch / entry.path).mkdir(parents=True, exist_ok=True)
    for entry in entries:
        (scratch / entry.path).parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=CONNECTIONS // 2) as pool:
        list(pool.map(lambda entry: _fetch_file(storage, task.data_bucket, entry, scratch / entry.path), by_kind[FILE]))
    for entry in by_kind[LINK]:
        (scratch / entry.path).symlink_to(entry.target)
    for entry in reversed(by_kind[FOLDER]):
        (scratch / entry.path).chmod(entry.mode)


def _fetch_file(storage: Storage, bucket: str, entry: Entry, target: Path) -> None:
    storage.download(bucket, entry.key, target, entry.bytes)
    with target.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != entry.sha256:
            raise Unusable(f"{entry.path!r} is damaged: its SHA-256 differs from the manifest")
    target.chmod(entry.mode)
    os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))


def save(storage: Storage, task: DeployedTask, root: Path, stopped: Callable[[], bool], *, trusted: bool) -> None:
    """Keep what lies at the paths of the cache now. `stopped`: whether the task was asked to end, which ends this.

    `trusted`: what `restore` said. What could not be restored is not taken over, or it would never be well again.
    """
    try:
        content = _content(root, task.cache)
        uploads, kept = _switch(storage, task, content, stopped, trusted)
    except (Unusable, BehindLink, StorageError, OSError) as error:
        say(f"cache: not saved, what was saved before stays: {error}")
        return
    if kept or uploads:
        say(f"cache: {kept:,} file{'s' if kept != 1 else ''} kept, {uploads:,} of them uploaded")


@dataclass(frozen=True)
class _Content:
    """What lies there: entries without keys, and the open-able file of each."""

    entries: tuple[Entry, ...]
    sources: Mapping[str, Path]


def _content(root: Path, paths: Sequence[str]) -> _Content:
    entries: list[Entry] = []
    size = 0
    for path in paths:
        if not os.path.lexists(root / path):
            continue
        refuse_links(root, path)
        for entry in _entries(root, path):
            entries.append(entry)
            size += entry.bytes
            if size > MOST_BYTES:
                raise Unusable(f"it has more than {MOST_BYTES / 1e9:g} GB, which is the most that is kept")
            if len(entries) > MOST_FILES:
                raise Unusable(f"it has more than {MOST_FILES:,} files and folders, which is the most that is kept")
    return _Content(tuple(entries), {entry.path: root / entry.path for entry in entries if entry.kind == FILE})


def _entries(root: Path, path: str) -> Iterator[Entry]:
    """What lies at `path` and below, in order; links are kept as links and not followed."""
    try:
        path.encode()
    except UnicodeEncodeError:
        say(f"cache: {path!r} is left out: the name is not UTF-8")
        return
    status = (root / path).lstat()
    mode, kind = stat.S_IMODE(status.st_mode), stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        yield Entry(path, LINK, 0, target=os.readlink(root / path))
    elif kind == stat.S_IFREG and status.st_size > MOST_BYTES:
        yield Entry(path, FILE, mode, bytes=status.st_size)  # it is not kept: its sum is not needed
    elif kind == stat.S_IFREG:
        with _opened(root / path) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        yield Entry(path, FILE, mode, status.st_mtime_ns, status.st_size, digest)
    elif kind == stat.S_IFDIR:
        yield Entry(path, FOLDER, mode)
        for name in sorted(os.listdir(root / path)):
            yield from _entries(root, f"{path}/{name}")
    else:
        say(f"cache: {path!r} is left out: it is neither a file, a folder nor a link")


def _opened(path: Path) -> BufferedReader:
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK))


def _switch(
    storage: Storage, task: DeployedTask, content: _Content, stopped: Callable[[], bool], trusted: bool
) -> tuple[int, int]:
    """Make it the current cache; how many files were uploaded, and how many it has."""
    bucket, manifest_key = task.data_bucket, cache_manifest_key(task.workload, task.item)
    prefix = f"{cache_objects_prefix(task.workload, task.item)}{task.run_id}.{task.attempt}/"
    uploader = _Uploader(storage, bucket, prefix, stopped)
    for _ in range(MOST_TRIES):
        now = datetime.now(UTC)
        before, etag = _current(storage, bucket, manifest_key)
        usable = {entry.sha256: entry for entry in before if trusted and entry.kind == FILE and _is_fresh(entry, now)}
        entries = uploader.with_keys(content, usable, now)
        cache = Cache(task.workload, task.run_id, format_time(now), entries)
        condition = {"only_if_absent": True} if etag is None else {"only_if": etag}
        if storage.put(bucket, manifest_key, cache.to_json(), Tagging=EXPIRES, **condition):
            needed = {entry.key for entry in entries}
            for key in sorted({entry.key for entry in before if entry.key} - needed):
                storage.delete(bucket, key)
            return len(uploader.done), sum(entry.kind == FILE for entry in entries)
    raise Unusable("other runs have saved theirs each time that it was to be saved")


def _current(storage: Storage, bucket: str, key: str) -> tuple[tuple[Entry, ...], str | None]:
    stored = storage.get_with_etag(bucket, key)
    if stored is None:
        return (), None
    try:
        return Cache.from_json(stored[0]).entries, stored[1]
    except ValueError:  # of another release, or damaged: it is replaced
        return (), stored[1]


def _is_fresh(entry: Entry, now: datetime) -> bool:
    """It will not expire before many more runs have had it."""
    try:
        return now - datetime.fromisoformat(entry.uploaded) < timedelta(days=EXPIRES_DAYS / 2)
    except (ValueError, TypeError):
        return False


class _Uploader:
    """Uploads each content once, whatever the number of files that have it and of times that it begins again."""

    def __init__(self, storage: Storage, bucket: str, prefix: str, stopped: Callable[[], bool]) -> None:
        self._storage, self._bucket, self._prefix, self._stopped = storage, bucket, prefix, stopped
        self._lock = threading.Lock()
        self.done: dict[str, Entry] = {}

    def with_keys(self, content: _Content, usable: Mapping[str, Entry], now: datetime) -> tuple[Entry, ...]:
        lacking = {
            entry.sha256: entry
            for entry in content.entries
            if entry.kind == FILE and entry.sha256 not in usable and entry.sha256 not in self.done
        }
        with ThreadPoolExecutor(max_workers=CONNECTIONS // 4) as pool:
            list(pool.map(lambda entry: self._upload(entry, content.sources[entry.path], now), lacking.values()))
        known = {**usable, **self.done}
        return tuple(
            replace(entry, key=known[entry.sha256].key, uploaded=known[entry.sha256].uploaded)
            if entry.kind == FILE
            else entry
            for entry in content.entries
        )

    def _upload(self, entry: Entry, source: Path, now: datetime) -> None:
        if self._stopped():
            raise Unusable("the task was asked to stop")
        key = self._prefix + entry.sha256
        with _opened(source) as stream:
            self._storage.upload(stream, self._bucket, key, Tagging=EXPIRES, ContentType="application/octet-stream")
        with self._lock:
            self.done[entry.sha256] = replace(entry, key=key, uploaded=format_time(now))


def _of(path: str, paths: Sequence[str]) -> str | None:
    """Which of `paths` it lies at or below."""
    return next((one for one in paths if path == one or path.startswith(f"{one}/")), None)
