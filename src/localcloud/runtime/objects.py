"""S3 objects that survive: their bytes in files named after their content, everything else in the runtime's store.

An object that came in parts, or was copied from a part of another, is a list of pieces of such files.

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
import weakref
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from localcloud.patches.s3 import stored_objects
from localcloud.request import Call, Refused, Request, Response
from localcloud.runtime.store import Store, to_json
from localcloud.stored import DRAFT, ContentFile, Piece, Stored
from localcloud.unreadable import Reason, Unreadable

log = logging.getLogger(__name__)

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
        self._files: weakref.WeakValueDictionary[str, ContentFile] = weakref.WeakValueDictionary()
        self._waiting: set[str] = set()
        """Files that somebody still read when their last object went."""

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
        rows, pieces = [], []
        for place, version in enumerate(versions):
            if not all_versions and place < len(versions) - 2 and getattr(version, "kept_place", None) == place:
                continue
            which = (bucket, key, version.version_id)
            content, size = None, 0
            if not stored_objects.is_marker(version):
                kept, size = self._files_of(version), version.contentsize
                if len(kept) == 1 and kept[0].is_whole:
                    content = kept[0].file.path.name
                else:
                    pieces += [
                        (*which, number, piece.file.path.name, piece.start, piece.size, piece.file.size)
                        for number, piece in enumerate(kept)
                    ]
            record = to_json(stored_objects.describe(self._account, version))
            rows.append((*which, place, content, size, record))
        left = {version.version_id for version in versions}
        with self._store.changing() as file:
            which_key = "WHERE bucket = ? AND key = ?"
            old = [
                row
                for table in ("object", "piece")
                for row in file.execute(f"SELECT version, content FROM {table} {which_key}", (bucket, key))
            ]
            written = {row[2] for row in rows}
            for version_id in {version_id for version_id, _ in old if version_id not in left or version_id in written}:
                for table in ("object", "piece"):
                    file.execute(f"DELETE FROM {table} {which_key} AND version = ?", (bucket, key, version_id))
            file.executemany("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            file.executemany("INSERT INTO piece VALUES (?, ?, ?, ?, ?, ?, ?, ?)", pieces)
            used = {row[4] for row in (*rows, *pieces) if row[4]}
            let_go = {content for _, content in old if content} - used
            file.executemany("INSERT OR IGNORE INTO unreferenced VALUES (?)", [(content,) for content in let_go])
            file.executemany("DELETE FROM unreferenced WHERE content = ?", [(content,) for content in used])
        self._waiting -= used
        for row in rows:
            versions[row[3]].kept_place = row[3]
        self._drop(let_go)

    def _files_of(self, version: Any) -> list[Piece]:
        """The pieces of files with a version's bytes, kept from now on."""
        stored = stored_objects.content(version)
        if stored.pieces and all(isinstance(piece, Piece) and piece.file.kept for piece in stored.pieces):
            return [piece for piece in stored.pieces if isinstance(piece, Piece)]
        kept = [self._kept(piece) for piece in stored.pieces or (b"",)]
        stored_objects.set_content(version, Stored(kept))
        return kept

    def _kept(self, piece: Piece | bytes) -> Piece:
        """The same bytes in a file of ours, made if there is none. Equal files are kept once."""
        if isinstance(piece, bytes):
            name = hashlib.sha256(piece).hexdigest()
            file = self._known(name, len(piece)) or self._written(name, piece)
            return Piece(file, 0, len(piece))
        if piece.file.kept:
            return piece
        name = Stored([Piece(piece.file, 0, piece.file.size)]).digest("sha256").hex()
        known = self._known(name, piece.file.size)
        if known is None:
            self._place(name, piece.file.path)
            known = piece.file
            known.path, known.kept = self._path(name), True
            self._files[name] = known
        known.digests.update(piece.file.digests)
        return Piece(known, piece.start, piece.size)

    def _known(self, name: str, size: int) -> ContentFile | None:
        """The file of that name, if it is there and whole."""
        if why_not_whole(self._path(name), size):
            return None
        return self._file(name, size)

    def _file(self, name: str, size: int) -> ContentFile:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = ContentFile(self._path(name), size, kept=True)
        return file

    def _written(self, name: str, data: bytes) -> ContentFile:
        handle, draft = tempfile.mkstemp(dir=self._folder, prefix=DRAFT)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            self._place(name, Path(draft))
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        return self._file(name, len(data))

    def _place(self, name: str, draft: Path) -> None:
        # First the word that nobody refers to it yet: a process that is killed in between leaves no riddle.
        self._store.write("INSERT OR IGNORE INTO unreferenced VALUES (?)", (name,))
        path = self._path(name)
        path.parent.mkdir(exist_ok=True)
        os.replace(draft, path)

    def _drop(self, names: Collection[str]) -> None:
        """Remove the files of which the store says that they may be without an object, if they are and nobody reads
        them; those that are read go another time.
        """
        read = {name for name in {*names, *self._waiting} if (file := self._files.get(name)) and file.readers}
        gone = {*names, *self._waiting} - read
        self._waiting = read
        for name in gone:
            used = "SELECT 1 FROM object WHERE content = ? UNION ALL SELECT 1 FROM piece WHERE content = ? LIMIT 1"
            if not self._store.read(used, (name, name)):
                self._path(name).unlink(missing_ok=True)
                self._files.pop(name, None)
        if gone:
            with self._store.changing() as store:
                store.executemany("DELETE FROM unreferenced WHERE content = ?", [(name,) for name in gone])

    def tidy(self) -> None:
        """Remove the files that have been read to the end since their objects went."""
        self._drop(())

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
        pieces: dict[tuple[str, str, str], list[Piece]] = defaultdict(list)
        rows = (
            "SELECT bucket, key, version, content, start, size, whole FROM piece ORDER BY bucket, key, version, place"
        )
        for bucket, key, version, content, start, size, whole in self._store.read(rows):
            pieces[bucket, key, version].append(Piece(self._file(content, whole), start, size))
        rows = "SELECT bucket, key, version, content, size, told FROM object ORDER BY bucket, key, place"
        for bucket, key, version, content, size, record in self._store.read(rows):
            parts = [Piece(self._file(content, size), 0, size)] if content else pieces[bucket, key, version]
            revived = stored_objects.revive(self._account, bucket, key, json.loads(record), Stored(parts))
            restored[bucket, key].append(revived)
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
        with self._store.changing() as file:
            for table in ("object", "piece"):
                which = f"FROM {table} WHERE bucket = ? AND key = ?"
                file.execute(
                    f"INSERT OR IGNORE INTO unreferenced SELECT content {which} AND content IS NOT NULL", (bucket, key)
                )
                file.execute(f"DELETE {which}", (bucket, key))


