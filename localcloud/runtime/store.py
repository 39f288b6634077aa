"""The runtime's file: SQLite, because a killed process must not leave half of anything.

Written ahead (WAL) and synchronised only at checkpoints: a killed process loses nothing, a power cut may lose the last
moments.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

LEAST_FREE_PAGES = 250
"""A megabyte: less is not worth writing the file anew."""

TABLES = """
CREATE TABLE IF NOT EXISTS object (
    bucket TEXT, key TEXT, version TEXT, place INTEGER, content TEXT, size INTEGER, told TEXT,
    PRIMARY KEY (bucket, key, version)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS object_content ON object (content);
CREATE TABLE IF NOT EXISTS execution (
    arn TEXT PRIMARY KEY, machine TEXT, started REAL, status TEXT, told TEXT, history TEXT
);
CREATE INDEX IF NOT EXISTS execution_machine ON execution (machine, started);
CREATE TABLE IF NOT EXISTS task (arn TEXT PRIMARY KEY, stopped REAL, told TEXT);
CREATE TABLE IF NOT EXISTS service (arn TEXT PRIMARY KEY, told TEXT);
CREATE TABLE IF NOT EXISTS stream (
    id INTEGER PRIMARY KEY, region TEXT, name_of_group TEXT, name TEXT, created TEXT,
    UNIQUE (region, name_of_group, name)
);
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, stream INTEGER REFERENCES stream ON DELETE CASCADE,
    timestamp INTEGER, ingested INTEGER, message TEXT
);
CREATE INDEX IF NOT EXISTS event_stream ON event (stream, id);
"""


class Store:
    """The open file. Safe with several threads."""

    def __init__(self, path: Path):
        self._lock = threading.RLock()
        try:
            self._file = _open(path)
        except sqlite3.DatabaseError as error:
            broken = path.with_name(time.strftime(f"{path.name}.broken-%Y%m%d-%H%M%S"))
            log.error("%s cannot be read (%s): moved to %s; objects, logs and past runs are lost", path, error, broken)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            path.rename(broken)
            self._file = _open(path)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside is written, or nothing. Raises sqlite3.OperationalError on a full disk."""
        with self._lock:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
            except BaseException:
                self._file.rollback()
                raise
            self._file.commit()

    def write(self, statement: str, values: Sequence[Any]) -> None:
        """One statement."""
        with self.changing() as file:
            file.execute(statement, values)

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a question."""
        with self._lock:
            return self._file.execute(statement, values).fetchall()

    def tidy(self) -> None:
        """Give the disk back what has been deleted, and what was written ahead; what fails is done another time."""
        with self._lock:
            try:
                (pages,), (free,) = (
                    self._file.execute(f"PRAGMA {it}").fetchone() for it in ("page_count", "freelist_count")
                )
                if free > LEAST_FREE_PAGES and free > pages // 2:
                    self._file.execute("VACUUM")
                self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError as error:
                log.warning("the runtime's file stays as large as it is: %s", error)

    def close(self) -> None:
        with self._lock:
            self._file.close()


def _open(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    path.chmod(0o600)
    file.execute("PRAGMA journal_mode=WAL")
    file.execute("PRAGMA synchronous=NORMAL")
    file.execute("PRAGMA foreign_keys=ON")
    file.executescript(TABLES)
    return file


def to_json(value: Any) -> str:
    """Compact JSON; what JSON lacks becomes text."""
    return json.dumps(value, separators=(",", ":"), default=str)
