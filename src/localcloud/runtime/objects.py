"""S3 objects that survive: their bytes in files named after their content, everything else in the runtime's store.

After each request that touches objects, what moto then has of them is written down. That needs no knowledge of what the
request meant, and it holds for every kind of it: uploads in parts, copies, tags, versions, retention.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from localcloud.patches.s3 import stored_objects
from localcloud.request import Call, Refused, Request, Response
from localcloud.runtime.store import Store, to_json
from localcloud.unreadable import Reason, Unreadable

log = logging.getLogger(__name__)

DRAFT = ".draft-"
"""Beginning of the names of files that are being written."""

SHOWN = 3
"""So many of the objects that are lost are named."""

STORE = "runtime.sqlite"


class Objects:
    """The objects of an account. The server's lock is held by whoever calls."""

    def __init__(self, account: str, store: Store, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._account = account
        self._store = store
        self._folder = folder
        self.homeless: dict[tuple[str, str], list[Any]] = {}
        """Versions by bucket and key, of buckets that are not there."""

    def perform(self, call: Call, request: Request, carry_out: Callable[[Request], Response]) -> Response:
        """Carry out a request of S3, and keep what it did to objects.

        Raises `Refused` when the disk takes no more; the objects are then as they were.
        """
        bucket, keys = call.bucket, [call.key] if call.key else [each.key for each in call.deleted]
        before = {key: stored_objects.versions(self._account, bucket, key) for key in keys}
        response = carry_out(request)
        if response.status >= 400:
            return response
        if not keys:  # a form: its key is somewhere in the body
            keys = stored_objects.keys(self._account, bucket)
        try:
            named = "versionId" in call.query or any(each.version for each in call.deleted)
            for key in keys:
                self._keep(bucket, key, named)
        except (OSError, sqlite3.Error) as error:
            log.error("%s was not carried out: the objects cannot be written: %s", call.name, error)
            for key, versions in before.items():
                stored_objects.put_versions(self._account, bucket, key, versions)
            message = f"{call.name} was not carried out: the local cloud's objects cannot be written: {error}"
            raise Refused("ServiceUnavailable", message, 503) from error
        return response

    def _keep(self, bucket: str, key: str, all_versions: bool) -> None:
        """Write down an object's versions. Older ones change only when a request names one."""
        versions = stored_objects.versions(self._account, bucket, key)
        rows = []
        for place, version in enumerate(versions):
            if not all_versions and place < len(versions) - 2 and getattr(version, "kept_place", None) == place:
                continue
            content, size = (
                (None, 0) if stored_objects.is_marker(version) else (self._file_of(version), version.contentsize)
            )
            record = to_json(stored_objects.describe(self._account, version))
            rows.append((bucket, key, version.version_id, place, content, size, record))
        left = {version.version_id for version in versions}
        with self._store.changing() as file:
            which = "FROM object WHERE bucket = ? AND key = ?"
            old = file.execute(f"SELECT version, content {which}", (bucket, key)).fetchall()
            for version_id, _ in old:
                if version_id not in left:
                    file.execute(f"DELETE {which} AND version = ?", (bucket, key, version_id))
            file.executemany("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            let_go = {content for _, content in old if content} - {row[4] for row in rows}
            file.executemany("INSERT OR IGNORE INTO unreferenced VALUES (?)", [(content,) for content in let_go])
            file.executemany("DELETE FROM unreferenced WHERE content = ?", [(row[4],) for row in rows if row[4]])
        for row in rows:
            versions[row[3]].kept_place = row[3]
        self._drop(let_go)

    def _file_of(self, version: Any) -> str:
        """The name of the file with a version's bytes, made if there is none."""
        kept = stored_objects.kept_in(version)
        if kept is not None:
            return kept.name
        data = stored_objects.content(version)
        name = hashlib.sha256(data).hexdigest()
        path = self._path(name)
        if not path.exists() or path.stat().st_size != len(data):
            # First the word that nobody refers to it yet: a process that is killed in between leaves no riddle.
            self._store.write("INSERT OR IGNORE INTO unreferenced VALUES (?)", (name,))
            path.parent.mkdir(exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=self._folder, prefix=DRAFT)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(draft, path)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
        stored_objects.keep_in(version, path)
        return name

    def _drop(self, names: Collection[str]) -> None:
        """Remove the files of which the store says that they may be without an object, if they are."""
        for name in names:
            if not self._store.read("SELECT 1 FROM object WHERE content = ? LIMIT 1", (name,)):
                self._path(name).unlink(missing_ok=True)
        with self._store.changing() as file:
            file.executemany("DELETE FROM unreferenced WHERE content = ?", [(name,) for name in names])

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def restore(self, journal_is_whole: bool = True) -> int:
        """Put all objects back into their buckets; how many versions.

        Raises `Unreadable` where bytes are missing, or what files belong to, before anything is changed. A file goes
        only if the store says that nobody may refer to it.
        """
        restored: dict[tuple[str, str], list[Any]] = defaultdict(list)
        missing = [*lost(self._store, self._folder)]
        if self._store.is_whole:  # a power cut may take the store's last words and leave the file
            missing += unknown(self._store, self._folder)
        if missing:
            some = "; ".join(missing[:SHOWN]) + (f"; and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
            raise Unreadable(self._folder, Reason.damaged, some)
        rows = "SELECT bucket, key, content, size, told FROM object ORDER BY bucket, key, place"
        for bucket, key, content, size, record in self._store.read(rows):
            file = stored_objects.FileBytes(self._path(content), size) if content else None
            restored[bucket, key].append(stored_objects.revive(self._account, bucket, key, json.loads(record), file))
        self.homeless = restored
        count = self.find_again()
        if journal_is_whole:
            for bucket, key in self.homeless:
                self._forget(bucket, key)
            self.homeless = {}
        if self._store.was_closed:  # else its last words may be missing, which said that an object has it after all
            self._drop([name for (name,) in self._store.read("SELECT content FROM unreferenced")])
        for draft in self._folder.glob(f"{DRAFT}*"):
            draft.unlink(missing_ok=True)  # of a process that was killed while it wrote
        return count

    def find_again(self) -> int:
        """Put back the objects whose buckets are there; how many versions."""
        count, waiting = 0, {}
        for (bucket, key), versions in self.homeless.items():
            try:
                # What has been written since under the same name is newer.
                if not stored_objects.versions(self._account, bucket, key):
                    stored_objects.put_versions(self._account, bucket, key, versions)
                    count += len(versions)
            except KeyError:
                waiting[bucket, key] = versions
        self.homeless = waiting
        return count

    def _forget(self, bucket: str, key: str) -> None:
        which = "FROM object WHERE bucket = ? AND key = ?"
        with self._store.changing() as file:
            file.execute(
                f"INSERT OR IGNORE INTO unreferenced SELECT content {which} AND content IS NOT NULL", (bucket, key)
            )
            file.execute(f"DELETE {which}", (bucket, key))


class Readable(Protocol):
    """A store, open or only looked at."""

    def read(self, statement: str) -> list[Any]: ...


def unknown(store: Readable, folder: Path) -> Iterator[str]:
    """Files of objects that the store would know, had it not lost its last changes."""
    known = {name for (name,) in store.read("SELECT content FROM object UNION SELECT content FROM unreferenced")}
    for path in sorted(folder.glob("[0-9a-f][0-9a-f]/*")):
        if path.name not in known:
            yield f"{path} belongs to an object that {STORE} does not know"


def lost(store: Readable, folder: Path) -> Iterator[str]:
    """The objects of a store whose bytes are not in the folder, and why not."""
    rows = "SELECT bucket, key, content, size FROM object WHERE content IS NOT NULL ORDER BY bucket, key, place"
    for bucket, key, content, size in store.read(rows):
        path = folder / content[:2] / content
        if why := why_not_whole(path, size):
            yield f"s3://{bucket}/{key}: {path} {why}"


def why_not_whole(path: Path, size: int) -> str:
    """ "" if the file has so many bytes. Raises OSError for what cannot be looked at."""
    try:
        there = path.stat().st_size
    except FileNotFoundError:
        return "is missing"
    return "" if there == size else f"has {there} of {size} bytes"