class Readable(Protocol):
    """A store, open or only looked at."""

    def read(self, statement: str) -> list[Any]: ...


def unknown(store: Readable, folder: Path) -> Iterator[str]:
    """Files of objects that the store would know, had it not lost its last changes."""
    known = {name for (name,) in store.read("SELECT content FROM unreferenced")}
    known |= {content for _, _, content, _ in _contents(store)}
    for path in sorted(folder.glob("[0-9a-f][0-9a-f]/*")):
        if path.name not in known:
            yield f"{path} belongs to an object that {STORE} does not know"


def lost(store: Readable, folder: Path) -> Iterator[str]:
    """The objects of a store whose bytes are not in the folder, and why not."""
    for bucket, key, content, size in _contents(store):
        path = folder / content[:2] / content
        if why := why_not_whole(path, size):
            yield f"s3://{bucket}/{key}: {path} {why}"


def _contents(store: Readable) -> Iterator[tuple[str, str, str, int]]:
    """Bucket and key of each object, and name and size of each of its files."""
    yield from store.read(
        "SELECT bucket, key, content, size FROM object WHERE content IS NOT NULL ORDER BY bucket, key, place"
    )
    if store.read("SELECT 1 FROM sqlite_master WHERE name = 'piece'"):  # a store that an older release wrote has none
        yield from store.read("SELECT bucket, key, content, whole FROM piece ORDER BY bucket, key, version, place")


def why_not_whole(path: Path, size: int) -> str:
    """ "" if the file has so many bytes. Raises OSError for what cannot be looked at."""
    try:
        there = path.stat().st_size
    except FileNotFoundError:
        return "is missing"
    return "" if there == size else f"has {there} of {size} bytes"
